"""The site: it sends each trick's page exactly as the row says, headers and bytes alike.

A web framework would put right what a trick needs wrong, hence the plain sockets.
"""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import zlib
from collections import Counter
from collections.abc import Mapping
from http import HTTPStatus

import brotli
import zstandard

from e2e.tricks.signed_exchange import signed_exchange
from e2e.tricks.table import Served

_TYPES = {
    "css": "text/css", "js": "text/javascript", "mjs": "text/javascript", "gif": "image/gif",
    "html": "text/html; charset=utf-8", "svg": "image/svg+xml", "json": "application/json",
    "xml": "application/xml", "xsl": "application/xml", "webmanifest": "application/manifest+json",
    "vtt": "text/vtt", "rules": "application/speculationrules+json",
    "m3u8": "application/vnd.apple.mpegurl", "sxg": "application/signed-exchange;v=b3",
}  # fmt: skip
_PIXEL = b"GIF89a\x01\x00\x01\x00\x00\x00\x00;"


def _raw_deflate(body: bytes) -> bytes:
    made = zlib.compressobj(wbits=-15)
    return made.compress(body) + made.flush()


_CODINGS = {
    "gzip": ("gzip", gzip.compress),
    "x-gzip": ("x-gzip", gzip.compress),
    "upper-case gzip": ("GZIP", gzip.compress),
    "deflate": ("deflate", zlib.compress),
    "raw deflate": ("deflate", _raw_deflate),
    "br": ("br", brotli.compress),
    "zstd": ("zstd", zstandard.ZstdCompressor().compress),
    # Two members, one after the other, are one body (RFC 1952, 2.2).
    "gzip in two members": ("gzip", lambda b: gzip.compress(b[:40]) + gzip.compress(b[40:])),
    "gzip and more": ("gzip", lambda b: gzip.compress(b) + b"\0\0more"),
    "identity": ("identity", bytes),
}


def encoded_page(served: Served) -> tuple[list[str], bytes]:
    """The header lines and the body of a trick's page."""
    trick = served.trick
    document = served.document
    if trick.pad:
        document = f"<!--{'.' * trick.pad}-->{document}"
    body = document.encode(trick.encoding)
    lines = list(served.headers)
    for coding in trick.codings:
        body = _CODINGS[coding][1](body)
    if trick.codings:
        lines.append("Content-Encoding: " + ", ".join(_CODINGS[c][0] for c in trick.codings))
    names = [line.partition(":")[0].lower() for line in lines]
    if "content-type" not in names:
        lines.append("Content-Type: text/html; charset=utf-8")
    return [line for line in lines if line.lower().rstrip() != "content-type:"], body


class Origin:
    """Answers at `/<key>/` with the page and at `/<key>/<name>` with the files of `served[key]`."""

    def __init__(self) -> None:
        self.served: dict[str, Served] = {}
        self.own: Counter[str] = Counter()
        """How often the image of the site's own that most pages carry was asked for, by key."""
        self.port = 0
        self._server: asyncio.Server | None = None

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._answer, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]

    def stop(self) -> None:
        if self._server is not None:
            self._server.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
                method, target, *_ = head.split(" ", 2)
                for line in head.split("\r\n"):
                    if line.lower().startswith("content-length:"):
                        await reader.readexactly(int(line.partition(":")[2]))
                status, lines, body = self._reply(target.partition("?")[0])
                phrase = HTTPStatus(status).phrase
                top = [f"HTTP/1.1 {status} {phrase}", *lines, f"Content-Length: {len(body)}"]
                writer.write("\r\n".join((*top, "", "")).encode("latin-1"))
                writer.write(b"" if method == "HEAD" else body)
                await writer.drain()
        writer.close()

    def _reply(self, path: str) -> tuple[int, list[str], bytes]:
        key, _, name = path.removeprefix("/").partition("/")
        served = self.served.get(key)
        if served is None:
            return 404, ["Content-Type: text/plain"], b"no such trick"
        if not name:
            lines, body = encoded_page(served)
            return served.trick.status, lines, body
        if name == "own.gif":
            self.own[key] += 1
            return 200, ["Content-Type: image/gif", "Cache-Control: no-store"], _PIXEL
        return _file(name, served.files)


def _file(name: str, files: Mapping[str, str]) -> tuple[int, list[str], bytes]:
    text = files.get(name)
    if text is None:
        return 404, ["Content-Type: text/plain"], b"no such file"
    if text.startswith("=>"):
        status, _, url = text.removeprefix("=>").partition(" ")
        # Without a type, so that no page of ours can come of the answer.
        return int(status), [f"Location: {url}", "Content-Type: text/plain"], b""
    kind = _TYPES[name.rpartition(".")[2]]
    lines = [f"Content-Type: {kind}", "Cache-Control: no-store"]
    if kind.startswith("application/signed-exchange"):
        return 200, [*lines, "X-Content-Type-Options: nosniff"], signed_exchange(text)
    return 200, lines, text.encode()
