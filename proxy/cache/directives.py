"""Parse Cache-Control and CDN-Cache-Control (RFC 9111, 5.2; RFC 9213).

Targeted fields are structured dictionaries (RFC 9651). Malformed input is read so that less is
stored: an unreadable number of seconds is 0, of two the smaller.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache

from consent_rules.lazy_pattern import lazy_pattern

FOREVER = 2**31
"""Seconds. A larger number is this (RFC 9111, 1.2.2)."""

_MAX_LENGTH = 2000
_NUMBER = lazy_pattern(r"[0-9]+\Z")


@dataclass(frozen=True, slots=True)
class Directives:
    """Directives by lower-case name, each with all of its arguments ("" for none)."""

    given: Mapping[str, tuple[str, ...]]

    def __contains__(self, name: str) -> bool:
        return name in self.given

    def seconds(self, name: str) -> int | None:
        """The argument as seconds: None without the directive, 0 when it cannot be read."""
        values = self.given.get(name)
        if values is None:
            return None
        return min(
            min(int(value), FOREVER) if _NUMBER.match(value) and len(value) < 40 else 0
            for value in values
        )

    def fields(self, name: str) -> frozenset[str]:
        """The header fields a directive names (`no-cache="a, b"`), lower case."""
        listed = ",".join(self.given.get(name, ())).split(",")
        return frozenset(field.strip().lower() for field in listed if field.strip())


NOTHING = Directives({})


def cache_control(values: Iterable[str]) -> Directives:
    """The directives of all Cache-Control lines of a message."""
    text = ",".join(values)
    if not text:
        return NOTHING
    if len(text) > _MAX_LENGTH:
        return Directives({"no-store": ("",)})
    return _cache_control(text)


@lru_cache(maxsize=1024)
def _cache_control(text: str) -> Directives:
    given: dict[str, tuple[str, ...]] = {}
    for member in _members(text):
        name, equals, value = member.partition("=")
        # A space beside the "=" is not allowed: the seconds cannot be read, the name still counts.
        argument = _unquoted(value) if equals else ""
        key = name.strip().lower()
        if not key:
            continue
        if equals and (name != name.rstrip() or value != value.lstrip()):
            argument = " " + argument
        given[key] = (*given.get(key, ()), argument)
    return Directives(given)


def _members(text: str) -> list[str]:
    if '"' not in text:
        return [part.strip() for part in text.split(",")]
    members: list[str] = []
    start, quoted, escaped = 0, False, False
    for at, char in enumerate(text):
        if escaped:
            escaped = False
        elif quoted and char == "\\":
            escaped = True
        elif char == '"':
            quoted = not quoted
        elif char == "," and not quoted:
            members.append(text[start:at].strip())
            start = at + 1
    if quoted:  # an unclosed quote must not hide a `no-store`
        return [part.strip() for part in text.split(",")]
    members.append(text[start:].strip())
    return members


def _unquoted(value: str) -> str:
    stripped = value.strip()
    if len(stripped) >= 2 and stripped[0] == stripped[-1] == '"':
        return re.sub(r"\\(.)", r"\1", stripped[1:-1])
    return stripped


_KEY = r"[a-z*][a-z0-9_.*-]*"
_ITEM = (
    r"-?\d{1,12}\.\d{1,3}|-?\d{1,15}|"
    r'"(?:[ !#-\[\]-~]|\\["\\])*"|'
    r"[A-Za-z*][A-Za-z0-9!#$%&'*+.^_`|~:/-]*|"
    r":[A-Za-z0-9+/=]*:|\?[01]|@-?\d{1,15}"
)
_MEMBER = lazy_pattern(
    rf"[ \t]*(?P<key>{_KEY})(?:=(?P<value>{_ITEM}))?(?:;[ ]*{_KEY}(?:=(?:{_ITEM}))?)*[ \t]*",
    re.ASCII,
)


def targeted(values: Iterable[str]) -> Directives | None:
    """The directives of a targeted field such as CDN-Cache-Control.

    None when it is absent, empty or malformed: then Cache-Control applies (RFC 9213, 2.1).
    """
    text = ",".join(values)
    if not text.strip() or len(text) > _MAX_LENGTH:
        return None
    return _targeted(text)


@lru_cache(maxsize=256)
def _targeted(text: str) -> Directives | None:
    given: dict[str, tuple[str, ...]] = {}
    at = 0
    while True:
        match = _MEMBER.match(text, at)
        if match is None:
            return None
        key, value = match["key"], match["value"]
        if value == "?0":
            given.pop(key, None)
        elif value is None or value == "?1":
            given[key] = ("",)
        else:
            given[key] = (_unquoted(value),)
        if key in _IN_SECONDS and not (value or "").isdigit():
            return None
        at = match.end()
        if at == len(text):
            return Directives(given)
        if text[at] != ",":
            return None
        at += 1


_IN_SECONDS = frozenset({"max-age", "s-maxage", "stale-while-revalidate", "stale-if-error"})
