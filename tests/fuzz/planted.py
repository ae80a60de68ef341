"""Defects that are planted in a private copy of the SDK: a fuzzer that does not find them proves nothing."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from tests.fuzz import campaign

SOURCE: Final = campaign.ROOT / "sdk" / "src" / "watchword"


@dataclass(frozen=True, slots=True)
class Defect:
    """Replace `old`, which occurs once in `file`, by `new`."""

    name: str
    target: str
    file: str
    old: str
    new: str


# fmt: off
DEFECTS: Final = (
    Defect("a member may occur twice", "tokens", "jose/jwt.py",
           "if len(dict(pairs)) != len(pairs):", "if False:"),
    Defect("exp has no upper bound", "tokens", "policy.py",
           "_Date = _Whole | _Fraction", "_Date = int | float"),
    Defect("exp does not count", "tokens", "policy.py",
           "if not starts <= now < ends:\n        _refuse_now(ends, now)\n    if not 0", "if not 0"),
    Defect("a lifetime may be any", "tokens", "policy.py",
           "if not 0 < expires_at - issued_at <= policy.max_lifetime:", "if expires_at < issued_at:"),
    Defect("aud may begin like ours", "tokens", "policy.py",
           "if found.aud != policy.audience:", "if not found.aud.startswith(policy.audience):"),
    Defect("unused bits of base64url may be set", "tokens", "jose/b64.py",
           "if not rest or raw[-1] in _LAST[rest]:", "if rest != 1:"),
    Defect("crit is not looked at", "tokens", "jose/jws.py",
           "if header.crit is not msgspec.UNSET or", "if"),
    Defect("a header may name a member twice", "tokens", "jose/jws.py",
           "    claims(unb64url(segment))", "    unb64url(segment)"),
    Defect("cnf is not looked at", "tokens", "policy.py",
           "if found.cnf is not msgspec.UNSET:", "if found.cnf is None:"),
    Defect("a RecursionError leaves", "tokens", "jose/jwt.py",
           "ValueError, ArithmeticError, RecursionError", "ValueError, ArithmeticError"),
    Defect("an Ed25519 point may have a small order", "keys", "jose/weak.py",
           "if _has_small_order(square, y):", "if False:"),
    Defect("a ROCA modulus passes", "keys", "jose/weak.py",
           "if all(n % prime in residues", "if False and all(n % prime in residues"),
    Defect("a number may begin with zeros", "keys", "jose/members.py",
           "if not data or data[0] == 0:", "if not data:"),
    Defect("key_ops does not count", "keys", "jose/jwk.py",
           'or "verify" not in ops or', "or"),
    Defect("kty and algorithm may differ", "keys", "jose/jwk.py",
           'if row.kty != jwk.get("kty"):', "if False:"),
    Defect("the private part may be another's", "keys", "jose/materials.py",
           'raise InvalidKey("d does not belong to x")', "pass"),
    Defect("inflation has no bound", "encrypted", "jose/jwe.py",
           "inflater.decompress(data, limit + 1)", "inflater.decompress(data)"),
    Defect("data may follow the compressed text", "encrypted", "jose/jwe.py",
           "if not inflater.eof or inflater.unused_data:", "if not inflater.eof:"),
    Defect("p2c is not looked at", "encrypted", "jose/jwe.py",
           '("crit", "b64", "p2c", "p2s")', '("crit", "b64", "p2s")'),
    Defect("epk may hold a private key", "encrypted", "jose/jwe.py",
           "if not isinstance(epk, dict) or not PRIVATE.isdisjoint(epk):", "if not isinstance(epk, dict):"),
    Defect("epk may be anything", "encrypted", "jose/jwe.py",
           "if not isinstance(epk, dict) or not PRIVATE.isdisjoint(epk):", "if False:"),
    Defect("the hashes of a delta do not count", "feed", "log.py",
           "if b64url(head) != delta.head:", "if False:"),
    Defect("the numbers of a delta do not count", "feed", "log.py",
           "if not is_whole or any(", "if False and any("),
    Defect("a fork passes", "feed", "revocations.py",
           "if self._head_at(delta) != self.head:", "if False:"),
    Defect("an old snapshot passes", "feed", "revocations.py",
           "if snapshot.seq < self.seq:", "if False:"),
    Defect("entries are forgotten too early", "feed", "revocations.py",
           "self._due[0][0] < horizon", "self._due[0][0] <= horizon + 1"),
    Defect("a large number leaves as an error", "feed", "log.py",
           "len(delta.entries) == delta.seq - delta.after",
           "[e.seq for e in delta.entries] == list(range(delta.after + 1, delta.seq + 1))"),
)
QUICK: Final = (
    Defect("an error that nobody expects", "tokens", "policy.py",
           "    if found.iss != policy.issuer:",
           '    if found.nbf:\n        raise LookupError("planted")\n    if found.iss != policy.issuer:'),
)
# fmt: on


def found_after(defect: Defect, seconds: int, engine: str) -> float | None:
    """Seconds of processor time until a finding, or None. Raises ValueError when the defect no longer fits the code."""
    with TemporaryDirectory() as place:
        sdk = Path(place, "sdk")
        _plant(defect, sdk)
        plan = campaign.Plan(Path(place, "run"), seconds, engine=engine, sdk=sdk, race=True)
        (outcome,) = campaign.run([defect.target], plan, lambda _: None)
    if not outcome.findings:
        return None
    return min(outcome.first_after_cpu_s.values(), default=float(seconds))


def _plant(defect: Defect, folder: Path) -> None:
    shutil.copytree(SOURCE, folder / "watchword", ignore=shutil.ignore_patterns("__pycache__"))
    path = folder / "watchword" / defect.file
    text = path.read_text()
    if text.count(defect.old) != 1:
        raise ValueError(f"{defect.name}: its line is not in {defect.file} exactly once")
    path.write_text(text.replace(defect.old, defect.new))
