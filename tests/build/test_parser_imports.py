"""Each parser behind one door: a new version of it is a change of the files named here."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

DOORS = {
    "turbohtml": {
        "proxy/html/tree.py",
        "proxy/banner/assets.py",  # its minifier of scripts alone
    },
    "tree_sitter": {
        "consent_rules/config/toml/editing.py",
        "consent_rules/config/toml/positions.py",
        "consent_rules/importers/js_literals.py",
        "proxy/html/script_syntax.py",
    },
}


def _modules(path: Path) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            found.add(node.module)
    return found


@pytest.mark.parametrize("parser", DOORS)
def test_a_parser_is_imported_by_its_doors_only(parser: str) -> None:
    importers = {
        path.relative_to(ROOT).as_posix()
        for folder in ("consent_rules", "proxy", "tests", "bench", "e2e")
        for path in (ROOT / folder).rglob("*.py")
        if "output" not in path.parts and "node_modules" not in path.parts
        if any(module.startswith(parser) for module in _modules(path))
    }
    assert importers <= DOORS[parser]


def test_no_import_inside_a_function_of_the_page_pipeline() -> None:
    """What is hidden in a function is a circle."""
    found = [
        f"{path.name}: {node.lineno}"
        for path in (ROOT / "proxy" / "html").glob("*.py")
        for function in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(function, ast.FunctionDef)
        for node in ast.walk(function)
        if isinstance(node, ast.Import | ast.ImportFrom)
    ]
    assert not found
