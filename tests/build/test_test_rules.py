"""The tests' own rules: none is skipped unseen, and a browser is needed in one place."""

from __future__ import annotations

import ast
import tomllib
from collections.abc import Iterator
from fnmatch import fnmatch
from pathlib import Path

import pytest
from hypothesis import settings

ROOT = Path(__file__).parents[2]
MAY_SKIP = {
    "needs /proc": "of a process's memory and children only Linux tells; where we test it does",
    "of glibc alone": "its memory is what is tuned; CI and the images have it",
}
"""Reason that the test gives -> why it may. A skip hides a fault from whoever lacks the thing: a
browser, a program or a package that is missing is an error that says how to get it."""

_SKIPS = {"skip", "skipif", "importorskip", "xfail", "skipTest", "skipUnless", "skipIf"}


def _modules(*folders: str) -> Iterator[tuple[str, ast.Module]]:
    for folder in folders:
        for path in sorted((ROOT / folder).rglob("*.py")):
            if {"node_modules", "output"}.isdisjoint(path.parts):
                yield path.relative_to(ROOT).as_posix(), ast.parse(path.read_text("utf-8"))


def skips(tree: ast.Module) -> Iterator[str]:
    """The reason of each skip in a module; "" where it gives none in so many words."""
    for node in ast.walk(tree):
        if not isinstance(node, ast.Attribute) or node.attr not in _SKIPS:
            continue
        call = next((c for c in ast.walk(tree) if isinstance(c, ast.Call) and c.func is node), None)
        reasons = [] if call is None else [k.value for k in call.keywords if k.arg == "reason"]
        if call is not None and node.attr == "skip":
            reasons += call.args[:1]
        literal = [r.value for r in reasons if isinstance(r, ast.Constant)]
        yield str(literal[0]) if literal else ""


def imports(tree: ast.Module) -> set[str]:
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module.partition(".")[0])
            found |= {alias.name for alias in node.names}
    return found


def test_no_test_is_skipped_without_a_reason_that_is_known() -> None:
    found = {(file, reason) for file, tree in _modules("tests", "e2e") for reason in skips(tree)}
    assert sorted(one for one in found if one[1] not in MAY_SKIP) == []
    assert {reason for _, reason in found} == set(MAY_SKIP), "an entry that no test gives"


@pytest.mark.parametrize(
    ("code", "reasons"),
    [
        ('pytest.skip("no browser")', ["no browser"]),
        ("pytest.skip(f'no {name}')", [""]),
        ('@pytest.mark.skipif(not X, reason="no x")\ndef test(): ...', ["no x"]),
        ("@pytest.mark.skip\ndef test(): ...", [""]),
        ('pytest.importorskip("numpy")', [""]),
        ("pytest.mark.xfail(strict=True)", [""]),
        ("pytest.fail('no')", []),
    ],
)
def test_every_way_to_skip_is_seen(code: str, reasons: list[str]) -> None:
    assert list(skips(ast.parse(code))) == reasons


def test_an_empty_table_of_cases_is_an_error() -> None:
    """pytest's own default is to skip the test."""
    options = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["pytest"]["ini_options"]
    assert options["empty_parameter_set_mark"] == "fail_at_collect"
    assert options["xfail_strict"] is True


def test_no_folder_of_tests_is_passed_over(pytestconfig: pytest.Config) -> None:
    """By its own defaults pytest leaves out `build`, which is this one."""
    passed_over = pytestconfig.getini("norecursedirs")
    folders = {path.parent for path in (ROOT / "tests").rglob("test_*.py")}
    names = {name for folder in folders for name in folder.relative_to(ROOT).parts}
    assert [name for name in names for glob in passed_over if fnmatch(name, glob)] == []


def test_no_property_test_has_a_deadline() -> None:
    """tests/conftest.py sets it: a busy machine is slow, and nothing is wrong then."""
    assert settings().deadline is None


def test_nothing_in_tests_needs_a_browser() -> None:
    users = [file for file, tree in _modules("tests") if imports(tree) & {"playwright", "e2e"}]
    assert users == []


def test_browser_tests_share_one_browser() -> None:
    """A fixture of e2e/conftest.py starts it; no test has a way of its own to find or start one."""
    own = {"sync_playwright", "async_playwright", "chromium_path", "executable"}
    found = [
        file
        for file, tree in _modules("e2e")
        if Path(file).name.startswith("test_") and imports(tree) & own
    ]
    assert found == []


NOT_MIRRORED = {"build": "the project itself", "support": "helpers", "system": "the whole product"}


def _imported_modules(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def test_no_test_module_imports_another() -> None:
    wrong = {
        (file, module)
        for file, tree in _modules("tests", "e2e")
        for module in _imported_modules(tree)
        if module.startswith(("tests.", "e2e.")) and ".test_" in module
    }
    assert sorted(wrong) == [], "what tests share stands in tests/support"


def test_tests_mirror_the_tree() -> None:
    folders = {
        path.parent.relative_to(ROOT / "tests").as_posix()
        for path in (ROOT / "tests").rglob("test_*.py")
    }
    assert (
        sorted(
            folder
            for folder in folders - set(NOT_MIRRORED)
            if not (ROOT / "proxy" / folder).is_dir() and not (ROOT / folder).is_dir()
        )
        == []
    )
