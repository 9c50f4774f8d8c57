"""The picture that stands for a closed image: of its size, with its alternative text.

Chromium gives a broken image the box of its text, whatever size the page or its styles give it
(HTML Standard, 15.4.2, "treat as an empty inline element"). An image that loads keeps that size.
"""

from __future__ import annotations

import html
import re
from functools import lru_cache
from urllib.parse import quote, unquote

from consent_rules.lazy_pattern import lazy_pattern
from proxy.html.boundary import CompileContext
from proxy.html.owners import KnownVendor, UnknownHost, vendor_ids
from proxy.html.resource import Picture, Resource
from proxy.html.tree import Element, is_html

_Side = int | None

_PIXELS = lazy_pattern(r"\s*([0-9]{1,4})(?:\.[0-9]+)?\s*(?:px)?\s*\Z")
_STYLED = {
    name: lazy_pattern(rf"(?:\A|;)\s*{name}\s*:\s*([0-9]{{1,4}})(?:\.[0-9]+)?px\s*(?:;|!|\Z)", re.I)
    for name in ("width", "height")
}
_TINY = lazy_pattern(r"\s*[0-3](?:\.\d*)?\s*(?:px)?\s*\Z")

# Image servers are told the size: Photon, Wix, Cloudinary, imgix, Contentful, Shopify, WordPress.
_BOTH_SIDES = tuple(
    lazy_pattern(pattern, re.IGNORECASE)
    for pattern in (
        r"[?&;](?:resize|fit|size|thumbnail|crop=\d+,\d+)=([0-9]{2,4})[x,]([0-9]{2,4})(?![0-9])",
        r"(?<![a-z0-9])w_([0-9]{2,4}),h_([0-9]{2,4})(?![0-9])",
        r"[-_/]([0-9]{2,4})x([0-9]{2,4})(?:[-_@][\w@-]{0,60}+)?(?=\.[a-z]{3,4}(?:[?#]|\Z)|/)",
    )
)
_ONE_SIDE = {
    name: lazy_pattern(
        rf"[?&;](?:{name[0]}|{name}|im{name})=([0-9]{{2,4}})(?![0-9])"
        rf"|(?<![a-z0-9]){name[0]}_([0-9]{{2,4}})(?![0-9])|{shopify}(?=[.@])",
        re.IGNORECASE,
    )
    for name, shopify in (("width", "_([0-9]{2,4})x"), ("height", "_x([0-9]{2,4})"))
}
_NOTED = (("data-image-dimensions", "x"), ("data-orig-size", ","))
"""Attributes in which Squarespace and Jetpack note an image's own size."""
_NOTED_SIDES = (("data-width", "data-height"), ("data-original-width", "data-original-height"))

_VIDEO = (320, 180)
_LINE = 40
"""Characters of a line."""
_LETTER, _LINE_HEIGHT = 8, 24
"""Pixels of a letter, about, and of a line."""
_UNSIZED = (3, 2)
"""Pixels of a clear picture in the shape of a photograph: nothing is seen of it, but where styles
give the image a width it has a height too.
"""


_PHOTOGRAPH = lazy_pattern(r"\.(?:jpe?g|webp|avif)(?:[?#!:@]|\s*\Z)", re.IGNORECASE)
_UNSIZED_PHOTOGRAPH = (120, 80)
"""Neither pixels nor, as a rule, icons have the formats of photographs. In a link with nothing else
the picture is what can be clicked, and seen by its frame.
"""


def picture_of(resource: Resource, context: CompileContext) -> Picture | None:
    """The picture for a closed image; None for one that shows nothing or has a way out of its own:
    pixels, images of vendors that track, and those with a handler for their failure.

    Asked for twice, for how an image is closed and then for what closes it: the last is remembered.
    """
    last = context.last_picture
    if last is None or last[0] is not resource:
        context.last_picture = last = resource, _picture_of(resource, context)
    return last[1]


def _picture_of(resource: Resource, context: CompileContext) -> Picture | None:
    element = resource.element
    if is_tiny(element):
        return None
    fails_by_itself = "onerror" in element.attrs
    size = size_of(element, resource.urls)
    if fails_by_itself and size is None:
        return None
    alt = _alternative_text(element)
    words = context.source.word((alt or "").strip())
    whose = _whose(resource, context)
    is_content = not words and _may_be_content(resource, context)
    if is_content:
        words = context.source.word(_label(element).strip())
    if words or whose:
        size = size or (_VIDEO if whose else _size_of_words(words))
        return Picture(_drawn(words or whose, *size, is_framed=True), "" if words else whose)
    if fails_by_itself or resource.tag not in _IMAGES:
        return None
    if size is not None:
        return Picture(_drawn("", *size, is_framed=alt is None))
    if not is_content:
        return None
    if any(map(_PHOTOGRAPH.search, resource.urls)):
        return Picture(_drawn("", *_UNSIZED_PHOTOGRAPH, is_framed=True))
    return Picture(_drawn("", *_UNSIZED, is_framed=False))


_IMAGES = frozenset({"img", "image"})


def _alternative_text(element: Element) -> str | None:
    """None where the page gives none. A drawing's image has a label or a title (SVG 2, 5.7)."""
    if is_html(element):
        return element.attr("alt")
    title = element.find("title")
    return element.attr("aria-label") or (title.text if title is not None else None)


def _label(element: Element) -> str:
    return next(filter(None, (element.attr(name) for name in ("aria-label", "title"))), "")


def is_tiny(element: Element) -> bool:
    """A pixel: no visitor sees it."""
    attributes = element.attrs
    if "hidden" in attributes:
        return True
    for name in ("width", "height"):
        value = element.attr(name)
        if value is not None and _TINY.match(value):
            return True
    style = (element.attr("style") or "").replace(" ", "").lower()
    return "display:none" in style or "visibility:hidden" in style


def size_of(element: Element, urls: tuple[str, ...]) -> tuple[int, int] | None:
    """The box of an image in pixels, as far as its markup and its address say it; of one side the
    other one follows.
    """
    style = element.attr("style") or ""
    width, height = (_side(element, style, name) for name in ("width", "height"))
    if width and height:
        return width, height
    natural = _natural_size(element, urls)
    if natural is None:
        return _with_both(width, height, 3, 2)
    return _with_both(width, height, *natural) or natural


def _side(element: Element, style: str, name: str) -> _Side:
    styled = _STYLED[name].search(style) if style else None
    found = styled or _PIXELS.match(element.attr(name) or "")
    return int(found[1]) if found is not None else None


def _with_both(width: _Side, height: _Side, across: int, down: int) -> tuple[int, int] | None:
    """Both sides of a box of which perhaps one is known, in a certain shape."""
    if width and not height:
        return width, max(1, width * down // across)
    if height and not width:
        return max(1, height * across // down), height
    return None


def _natural_size(element: Element, urls: tuple[str, ...]) -> tuple[int, int] | None:
    """The size of the image itself, which page builders note and image servers are told."""
    attributes = element.attrs
    for name, between in _NOTED:
        parts = (element.attr(name) or "").split(between) if name in attributes else ()
        if len(parts) == 2 and (size := _pixels(*parts)):
            return size
    for names in _NOTED_SIDES:
        if names[0] in attributes and (size := _pixels(*(element.attr(n) or "" for n in names))):
            return size
    return next(filter(None, map(size_asked_for, urls)), None)


_MAY_SAY_SIZE = lazy_pattern(r"[wh]_[0-9]|[0-9]x[0-9@.]|_x[0-9]|[=,x][0-9]|%3d|%2c", re.IGNORECASE)


@lru_cache(maxsize=1024)
def size_asked_for(url: str) -> tuple[int, int] | None:
    """The size that an address asks an image server for."""
    if _MAY_SAY_SIZE.search(url) is None:
        return None
    asked = unquote(url) if "%" in url else url
    for pattern in _BOTH_SIDES:
        if (found := pattern.search(asked)) and (size := _pixels(found[1], found[2])):
            return size
    sides = (_ONE_SIDE[name].search(asked) for name in ("width", "height"))
    width, height = (one and int(next(filter(None, one.groups()))) for one in sides)
    return (width, height) if width and height else _with_both(width, height, 3, 2)


def _pixels(width: str, height: str) -> tuple[int, int] | None:
    found = _PIXELS.match(width), _PIXELS.match(height)
    if found[0] is None or found[1] is None:
        return None
    size = int(found[0][1]), int(found[1][1])
    return size if min(size) > 0 else None


def _size_of_words(words: str) -> tuple[int, int]:
    """The box for an image of which nobody says the size. Short texts are of logos and icons, long
    ones of photographs.
    """
    if len(words) > _LINE // 2:
        return _VIDEO
    return (len(words) + 2) * _LETTER, _LINE_HEIGHT


def _whose(resource: Resource, context: CompileContext) -> str:
    """Whose the picture of a video or a map is; "" for any other."""
    shown = context.boundary.index.shown
    owners = vendor_ids(context.owners(resource.urls))
    return next((shown[one].name for one in sorted(owners) if one in shown), "")


def _may_be_content(resource: Resource, context: CompileContext) -> bool:
    """Whether an image may be more than a vendor's pixel."""
    serving = context.boundary.index.serving
    return all(
        isinstance(owner, UnknownHost) or (isinstance(owner, KnownVendor) and owner.id in serving)
        for owner in context.owners(resource.urls)
    )


_SAFE = " =:/'()!*,;@$-_.~"


def _quoted(markup: str) -> str:
    return quote(markup, safe=_SAFE)


_START = "data:image/svg+xml," + _quoted('<svg xmlns="http://www.w3.org/2000/svg" width="')
_HEIGHT, _CLOSE, _END = _quoted('" height="'), _quoted('">'), _quoted("</svg>")
_FRAME = _quoted('<rect width="100%" height="100%" fill="none" stroke="#8888"/>')
_WORDS = _quoted(
    '<text x="50%" y="50%" fill="#777" font-family="sans-serif" font-size="14" '
    'text-anchor="middle" dominant-baseline="middle">'
)
_WORDS_END = _quoted("</text>")


@lru_cache(maxsize=256)
def _drawn(words: str, width: int, height: int, *, is_framed: bool) -> str:
    """The address of a picture, with words in its middle."""
    drawn = f"{_START}{width}{_HEIGHT}{height}{_CLOSE}{_FRAME if is_framed else ''}"
    if words:
        shown = html.escape(_shortened(words, max(8, min(_LINE, width // _LETTER))))
        drawn += f"{_WORDS}{_quoted(shown)}{_WORDS_END}"
    return drawn + _END


def _shortened(words: str, length: int) -> str:
    """As much of a text as a line holds, in whole words if it can be."""
    line = " ".join(words.split())
    if len(line) <= length:
        return line
    start = line[: length - 1]
    return f"{start.rpartition(' ')[0] or start}\u2026"
