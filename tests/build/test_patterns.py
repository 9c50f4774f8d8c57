"""Regular expressions mean the same to every Python that runs the proxy.

Before 3.11.5 a possessive quantifier behind a group forgets how to go on within the group: what
stands behind it may then be taken for part of the match, or not (gh-106052 of CPython). Debian 12
has 3.11.2. `(?>(?:...)*)` says the same and is right in each; `[...]*+` is too.
"""

from __future__ import annotations

import importlib
import pkgutil
import re
import warnings
from collections.abc import Iterator
from typing import Any, cast

import pytest

import consent_rules
import proxy
from consent_rules.lazy_pattern import LazyPattern

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)
    import sre_constants
    import sre_parse


def _modules() -> Iterator[str]:
    for package in (consent_rules, proxy):
        for found in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            if not found.name.endswith("__main__"):
                yield found.name


def _possessive_groups(parsed: Any) -> Iterator[Any]:
    """The bodies of possessive repeats that are more than one character (or class) long."""
    if isinstance(parsed, sre_parse.SubPattern):
        operations: Any = parsed.data
        for operation, argument in operations:
            if operation is sre_constants.POSSESSIVE_REPEAT:
                body = argument[2]
                single = len(body) == 1 and body[0][0] in {
                    sre_constants.ANY,
                    sre_constants.IN,
                    sre_constants.LITERAL,
                    sre_constants.NOT_LITERAL,
                }
                if not single:
                    yield body
            yield from _possessive_groups(argument)
    elif isinstance(parsed, (list, tuple)):
        for part in parsed:
            yield from _possessive_groups(part)


def _patterns(module: object) -> Iterator[tuple[str, re.Pattern[Any]]]:
    kinds = (re.Pattern, LazyPattern)
    for name, value in vars(module).items():
        if isinstance(value, kinds):
            yield name, cast("re.Pattern[Any]", value)
        values = value.values() if isinstance(value, dict) else value
        if isinstance(value, (dict, list, tuple, set, frozenset)):
            found = (cast("re.Pattern[Any]", one) for one in values if isinstance(one, kinds))
            yield from ((name, one) for one in found)


@pytest.mark.parametrize("module", sorted(_modules()))
def test_no_group_is_repeated_possessively(module: str) -> None:
    found = [
        name
        for name, pattern in _patterns(importlib.import_module(module))
        if list(_possessive_groups(sre_parse.parse(pattern.pattern, pattern.flags)))
    ]
    assert found == []


@pytest.mark.parametrize(
    ("pattern", "is_found"),
    [
        (r"(?:ab|c)*+d", True),
        (r"x(?:(?:a[^>]*)?b)++", True),
        (r"(?>(?:ab|c)*)d", False),
        (r"[^>]*+a++.{0,60}+\s?+", False),
    ],
)
def test_such_groups_are_found(pattern: str, is_found: bool) -> None:
    assert bool(list(_possessive_groups(sre_parse.parse(pattern)))) is is_found
