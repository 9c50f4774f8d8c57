"""The banner's texts, in the visitor's language."""

from __future__ import annotations

import datetime
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from threading import Lock
from types import MappingProxyType
from typing import Any, TypeVar

import tomli

from proxy.banner.plurals import plural_of
from proxy.banner.static_files import static_root
from proxy.http.quality import most_wanted
from proxy.http.recent import Recent

_Value = TypeVar("_Value")

FALLBACK = "en"

# Other codes for a language that we have; "no" is what browsers send for either Norwegian.
_ALIASES = {
    **{"fil": "tl", "no": "nb", "nn": "nb", "iw": "he", "in": "id"},
    # Where Chinese is written in traditional characters, few tags say so.
    **{"zh-tw": "zh-hant", "zh-hk": "zh-hant", "zh-mo": "zh-hant"},
}
_NOTHING: Mapping[str, Mapping[str, Any]] = MappingProxyType({})
_SLOT = re.compile(r"\{(\w+)\}")
_HEADER_LIMIT = 512
"""Characters of Accept-Language that are read; browsers send far fewer."""


@dataclass(frozen=True, slots=True, eq=False)
class Texts:
    """One language. Keys are dotted (`banner.title`); each exists, with English as fallback.

    `lang` is the BCP 47 tag for the `lang` attribute, `dir` is `ltr` or `rtl`. Compared by
    identity, so that it is cheap as a cache key: there is one object a language.
    """

    lang: str
    dir: str
    values: Mapping[str, str]
    months: tuple[str, ...]

    def __getitem__(self, key: str) -> str:
        return self.values[key]

    def say(self, key: str, **slots: object) -> str:
        """The sentence with its `{slots}` filled. Values are inserted unescaped, and a brace inside
        a value is never a slot.
        """
        return _SLOT.sub(lambda m: str(slots.get(m[1], m[0])), self.values[key])

    def count(self, key: str, number: int, slot: str) -> str:
        """The sentence in the number's plural form, `{slot}` filled with the number.

        A key with forms has one each for those that the language has: `key.one`, `key.few`,
        `key.other` (https://cldr.unicode.org, plural rules).
        """
        form = f"{key}.{plural_of(self.lang, number)}"
        return self.say(form if form in self.values else f"{key}.other", **{slot: number})

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
    return _parsed(path.read_bytes())


def _parsed(file: bytes) -> tuple[dict[str, str], tuple[str, ...]]:
    table = tomli.loads(file.decode())
    return dict(_flat(table)), tuple(table.get("months", ()))


class _WhenAsked(Mapping[str, _Value]):
    """A value for each name, made once, when somebody asks for it."""

    def __init__(self, names: Iterable[str], make: Callable[[str], _Value]) -> None:
        self._names = dict.fromkeys(names)
        self._make = make
        self._made: dict[str, _Value] = {}
        self._one_at_a_time = Lock()

    def __getitem__(self, name: str) -> _Value:
        found = self._made.get(name)
        if found is None:
            if name not in self._names:
                raise KeyError(name)
            with self._one_at_a_time:
                found = self._made.get(name)
                if found is None:
                    found = self._made[name] = self._make(name)
        return found

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)


@cache
def languages() -> Mapping[str, Texts]:
    """Every language by code. The files are read once, all together, as an upgrade may replace them
    under a running proxy; each is parsed when it is asked for: most sites need two of forty.
    """
    folder = static_root() / "banner" / "texts"
    files = {path.stem: path.read_bytes() for path in sorted(folder.glob("*.toml"))}
    english, english_months = _parsed(files[FALLBACK])

    def parse(lang: str) -> Texts:
        own, months = _parsed(files[lang])
        # Of a sentence with plural forms, all come from one language.
        counted = {f"{key.rpartition('.')[0]}." for key in own if key.endswith(".other")}
        lent = {k: v for k, v in english.items() if not k.startswith(tuple(counted))}
        values = MappingProxyType({**lent, **own})
        return Texts(lang, values["dir"], values, months or english_months)

    return _WhenAsked(files, parse)


class Wording:
    """Every language, with the config's texts in place of ours."""

    def __init__(self, own: Mapping[str, Mapping[str, Any]] = _NOTHING) -> None:
        """`own` is the config's [texts]: tables by language, as in the files of texts."""
        codes = {lang.lower(): lang for lang in languages()}

        def with_own(code: str) -> Texts:
            texts = languages()[codes[code]]
            if texts.lang not in own:
                return texts
            values = MappingProxyType({**texts.values, **dict(_flat(own[texts.lang]))})
            return replace(texts, values=values)

        self._languages: Mapping[str, Texts] = _WhenAsked(codes, with_own)
        self._chosen: Recent[Texts] = Recent(1024)

    def texts_for(self, page_lang: str | None, accept_language: str) -> Texts:
        """The page's language if we have it, else the best of Accept-Language, else English.

        `page_lang` is the page's `lang` attribute (None or "" where it has none);
        `accept_language` the header's value, which may be anything (RFC 9110, 12.5.4).
        """
        key = ((page_lang or "")[:64], accept_language[:_HEADER_LIMIT])
        known = self._chosen.get(key)
        if known is None:
            known = self._find(*key)
            self._chosen.put(key, known)
        return known

    def texts_of(self, lang: str) -> Texts | None:
        """The language with this code, as `Texts.lang` has it; None for any other text."""
        return self._languages.get(lang.lower()) if len(lang) < 16 else None

    def _find(self, page_lang: str, accept_language: str) -> Texts:
        for tag in (page_lang, *most_wanted(accept_language)):
            found = self._lookup(tag)
            if found is not None:
                return found
        return self._languages[FALLBACK]

    def _lookup(self, tag: str) -> Texts | None:
        """RFC 4647 lookup: drop subtags from the end until one of ours is left."""
        tag = tag.strip().lower().replace("_", "-")
        while tag:
            found = self._languages.get(_ALIASES.get(tag, tag))
            if found is not None:
                return found
            tag = tag.rpartition("-")[0]
        return None


@cache
def default_texts() -> Wording:
    """Our own texts, without a config."""
    return Wording()


def texts_for(page_lang: str | None, accept_language: str) -> Texts:
    """`Wording.texts_for` with our own words."""
    return default_texts().texts_for(page_lang, accept_language)


@cache
def known_texts() -> Mapping[str, Mapping[str, str]]:
    """Every language's texts by dotted key: those that a config may override."""
    return _WhenAsked(languages(), lambda lang: languages()[lang].values)
