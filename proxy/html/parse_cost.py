"""The cost of parsing a page, estimated from its bytes.

Parsing takes time and memory in proportion to a page's length, except for a few kinds of markup for
which the tree builder takes quadratic time. A page with more of these than any real page is not
parsed: it is handled like one that cannot be compiled. `tests/html/costs.py` has the kinds, and
measures them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

import ahocorasick_rs

from proxy.html.source import UndecodableError

MAX_ROOT_TAGS = 256
"""Tags <html> and <body> of a page. Each gives its attributes to the first (HTML, 13.2.6.4.7),
which the parser copies for it: 310 KB of `<html a1=1><html a2=1>` took 5.4 GB."""

MAX_ROOT_ATTRIBUTES = 4000
"""Attributes that they have together: each is looked up among all before it."""

MAX_REOPENED = 200_000
"""Elements that the parser may make anew because a formatting element was left open (HTML,
13.2.4.3): `<font color=1><p><font color=2><p>` makes an element of each for every <p>. Some 350
bytes each."""

MAX_DRAWINGS_BY_SELECT = 2000
"""Tags <svg> and <math> of a page with a <select>: of each is asked whether it stands in one."""

MAX_TEXT_IN_SELECTS = 4_000_000
"""Characters of text that are looked at within the <select>s of a page. Of drawings in one another
each is looked at."""

_REMEMBERED = 200
"""Formatting elements that the parser opens again at once."""
_SMALL = 16_384
"""Bytes. What a smaller page leaves open makes too few elements to matter."""

_ATTRIBUTE = re.compile(
    rb"[\s/]*[^\s/>][^\s/>=]*+(?:\s*+=\s*+(?:\"[^\"]*+\"|'[^']*+'|[^\s>\"'][^\s>]*+)?)?"
)
_FORMATTING = re.compile(rb"<(/?)(?:b|big|code|em|font|i|s|small|strike|strong|tt|u)(?=[\s/>])")
"""A tag of a formatting element; the group is "/" for an end tag. Not <a> and <nobr>: of these the
next one ends the one before it."""
_LONG = (b"big", b"code", b"em", b"font", b"small", b"strike", b"strong", b"tt")
_SHORT = (b"b", b"i", b"s", b"u")
_ENDS = (b">", b"/", b" ", b"\t", b"\n", b"\v", b"\f", b"\r")
# All their start tags, and a few others (`<bigger>`), in a fifth of the time.
_MAY_FORMAT = ahocorasick_rs.BytesAhoCorasick(
    [
        *(b"<" + name for name in _LONG),
        *(b"<" + name + end for name in _SHORT for end in _ENDS),
    ],
    matchkind=ahocorasick_rs.MatchKind.LeftmostFirst,
)
_TAG = re.compile(rb"<(/?)[a-z]")
# The same tags, and of their end tags those that are written without a blank. With more of the
# former and fewer of the latter no fewer elements are open than are.
_MAY_NEST = ahocorasick_rs.BytesAhoCorasick(
    [
        *(b"</" + name + b">" for name in (*_LONG, *_SHORT)),
        *(b"<" + name for name in _LONG),
        *(b"<" + name + end for name in _SHORT for end in _ENDS),
    ],
    matchkind=ahocorasick_rs.MatchKind.LeftmostFirst,
)
_PLAIN_ENDS = len(_LONG) + len(_SHORT)


class CostlyPageError(UndecodableError):
    """The page has so much of one kind of markup that parsing it would take too much memory or
    time.
    """


def check_cost(lowered: bytes, roots: Iterable[int]) -> None:
    """Raise CostlyPageError for a lower-cased page that must not be parsed. `roots` are the offsets
    of `<html` and `<body` in it.
    """
    _check_roots(lowered, roots)
    if len(lowered) > _SMALL:
        _check_formatting(lowered)


def _check_roots(lowered: bytes, roots: Iterable[int]) -> None:
    attributes = 0
    for tags, start in enumerate(roots, 1):
        if tags > MAX_ROOT_TAGS:
            raise CostlyPageError(f"more than {MAX_ROOT_TAGS} tags <html> and <body>")
        at = start + len(b"<html")
        while (found := _ATTRIBUTE.match(lowered, at)) is not None:
            at = found.end()
            attributes += 1
            if attributes > MAX_ROOT_ATTRIBUTES:
                raise CostlyPageError(
                    f"more than {MAX_ROOT_ATTRIBUTES} attributes of <html> and <body>"
                )


def may_format(lowered: bytes) -> int:
    """How many start tags of formatting elements a lower-cased page has at most."""
    return len(_MAY_FORMAT.find_matches_as_indexes(lowered))


def is_cheap(started: int, tags: int) -> bool:
    """Whether a page with so many start tags of formatting elements, and so many tags in all, may
    be parsed even if none of these elements is ever closed.
    """
    return started <= _FEW or min(started, _REMEMBERED) * tags <= MAX_REOPENED


def _check_formatting(lowered: bytes) -> None:
    tags = _MAY_NEST.find_matches_as_indexes(lowered)
    nested = [b"/" if number < _PLAIN_ENDS else b"" for number, _, _ in tags]
    # To count all tags takes longer than that.
    if _is_soon_balanced(nested) or is_cheap(nested.count(b""), lowered.count(b"<")):
        return
    if not _is_soon_balanced(_FORMATTING.findall(lowered)) and _reopened(lowered) > MAX_REOPENED:
        raise CostlyPageError(
            f"formatting elements left open would make more than {MAX_REOPENED} elements"
        )


_FEW = 24
"""Formatting elements in one another, or left open: as many as real pages have, and a few more."""


def _is_soon_balanced(found: list[bytes]) -> bool:
    """Whether only a few elements are open at any offset. `found`: as for `_left_open`."""
    left = _left_open(found)
    return left is not None and left.count(b"(") <= _FEW


def _left_open(found: list[bytes]) -> bytes | None:
    """What is left where pairs of tags are removed, innermost first, which costs a fraction of
    counting them one by one; None where more than a few are in one another.

    `found` has b"" for each start tag and b"/" for each end tag, in the result "(" and ")".
    """
    nesting = b"(".join((b"", *found)).replace(b"(/", b")")
    for _ in range(_FEW):
        within = nesting.replace(b"()", b"")
        if within == nesting:
            return nesting
        nesting = within
    return None


def closes_formatting(lowered: bytes) -> bool:
    """Whether a lower-cased part of a page closes each formatting element that it opens, with a few
    in one another at most.
    """
    found = _FORMATTING.findall(lowered)
    return not found or _left_open(found) == b""


def _reopened(lowered: bytes) -> int:
    """The maximum number of elements that the parser creates to reopen those that were
    left open.
    """
    made = open_now = 0
    for tag in _TAG.finditer(lowered):
        formatting = _FORMATTING.match(lowered, tag.start())
        if formatting is None:
            made += 0 if tag[1] else min(open_now, _REMEMBERED)
        elif formatting[1]:
            open_now = max(0, open_now - 1)
        else:
            open_now += 1
    return made
