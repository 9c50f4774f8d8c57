"""Libraries: files of other hosts that the site serves itself, each pinned by its hash.

A library's own address names the file by its first one (host, path and query), so that a relative
URL in a style sheet or script leads to the library beside it, and its bytes need no change. In
front stands a digest of the whole list: any change of the list gives every library a new address,
so that browsers may keep one for ever.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from posixpath import splitext

from consent_rules.matching.urls import schemeless

_FOLDER = "/lib/"
_BY_SUFFIX = {
    ".js": "text/javascript", ".mjs": "text/javascript", ".css": "text/css",
    ".json": "application/json", ".wasm": "application/wasm",
    ".woff2": "font/woff2", ".woff": "font/woff", ".ttf": "font/ttf", ".otf": "font/otf",
    ".eot": "application/vnd.ms-fontobject", ".svg": "image/svg+xml", ".png": "image/png",
    ".gif": "image/gif", ".jpg": "image/jpeg", ".jpeg": "image/jpeg", ".webp": "image/webp",
    ".avif": "image/avif",
}  # fmt: skip
LIBRARY_TYPES = frozenset(_BY_SUFFIX.values())
"""The media types that a library may have: none that a browser shows as a page of the site's."""

PUBLIC_HOSTS = frozenset(
    {
        "cdnjs.cloudflare.com", "cdn.jsdelivr.net", "fastly.jsdelivr.net", "unpkg.com", "esm.sh",
        "code.jquery.com", "maxcdn.bootstrapcdn.com", "stackpath.bootstrapcdn.com",
        "netdna.bootstrapcdn.com", "oss.maxcdn.com", "ajax.aspnetcdn.com", "cdn.staticfile.org",
        "lib.baomitu.com", "cdn.skypack.dev", "ga.jspm.io", "use.fontawesome.com", "rsms.me",
    }
)  # fmt: skip
"""Hosts of published libraries, whose scripts are the same for everybody."""


@dataclass(frozen=True, slots=True)
class Library:
    """A file of another host. `key` is its address without the scheme, `integrity` one hash as in
    an integrity attribute, `media_type` one of `LIBRARY_TYPES`.
    """

    key: str
    integrity: str
    media_type: str

    @property
    def host(self) -> str:
        """The host that it is of, without a port."""
        return self.key.partition("/")[0].partition(":")[0]

    @property
    def is_sheet(self) -> bool:
        return self.media_type == "text/css"


@dataclass(frozen=True, slots=True)
class Libraries:
    """The libraries of a config. `folder` is the path below which they are served; `changed` are
    the integrities of those that are not served as they came, by key; `hosts` are all their hosts.
    """

    by_key: Mapping[str, Library] = field(default_factory=dict)
    folder: str = ""
    digest: str = ""
    changed: Mapping[str, str] = field(default_factory=dict)
    hosts: frozenset[str] = field(init=False, default=frozenset())

    def __post_init__(self) -> None:
        hosts = frozenset(one.host for one in self.by_key.values())
        object.__setattr__(self, "hosts", hosts)

    def __bool__(self) -> bool:
        return bool(self.by_key)

    def own_address(self, url: str, base: str) -> str:
        """Where the site serves what a URL names; "" where that is no library."""
        key = schemeless(url, base)
        return self.address_of(key) if key in self.by_key else ""

    def address_of(self, key: str) -> str:
        """The path and query of a library's own address."""
        return f"{self.folder}{self.digest}/{key}"

    def requested(self, target: str) -> tuple[str, bool]:
        """What a request's target (path and query) names: a key, "" for none, and whether the
        target has the digest of this very list.
        """
        digest, _, key = target.removeprefix(self.folder).partition("/")
        if key not in self.by_key:
            key = key.removesuffix("?")
        return (key if key in self.by_key else ""), digest == self.digest


NO_LIBRARIES = Libraries()


def libraries_of(
    files: Iterable[tuple[str, str, str]], prefix: str, changed: Mapping[str, str] | None = None
) -> Libraries:
    """From the URL, the integrity and the media type ("" for that of its name) of each; `prefix` is
    that of the proxy's endpoints.
    """
    found = {
        key: Library(key, integrity, library_type(url, media_type))
        for url, integrity, media_type in files
        if (key := schemeless(url, url))
    }
    if not found:
        return NO_LIBRARIES
    listed = sorted((one.key, one.integrity, one.media_type) for one in found.values())
    digest = hashlib.blake2b(repr(listed).encode(), digest_size=6).hexdigest()
    return Libraries(found, f"{prefix}{_FOLDER}", digest, changed or {})


def library_type(url: str, media_type: str = "") -> str:
    """The media type of a library, as it is given or by the name in its address; "" where neither
    tells.
    """
    path = schemeless(url, url).partition("?")[0]
    return media_type or _BY_SUFFIX.get(splitext(path)[1].lower(), "")
