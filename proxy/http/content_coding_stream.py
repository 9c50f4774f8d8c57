"""Content codings of a streamed body, chunk by chunk.

`proxy.http.content_coding` does the same for whole bodies, and documents the formats.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator
from typing import Protocol

import brotli
import zstandard

from proxy.http.content_coding import CodingError, codings_in

_MAX_OUT = 256 * 1024
"""Maximum bytes of one part. A few coded bytes may decode to a thousand times as many."""
_ZSTD_IN = 256
"""A zstd decoder gives all that its input stands for at once: it is fed in small chunks, of which
each may hold so many blocks of 128 KB as it has times three bytes (RFC 8878, 3.1.1.2)."""
_WINDOW_BITS = 18
"""256 KB of memory for what the encoders look back on, per visitor: by default it is megabytes."""


class _Decoder(Protocol):
    def feed(self, data: bytes) -> Iterator[bytes]: ...
    def end(self) -> None: ...


class StreamDecoder:
    """Decodes the codings of a Content-Encoding header. Raises CodingError for malformed bytes."""

    def __init__(self, content_encoding: str) -> None:
        self._steps: list[_Decoder] = [
            _DECODERS[name]() for name in reversed(codings_in(content_encoding))
        ]

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Decode some bytes, in parts of a bounded size."""
        yield from self._decode_from(data, 0)

    def end(self) -> None:
        """The body is complete. Raises CodingError where the coded bytes are truncated."""
        for step in self._steps:
            step.end()

    def _decode_from(self, data: bytes, at: int) -> Iterator[bytes]:
        if at == len(self._steps):
            if data:
                yield data
            return
        try:
            for part in self._steps[at].feed(data):
                yield from self._decode_from(part, at + 1)
        except (zlib.error, brotli.error, zstandard.ZstdError) as error:
            raise CodingError(f"broken body: {error}") from error


class _Gunzip:
    """A gzip body may have several members; other trailing bytes are ignored."""

    def __init__(self) -> None:
        self._member = zlib.decompressobj(zlib.MAX_WBITS | 16)
        self._at_end = False
        self._begun = False
        self._between = b""

    def feed(self, data: bytes) -> Iterator[bytes]:
        while data and not self._at_end:
            if self._member.eof:
                data, self._between = self._between + data, b""
                if len(data) < 2 and b"\x1f\x8b".startswith(data):
                    self._between = data
                    return
                if not data.startswith(b"\x1f\x8b"):
                    self._at_end = True
                    return
                self._member = zlib.decompressobj(zlib.MAX_WBITS | 16)
            self._begun = True
            yield from _inflated(self._member, data)
            data = self._member.unused_data

    def end(self) -> None:
        if self._begun and not self._member.eof:
            raise CodingError("the gzip body ends too early")


def _inflated(stream: zlib._Decompress, data: bytes) -> Iterator[bytes]:
    part = stream.decompress(data, _MAX_OUT)
    yield part
    while not stream.eof and (stream.unconsumed_tail or len(part) == _MAX_OUT):
        part = stream.decompress(stream.unconsumed_tail, _MAX_OUT)
        yield part


class _Inflate:
    """ "deflate" is zlib's format; some servers send it raw, and browsers accept that."""

    def __init__(self) -> None:
        self._stream: zlib._Decompress | None = None
        self._start = b""

    def feed(self, data: bytes) -> Iterator[bytes]:
        if self._stream is None:
            self._start += data
            if len(self._start) < 2:
                return
            data = self._start
            wbits = zlib.MAX_WBITS if _is_zlib(data) else -zlib.MAX_WBITS
            self._stream = zlib.decompressobj(wbits)
        if not self._stream.eof:
            yield from _inflated(self._stream, data)

    def end(self) -> None:
        if self._start and (self._stream is None or not self._stream.eof):
            raise CodingError("the deflate body ends too early")


def _is_zlib(data: bytes) -> bool:
    """RFC 1950, 2.2: the method is 8, and the first two bytes are a multiple of 31."""
    return data[0] & 0x0F == 8 and (data[0] << 8 | data[1]) % 31 == 0


class _Unbrotli:
    def __init__(self) -> None:
        self._stream = brotli.Decompressor()
        self._begun = False

    def feed(self, data: bytes) -> Iterator[bytes]:
        self._begun = self._begun or bool(data)
        if self._stream.is_finished():
            return
        part = self._stream.process(data, output_buffer_limit=_MAX_OUT)
        while part:
            yield part
            # It may hold back output although it would accept more.
            if self._stream.is_finished() or len(part) < _MAX_OUT:
                return
            part = self._stream.process(b"", output_buffer_limit=_MAX_OUT)

    def end(self) -> None:
        if self._begun and not self._stream.is_finished():
            raise CodingError("the br body ends too early")


class _Unzstd:
    def __init__(self) -> None:
        self._decompressor = zstandard.ZstdDecompressor(max_window_size=2**23)
        self._frame = self._decompressor.decompressobj()
        self._begun = False

    def feed(self, data: bytes) -> Iterator[bytes]:
        while data:
            chunk, data = data[:_ZSTD_IN], data[_ZSTD_IN:]
            while chunk:
                if self._frame.eof:
                    self._frame = self._decompressor.decompressobj()
                self._begun = True
                yield self._frame.decompress(chunk)
                chunk = self._frame.unused_data if self._frame.eof else b""

    def end(self) -> None:
        if self._begun and not self._frame.eof:
            raise CodingError("the zstd body ends too early")


_DECODERS: dict[str, Callable[[], _Decoder]] = {
    "gzip": _Gunzip,
    "deflate": _Inflate,
    "br": _Unbrotli,
    "zstd": _Unzstd,
}


class StreamEncoder:
    """Encodes with a coding that `negotiated` returns; "" leaves the bytes as they are.

    Each chunk is flushed: the visitor can decode everything sent so far.
    """

    def __init__(self, coding: str) -> None:
        self._chunk: Callable[[bytes], bytes]
        self._end: Callable[[], bytes]
        match coding:
            case "gzip":
                deflate = zlib.compressobj(2, zlib.DEFLATED, zlib.MAX_WBITS | 16)
                self._chunk = lambda d: deflate.compress(d) + deflate.flush(zlib.Z_SYNC_FLUSH)
                self._end = deflate.flush
            case "br":
                br = brotli.Compressor(quality=4, lgwin=_WINDOW_BITS)
                self._chunk = lambda d: br.process(d) + br.flush()
                self._end = br.finish
            case "zstd":
                parameters = zstandard.ZstdCompressionParameters.from_level(
                    3, window_log=_WINDOW_BITS
                )
                zstd = zstandard.ZstdCompressor(compression_params=parameters).compressobj()
                block = zstandard.COMPRESSOBJ_FLUSH_BLOCK
                self._chunk = lambda d: zstd.compress(d) + zstd.flush(block)
                self._end = zstd.flush
            case _:
                self._chunk = bytes
                self._end = bytes

    def chunk(self, data: bytes) -> bytes:
        return self._chunk(data)

    def end(self) -> bytes:
        return self._end()
