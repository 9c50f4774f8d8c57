"""Pages that a framework takes over in the browser: what marks them.

Such a framework compares what the server sent with what it would have made ("hydration"), down to
the text of elements, and where they differ it throws the server's markup away, with all that others
put there.
"""

from __future__ import annotations

import re
from enum import StrEnum

import ahocorasick_rs


class Hydration(StrEnum):
    """What of a page a framework takes over."""

    NONE = "nothing"
    PART = "elements of the page"
    WHOLE = "the document, with its head"


_WHOLE = (b"__reactRouter", b"__remixContext", b"entry.client-")
"""React Router and Remix: their state, and the script that they begin with, named in the head."""
_PART = (
    b"__next_f", b"__NEXT_DATA__", b"/_next/static/", b"__NUXT", b"__sveltekit", b"__docusaurus",
    b"___gatsby", b"<astro-island", b"ng-server-context", b"q:container",
    b"<!--$-->", b"<!--$?-->", b"data-reactroot",  # React
    b"<!--[-->", b"data-server-rendered",  # Vue, and Svelte
    b"data-hk=",  # Solid
)  # fmt: skip
_PARTING = b"<!-- -->"
_PARTED = re.compile(rb"[^\s>] ?<!-- -->[^\s<]")
"""React parts two texts so: "Page <!-- -->2"."""
_MARKS = (*_WHOLE, *_PART, _PARTING)
# One pass over the page for all of them.
_AUTOMATON = ahocorasick_rs.BytesAhoCorasick(_MARKS)


def hydration_of(body: bytes) -> Hydration:
    """What a framework hydrates of a page, or of a part of one, by the marks that it bears."""
    found = {_MARKS[index] for index, _, _ in _AUTOMATON.find_matches_as_indexes(body)}
    if not found:
        return Hydration.NONE
    if not found.isdisjoint(_WHOLE):
        return Hydration.WHOLE
    if found == {_PARTING} and not _PARTED.search(body):
        return Hydration.NONE
    return Hydration.PART
