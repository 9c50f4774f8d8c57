"""The pages made from the code hold what the code has."""

from __future__ import annotations

import re
import tomllib
from importlib.resources import files
from pathlib import Path
from typing import Any

import typer

import consent_rules
import proxy.testing
from consent_rules.catalogue.load import catalogue
from docs_site.reference import command_line, keys, python, regions, vendors
from proxy.cli.app import app

ROOT = Path(__file__).parents[2]


def _leaves(command: Any, words: str = "") -> set[str]:
    inner = getattr(command, "commands", {})
    return {leaf for name, one in inner.items() for leaf in _leaves(one, f"{words} {name}")} or {
        words.strip()
    }


def test_every_command_with_its_options() -> None:
    page = command_line()
    assert set(re.findall(r"^## (.+)$", page, re.M)) == _leaves(typer.main.get_command(app))
    run = page.partition("## run\n")[2].partition("\n## ")[0]
    assert "consent-proxy run [OPTIONS]" in run
    assert "| `--check` |" in run
    assert "--help`" not in page.partition("## init")[2], "of every command the same"


def _keys(page: str, title: str) -> set[str]:
    """The keys under a heading; but for tables, which have a heading of their own."""
    section = page.partition(f" `{title}`\n")[2].partition("\n##")[0]
    rows = re.findall(r"^\| `(\w+)` \|(.*)$", section, re.M)
    return {key for key, rest in rows if not rest.startswith((" table |", " tables |"))}


def test_every_table_and_key_that_the_configuration_page_explains() -> None:
    page = keys()
    told = (ROOT / "docs/configuration.md").read_text("utf-8")
    tables = set(re.findall(r"^## `(\[.+\])`$", page, re.M))
    assert tables == set(re.findall(r"^##+ `(\[.+\])`$", told, re.M)) - {"[texts]"}
    for title in tables:
        assert _keys(page, title) == _keys(told, title), title
    assert "`{" not in page.replace("`{site}`", ""), "a table's default is that of its keys"


def test_every_vendor_stands_in_its_category() -> None:
    page = vendors()
    assert re.findall(r"^\| `([^`]+)` \|", page, re.M) and set(
        re.findall(r"^\| `([^`]+)` \|", page, re.M)
    ) == set(catalogue())
    analytics = page.partition("## Analytics\n")[2].partition("\n## ")[0]
    assert "| `google-analytics` | Google Analytics |" in analytics


def test_every_region() -> None:
    table = tomllib.loads(files("consent_rules").joinpath("regions.toml").read_text("utf-8"))
    assert re.findall(r"^\| `([^`]+)` \|", regions(), re.M) == list(table)
    assert re.search(
        r"^\| `US-CA` \| California \| .*CCPA.* \|  \| yes \| yes \| yes \|$", regions(), re.M
    )


def test_everything_that_is_exported() -> None:
    page = python()
    named = re.findall(r"^### `(\w+)`$", page, re.M)
    assert named == [*consent_rules.__all__, *proxy.testing.__all__]
    assert "decide(rules: Rules, page: PageContext, visitor: Visitor) -> Decision" in page
    assert "`with_gpc() -> SiteVisitor`" in page
    assert "company: str = ''" in page
