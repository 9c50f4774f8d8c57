"""Checks of `[[library]]`: a type that is known, and one hash for an address."""

from __future__ import annotations

from collections.abc import Iterator

from consent_rules.config.checks.context import CheckContext
from consent_rules.config.problems import Problem
from consent_rules.config.toml.positions import Path
from consent_rules.matching.libraries import library_type
from consent_rules.matching.urls import schemeless
from consent_rules.wording import quoted


def check_types(context: CheckContext) -> Iterator[Problem]:
    for library in context.tables.libraries:
        url = library.get("url")
        # An invalid type is not in the table, and reported already.
        if url and "type" in library.values and not library_type(url, library.get("type") or ""):
            yield Problem(
                library.at("url"),
                f"url: {quoted(url)} does not end in a name that tells what it is; add its type, "
                'such as type = "text/css" or type = "text/javascript"',
            )


def check_duplicates(context: CheckContext) -> Iterator[Problem]:
    seen: dict[str, Path] = {}
    for library in context.tables.libraries:
        url = library.get("url")
        if not url:
            continue
        key = schemeless(url, url)
        if key in seen:
            yield Problem(
                library.at("url"),
                f"url: {quoted(url)} already stands at "
                f"{context.line(seen[key], library.at('url'))}; one address has one content",
            )
        seen.setdefault(key, library.at("url"))
