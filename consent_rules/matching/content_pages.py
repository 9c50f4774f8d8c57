"""The page at a vendor's own site that shows what a frame would have shown.

Frames have addresses of their own: a video's player is no page to read. Where the vendor documents
how both belong together, a frame's address names the page.
"""

from __future__ import annotations

import re
from functools import lru_cache
from urllib.parse import parse_qs, quote, urlsplit

from consent_rules.lazy_pattern import lazy_pattern

_ID = r"([A-Za-z0-9_-]{1,64})"
_RULES: tuple[tuple[str, str, str], ...] = (
    (r"(?:www\.)?youtube(?:-nocookie)?\.com", r"/embed/videoseries", "https://www.youtube.com/playlist?list={list}"),
    (r"(?:www\.)?youtube(?:-nocookie)?\.com", rf"/(?:embed|v|shorts)/{_ID}", "https://www.youtube.com/watch?v={1}"),
    (r"player\.vimeo\.com", rf"/video/{_ID}", "https://vimeo.com/{1}"),
    (r"(?:www\.)?dailymotion\.com", rf"/embed/video/{_ID}", "https://www.dailymotion.com/video/{1}"),
    (r"geo\.dailymotion\.com", r"/player(?:/[\w-]+)?\.html", "https://www.dailymotion.com/video/{video}"),
    (r"player\.twitch\.tv", r"/", "https://www.twitch.tv/{channel}"),
    (r"open\.spotify\.com", rf"/embed(?:-podcast)?/([a-z]{{4,12}})/{_ID}", "https://open.spotify.com/{1}/{2}"),
    (r"embed\.(podcasts|music)\.apple\.com", r"(/[\w/.-]{1,200})", "https://{0}.apple.com{1}"),
    (r"www\.google\.[a-z.]{2,6}", r"/maps/embed/v1/(?:place|search)", "https://www.google.com/maps/search/?api=1&query={q}"),
    (r"(?:www|maps)\.google\.[a-z.]{2,6}", r"/maps/?", "https://www.google.com/maps/search/?api=1&query={q}"),
    (r"www\.openstreetmap\.org", r"/export/embed\.html", "https://www.openstreetmap.org/?mlat={marker0}&mlon={marker1}"),
)  # fmt: skip
"""Host, path, page. `{1}` is what a group of the path holds, `{0}` that of the host, a name the
query's value."""

_COMPILED = tuple(
    (lazy_pattern(host, re.ASCII), lazy_pattern(rf"{path}/?", re.ASCII), page)
    for host, path, page in _RULES
)
_SLOT = lazy_pattern(r"\{(\w+)\}")
_MAX_URL = 2048
_MAX_VALUE = 200


@lru_cache(maxsize=1024)
def content_page(url: str) -> str:
    """The page for the absolute address of a frame; "" where none is known.

    Of the address only what names the content is in it: nothing that a page may have added about
    its visitor.
    """
    if len(url) > _MAX_URL:
        return ""
    try:
        parts = urlsplit(url)
        host = (parts.hostname or "").rstrip(".")
        query = parse_qs(parts.query)
    except ValueError:
        return ""
    if parts.scheme not in {"http", "https"}:
        return ""
    for hosts, paths, page in _COMPILED:
        at, found = hosts.fullmatch(host), paths.fullmatch(parts.path or "/")
        if at is not None and found is not None and (filled := _filled(page, at, found, query)):
            return filled
    return ""


def _filled(
    page: str, host: re.Match[str], path: re.Match[str], query: dict[str, list[str]]
) -> str:
    """The page with its slots filled; "" where the address lacks one of the values."""
    missing = False

    def value(slot: re.Match[str]) -> str:
        nonlocal missing
        name = slot[1]
        if name.isdigit():
            found = path[int(name)] if name != "0" else host[1]
        else:
            found = _of_query(name, query)
        missing = missing or not found
        return found if name.isdigit() else quote(found, safe="")

    filled = _SLOT.sub(value, page)
    return "" if missing else filled


def _of_query(name: str, query: dict[str, list[str]]) -> str:
    number = name[-1] if name[-1].isdigit() else ""
    found = query.get(name.removesuffix(number), [""])[0]
    if number:
        values = found.split(",")
        found = values[int(number)] if len(values) == 2 else ""
        if not re.fullmatch(r"-?[0-9]{1,3}(?:\.[0-9]{1,12})?", found):
            return ""
    return found if len(found) <= _MAX_VALUE else ""
