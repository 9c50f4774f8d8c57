"""URLs as browsers read them (WHATWG URL Standard, https://url.spec.whatwg.org/).

Most URLs on a page are plain: a regular expression that admits only what needs no
normalisation answers those in under a microsecond. Everything else goes to Ada, the parser
that Node uses.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from urllib.parse import unquote

import ada_url

from consent_rules.lazy_pattern import lazy_pattern

_NETWORK_SCHEMES = frozenset({"http", "https", "ws", "wss", "ftp"})

# Leading and trailing C0 controls and spaces are not part of a URL; tabs and newlines anywhere
# in it are dropped (URL Standard, 4.4).
_STRIPPED = "".join(map(chr, range(0x21)))
_DROPPED = str.maketrans("", "", "\t\n\r")

# A lower-case name whose last label starts with a letter (so it is no IPv4 address), a path
# with nothing to decode, no parameters and no dot segments: what the parser would return
# unchanged. Punycode it checks, so names with it are left to it.
_PATH = r"(?:/[A-Za-z0-9_~!$&'()*+,=:@-][A-Za-z0-9_~!$&'()*+,=:@.-]*)"
_PLAIN_ABSOLUTE = lazy_pattern(
    r"(?:(https?):)?//(?![^/?#]*xn--)"
    r"((?:[a-z0-9](?:[a-z0-9_-]*[a-z0-9])?\.)+[a-z](?:[a-z0-9-]*[a-z0-9])?|localhost)"
    rf"(?::([1-9][0-9]{{0,3}}))?(?=[/?#]|\Z)({_PATH}*/?)(?:[?#]|\Z)"
)
_PLAIN_ROOTED = lazy_pattern(rf"({_PATH}+/?)(?:[?#]|\Z)")
_PARAMETERS = lazy_pattern(r";[^/]*")  # of a segment: `/patients;v=1/list` (RFC 3986, 3.3)
# All at once: a page or a report may nest thousands.
_WRAPPERS = lazy_pattern(r"[\x00-\x20]*(?:(?:filesystem|view-source):[\x00-\x20]*)+", re.IGNORECASE)
_SCHEME = lazy_pattern(r"([A-Za-z][A-Za-z0-9+.-]*):")
_DEFAULT_PORT = {"http": 80, "https": 443, "ws": 80, "wss": 443, "ftp": 21}

MAX_HOST_LENGTH = 253
MAX_LABEL_LENGTH = 63
"""Characters, without the final dot: the DNS has no longer ones (RFC 1035, 2.3.4)."""
_MAX_AUTHORITY = 1024
"""Characters of a host, each of them percent-encoded, and a port."""
_MAX_REMEMBERED = 2048
"""Characters of a URL and its base that are cached: pages contain megabytes in `data:` and tokens,
and anybody may send them.
"""


@dataclass(frozen=True, slots=True)
class ResolvedUrl:
    """A resolved URL: lower-case ASCII host without a trailing dot, port, decoded path.

    `port` is None for the scheme's default. `path` starts with `/`, has no query, no dot segments
    and no percent-encoded ASCII: it is for matching, never for requests. `host` is "" where a
    browser would find no host (the URL is invalid).
    """

    scheme: str
    host: str
    port: int | None
    path: str


BROKEN = ResolvedUrl("", "", None, "/")
"""A URL with a network scheme that cannot be parsed: no known browser requests it."""


def host_of_authority(authority: str) -> str:
    """The normalised host of `host[:port]` as a Host header or config has it; "" if invalid."""
    return _known_host(authority) if len(authority) <= _MAX_AUTHORITY else ""


@lru_cache(maxsize=1024)
def _known_host(authority: str) -> str:
    target = resolve(f"http://{authority}/", None)
    return target.host if target else ""


def strip_url(url: str) -> str:
    """The URL without what the parser ignores."""
    return url.strip(_STRIPPED).translate(_DROPPED)


def resolve(url: str, base: str | None) -> ResolvedUrl | None:
    """Resolve `url` against `base` (an absolute URL, or None).

    Returns None where no network request follows: an empty reference, `data:`, `blob:`, `about:`,
    `javascript:`, `mailto:` and other such schemes. A fragment, and what the parser strips, is
    `base` itself (URL Standard, 4.4), which browsers request where it is not the page.
    """
    plain = _PLAIN_ABSOLUTE.match(url)
    if plain is not None and is_dns_name(plain[2]):
        scheme, host, port, path = plain.groups()
        if scheme is None:
            scheme = _scheme_of(base)
        number = int(port) if port else None
        if number == _DEFAULT_PORT[scheme]:
            number = None
        return ResolvedUrl(scheme, host, number, path or "/")
    if base is not None and (rooted := _PLAIN_ROOTED.match(url)) is not None:
        scheme, host, number = origin_of(base)
        return ResolvedUrl(scheme, host, number, rooted[1])
    return _resolve_fully(url, base)


def is_dns_name(host: str) -> bool:
    """Whether a name may be in the DNS. Any other counts as invalid."""
    if len(host) <= MAX_LABEL_LENGTH:
        return True
    return len(host) <= MAX_HOST_LENGTH and max(map(len, host.split("."))) <= MAX_LABEL_LENGTH


def schemeless(url: str, base: str) -> str:
    """Host, path and query of a URL, as a browser writes them: a page may name a file by either
    scheme. "" for one that is invalid.
    """
    try:
        href = ada_url.URL(url, base=base).href
    except ValueError:
        return ""
    return href.partition("#")[0].partition("//")[2]


def request_target(url: str, base: str | None) -> str:
    """The path and query of a browser's request for a URL; "/" where there is none."""
    wrapped = _WRAPPERS.match(strip_url(url))
    if wrapped is not None:
        url, base = strip_url(url)[wrapped.end() :], None
    try:
        parsed = ada_url.URL(url, base=base) if base else ada_url.URL(url)
    except ValueError:
        return "/"
    return f"{parsed.pathname}{parsed.search}"


def _resolve_fully(url: str, base: str | None) -> ResolvedUrl | None:
    if len(url) + len(base or "") <= _MAX_REMEMBERED:
        return _remembered(url, base)
    return _parse(url, base)


def _parse(url: str, base: str | None) -> ResolvedUrl | None:
    if not url:
        return None
    url = strip_url(url)
    wrapped = _WRAPPERS.match(url)
    if wrapped is not None:  # the wrapped URL has the owner
        url, base = url[wrapped.end() :], None
    if base is None and (not url or url[0] == "#"):
        return None
    scheme = _SCHEME.match(url)
    if scheme is not None and scheme[1].lower() not in _NETWORK_SCHEMES:
        return None
    try:
        parsed = ada_url.URL(url, base=base) if base else ada_url.URL(url)
        return _target_of(parsed)
    except ValueError:
        return BROKEN


_remembered = lru_cache(maxsize=4096)(_parse)


def _target_of(parsed: ada_url.URL) -> ResolvedUrl | None:
    scheme = parsed.protocol[:-1]
    if scheme not in _NETWORK_SCHEMES:
        return None
    port = int(parsed.port) if parsed.port else None
    host = parsed.hostname.rstrip(".")
    if not is_dns_name(host):
        return BROKEN
    return ResolvedUrl(scheme, host, port, normal_path(parsed.pathname))


def normal_path(path: str) -> str:
    """A path for matching: percent-decoded, slashes merged, no dot segments, no parameters.

    Servers differ in how they read `/%70atients`, `//patients` and `/x/../patients`; the rules must
    hold for every reading.
    """
    decoded = unquote(path, errors="replace") if "%" in path else path
    if "%" in decoded:  # some servers decode twice
        decoded = unquote(decoded, errors="replace")
    decoded = decoded.replace("\\", "/")
    if ";" in decoded:
        decoded = _PARAMETERS.sub("", decoded)
    if decoded.startswith("/") and "//" not in decoded and "/." not in decoded:
        return decoded
    segments_left: list[str] = []
    segments = decoded.split("/")
    for segment in segments:
        if segment == "..":
            if segments_left:
                segments_left.pop()
        elif segment not in {"", "."}:
            segments_left.append(segment)
    tail = "/" if segments[-1] in {"", ".", ".."} and segments_left else ""
    return "/" + "/".join(segments_left) + tail


def origin_of(base: str) -> tuple[str, str, int | None]:
    """Scheme, host and port of a URL; the port is None for the scheme's default."""
    return _known_origin(base) if len(base) <= _MAX_REMEMBERED else _find_origin(base)


def _find_origin(base: str) -> tuple[str, str, int | None]:
    target = _resolve_fully(base, None)
    if target is None:
        return ("https", "", None)
    return (target.scheme, target.host, target.port)


_known_origin = lru_cache(maxsize=1024)(_find_origin)


def _scheme_of(base: str | None) -> str:
    if base is None:
        return "https"
    scheme = origin_of(base)[0]
    return scheme if scheme in _DEFAULT_PORT else "https"
