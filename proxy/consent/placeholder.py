"""What stands where a closed embed was: a box of its size that says why, and a way to open it.

The markup is phrasing content only (an `<iframe>` may stand in a `<p>`, where a `<div>` or a
`<form>` would end the paragraph and change the page), so its button belongs to the form that
`link_html(placeholders=True)` puts at the end of the body. The size is that of an empty `<svg>`
underneath, because a strict CSP allows no `style` attribute.
"""

from __future__ import annotations

import re

from proxy.consent.banner import environment
from proxy.consent.return_to import preferences_url
from proxy.consent.texts import Texts
from proxy.consent.view import PREFIX

KINDS = ("video", "map", "audio", "post", "form", "other")

_LENGTH = re.compile(r"\s*([0-9]{1,5})(?:\.[0-9]*)?(?:px)?\s*\Z")
_PERCENT = re.compile(r"\s*([0-9]{1,3})(?:\.[0-9]*)?%\s*\Z")


def _size(value: str | None, default: str) -> str:
    """A `width` or `height` attribute as HTML reads it: pixels or per cent; else the default."""
    if value is not None:
        if pixels := _LENGTH.match(value):
            return pixels[1]
        if percent := _PERCENT.match(value):
            return f"{percent[1]}%"
    return default


def placeholder_html(
    vendor_id: str,
    vendor_name: str,
    kind: str,
    width: str | None,
    height: str | None,
    texts: Texts,
    *,
    allow: bool = True,
    return_to: str = "",
    prefix: str = PREFIX,
) -> str:
    """The placeholder of one embed; `width` and `height` are the attributes it had, if any.

    A `kind` that is not in KINDS counts as "other". `allow=False` on patient pages: nothing
    that the visitor chooses opens it there, so no button says so.
    """
    # What an iframe without attributes measures (HTML Standard, 15.4.1) is too low for the text.
    wide, high = _size(width, "100%"), _size(height, "240")
    both_pixels = not wide.endswith("%") and not high.endswith("%")
    return (
        environment()
        .get_template("placeholder.html")
        .render(
            t=texts,
            vendor_id=vendor_id,
            vendor_name=vendor_name,
            sentence=texts.say(
                f"placeholder.{kind if kind in KINDS else 'other'}", vendor=vendor_name
            ),
            width=wide,
            height=high,
            box=f"0 0 {wide} {high}" if both_pixels else "",
            allow=allow,
            preferences_url=preferences_url(prefix, return_to),
        )
    )
