"""What the code imports is what pyproject.toml declares: a fresh environment has nothing else."""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from collections.abc import Iterable, Iterator
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
SHIPPED = ("consent_rules", "proxy")
FOLDERS = (*SHIPPED, "tests", "e2e", "bench", "examples", "docs_site")


def _normal(name: str) -> str:
    """PEP 503."""
    return re.sub(r"[-_.]+", "-", name).lower()


def _group(name: str) -> Iterator[str]:
    """A dependency group with those that it includes (PEP 735)."""
    for entry in PROJECT["dependency-groups"][name]:
        if isinstance(entry, str):
            yield entry
        else:
            yield from _group(entry["include-group"])


def _names(requirements: Iterable[str]) -> set[str]:
    found = (re.match(r"[A-Za-z0-9._-]+", requirement) for requirement in requirements)
    return {_normal(match[0]) for match in found if match}


def _imports(folder: str) -> Iterator[tuple[str, str]]:
    """(file, top-level module) for each absolute import."""
    for path in sorted((ROOT / folder).rglob("*.py")):
        if "node_modules" in path.parts:  # some of npm's packages have code of their own
            continue
        if "output" in path.relative_to(ROOT).parts:
            continue  # what a bench has installed there is not ours
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                modules = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
                modules = [node.module]
            else:
                continue
            for module in modules:
                yield path.relative_to(ROOT).as_posix(), module.partition(".")[0]


@pytest.mark.parametrize("folder", FOLDERS)
def test_each_import_is_declared(folder: str) -> None:
    allowed = _names(PROJECT["project"]["dependencies"])
    # In the proxy they are imported when they are needed, by `proxy/database` and `proxy/audit`.
    for extra in PROJECT["project"]["optional-dependencies"].values():
        allowed |= _names(extra)
    own = set(SHIPPED)
    if folder not in SHIPPED:
        allowed |= _names(_group("dev"))
        own |= set(FOLDERS)
    provided_by = packages_distributions()
    loaded_by = {"proxy/testing/plugin.py": "pytest"}
    undeclared = {
        f"{file}: {module}"
        for file, module in _imports(folder)
        if module not in sys.stdlib_module_names
        and module not in own
        and loaded_by.get(file) != module
        # pytest puts a test's folder on the path.
        and not (ROOT / file).with_name(f"{module}.py").exists()
        and allowed.isdisjoint(map(_normal, provided_by.get(module, ())))
    }
    assert sorted(undeclared) == []


@pytest.mark.parametrize("folder", SHIPPED)
def test_what_is_shipped_does_not_import_what_is_not(folder: str) -> None:
    others = set(FOLDERS) - set(SHIPPED)
    assert sorted({f"{f}: {m}" for f, m in _imports(folder) if m in others}) == []


# What is used without an import: as a command, a plugin, types, or by another package's name.
_NOT_IMPORTED = {
    "axe-playwright-python": "brings axe.js, which the browser runs",
    "editables": "hatchling writes editable installs with it",
    "gunicorn": "a command: serves the WSGI origins of the tests",
    "hatchling": "builds the wheel",
    "import-linter": "a command",
    "mypy": "a command",
    "netaddr": "mmdb-writer takes its networks",
    "pre-commit": "a command",
    "pytest-asyncio": "a plugin",
    "pytest-timeout": "a plugin",
    "pytest-xdist": "a plugin",
    "ruff": "a command",
    "uvicorn": "a command: serves the ASGI origins of the tests",
    "uvloop": "its loop is asked for by name",
    "yarl": "aiohttp's URLs",
}


def test_each_dependency_is_imported_or_says_why_not() -> None:
    declared = _names(PROJECT["project"]["dependencies"]) | _names(_group("dev"))
    modules = {module for folder in FOLDERS for _, module in _imports(folder)}
    provided_by = packages_distributions()
    imported = {_normal(name) for module in modules for name in provided_by.get(module, ())}
    unused = {name for name in declared - imported if not name.startswith("types-")}
    assert sorted(unused - _NOT_IMPORTED.keys()) == []


def test_what_only_tests_import_is_not_shipped() -> None:
    runtime = _names(PROJECT["project"]["dependencies"])
    modules = {module for folder in SHIPPED for _, module in _imports(folder)}
    provided_by = packages_distributions()
    imported = {_normal(name) for module in modules for name in provided_by.get(module, ())}
    assert sorted(runtime - imported - _NOT_IMPORTED.keys()) == []


def test_the_rules_import_nothing_of_the_proxy() -> None:
    assert [file for file, module in _imports("consent_rules") if module == "proxy"] == []
