"""Which selectors by attribute a page needs: those of attributes whose names stand in its bytes.

A selector by attribute looks at each element. The names that a browser looks at are some twenty;
most pages have two or three of them.
"""

from __future__ import annotations

import ahocorasick_rs

from consent_rules.lazy_pattern import lazy_pattern
from proxy.html.css import LEAVING
from proxy.html.elements import CSS_ATTRIBUTES

_WHATEVER_IT_IS = (
    "formaction", "ping", "attributionsrc", "background", "manifest", "referrerpolicy",
)  # fmt: skip
_MAY_LEAVE = ",".join(f"[style*='{mark}' i]" for mark in LEAVING).replace("\\", "\\\\")
_BY_VALUE: dict[str, str] = {
    # Strings of custom properties may become addresses.
    "style": f"[style*='('],[style*='--']:is([style*='\t'],{_MAY_LEAVE})",
    **{name: f"[{name}*='(']" for name in CSS_ATTRIBUTES},
}
_RESERVED = "[id=yc],[id^='yc-'],[form^='yc-']"
"""Of our own ids. A character reference may write these values, so they are always looked for."""
_SELECTORS = {**{name: f"[{name}]" for name in _WHATEVER_IT_IS}, **_BY_VALUE}
BY_ATTRIBUTE = ",".join((*_SELECTORS.values(), _RESERVED))
"""All of them."""

# No name begins as another one, and where two overlap the later one begins within a longer name.
_NAMES = tuple(name.encode() for name in _SELECTORS)
_ANY_NAME = ahocorasick_rs.BytesAhoCorasick(
    _NAMES, matchkind=ahocorasick_rs.MatchKind.LeftmostFirst
)
_VALUE = lazy_pattern(rb"[\s]*=")


def selector_by_attribute(lowered: bytes) -> str:
    """One that selects of a page, or of a part of one, what `BY_ATTRIBUTE` does."""
    found: dict[int, None] = {}
    for number, _, end in _ANY_NAME.find_matches_as_indexes(lowered):
        if number not in found and (
            number < len(_WHATEVER_IT_IS) or _VALUE.match(lowered, end) is not None
        ):
            found[number] = None
    names = (_NAMES[number].decode("ascii") for number in found)
    return ",".join((*(_SELECTORS[name] for name in names), _RESERVED))
