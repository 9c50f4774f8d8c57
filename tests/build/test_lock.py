"""requirements/*.lock.txt: what pyproject.toml allows, pinned, with hashes, from nowhere named."""

from __future__ import annotations

import re
import sys
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
EXTRAS: dict[str, list[str]] = PROJECT["project"]["optional-dependencies"]
IMAGE, AUDIT = EXTRAS["postgres"] + EXTRAS["otel"], EXTRAS["audit"]
LOCKS = {
    name: ROOT / f"requirements/{name}.lock.txt"
    for name in ("build", "dev", "docs", "image", "run")
}


@dataclass(frozen=True)
class Pin:
    version: str
    marker: str
    hashes: tuple[str, ...]


def pins(text: str) -> dict[str, Pin]:
    """Name -> what it is pinned to. Raises ValueError for any other line."""
    found = {}
    for line in text.replace("\\\n", " ").splitlines():
        if not line or line.startswith("#"):
            continue
        match = re.fullmatch(
            r"([a-z0-9-]+)==([0-9a-z.+!]+)(?: ; ([^#]+?))?((?: +--hash=sha256:[0-9a-f]{64})+) *",
            line,
        )
        if match is None:
            raise ValueError(f"not a pinned package with hashes: {line}")
        name, version, marker, hashes = match.groups()
        if name in found:
            raise ValueError(f"pinned twice: {name}")
        found[name] = Pin(version, marker or "", tuple(hashes.split()))
    return found


def group(name: str) -> list[str]:
    """A dependency group with those that it includes (PEP 735)."""
    entries: list[Any] = PROJECT["dependency-groups"][name]
    found = []
    for entry in entries:
        found += [entry] if isinstance(entry, str) else group(entry["include-group"])
    return found


def asked_for(lock: str) -> list[Requirement]:
    wanted = {
        "build": group("build"),
        "docs": group("docs"),
        "run": PROJECT["project"]["dependencies"],
        "image": PROJECT["project"]["dependencies"] + IMAGE,
        "dev": PROJECT["project"]["dependencies"] + IMAGE + AUDIT + group("dev"),
    }
    return [Requirement(text) for text in wanted[lock]]


@pytest.mark.parametrize("lock", LOCKS)
def test_every_package_is_pinned_within_its_range(lock: str) -> None:
    """Else: `make update`."""
    pinned = pins(LOCKS[lock].read_text())
    for requirement in asked_for(lock):
        name = canonicalize_name(requirement.name)
        assert name in pinned, f"{name} is in pyproject.toml, and not in {LOCKS[lock].name}"
        assert requirement.specifier.contains(pinned[name].version, prereleases=True), requirement


@pytest.mark.parametrize("lock", LOCKS)
def test_no_place_is_named(lock: str) -> None:
    text = LOCKS[lock].read_text()
    assert not re.search(r"://|index-url|find-links|trusted-host|\.(?:com|org|net|io)\b", text)


def test_what_is_in_two_locks_has_one_version() -> None:
    """But for that of the docs site, which is installed by itself."""
    dev = pins(LOCKS["dev"].read_text())
    for lock in ("build", "image", "run"):
        for name, pin in pins(LOCKS[lock].read_text()).items():
            assert dev[name] == pin


def test_the_demo_installs_nothing_that_only_tests_need() -> None:
    run = set(pins(LOCKS["run"].read_text())) | set(pins(LOCKS["build"].read_text()))
    only_tests = {canonicalize_name(Requirement(text).name) for text in group("dev") + AUDIT}
    only_tests -= {canonicalize_name(Requirement(text).name) for text in group("build")}
    # What the build needs of them it brings itself, and Rich its reader of Markdown.
    assert run & only_tests <= {"packaging", "markdown-it-py"}


def test_no_dependency_is_named_twice() -> None:
    for lock in LOCKS:
        names = [canonicalize_name(requirement.name) for requirement in asked_for(lock)]
        assert sorted(names) == sorted(set(names))


def test_markers_leave_nothing_out_where_the_project_runs() -> None:
    """On Linux every pin counts, with any Python from 3.11 on; so none may ask for a version."""
    for path in LOCKS.values():
        for name, pin in pins(path.read_text()).items():
            assert "python_version" not in pin.marker, name
            assert "python_full_version" not in pin.marker, name


@pytest.mark.parametrize(
    "text",
    [
        "aiohttp>=3\n",
        "aiohttp==3.14.5\n",
        "aiohttp @ https://example.org/a.whl\n",
        "--index-url https://example.org/simple\n",
        "aiohttp==3.14.5 \\\n    --hash=md5:d41d8cd98f00b204e9800998ecf8427e\n",
    ],
)
def test_a_line_that_pins_nothing_is_told(text: str) -> None:
    with pytest.raises(ValueError, match="not a pinned package"):
        pins(text)


def test_the_running_environment_is_the_locked_one() -> None:
    """Not with `make test-newest`, whose environment says so by its name."""
    if "newest" in Path(sys.prefix).name:
        return
    from importlib.metadata import version

    pinned = pins(LOCKS["dev"].read_text())
    for requirement in asked_for("dev"):
        if requirement.marker is None or requirement.marker.evaluate():
            name = canonicalize_name(requirement.name)
            assert version(name) == pinned[name].version, f"{name}: run make venv"
