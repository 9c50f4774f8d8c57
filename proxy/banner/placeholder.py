"""The placeholder of a closed embed: a box of its size with the reason and a button to open it.

A frame stays where it is and shows it as its own page (`srcdoc`): so the page keeps each of its
elements, and whatever its rules make of a frame holds for the placeholder.

The markup is phrasing content only (an `<iframe>` may stand in a `<p>`, where a `<div>` or a
`<form>` would end the paragraph and change the page) and has no `<a>`, which would end a link
around it. So its buttons belong to the form that `link_html(placeholders=True)` puts at the end
of the body, and the page to return to is that form's. The size is that of an empty `<svg>`
underneath, because a strict CSP allows no `style` attribute. In a frame's own page a link may
stand: to where else the content can be seen.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache

from markupsafe import Markup, escape

from consent_rules.config.theme import Theme
from proxy.banner.assets import AssetKind, assets
from proxy.banner.banner import environment, safe_url
from proxy.banner.return_path import preferences_url
from proxy.banner.texts import Texts
from proxy.banner.views import PREFIX

KINDS = ("video", "map", "audio", "post", "form", "captcha", "other")
_FOR_A_FORM = frozenset({"captcha"})
"""What a form around it cannot be sent without."""


def placeholder_kind(embed: str) -> str:
    """What the placeholder of a vendor's content says that it is, one of KINDS."""
    return embed if embed in KINDS else "other"


_PIXELS = re.compile(r"\s*([0-9]{1,5})(?:\.[0-9]*)?(?:px)?\s*\Z")


def _pixels(value: str | None) -> str | None:
    """A `width` or `height` attribute in whole pixels; None for any other value."""
    found = _PIXELS.match(value or "")
    return found[1] if found else None


@lru_cache(maxsize=512)
def frame_attribute(
    vendor_id: str,
    vendor_name: str,
    kind: str,
    texts: Texts,
    theme: Theme,
    *,
    allow: bool = True,
    prefix: str = PREFIX,
    return_to: str = "",
    title: str = "",
    link: str = "",
) -> str:
    """The `srcdoc` of a closed frame, a whole attribute with a blank before it. Needs the hash of
    `assets(theme, AssetKind.FRAME)` in the page's policy, which holds for what is within it, too.

    `title` is the page's name for the content, `link` where else it can be seen.
    """
    page = (
        environment()
        .get_template("frame.html")
        .render(
            style=Markup(assets(theme, AssetKind.FRAME).style),  # noqa: S704 - ours
            return_to=return_to,
            **_words(vendor_id, vendor_name, kind, texts),
            width="100%",
            height="100%",
            fills=True,
            flat=False,
            allow=allow,
            prefix=prefix,
            title=title,
            link=safe_url(link),
        )
    )
    return f' srcdoc="{escape(page)}"'


@lru_cache(maxsize=512)
def made_frame_page(texts: Texts, *, prefix: str = PREFIX, return_to: str = "") -> str:
    """The page within a closed frame that a script of the page makes. `%s` stands for its host."""
    return (
        environment()
        .get_template("made_frame.html")
        .render(
            t=texts,
            sentence=texts.say("placeholder.other", vendor="%s"),
            preferences=preferences_url(prefix, return_to, lang=texts.lang),
        )
    )


def _words(vendor_id: str, vendor_name: str, kind: str, texts: Texts) -> dict[str, object]:
    return {
        "t": texts,
        "vendor_id": vendor_id,
        "vendor_name": vendor_name,
        "closed": texts["placeholder.unsent" if kind in _FOR_A_FORM else "placeholder.closed"],
        "sentence": texts.say(f"placeholder.{placeholder_kind(kind)}", vendor=vendor_name),
    }


def form_notice(
    vendor_id: str,
    vendor_name: str,
    texts: Texts,
    *,
    allow: bool = True,
    prefix: str = PREFIX,
) -> str:
    """The notice at the start of a closed form: whose it is, and what opens it.

    `allow=False` where no choice opens it: it says so instead.
    """
    words = {
        **_words(vendor_id, vendor_name, "form", texts),
        "sentence": texts.say("placeholder.send", vendor=vendor_name),
        "closed": texts["placeholder.unsent"],
    }
    return _notice(words, allow=allow, prefix=prefix)


def content_notice(
    vendor_id: str,
    vendor_name: str,
    kind: str,
    texts: Texts,
    *,
    allow: bool = True,
    prefix: str = PREFIX,
) -> str:
    """The notice before a text that a script would have made into content: a quoted post."""
    return _notice(_words(vendor_id, vendor_name, kind, texts), allow=allow, prefix=prefix)


def _notice(words: Mapping[str, object], *, allow: bool, prefix: str) -> str:
    return (
        environment()
        .get_template("placeholder.html")
        .render(**words, flat=True, fills=True, allow=allow, prefix=prefix, title="", link="")
    )


def placeholder_html(
    vendor_id: str,
    vendor_name: str,
    kind: str,
    width: str | None,
    height: str | None,
    texts: Texts,
    *,
    allow: bool = True,
    prefix: str = PREFIX,
) -> str:
    """The placeholder of what a script makes a frame in; `width` and `height` are the attributes it
    had, if any.

    A `kind` that is not in KINDS counts as "other". `allow=False` on patient pages: no choice opens
    it there, so there is no button.
    """
    # The 300 by 150 of an iframe without attributes (HTML Standard, 15.4.1) are too small for
    # the text, so what is not in pixels fills the width and gets room for four lines.
    wide, high = _pixels(width), _pixels(height) or "240"
    return (
        environment()
        .get_template("placeholder.html")
        .render(
            **_words(vendor_id, vendor_name, kind, texts),
            width=wide or "100%",
            height=high,
            fills=wide is None,
            flat=False,
            allow=allow,
            prefix=prefix,
            title="",
            link="",
        )
    )
