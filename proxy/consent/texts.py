"""The words of the banner, in the visitor's language."""

from __future__ import annotations

import datetime
import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path
from types import MappingProxyType
from typing import Any

from proxy.consent.static_files import static_root

FALLBACK = "en"

# Other codes for a language that we have.
_ALIASES = {"fil": "tl"}
_SLOT = re.compile(r"\{(\w+)\}")
_HEADER_LIMIT = 512
"""Characters of Accept-Language that are read; browsers send far fewer."""


@dataclass(frozen=True, slots=True, eq=False)
class Texts:
    """One language. Keys are dotted (`banner.title`); each exists, from English if need be.

    `lang` is the BCP 47 tag for the `lang` attribute, `dir` is `ltr` or `rtl`. Equal only to
    itself, so that it is cheap as a cache key: there is one object a language.
    """

    lang: str
    dir: str
    values: Mapping[str, str]
    months: tuple[str, ...]

    def __getitem__(self, key: str) -> str:
        return self.values[key]

    def say(self, key: str, **slots: object) -> str:
        """The sentence with its `{slots}` filled. Values are inserted as they are: not escaped,
        and a brace inside a value is never a slot."""
        return _SLOT.sub(lambda m: str(slots.get(m[1], m[0])), self.values[key])

    def join(self, items: Sequence[str]) -> str:
        """`a, b and c`, as the language writes it."""
        if len(items) < 2:
            return "".join(items)
        return self["list.comma"].join(items[:-1]) + self["list.last"] + items[-1]

    def date(self, day: datetime.date) -> str:
        """A date in words."""
        return self.say("date", day=day.day, month=self.months[day.month - 1], year=day.year)


def _flat(table: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    for key, value in table.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{prefix}{key}.")
        elif isinstance(value, str):
            yield prefix + key, value


def read_texts(path: Path) -> tuple[dict[str, str], tuple[str, ...]]:
    """One file's own keys (dotted) and its twelve months, without any fallback."""
    table = tomllib.loads(path.read_text(encoding="utf-8"))
    return dict(_flat(table)), tuple(table.get("months", ()))


@cache
def languages() -> Mapping[str, Texts]:
    """Every language we have, by code. Read from the disk once."""
    folder = static_root() / "banner" / "texts"
    english, english_months = read_texts(folder / f"{FALLBACK}.toml")
    found: dict[str, Texts] = {}
    for path in sorted(folder.glob("*.toml")):
        own, months = read_texts(path)
        values = MappingProxyType({**english, **own})
        found[path.stem] = Texts(path.stem, values["dir"], values, months or english_months)
    return MappingProxyType(found)


def texts_for(page_lang: str | None, accept_language: str) -> Texts:
    """The page's language if we have it, else the best of Accept-Language, else English.

    `page_lang` is the page's `lang` attribute (None or "" where it has none);
    `accept_language` the header's value, which may be anything (RFC 9110, 12.5.4).
    """
    return _texts_for((page_lang or "")[:64], accept_language[:_HEADER_LIMIT])


@lru_cache(maxsize=1024)
def _texts_for(page_lang: str, accept_language: str) -> Texts:
    for tag in (page_lang, *_wanted(accept_language)):
        found = _lookup(tag)
        if found is not None:
            return found
    return languages()[FALLBACK]


def _lookup(tag: str) -> Texts | None:
    """RFC 4647 lookup: drop subtags from the end until one of ours is left."""
    ours = languages()
    tag = tag.strip().lower().replace("_", "-")
    while tag:
        found = ours.get(_ALIASES.get(tag, tag))
        if found is not None:
            return found
        tag = tag.rpartition("-")[0]
    return None


def _wanted(accept_language: str) -> list[str]:
    """The header's language ranges, most wanted first; broken parts are passed over."""
    ranges: list[tuple[float, str]] = []
    for part in accept_language.split(","):
        tag, _, parameter = part.partition(";")
        name, _, weight = parameter.partition("=")
        quality = 1.0
        if name.strip().lower() == "q":
            try:
                quality = float(weight)
            except ValueError:
                continue
        if 0 < quality <= 1:
            ranges.append((quality, tag))
    return [tag for _, tag in sorted(ranges, key=lambda r: -r[0])]
