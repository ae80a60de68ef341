"""Each distribution imports what it declares, ships what it promises, and loads no framework unasked."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Iterator
from functools import cache
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = [("sdk", "watchword"), ("server", "watchword_server")]
OPTIONAL = ("integrations", "jose/encryption_keys.py")
"""What may import the requirements of an extra: frameworks, and the one door to joserfc."""


def named(requirement: str) -> str:
    """The normal name of the distribution that a requirement asks for (PEP 503, PEP 508)."""
    name = re.match(r"[A-Za-z0-9._-]+", requirement)
    assert name, requirement
    return re.sub(r"[-_.]+", "-", name.group()).lower()


def project(folder: str) -> dict[str, list[str]]:
    """The requirements of a distribution, by extra; those that it always has are under ""."""
    declared = tomllib.loads((ROOT / folder / "pyproject.toml").read_text())["project"]
    return {"": declared["dependencies"], **declared.get("optional-dependencies", {})}


def imported(path: Path) -> Iterator[str]:
    """The packages that a module imports at any depth, its own and the standard library's left out."""
    for node in ast.walk(ast.parse(path.read_text())):
        match node:
            case ast.Import(names=names):
                yield from (name.name.partition(".")[0] for name in names)
            case ast.ImportFrom(module=str(module)):
                yield module.partition(".")[0]


@cache
def providers() -> dict[str, set[str]]:
    """The distributions that provide each installed package. Finding them takes a while."""
    return {package: set(map(named, names)) for package, names in packages_distributions().items()}


def strangers(path: Path, own: str, declared: set[str]) -> set[str]:
    """What a module imports without that its distribution declares it."""
    foreign = {name for name in imported(path) if name != own and name not in sys.stdlib_module_names}
    return {name for name in foreign if not declared & providers().get(name, {name})}


def all_strangers(root: Path, folder: str, own: str) -> dict[str, set[str]]:
    """Undeclared imports by module. Only what is in OPTIONAL may import what an extra brings."""
    requirements = project(folder)
    always = {named(requirement) for requirement in requirements[""]}
    optional = {named(requirement) for extra in requirements.values() for requirement in extra}
    package = root / folder / "src" / own
    found = {
        path.relative_to(root).as_posix(): strangers(
            path, own, optional if any(path.is_relative_to(package / room) for room in OPTIONAL) else always
        )
        for path in sorted(package.rglob("*.py"))
    }
    return {path: names for path, names in found.items() if names}


@pytest.mark.parametrize(("folder", "own"), PACKAGES)
def test_every_import_is_declared(folder: str, own: str) -> None:
    """What arrives only through somebody else's dependency may be gone tomorrow."""
    assert all_strangers(ROOT, folder, own) == {}


@pytest.mark.parametrize(("file", "fault"), [("verifier.py", "import fastapi"), ("errors.py", "from anyio import run")])
def test_an_undeclared_import_is_found(tmp_path: Path, file: str, fault: str) -> None:
    """A framework outside its integration, and another's dependency, are both strangers."""
    victim = tmp_path / "sdk" / "src" / "watchword" / file
    victim.parent.mkdir(parents=True)
    victim.write_text(fault)
    assert list(all_strangers(tmp_path, "sdk", "watchword")) == [f"sdk/src/watchword/{file}"]


@pytest.mark.parametrize(("folder", "own"), PACKAGES)
def test_a_wheel_is_typed_licensed_and_whole(tmp_path: Path, folder: str, own: str) -> None:
    """A built wheel carries py.typed (PEP 561), the licence of this repository, and what the code reads at run time."""
    build = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(tmp_path)]
    subprocess.run(build, cwd=ROOT / folder, check=True, capture_output=True, timeout=60)
    with zipfile.ZipFile(next(tmp_path.glob("*.whl"))) as wheel:
        files = wheel.namelist()
        licence = next(name for name in files if name.endswith("licenses/LICENSE"))
        assert wheel.read(licence) == (ROOT / "LICENSE").read_bytes()
    assert f"{own}/py.typed" in files
    source = ROOT / folder / "src"
    beside_code = {path for path in (source / own).rglob("*") if path.is_file() and path.suffix not in {".py", ".pyc"}}
    assert {path.relative_to(source).as_posix() for path in beside_code} <= set(files)


def test_the_sdk_loads_no_framework_and_no_server() -> None:
    """`import watchword` is cheap: frameworks are loaded by their integration only, joserfc by the first key for it."""
    program = "import sys, watchword; from watchword import Verifier; print(*sys.modules, sep='\\n')"
    loaded = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True, timeout=30)
    unasked = {"anyio", "django", "fastapi", "flask", "grpc", "joserfc", "pydantic", "starlette", "watchword_server"}
    assert unasked & set(loaded.stdout.split()) == set()
