"""Deferred resources: URLs in `data-src` and similar attributes, which the page's script loads
later.

Lazy loaders, galleries and consent tools write a URL into an attribute that browsers ignore, and a
script activates it later. The request follows then, so it is gated like `src`. It is recognised by
the attribute's name and a value that is a URL.

Not recognised, and left to the policy header: settings in JSON, text that contains a URL, and URLs
for navigation (`data-href` of a link, a button, or what acts as one).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from functools import lru_cache

import ahocorasick_rs

from consent_rules.lazy_pattern import lazy_pattern
from consent_rules.matching.urls import strip_url
from proxy.html.cmp_markup import HELD_ADDRESS
from proxy.html.css import css_urls
from proxy.html.resource import Closing, Reading, Resource, ResourceKind
from proxy.html.srcset import srcset_urls
from proxy.html.tree import Element

# What the value of such an attribute is loaded or shown as. `data-src`, `nitro-lazy-srcset`,
# `data-bg-image`, `data-video-url`, `data-orig-file`, `data-iframe`.
_LOADED = lazy_pattern(
    r"(?:.*[-_])?(?:[a-z]*src(?:set)?s?|sources?|background|bg|bgset|images?|img|pictures?|posters?"
    r"|thumb(?:nail)?s?|iframe|frame|o?embed|videos?|audio|youtube|vimeo|original|orig|lazy[a-z]*|echo"
    r"|html|markup)(?:[-_](?:url|uri|src(?:set)?|file|image|img|large|small|webp|mobile|desktop|code"
    r"|html|[0-9]+x?))*"
)
# Navigation or load: depends on the element.
_LED_TO = lazy_pattern(r"(?:.*[-_])?[a-z]*(?:href|urls?|uri)")
_NAVIGATION = lazy_pattern(
    r"(?:.*[-_])?(?:share|redirect|permalink|link|canonical|return|back|log-?in|log-?out|checkout"
    r"|profile|goto|nav|click|action)(?:[-_].*)?"
)
_NAVIGATING_TAGS = frozenset(
    {"a", "area", "button", "form", "input", "label", "option", "select", "summary"}
)
_NAVIGATING_ROLES = frozenset({"link", "button", "menuitem", "option", "tab"})

_SELF_LOADING = {
    "img": ResourceKind.IMAGE,
    "iframe": ResourceKind.FRAME,
    "frame": ResourceKind.FRAME,
    "source": ResourceKind.MEDIA,
    "video": ResourceKind.MEDIA,
    "audio": ResourceKind.MEDIA,
    "track": ResourceKind.MEDIA,
    "embed": ResourceKind.OBJECT,
    "object": ResourceKind.OBJECT,
    "link": ResourceKind.LINK,
}
"""Elements that fetch something: of theirs every `data-*` that is an address counts."""

_NATIVE = frozenset(
    {"src", "srcset", "imagesrcset", "attributionsrc", "poster", "background", "href", "sizes"}
)
"""Attributes that browsers look at themselves."""

_SHOWN = lazy_pattern(
    r"(?:.*[-_])?(?:src|iframe|frame|o?embed|videos?|youtube|vimeo)(?:[-_](?:url|src))?"
)
_HOLDERS = frozenset({"div", "span", "figure", "section", "article"})

# A URL that may name another host, not a text that contains one.
_ADDRESS = lazy_pattern(r"(?:https?|wss?|ftp):|[/\\]{2}", re.IGNORECASE)
_MARKUP = lazy_pattern(
    r"<(?:script|img|i?frame|embed|object|link|video|audio|source|style|svg|meta|base)\b"
    r"|\s(?:src|style|background)\s*=",
    re.IGNORECASE,
)


@lru_cache(maxsize=4096)
def is_loaded_name(name: str) -> bool:
    """Whether an attribute of this name may hold what a script of the page loads."""
    if name in _NATIVE or len(name) > _MAX_NAME_LENGTH:
        return False
    if not name.startswith("data-"):
        return name.endswith(("src", "srcset")) or name == HELD_ADDRESS
    named = name.removeprefix("data-")
    return bool(_LOADED.fullmatch(named) or _LED_TO.fullmatch(named))


_MAX_NAME_LENGTH = 80
# An automaton of one word finds it in a tenth of the time that a pattern takes.
_DATA = ahocorasick_rs.BytesAhoCorasick(
    [b"data-"], matchkind=ahocorasick_rs.MatchKind.LeftmostFirst
)
_SOURCE = ahocorasick_rs.BytesAhoCorasick(
    [b"src"], matchkind=ahocorasick_rs.MatchKind.LeftmostFirst
)
_DATA_NAME = lazy_pattern(rb"data-[a-z0-9_-]+")
# Searched by its letters, then matched backwards: many times faster than by what precedes them.
_SOURCE_NAME = lazy_pattern(rb"src(?<=[a-z0-9_-]src)(?:set|-_)?(?=[\s/]*=)")
_NAME_BEFORE = lazy_pattern(rb"[a-z0-9_-]+\Z")


def deferring_names(lowered: bytes) -> frozenset[str]:
    """The lower-case names of a page's attributes that browsers ignore and that may hold a deferred
    URL: all that begin with `data-`, and `lazy-src`, `nitro-lazy-srcset` and similar ones, of which
    `HELD_ADDRESS` is one.
    """
    found = _data_names(lowered)
    matches = (
        _SOURCE_NAME.match(lowered, at) for _, at, _ in _SOURCE.find_matches_as_indexes(lowered)
    )
    for match in filter(None, matches):
        name = _NAME_BEFORE.search(lowered, max(0, match.start() - _MAX_NAME_LENGTH), match.end())
        if name is not None:
            found.add(name[0])
    return frozenset(name.decode("ascii") for name in found)


def _data_names(lowered: bytes) -> set[bytes]:
    match = _DATA_NAME.match
    found = {
        name[0]
        for _, at, _ in _DATA.find_matches_as_indexes(lowered)
        if (name := match(lowered, at)) is not None
    }
    if any(name.find(b"data-", 1) > 0 for name in found):  # the end of one is no other
        return set(_DATA_NAME.findall(lowered))
    return found


def script_addresses(element: Element, reading: Reading) -> Iterator[tuple[str, str]]:
    """The URL attributes of a script that is held back: `data-src`, `data-rocket-src`."""
    for name in element.attrs:
        if is_script_address(name) and (url := reading.value(element, name)):
            yield name, url


def is_script_address(name: str) -> bool:
    """Whether what holds scripts back keeps their address in an attribute of this name."""
    return name == HELD_ADDRESS or (name not in _NATIVE and name.endswith("src"))


@lru_cache(maxsize=8192)
def _is_deferring(tag: str, name: str) -> bool:
    """Whether a script may load the value of an attribute of this name on such an element."""
    if tag == "script" or name in _NATIVE:
        return False
    return is_loaded_name(name) or (tag in _SELF_LOADING and name.startswith("data-"))


def deferred_resources(
    element: Element, tag: str, name: str, reading: Reading
) -> Iterator[Resource]:
    """The resources of an attribute, if it is a deferred one."""
    if not _is_deferring(tag, name):
        return
    value = reading.value(element, name)
    if not value or (value := value.strip())[:1] in {"", "{", "["}:
        return
    if "<" in value:
        if _MARKUP.search(value):
            yield Resource(ResourceKind.NESTED_PAGE, element, name, Closing.NESTED, text=value)
        return
    urls = tuple(_urls(name, value, reading))
    if not urls or _navigates(element, tag, name):
        return
    closing = Closing.EMPTY
    if tag == "iframe" or (may_be_filled(tag, name) and _is_empty(element)):
        closing = Closing.PLACEHOLDER
    elif tag == "img" and name.endswith(("src", "srcset")):
        closing = Closing.PICTURE
    yield Resource(_SELF_LOADING.get(tag, ResourceKind.DEFERRED), element, name, closing, urls)


def _urls(name: str, value: str, reading: Reading) -> Iterable[str]:
    if "(" in value and (found := css_urls(value, relative=reading.relative_css)):
        return (one.url for one in found)
    if name.endswith(("set", "sets")):
        return srcset_urls(value)
    is_address = _ADDRESS.match(strip_url(value)) or (reading.relative_css and "/" in value)
    return (value,) if is_address else ()


def _navigates(element: Element, tag: str, name: str) -> bool:
    """Whether a URL is for navigation, not loaded by the page."""
    if tag in _SELF_LOADING or not _LED_TO.fullmatch(name):
        return False
    if _LOADED.fullmatch(name.removeprefix("data-")):
        return False
    if tag in _NAVIGATING_TAGS or _NAVIGATION.fullmatch(name.removeprefix("data-")):
        return True
    role = (element.attr("role") or "").strip().lower()
    return role in _NAVIGATING_ROLES or element.attr("onclick") is not None


def may_be_filled(tag: str, name: str) -> bool:
    """Whether a script fills an element with what an attribute of it names: where it is empty, a
    placeholder may stand there.
    """
    return (tag in _HOLDERS or "-" in tag) and _SHOWN.fullmatch(name) is not None


def _is_empty(element: Element) -> bool:
    return not any(isinstance(node, Element) for node in element) and not element.text.strip()
