"""Content codings: decode the upstream's body, encode the visitor's.

RFC 9110, 8.4 and 12.5.3; `br` RFC 7932, `zstd` RFC 8878.
"""

from __future__ import annotations

import io
import zlib
from collections.abc import Callable
from functools import lru_cache, partial
from typing import Any, cast

import brotli
import zstandard

from proxy.http.quality import weighted

_fast_inflate: Callable[[int], Any]
try:
    from isal.isal_zlib import compress as _fast_deflate
    from isal.isal_zlib import decompressobj as _fast_inflate
    from isal.isal_zlib import error as _isal_error

    _FAST_ERROR = cast("type[Exception]", _isal_error)  # its stubs say that it is an instance
except ImportError:  # a platform without it: the same format, slower
    from zlib import compress as _fast_deflate
    from zlib import decompressobj as _fast_inflate

    _FAST_ERROR = zlib.error

UPSTREAM_CODINGS = ("br", "gzip", "zstd", "deflate")
"""Codings that may be requested of an upstream: the proxy can decode all of them."""

_MAX_CODINGS = 2
_MAX_HEADER_LENGTH = 300


class CodingError(Exception):
    """A body that cannot be decoded: unknown coding, broken, or larger than allowed."""


class TooLargeError(CodingError):
    """A body that is larger than allowed once it is decoded."""


def decoded(body: bytes, content_encoding: str, limit: int) -> bytes:
    """A body without its content codings. Raises CodingError, and TooLargeError past `limit`
    bytes.
    """
    for coding in reversed(codings_in(content_encoding)):
        undo = _DECODERS[coding]
        try:
            body = undo(body, limit)
        except (zlib.error, brotli.error, zstandard.ZstdError, EOFError, OSError) as error:
            raise CodingError(f"broken {coding} body: {error}") from error
        if len(body) > limit:
            raise TooLargeError(f"the decoded body is larger than {limit} bytes")
    return body


def codings_in(content_encoding: str) -> list[str]:
    """The codings of a Content-Encoding header, in the order in which they were applied: "gzip",
    "deflate", "br", "zstd". Empty where one is unknown, as in browsers. Raises CodingError where
    there are too many.
    """
    codings = [c.strip().lower().removeprefix("x-") for c in content_encoding.split(",")]
    codings = [c for c in codings if c and c != "identity"]
    if any(coding not in _DECODERS for coding in codings):
        return []
    if len(codings) > _MAX_CODINGS:
        raise CodingError(f"too many content codings: {content_encoding!r}")
    return codings


_GZIP_MAGIC = b"\x1f\x8b"
_PLAIN_GZIP = b"\x1f\x8b\x08\0"
"""How a member without optional header fields begins (RFC 1952, 2.3): what servers send."""


def _inflate(body: bytes, limit: int, wbits: int) -> bytes:
    parts: list[bytes] = []
    size = 0
    while body:
        stream = zlib.decompressobj(wbits)
        part = stream.decompress(body, limit + 1 - size)
        parts.append(part)
        size += len(part)
        if size > limit:
            break
        if not stream.eof:
            raise EOFError("the stream ends too early")
        # A gzip body may consist of several members (RFC 1952, 2.2). Browsers ignore whatever else
        # follows one.
        body = stream.unused_data
        if not body.startswith(_GZIP_MAGIC) or wbits <= zlib.MAX_WBITS:
            break
    return b"".join(parts)


def _gunzip(body: bytes, limit: int) -> bytes:
    if body.startswith(_PLAIN_GZIP):
        quickly = _one_plain_member(body, limit)
        if quickly is not None:
            return quickly
    return _inflate(body, limit, zlib.MAX_WBITS | 16)


def _one_plain_member(body: bytes, limit: int) -> bytes | None:
    """The content of a whole member with nothing behind it: in a third of zlib's time, and with its
    checksum verified. None for all else, which zlib judges.
    """
    stream = _fast_inflate(zlib.MAX_WBITS | 16)
    try:
        content: bytes = stream.decompress(body, limit + 1)
    except _FAST_ERROR:
        return None
    whole = stream.eof and not stream.unused_data and len(content) <= limit
    return content if whole else None


def _deflate(body: bytes, limit: int) -> bytes:
    # "deflate" is zlib's format; some servers send it raw, and browsers accept that.
    try:
        return _inflate(body, limit, zlib.MAX_WBITS)
    except zlib.error:
        return _inflate(body, limit, -zlib.MAX_WBITS)


def _unbrotli(body: bytes, limit: int) -> bytes:
    if not body:
        return body
    stream = brotli.Decompressor()
    parts = [stream.process(body, output_buffer_limit=limit + 1)]
    size = len(parts[0])
    while not stream.is_finished() and size <= limit:
        part = stream.process(b"", output_buffer_limit=limit + 1 - size)
        if not part:
            raise EOFError("the stream ends too early")
        parts.append(part)
        size += len(part)
    return b"".join(parts)


def _unzstd(body: bytes, limit: int) -> bytes:
    decompressor = zstandard.ZstdDecompressor(max_window_size=2**27)
    reader = decompressor.stream_reader(io.BytesIO(body), read_across_frames=True)
    result = reader.read(limit + 1)
    # The reader limits the size but accepts a truncated frame; the decompressor object reports it.
    if len(result) <= limit:
        rest = body
        while rest:
            frame = decompressor.decompressobj()
            frame.decompress(rest)
            if not frame.eof:
                raise EOFError("the stream ends too early")
            rest = frame.unused_data
    return result


_DECODERS: dict[str, Callable[[bytes, int], bytes]] = {
    "gzip": _gunzip,
    "deflate": _deflate,
    "br": _unbrotli,
    "zstd": _unzstd,
}


def _gzip(body: bytes) -> bytes:
    return _fast_deflate(body, level=2, wbits=zlib.MAX_WBITS | 16)


def _brotli(body: bytes) -> bytes:
    compressed: bytes = brotli.compress(body, quality=4)
    return compressed


def _zstd(body: bytes) -> bytes:
    return zstandard.ZstdCompressor(level=3).compress(body)


_ENCODERS: dict[str, Callable[[bytes], bytes]] = {"zstd": _zstd, "br": _brotli, "gzip": _gzip}
"""In the order of preference: smaller for the same time first."""

_WORTH_IT = 860
"""Bytes. Below, compression saves no packet."""


_QUICK: dict[str, Callable[[bytes], bytes]] = {
    "zstd": lambda body: zstandard.ZstdCompressor(level=1).compress(body),
    "br": partial(brotli.compress, quality=1),
}
"""For what may be sent once: of a page of 100 KB in a quarter (br) or three quarters (zstd) of the
time, an eighth or a twentieth larger. gzip is at its quickest already."""


def encoded(body: bytes, coding: str, *, quickly: bool = False) -> bytes:
    """A body in one of the codings that `negotiated` returns. `quickly` is for what may be sent
    once.
    """
    if not coding:
        return body
    return (_QUICK.get(coding, _ENCODERS[coding]) if quickly else _ENCODERS[coding])(body)


def worth_encoding(body: bytes) -> bool:
    """Whether compressing a body of this size pays."""
    return len(body) >= _WORTH_IT


def negotiated(accept_encoding: str) -> str:
    """The coding for an Accept-Encoding header: "zstd", "br", "gzip", or "" for none."""
    # A longer one is no browser's, and nothing to keep.
    return _negotiated(accept_encoding) if len(accept_encoding) <= _MAX_HEADER_LENGTH else ""


@lru_cache(maxsize=256)
def _negotiated(accept_encoding: str) -> str:
    weights = _weights(accept_encoding)
    best, best_weight = "", 0.0
    for coding in _ENCODERS:
        weight = weights.get(coding, weights.get("*", 0.0))
        if weight > best_weight:
            best, best_weight = coding, weight
    return best


def upstream_accept_encoding(accept_encoding: str) -> str:
    """The visitor's Accept-Encoding, limited to the codings that the proxy can decode."""
    return _asked(accept_encoding) if len(accept_encoding) <= _MAX_HEADER_LENGTH else "identity"


@lru_cache(maxsize=256)
def _asked(accept_encoding: str) -> str:
    weights = _weights(accept_encoding)
    shared = [c for c in UPSTREAM_CODINGS if weights.get(c, weights.get("*", 0.0)) > 0]
    return ", ".join(shared) or "identity"


def _weights(accept_encoding: str) -> dict[str, float]:
    # "x-gzip" is "gzip" (RFC 9110, 8.4.1.3).
    return {coding.removeprefix("x-"): weight for coding, weight in weighted(accept_encoding)}
