"""The revocation log, read over HTTP as an API reads it, and believed only as far as it can be proved."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field

from tests.stories.processes import Site
from watchword.jose.b64 import b64url
from watchword.jose.jwk import PublicKey, key_set
from watchword.log import Delta, Entry, Message, Snapshot, chain, genesis, unseal
from watchword.revocations import RevocationSet


@dataclass
class History:
    """What a reader has seen of the log so far. Everything that it takes in must join what it knows."""

    site: Site
    known: RevocationSet = field(default_factory=RevocationSet)

    def news(self) -> Sequence[Entry]:
        """The entries since the last look. Fails when the log went back, forked, or has become another one."""
        if not self.known.log:
            self._take(self._ask())
        before = self.known.seq
        delta = self._ask(after=str(before), log=self.known.log)
        assert isinstance(delta, Delta), f"the log of {self.known.log} does not go on from {before}: {delta}"
        assert (delta.after, delta.log) == (before, self.known.log)
        self._take(delta)
        assert self.known.seq == before + len(delta.entries)
        return delta.entries

    def whole(self) -> Sequence[Entry]:
        """Every entry from the first one on, hashed anew from the beginning to where we stand."""
        delta, snapshot = self._ask(after="0", log=self.known.log), self._ask()
        assert isinstance(delta, Delta)
        assert isinstance(snapshot, Snapshot)
        head = b64url(chain(genesis(delta.log), delta.entries))
        assert [entry.seq for entry in delta.entries] == list(range(1, self.known.seq + 1))
        assert {head} == {delta.head, snapshot.head, self.known.head}
        assert set(snapshot.entries) <= set(delta.entries)
        return delta.entries

    def alive(self) -> Sequence[Entry]:
        """All that is dead and not forgotten, as a newcomer is told; it joins what is known."""
        snapshot = self._ask()
        assert isinstance(snapshot, Snapshot)
        self._take(snapshot)
        return snapshot.entries

    def _take(self, message: Message) -> None:
        self.known.apply(message)  # raises InvalidFeed for whatever contradicts what is known

    def _ask(self, **after: str) -> Message:
        nonce = secrets.token_urlsafe(24)
        answer = self.site.http.get(
            f"{self.site.issuer}/revocations", params={**after, "nonce": nonce}, auth=self.site.api.auth
        )
        assert answer.status_code == 200, answer.text
        message = unseal(answer.content, self._keys(), self.site.issuer)
        assert message.nonce == nonce
        return message

    def _keys(self) -> dict[str, PublicKey]:
        return key_set(self.site.http.get(f"{self.site.issuer}/revocations/jwks.json", auth=self.site.api.auth).json())
