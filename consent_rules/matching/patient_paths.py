"""Patient paths: a site's page rules, matched against every reading of a path."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache, partial

from consent_rules.matching.path_readings import (
    dubious,
    folded,
    has_other_names,
    is_plain,
    page_names,
    readings,
    routed_paths,
)
from consent_rules.matching.paths import GlobSet

_REMEMBERED = 2048
_MAX_REMEMBERED = 512
"""Targets that are not plain, and characters of the longest: one or two megabytes a site."""


@dataclass(frozen=True, slots=True)
class PatientPath:
    """Why a path is a patient page: a rule that matches a reading of it, or its spelling."""

    rule: str
    reading: str
    spelling: str = ""


class PatientPaths:
    """The rules of a site that make a path a patient page."""

    __slots__ = ("_find", "_page", "_remembered", "patterns")

    def __init__(self, patterns: Iterable[str] = ()) -> None:
        self.patterns = tuple(patterns)
        globs = GlobSet(
            (spelling, pattern) for pattern in self.patterns for spelling in _rule_names(pattern)
        )
        # A bound method would keep the rules: in a cycle, which is rarely collected.
        self._find = partial(_find, globs)
        self._page = partial(_page, globs)
        self._remembered = lru_cache(maxsize=_REMEMBERED)(self._find)

    def __bool__(self) -> bool:
        return bool(self.patterns)

    def find(self, target: str) -> PatientPath | None:
        """Why a raw request target is a patient page; None where it is none. A path with a dubious
        spelling is one at once.
        """
        if not self.patterns:
            return None
        if "." not in target and is_plain(target):
            return self._page(target.lower())
        if len(target) <= _MAX_REMEMBERED:
            return self._remembered(target)
        return self._find(target)


def _find(globs: GlobSet[str], target: str) -> PatientPath | None:
    if is_plain(target):
        return _page(globs, target.lower())
    path, _, query = target.partition("?")
    why = dubious(path)
    found = PatientPath("", "", why) if why else _named(globs, path)
    if found is None and (query or "&" in path or "%26" in path):
        found = _routed(globs, path, query)
    return found


def _routed(globs: GlobSet[str], path: str, query: str) -> PatientPath | None:
    paths = routed_paths(path, query)
    if paths is None:
        return PatientPath("", "", "a longer query than is read")
    found = (_named(globs, routed) for routed in paths)
    return next((one for one in found if one is not None), None)


def _named(globs: GlobSet[str], path: str) -> PatientPath | None:
    known = readings(path)
    if known is None:
        return PatientPath("", "", "more readings than are looked at")
    found = (_page(globs, reading) for reading in known)
    return next((one for one in found if one is not None), None)


def _page(globs: GlobSet[str], reading: str) -> PatientPath | None:
    names = page_names(reading) if has_other_names(reading) else (reading,)
    for name in names:
        rule = globs.find(name)
        if rule is not None:
            return PatientPath(rule, name)
    return None


def _rule_names(pattern: str) -> Iterator[str]:
    """A rule for one page applies to the page's other names too."""
    pattern = folded(pattern)
    yield pattern
    if "*" not in pattern:
        yield from page_names(pattern)
