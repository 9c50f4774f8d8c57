"""Remnants of closed inline scripts, remembered by the script and by what it asked of the page.

What a closed script leaves behind depends on its text, on the site's boundary, and on what the rest
of the page names (`inline_remnants`). The pages of a site share most of these scripts, and mostly
name the same of them: so what was asked is asked again, and where all answers are those of the last
page, so are the remnants.
"""

from __future__ import annotations

import hashlib
import re

from proxy.html.boundary import Boundary
from proxy.html.inline_remnants import KnownRemnants, Named, Remnants, VendorsOfCode, remnants

_MAX_KNOWN = 256
_MAX_CODE = 8192
_MAX_ASKED = 256
"""Scripts of a site that are remembered; of each the bytes that stay, and the names asked for."""


def known_remnants(
    script: bytes, rest: Named, boundary: Boundary, *, all_used: bool = False
) -> Remnants:
    """What `inline_remnants.remnants` finds."""
    key = hashlib.sha256(script).digest(), all_used
    known = boundary.remnants.get(key)
    if known is not None and all(rest(name, behind) == was for name, behind, was in known.asked):
        return known.left
    asked: list[tuple[str, re.Pattern[bytes], bool]] = []

    def noted(name: str, following: re.Pattern[bytes]) -> bool:
        answer = rest(name, following)
        asked.append((name, following, answer))
        return answer

    index = boundary.index

    def run(text: str) -> tuple[str, ...]:
        return boundary.vendors_of_script(text) if index.vendors_of_text(text) else ()

    left = remnants(
        script,
        noted,
        boundary.names_vendor,
        VendorsOfCode(index.vendors_named, run),
        parts_in=boundary.parts_of_script,
        all_used=all_used,
    )
    if len(left.code) <= _MAX_CODE and len(asked) <= _MAX_ASKED:
        if len(boundary.remnants) >= _MAX_KNOWN:
            boundary.remnants.clear()
        boundary.remnants[key] = KnownRemnants(left, tuple(asked))
    return left
