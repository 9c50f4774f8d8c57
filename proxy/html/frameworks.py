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


_WHOLE = (b"__reactRouter", b"__remixContext", b"entry.client-")  # React Router, Remix
_PART = (
    b"/_next/static/", b"__next_f", b"__NEXT_DATA__",  # Next.js
    b"<!--$-->", b"<!--$?-->", b"data-reactroot",  # React
    b"__NUXT", b"<!--[-->", b"data-server-rendered",  # Nuxt, Vue; Svelte's comments are the same
    b"__sveltekit", b"<astro-island", b"ng-server-context", b"___gatsby", b"__docusaurus",
    b"q:container", b"data-hk=",  # Qwik, Solid
)  # fmt: skip

_PARTED = re.compile(rb"[^\s>] ?<!-- -->[^\s<]")


def hydration_of(body: bytes) -> Hydration:
    """What a framework hydrates of a page, or of a part of one, by the marks that it bears."""
    if any(mark in body for mark in _WHOLE):
        return Hydration.WHOLE
    if any(mark in body for mark in _PART):
        return Hydration.PART
    # React parts two texts so: "Page <!-- -->2".
    parted = b"<!-- -->" in body and _PARTED.search(body)
    return Hydration.PART if parted else Hydration.NONE
