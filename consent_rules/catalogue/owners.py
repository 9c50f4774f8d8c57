"""The companies behind hosts that are no vendor's: names for people to read.

They stand in `owners/*.toml`, a list of domains for each company, and are read for the first host
that is asked about, never for a page.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable


@cache
def companies() -> Mapping[str, str]:
    """Domain -> the company that owns it and all below it."""
    found: dict[str, str] = {}
    folder = files("consent_rules") / "catalogue" / "owners"
    for entry in sorted(folder.iterdir(), key=lambda e: e.name):
        if not entry.name.endswith(".toml"):
            continue
        for company, domains in _rows(entry).items():
            for domain in domains:
                if domain in found:
                    raise ValueError(f"{entry.name}: {domain!r} stands twice")
                found[domain] = company
    return found


@cache
def hosting_domains() -> frozenset[str]:
    """The domains of companies on whose hosts many sites' files are."""
    hosting = files("consent_rules") / "catalogue" / "owners" / "hosting.toml"
    return frozenset(domain for domains in _rows(hosting).values() for domain in domains)


def _rows(entry: Traversable) -> Mapping[str, list[str]]:
    return tomllib.loads(entry.read_text(encoding="utf-8"))
