"""What caches in front of us, such as a CDN, may keep: nothing that differs by visitor."""

from __future__ import annotations

from aiohttp import hdrs
from multidict import CIMultiDict

_SHARED = ("public", "s-maxage", "proxy-revalidate", "private")
# Fields that win over Cache-Control in the caches that they are for: CDN-Cache-Control and all that
# are made after it (RFC 9213), and older ones.
_TARGETED = ("surrogate-control", "edge-control", "x-accel-expires")
_TARGETED_ALL = "-cache-control"
_DEPENDS_ON = (hdrs.COOKIE, "Sec-GPC")


def make_private(headers: CIMultiDict[str]) -> None:
    """Let an answer that differs by visitor be kept by this visitor's own browser only, and there
    for as long as the origin says.
    """
    given = ",".join(headers.popall(hdrs.CACHE_CONTROL, ())).split(",")
    kept = [
        directive
        for directive in map(str.strip, given)
        if directive and directive.partition("=")[0].strip().lower() not in _SHARED
    ]
    headers[hdrs.CACHE_CONTROL] = ", ".join(["private", *kept])
    remove_cdn_directives(headers)
    vary(headers, *_DEPENDS_ON)


def remove_cdn_directives(headers: CIMultiDict[str]) -> None:
    """Take out what the origin tells single caches: it would overrule our Cache-Control there."""
    for name in {name for name in headers if name.lower().endswith(_TARGETED_ALL)}:
        headers.popall(name, None)
    for name in _TARGETED:
        headers.popall(name, None)


def vary(headers: CIMultiDict[str], *names: str) -> None:
    """Add names to `Vary`."""
    present = [v.strip() for value in headers.popall(hdrs.VARY, []) for v in value.split(",")]
    lowered = {v.lower() for v in present}
    present += [name for name in names if name.lower() not in lowered]
    headers[hdrs.VARY] = ", ".join(v for v in present if v)
