"""docs/operations.md: the commands, keys, files and places that it names exist."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import typer

from consent_rules.config.load import json_schema
from proxy.cli.app import app

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs/operations.md").read_text("utf-8")


def commands_named(text: str) -> set[tuple[str, ...]]:
    found = re.findall(r"consent-proxy ((?:[a-z][a-z-]* ?)+)", text)
    return {tuple(one.split()) for one in found}


@pytest.mark.parametrize("words", sorted(commands_named(TEXT)))
def test_each_command_exists(words: tuple[str, ...]) -> None:
    command: Any = typer.main.get_command(app)
    for word in words:
        known = getattr(command, "commands", None)
        if known is None:
            return  # its arguments
        assert word in known, words
        command = known[word]


def test_each_link_leads_somewhere() -> None:
    headings = re.findall(r"^#+ (.+)$", TEXT, re.MULTILINE)
    anchors = {re.sub(r"[^a-z0-9 -]", "", h.lower()).replace(" ", "-") for h in headings}
    for target in re.findall(r"\]\(([^)]+)\)", TEXT):
        file, _, anchor = target.partition("#")
        assert not file or (ROOT / "docs" / file).exists(), target
        assert file or anchor in anchors, target


def test_each_key_that_is_set_exists() -> None:
    keys = set(re.findall(r'"(\w+)": \{', str(json_schema()).replace("'", '"')))
    told = set(re.findall(r"`(\w+) = ", TEXT))
    assert told
    assert told <= keys


def test_the_readme_leads_to_it() -> None:
    assert "(docs/operations.md)" in (ROOT / "README.md").read_text("utf-8")
