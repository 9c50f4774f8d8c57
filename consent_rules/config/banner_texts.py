"""`[texts]`: checks of the site's own words for the banner."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from consent_rules.config.problems import Problem, did_you_mean
from consent_rules.config.toml.positions import Path
from consent_rules.config.values import plain_text
from consent_rules.wording import quoted

KnownTexts = Mapping[str, Mapping[str, str]]
"""Our own words: language -> dotted key -> text."""

_SLOT = re.compile(r"\{(\w+)\}")
_FIXED = frozenset({"dir", "months"})
"""Properties of the language, which a site cannot set."""
_MAX_LENGTH = 500
_MAX_BUTTON_LENGTH = 60
_BUTTONS = frozenset(
    {"banner.accept_all", "banner.reject_all", "banner.choose", "banner.save", "placeholder.once"}
)
_BOTH_WAYS = ("banner.accept_all", "banner.reject_all")
_MAX_UNEQUAL = 2
_FEW_CHARACTERS = 8


def text_errors(table: object, known: KnownTexts) -> Iterator[Problem]:
    """Every mistake in the file's [texts]. A value that is no table is a schema error."""
    if not isinstance(table, dict):
        return
    for lang, words in table.items():
        if lang not in known:
            hint = did_you_mean(lang, known, else_say=f"; we have {', '.join(sorted(known))}")
            yield Problem(
                ("texts", lang),
                f"[texts.{lang}]: there are no texts in a language {quoted(lang)}{hint}",
                at="key",
            )
        elif isinstance(words, dict):
            for path, value in _leaves(words, ("texts", lang)):
                yield from _errors(path, value, known[lang])


def _leaves(table: Mapping[str, Any], path: Path) -> Iterator[tuple[Path, Any]]:
    for key, value in table.items():
        if isinstance(value, dict):
            yield from _leaves(value, (*path, key))
        else:
            yield (*path, key), value


def _errors(path: Path, value: object, ours: Mapping[str, str]) -> Iterator[Problem]:
    key = ".".join(map(str, path[2:]))
    if key in _FIXED or key not in ours:
        changeable = [name for name in ours if name not in _FIXED]
        hint = did_you_mean(key, changeable) or _by_last_part(key, changeable)
        yield Problem(path, f"unknown text {quoted(key)} in [texts.{path[1]}]{hint}", at="key")
        return
    if not isinstance(value, str):
        yield Problem(path, f"{key}: it must be text in quotes")
        return
    try:
        value_text = value if key.startswith("list.") else plain_text(value)
    except ValueError as error:
        yield Problem(path, f"{key}: {error}")
        return
    if not value_text:
        yield Problem(path, f"{key}: it is empty; visitors would see nothing there")
        return
    longest = _MAX_BUTTON_LENGTH if key in _BUTTONS else _MAX_LENGTH
    if len(value_text) > longest:
        yield Problem(path, f"{key}: it is too long; the most is {longest} characters")
    needed, given = set(_SLOT.findall(ours[key])), set(_SLOT.findall(value_text))
    for slot in sorted(needed - given):
        yield Problem(path, f"{key}: {{{slot}}} is missing; it is filled in where the text stands")
    for slot in sorted(given - needed):
        yield Problem(path, f"{key}: nothing fills in {{{slot}}}; {_slots(needed)}")


def _by_last_part(key: str, known: list[str]) -> str:
    """A key given without its table: `accept` for `banner.accept_all`."""
    last = key.rpartition(".")[2]
    if not last:
        return ""
    same = [name for name in known if name.rpartition(".")[2].startswith(last)]
    return f"; did you mean {quoted(same[0])}?" if same else ""


def _slots(needed: set[str]) -> str:
    if not needed:
        return "this text has no such part"
    return "it has " + ", ".join(f"{{{slot}}}" for slot in sorted(needed))


def text_warnings(texts: Mapping[str, Mapping[str, Any]], known: KnownTexts) -> Iterator[Problem]:
    """Warnings of texts that are valid but that regulators would object to."""
    for lang, words in texts.items():
        given = {".".join(map(str, path[2:])): path for path, _ in _leaves(words, ("texts", lang))}
        current = {**known[lang], **{k: _value(words, p[2:]) for k, p in given.items()}}
        changed = [key for key in _BOTH_WAYS if key in given]
        if not changed:
            continue
        accept, reject = (current[key] for key in _BOTH_WAYS)
        place = given[changed[-1]]
        if accept.casefold() == reject.casefold():
            yield Problem(
                place,
                f"both buttons say {quoted(accept)}: visitors cannot tell yes from no",
                "warning",
            )
            continue
        short, long = sorted((len(accept), len(reject)))
        if long > _MAX_UNEQUAL * short and long - short > _FEW_CHARACTERS:
            yield Problem(
                place,
                f"{quoted(accept)} and {quoted(reject)} differ much in length; refusing must look "
                "as easy as accepting (CNIL 2020-091, 11 CCR 7004). Use words of like length",
                "warning",
            )


def _value(words: Mapping[str, Any], path: Path) -> Any:
    found: Any = words
    for part in path:
        found = found[part]
    return found
