"""Pages that a framework takes over in the browser: what marks them.

Such a framework compares what the server sent with what it would have made ("hydration"), down to
the text of elements, and where they differ it throws the server's markup away, with all that others
put there.
"""

from __future__ import annotations

import re
from enum import StrEnum

import ahocorasick_rs

from consent_rules.lazy_pattern import lazy_pattern


class Hydration(StrEnum):
    """What of a page a framework takes over."""

    NONE = "nothing"
    PART = "elements of the page"
    WHOLE = "the document, with its head"


_WHOLE = (b"__reactRouter", b"__remixContext", b"entry.client-")
"""React Router and Remix: their state, and the script that they begin with, named in the head."""
_PART_BY_CODE = (b"__next_f", b"__sveltekit")
_PART_BY_EITHER = (
    b"__NEXT_DATA__", b"/_next/static/", b"__NUXT", b"__docusaurus", b"___gatsby",
)  # fmt: skip
_PART_BY_TAG = (
    b"<astro-island", b"ng-server-context", b"q:container",
    b"data-reactroot",  # React
    b"data-server-rendered",  # Vue
    b"data-hk=",  # Solid
)  # fmt: skip
_PARTING = b"<!-- -->"
_COMMENTS = (
    b"<!--$-->", b"<!--$?-->",  # React
    b"<!--[-->",  # Vue, and Svelte
    _PARTING,
)  # fmt: skip
_PARTED = lazy_pattern(rb"[^\s>] ?<!-- -->[^\s<]")
"""React parts two texts so: "Page <!-- -->2"."""
_MARKS = (*_WHOLE, *_PART_BY_CODE, *_PART_BY_EITHER, *_PART_BY_TAG, *_COMMENTS)
_IN_CODE = frozenset((*_WHOLE, *_PART_BY_CODE, *_PART_BY_EITHER))
_IN_TAGS = frozenset((*_PART_BY_EITHER, *_PART_BY_TAG))
# One pass over the page for all of them. Not of the standard kind, which takes ten times as long:
# only for the others does the library search several bytes at once.
_AUTOMATON = ahocorasick_rs.BytesAhoCorasick(
    _MARKS, matchkind=ahocorasick_rs.MatchKind.LeftmostFirst
)

_ATTRIBUTES = rb"(?>(?:[^>\"']++|\"[^\"]*+\"|'[^']*+')*)>"
_TOKEN = lazy_pattern(
    rb"<(?:(?P<comment>!--(?:-?>|.*?(?:--!?>|\Z)))"
    rb"|(?P<script>script(?=[\s/>])" + _ATTRIBUTES + rb")(?P<code>.*?)(?:</script|\Z)"
    rb"|(?P<tag>[a-z][^\s/>]*+)" + _ATTRIBUTES + rb")",
    re.DOTALL | re.IGNORECASE,
)
_DATA = lazy_pattern(
    rb"\stype\s*=\s*[\"']?(?:application/(?:[\w.-]+\+)?json|text/(?!javascript|ecmascript))",
    re.IGNORECASE,
)


def has_marks(body: bytes) -> bool:
    """Whether a page, or a part of one, has marks of a framework at all."""
    return bool(_AUTOMATON.find_matches_as_indexes(body))


def hydration_of(body: bytes) -> Hydration:
    """What a framework hydrates of a page, or of a part of one, by the marks that it bears.

    They count where a framework writes them, in its scripts, elements and comments: a page may as
    well speak of one.
    """
    found = _AUTOMATON.find_matches_as_indexes(body)
    if not found:
        return Hydration.NONE
    may_be_whole = min(index for index, _, _ in found) < len(_WHOLE)
    hydration = Hydration.NONE
    tokens = _TOKEN.finditer(body)
    token = next(tokens, None)
    for index, start, _ in found:
        mark = _MARKS[index]
        is_whole = mark in _WHOLE
        if hydration is Hydration.PART and not is_whole:
            continue
        while token is not None and token.end() <= start:
            token = next(tokens, None)
        if token is None:
            break
        if token.start() > start or not _is_borne(mark, start, token):
            continue
        if is_whole:
            return Hydration.WHOLE
        hydration = Hydration.PART
        if not may_be_whole:
            break
    return hydration


def _is_borne(mark: bytes, start: int, token: re.Match[bytes]) -> bool:
    """Whether a mark that begins within a token is a framework's."""
    if token["comment"] is not None:
        is_mark = token.start() == start and mark in _COMMENTS
        return is_mark and (mark != _PARTING or _is_parting(token))
    is_script = token["script"] is not None
    if is_script and start >= token.start("code"):
        return mark in _IN_CODE and _DATA.search(token["script"]) is None
    name = b"script" if is_script else token["tag"].lower()
    if mark == b"entry.client-":
        return name in {b"script", b"link"}
    return mark in _IN_TAGS and name != b"a"


def _is_parting(comment: re.Match[bytes]) -> bool:
    around = max(0, comment.start() - 2), comment.end() + 1
    return _PARTED.search(comment.string, *around) is not None
