"""Find a vendor by a search term: "Google Analytics", "gtm", "facebook"."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping

from consent_rules.categories import Category
from consent_rules.vendors import Vendor

_MAX_COUNT = 3
_SURE = 0.85
_MAYBE = 0.6
_STEM = 4
"""Letters from which on the beginning of a word counts ("insta")."""
_USUAL = {Category.ANALYTICS: 0, Category.ADVERTISING: 1, Category.SESSION_REPLAY: 2}
"""What marketing mostly adds comes first."""
_VAGUE = frozenset({"com", "net", "org", "www", "cdn", "tag", "js", "io", "the", "inc", "llc"})


def meant_vendors(word: str, vendors: Mapping[str, Vendor]) -> tuple[str, ...]:
    """Ids of the vendors closest to a search term, the best first; at most three."""
    words = _words(word)
    if not words:
        return ()
    for search in (_same, _close, _by_words, _initials, _fuzzy):
        found = search(word[:100], words, vendors)
        if found:
            return tuple(found[:_MAX_COUNT])
    return ()


def _words(text: str) -> list[str]:
    return re.findall(r"[^\W_]+", text.casefold())


def _form(text: str) -> str:
    return "".join(_words(text))


def _same(word: str, words: list[str], vendors: Mapping[str, Vendor]) -> list[str]:
    form = "".join(words)
    return [v.id for v in vendors.values() if form in (_form(v.id), _form(v.name))]


def _near(word: str, vendors: Mapping[str, Vendor], cutoff: float) -> list[str]:
    forms: dict[str, str] = {}
    for vendor in vendors.values():
        forms.setdefault(_form(vendor.name), vendor.id)
        forms.setdefault(_form(vendor.id), vendor.id)
    close = difflib.get_close_matches(_form(word), list(forms), n=_MAX_COUNT, cutoff=cutoff)
    return list(dict.fromkeys(forms[form] for form in close))


def _close(word: str, words: list[str], vendors: Mapping[str, Vendor]) -> list[str]:
    return _near(word, vendors, _SURE)[:1]


def _fuzzy(word: str, words: list[str], vendors: Mapping[str, Vendor]) -> list[str]:
    return _near(word, vendors, _MAYBE)


def _by_words(word: str, words: list[str], vendors: Mapping[str, Vendor]) -> list[str]:
    """Vendors that share words: of id and name first, then of company and hosts ("facebook" for
    Meta).
    """
    wanted = set(words) - _VAGUE
    scored: list[tuple[int, int, int, str]] = []
    for vendor in vendors.values():
        named = {*_words(vendor.id), *_words(vendor.name)}
        behind = {*_words(vendor.company), *(w for host in vendor.hosts for w in _words(host))}
        score = sum(_score(w, named, behind) for w in wanted)
        if score:
            usual = _USUAL.get(vendor.category, len(_USUAL))
            scored.append((-score, usual, len(vendor.id), vendor.id))
    scored.sort()
    if len(wanted) > 1:  # of several words, weaker matches only dilute the result
        scored = [entry for entry in scored if entry[0] == scored[0][0]]
    return [entry[-1] for entry in scored]


def _score(word: str, named: set[str], behind: set[str]) -> int:
    if word in named:
        return 3
    if word in behind:
        return 2
    return int(len(word) >= _STEM and any(other.startswith(word) for other in named))


def _initials(word: str, words: list[str], vendors: Mapping[str, Vendor]) -> list[str]:
    """`gtm`, `ga4`: the first letters of a name, better when also of the id."""
    letters = "".join(words).rstrip("0123456789")
    if len(letters) < 2:
        return []
    found = [v.id for v in vendors.values() if letters == _first_letters(v.name)]
    return sorted(found, key=lambda vendor_id: letters != _first_letters(vendor_id))


def _first_letters(text: str) -> str:
    return "".join(word[0] for word in _words(text))
