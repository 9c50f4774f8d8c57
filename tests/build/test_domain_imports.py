"""The decision is made of values: it loads no config model, no parser and nothing of the proxy."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FORBIDDEN = {
    "pydantic",
    "tomllib",
    "tomli",
    "tree_sitter",
    "publicsuffixlist",
    "aiohttp",
    "proxy",
    "consent_rules.config",
    "consent_rules.catalogue",
    "consent_rules.importers",
    "consent_rules.review",
}


@pytest.mark.parametrize(
    "module", ["consent_rules", "consent_rules.decision", "consent_rules.matching.vendor_index"]
)
def test_the_decision_loads_neither_the_config_nor_a_parser(module: str) -> None:
    code = f"import sys, {module}; print('\\n'.join(sys.modules))"
    shown = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    loaded = set(shown.stdout.split())
    assert "consent_rules" in loaded
    assert not loaded & FORBIDDEN


def test_the_public_names_of_the_domain() -> None:
    import consent_rules

    assert set(consent_rules.__all__) == {
        "Audience",
        "Category",
        "Decision",
        "Reason",
        "Rules",
        "Vendor",
        "Visitor",
        "decide",
    }
    assert all(hasattr(consent_rules, name) for name in consent_rules.__all__)
