"""Pages that a framework takes over in the browser: what marks them.

Such a framework compares what the server sent with what it would have made ("hydration"), down to
the text of elements, and where they differ it throws the server's markup away, with all that others
put there.
"""

from __future__ import annotations

import re
from enum import StrEnum


class Hydration(StrEnum):
    """What of a page a framework takes over."""

    NONE = "nothing"
    PART = "elements of the page"
    WHOLE = "the document, with its head"


# Patterns that begin with letters of their own are searched for many times faster than others.
_GLOBALS = re.compile(
    rb"__(?:(?P<whole>reactRouter|remixContext)"  # React Router, Remix
    rb"|next_f|NEXT_DATA__|NUXT|sveltekit|docusaurus|_gatsby)"
)
_COMMENTS = re.compile(rb"<!--(?:\$\??|\[)-->")  # React; Vue and Svelte
_ATTRIBUTES = re.compile(rb"data-(?:reactroot|server-rendered|hk=)")  # React, Vue, Solid
_PARTED = re.compile(rb"[^\s>] ?<!-- -->[^\s<]")
_MARKS = (b"/_next/static/", b"<astro-island", b"ng-server-context", b"q:container")
_ENTRY = b"entry.client-"
"""The script that React Router and Remix begin with: named in the head, unlike their state."""


def hydration_of(body: bytes) -> Hydration:
    """What a framework hydrates of a page, or of a part of one, by the marks that it bears."""
    named = _GLOBALS.search(body)
    if (named is not None and named["whole"]) or _ENTRY in body:
        return Hydration.WHOLE
    if named is not None or _COMMENTS.search(body) or _ATTRIBUTES.search(body):
        return Hydration.PART
    # React parts two texts so: "Page <!-- -->2".
    parted = b"<!-- -->" in body and _PARTED.search(body)
    return Hydration.PART if parted or any(mark in body for mark in _MARKS) else Hydration.NONE
