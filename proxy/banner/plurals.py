"""Plural categories of whole numbers, by Unicode CLDR (https://cldr.unicode.org)."""

from __future__ import annotations

from collections.abc import Callable


def _only_other(n: int) -> str:
    return "other"


def _one_is_singular(n: int) -> str:
    return "one" if n == 1 else "other"


def _zero_is_singular_too(n: int) -> str:
    return "one" if n in {0, 1} else "other"


def _east_slavic(n: int) -> str:
    if n % 10 == 1 and n % 100 != 11:
        return "one"
    return "few" if 2 <= n % 10 <= 4 and not 12 <= n % 100 <= 14 else "many"


def _croatian(n: int) -> str:
    form = _east_slavic(n)
    return "other" if form == "many" else form


def _polish(n: int) -> str:
    if n == 1:
        return "one"
    return "few" if 2 <= n % 10 <= 4 and not 12 <= n % 100 <= 14 else "many"


def _czech(n: int) -> str:
    if n == 1:
        return "one"
    return "few" if 2 <= n <= 4 else "other"


def _romanian(n: int) -> str:
    if n == 1:
        return "one"
    return "few" if n == 0 or 1 <= n % 100 <= 19 else "other"


def _arabic(n: int) -> str:
    if n in {0, 1, 2}:
        return ("zero", "one", "two")[n]
    if 3 <= n % 100 <= 10:
        return "few"
    return "many" if 11 <= n % 100 <= 99 else "other"


def _hebrew(n: int) -> str:
    return {1: "one", 2: "two"}.get(n, "other")


def _filipino(n: int) -> str:
    return "one" if n in {1, 2, 3} or n % 10 not in {4, 6, 9} else "other"


_RULES: dict[str, Callable[[int], str]] = {
    **dict.fromkeys(("id", "ja", "ko", "th", "zh"), _only_other),
    **dict.fromkeys(("bn", "fa", "fr", "hi", "pt", "vi"), _zero_is_singular_too),
    **dict.fromkeys(("ru", "uk"), _east_slavic),
    **dict.fromkeys(("cs", "sk"), _czech),
    "hr": _croatian,
    "pl": _polish,
    "ro": _romanian,
    "ar": _arabic,
    "he": _hebrew,
    "tl": _filipino,
}


def plural_of(lang: str, number: int) -> str:
    """`zero`, `one`, `two`, `few`, `many` or `other`, for a number of 0 or more."""
    return _RULES.get(lang.partition("-")[0], _one_is_singular)(number)
