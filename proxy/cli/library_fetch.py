"""Fetch a library, once, for the operator: without cookies and without anything of a visitor."""

from __future__ import annotations

import http.client
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import ada_url

from consent_rules.matching.libraries import LIBRARY_TYPES
from proxy.html.css import css_urls
from proxy.libraries import MAX_LIBRARY_BYTES

_SECONDS = 30
_AS_A_BROWSER = {
    # Servers of fonts give each browser the formats that it knows: those of today's.
    "User-Agent": "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) "
    "Chrome/140.0.0.0 Safari/537.36",
    "Accept": "*/*",
    "Accept-Encoding": "identity",
}
_ALIASES = {
    "application/javascript": "text/javascript",
    "application/x-javascript": "text/javascript",
    "font/sfnt": "font/ttf",
}


class NotFetchedError(Exception):
    """A file cannot be had; the message names it and says why."""


@dataclass(frozen=True, slots=True)
class Fetched:
    """A file and its media type as its server tells it; "" for one that no library has."""

    url: str
    body: bytes
    media_type: str


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """Where it leads is another address, to which relative URLs in it are relative."""

    def redirect_request(self, *_: Any) -> None:
        return None


def fetch(url: str) -> Fetched:
    """Get a file. Raises NotFetchedError."""
    if urlsplit(url).scheme not in {"http", "https"}:
        raise NotFetchedError(f"{url}: not a web address")
    message = urllib.request.Request(url, headers=_AS_A_BROWSER)  # noqa: S310 - checked above
    opener = urllib.request.build_opener(_NoRedirect)
    try:
        with opener.open(message, timeout=_SECONDS) as reply:
            body: bytes = reply.read(MAX_LIBRARY_BYTES + 1)
            media_type = reply.headers.get_content_type()
            missing = getattr(reply, "length", 0)
    except urllib.error.HTTPError as error:
        with error:
            raise NotFetchedError(_rejection(url, error)) from error
    except (OSError, ValueError, http.client.HTTPException) as error:
        raise NotFetchedError(
            f"{url}: no response ({error}). Where this machine may not ask it, save the file "
            "elsewhere and name it with --file"
        ) from error
    if len(body) > MAX_LIBRARY_BYTES:
        raise NotFetchedError(f"{url}: larger than {MAX_LIBRARY_BYTES:,} bytes")
    if missing:
        raise NotFetchedError(f"{url}: breaks off after {len(body)} bytes")
    media_type = _ALIASES.get(media_type, media_type)
    return Fetched(url, body, media_type if media_type in LIBRARY_TYPES else "")


def _rejection(url: str, error: urllib.error.HTTPError) -> str:
    there = error.headers.get("Location", "")
    if 300 <= error.code < 400 and there:
        return (
            f"{url}: leads on to {ada_url.URL(there, base=url).href}; have the pages name that "
            "address, and add it"
        )
    return f"{url}: answers {error.code}"


def named_in(sheet: Fetched) -> Iterator[str]:
    """The absolute addresses of what a style sheet names: fonts, pictures and other sheets."""
    for found in css_urls(sheet.body.decode("latin-1"), relative=True):
        try:
            url = ada_url.URL(found.url, base=sheet.url).href
        except ValueError:
            continue
        # A fragment alone names a part of the page.
        if url.startswith(("http:", "https:")) and not found.url.startswith("#"):
            yield url
