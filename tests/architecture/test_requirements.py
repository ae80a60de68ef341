"""Requirements are pinned by hash, agree with each other, and say nothing about where they come from."""

from __future__ import annotations

import fnmatch
import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.architecture.test_distributions import PACKAGES, project

ROOT = Path(__file__).parents[2]
FILES = ("run", "test", "browser", "interop", "check", "fuzz", "mutants", "bench")
ENTRY = re.compile(r"[a-z0-9-]+==[^ ;]+( ; [^\\]+)?( --hash=sha256:[0-9a-f]{64})+")
# Joined here, so that this file does not name what it forbids.
REGISTRIES = [".".join(host) for host in (("pypi", "org"), ("pythonhosted", "org"), ("npmjs", "org"), ("npmjs", "com"))]
REGISTRIES += [".".join(host) for host in (("yarnpkg", "com"), ("proxy", "golang", "org"), ("crates", "io"))]
LOCKS = re.compile(r"(uv|poetry|pdm)\.lock|Pipfile\.lock|pylock.*\.toml|pnpm-lock\.yaml|yarn\.lock")
DOWNLOADS = re.compile(r'"resolved"\s*:\s*"http')


def entries(name: str) -> list[str]:
    """The requirements of a compiled file, one a line, hashes and all."""
    text = (ROOT / "requirements" / f"{name}.txt").read_text()
    return re.sub(r" \\\n +", " ", text).splitlines()


def pins(name: str) -> dict[str, str]:
    """The version of every distribution in a compiled file."""
    return dict(entry.split(" ")[0].split("==") for entry in entries(name))


def committed(root: Path) -> Iterator[Path]:
    """Every file that .gitignore does not leave out. Without git, which `make test` does not need."""
    ignored = [".git", *(line.rstrip("/") for line in (ROOT / ".gitignore").read_text().split())]
    for folder, folders, files in os.walk(root):
        folders[:] = [name for name in folders if not any(fnmatch.fnmatch(name, rule) for rule in ignored)]
        yield from (Path(folder, name) for name in files)


def betrayals(root: Path) -> Iterator[str]:
    """Files that name a package registry or record a download address."""
    for path in committed(root):
        text = path.read_text(errors="replace")
        if LOCKS.fullmatch(path.name) or DOWNLOADS.search(text) or any(host in text for host in REGISTRIES):
            yield path.relative_to(root).as_posix()


@pytest.mark.parametrize("name", FILES)
def test_every_requirement_is_pinned_by_hash(name: str) -> None:
    """Name, exact version, perhaps a marker, hashes, and nothing else: no index, no option, no address."""
    assert [entry for entry in entries(name) if not ENTRY.fullmatch(entry)] == []


@pytest.mark.parametrize("line", ["idna>=3", "idna==3.20", "--index-url x", f"idna @ file:x --hash=sha256:{'0' * 64}"])
def test_an_unpinned_requirement_is_found(line: str) -> None:
    """A range, a pin without hash, an option or an address is no entry."""
    assert not ENTRY.fullmatch(line)


@pytest.mark.parametrize(("one", "other"), [("run", "test"), ("run", "check"), ("test", "check")])
def test_the_pins_agree(one: str, other: str) -> None:
    """Tests run on the versions that users run."""
    mine, theirs = pins(one), pins(other)
    assert {name for name in mine.keys() & theirs.keys() if mine[name] != theirs[name]} == set()


@pytest.mark.parametrize(("folder", "_own"), PACKAGES)
def test_the_pins_are_what_the_distributions_ask_for(folder: str, _own: str) -> None:
    """A changed pyproject.toml needs `make lock`."""
    known = pins("run") | {"watchword": "0.1.0"}
    for requirement in map(Requirement, project(folder)[""]):
        name = canonicalize_name(requirement.name)
        assert name in known, f"{name} is not in requirements/run.txt: make lock"
        assert requirement.specifier.contains(known[name]), f"{requirement} is not {known[name]}: make lock"


def test_no_file_says_where_packages_come_from() -> None:
    """The place is the machine's to decide: no registry, no lock file with download addresses."""
    assert list(betrayals(ROOT)) == []


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("README.md", f"see https://{REGISTRIES[0]}/x"),
        ("uv.lock", ""),
        ("package-lock.json", '{"resolved": "' + 'https://example.com/x.tgz"}'),
    ],
)
def test_a_planted_address_is_found(tmp_path: Path, name: str, text: str) -> None:
    """A host, a lock file and a recorded download are each found; what is ignored is not looked at."""
    (tmp_path / ".venv").mkdir()
    for folder in (tmp_path, tmp_path / ".venv"):
        (folder / name).write_text(text)
    assert list(betrayals(tmp_path)) == [name]
