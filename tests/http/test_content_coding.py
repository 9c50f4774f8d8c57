"""Content codings, undone within bounds, and the one that a visitor gets."""

from __future__ import annotations

import gzip
import time
import zlib
from collections.abc import Callable

import brotli
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from proxy.http.content_coding import (
    CodingError,
    decoded,
    encoded,
    negotiated,
    upstream_accept_encoding,
)

LIMIT = 1_000_000


def raw_deflate(body: bytes) -> bytes:
    one = zlib.compressobj(wbits=-15)
    return one.compress(body) + one.flush()


def zstd_streamed(body: bytes) -> bytes:
    one = zstandard.ZstdCompressor().compressobj()
    return one.compress(body) + one.flush()


ENCODERS: dict[str, tuple[str, Callable[[bytes], bytes]]] = {
    "gzip": ("gzip", gzip.compress),
    "x-gzip": ("x-gzip", gzip.compress),
    "zlib": ("deflate", zlib.compress),
    "raw deflate": ("deflate", raw_deflate),
    "br": ("br", brotli.compress),
    "zstd": ("zstd", zstandard.compress),
    "zstd streamed": ("zstd", zstd_streamed),
    "identity": ("identity", bytes),
    "none": ("", bytes),
}
BODY = b"<p>page</p>" * 5000


@pytest.mark.parametrize(("coding", "encode"), ENCODERS.values(), ids=list(ENCODERS))
def test_round_trip(coding: str, encode: Callable[[bytes], bytes]) -> None:
    for body in (b"", b"x", BODY, bytes(range(256)) * 3000):
        assert decoded(encode(body), coding, LIMIT) == body


@pytest.mark.parametrize(("coding", "encode"), ENCODERS.values(), ids=list(ENCODERS))
def test_the_limit_is_exact(coding: str, encode: Callable[[bytes], bytes]) -> None:
    body = b"a" * 70_000
    assert decoded(encode(body), coding, 70_000) == body
    if coding not in {"", "identity"}:
        with pytest.raises(CodingError, match="larger than 69999 bytes"):
            decoded(encode(body), coding, 69_999)


@pytest.mark.parametrize("name", ["gzip", "zlib", "raw deflate", "br", "zstd", "zstd streamed"])
def test_cut_off(name: str) -> None:
    coding, encode = ENCODERS[name]
    whole = encode(BODY)
    for end in (1, len(whole) // 2, len(whole) - 1):
        with pytest.raises(CodingError):
            decoded(whole[:end], coding, LIMIT)


@pytest.mark.parametrize("coding", ["gzip", "deflate", "br", "zstd"])
@given(body=st.binary(min_size=1, max_size=80))
def test_garbage(coding: str, body: bytes) -> None:
    try:
        decoded(body, coding, 1000)
    except CodingError:
        return


@pytest.mark.parametrize("coding", ["gzip", "br", "zstd"])
def test_the_wrong_coding(coding: str) -> None:
    with pytest.raises(CodingError, match=f"broken {coding} body"):
        decoded(b"<!doctype html><title>x</title>", coding, LIMIT)


def test_several() -> None:
    assert decoded(brotli.compress(gzip.compress(BODY)), "gzip, br", LIMIT) == BODY
    assert decoded(gzip.compress(gzip.compress(BODY)), " GZIP ,identity, gzip", LIMIT) == BODY
    with pytest.raises(CodingError):
        decoded(brotli.compress(gzip.compress(BODY)), "br, gzip", LIMIT)
    with pytest.raises(CodingError, match="too many"):
        decoded(b"", "gzip, gzip, gzip", LIMIT)


def test_with_a_coding_that_nobody_knows_nothing_is_undone() -> None:
    assert decoded(BODY, "compress", LIMIT) == BODY
    twice = gzip.compress(BODY)
    assert decoded(twice, "gzip, utf-8", LIMIT) == twice


def test_members_frames_and_what_follows() -> None:
    assert decoded(gzip.compress(b"a") + gzip.compress(b"b"), "gzip", LIMIT) == b"ab"
    assert decoded(gzip.compress(BODY) + b"\0\0\0", "gzip", LIMIT) == BODY
    assert decoded(gzip.compress(BODY) + b"<!-- debug -->", "gzip", LIMIT) == BODY
    assert decoded(zstandard.compress(b"a") + zstandard.compress(b"b"), "zstd", LIMIT) == b"ab"


@pytest.mark.parametrize("name", ["gzip", "br", "zstd"])
def test_bombs(name: str) -> None:
    coding, encode = ENCODERS[name]
    zeros = bytes(60_000_000)
    bomb = brotli.compress(zeros, quality=1) if name == "br" else encode(zeros)
    begun = time.process_time()
    with pytest.raises(CodingError, match="larger"):
        decoded(bomb, coding, LIMIT)
    assert time.process_time() - begun < 1


@pytest.mark.parametrize("coding", ["gzip", "br", "zstd", ""])
def test_what_we_encode_is_decoded(coding: str) -> None:
    assert decoded(encoded(BODY, coding), coding, LIMIT) == BODY
    assert decoded(encoded(BODY, coding, quickly=True), coding, LIMIT) == BODY


@pytest.mark.parametrize(
    ("header", "coding"),
    [
        ("gzip, deflate, br, zstd", "zstd"),
        ("gzip, deflate, br", "br"),
        ("gzip", "gzip"),
        ("x-gzip", "gzip"),
        ("GZIP;q=1.0", "gzip"),
        ("deflate", ""),
        ("", ""),
        ("identity", ""),
        ("*", "zstd"),
        ("*;q=0", ""),
        ("zstd;q=0, *", "br"),
        ("br;q=0.5, gzip;q=0.8", "gzip"),
        ("gzip;q=0", ""),
        ("gzip;q=x", ""),
        ("gzip;q=nan", ""),
        ("gzip; q=0.1", "gzip"),
        (",,gzip,", "gzip"),
        ("gzip," * 200, ""),
    ],
)
def test_negotiated(header: str, coding: str) -> None:
    assert negotiated(header) == coding


@pytest.mark.parametrize(
    ("header", "asked"),
    [
        ("gzip, deflate, br, zstd, dcb, dcz", "br, gzip, zstd, deflate"),
        ("gzip", "gzip"),
        ("compress", "identity"),
        ("", "identity"),
        ("*", "br, gzip, zstd, deflate"),
        ("br;q=0, *", "gzip, zstd, deflate"),
        ("x" * 5000, "identity"),
    ],
)
def test_asked_of_upstream(header: str, asked: str) -> None:
    assert upstream_accept_encoding(header) == asked


def by_zlib_alone(body: bytes) -> bytes | None:
    """What RFC 1952 makes of a body by zlib; None where it is broken."""
    parts = []
    while True:
        stream = zlib.decompressobj(zlib.MAX_WBITS | 16)
        try:
            parts.append(stream.decompress(body))
        except zlib.error:
            return None
        if not stream.eof:
            return None
        body = stream.unused_data
        if not body.startswith(b"\x1f\x8b"):
            return b"".join(parts)


@st.composite
def written_gzip(draw: st.DrawFn) -> bytes:
    """A gzip body by any settings, and what may have happened to it."""
    plain = b"".join(draw(st.lists(st.sampled_from([b"<p>page</p>", b"a" * 300, b"\xff\0", b"z"]))))
    level, window = draw(st.sampled_from([0, 1, 6, 9])), draw(st.sampled_from([25, 31]))
    strategy = draw(st.sampled_from([zlib.Z_DEFAULT_STRATEGY, zlib.Z_HUFFMAN_ONLY, zlib.Z_FIXED]))
    stream = zlib.compressobj(level, zlib.DEFLATED, window, 9, strategy)
    body = bytearray(stream.compress(plain))
    if draw(st.booleans()):
        body += stream.flush(zlib.Z_FULL_FLUSH)
    body += stream.flush()
    if draw(st.booleans()):  # optional fields of the header, some of them reserved
        body[3] = draw(st.integers(0, 255))
        body[10:10] = draw(st.binary(max_size=12)) + b"\0"
    for _ in range(draw(st.integers(0, 2))):
        body[draw(st.integers(0, len(body) - 1))] ^= 1 << draw(st.integers(0, 7))
    cut = draw(st.one_of(st.just(len(body)), st.integers(0, len(body))))
    behind = draw(st.sampled_from([b"", b"", b"\0\0", b"<!-- -->", gzip.compress(b"b")]))
    return bytes(body[:cut]) + behind


@given(body=written_gzip())
def test_gzip_is_what_zlib_makes_of_it(body: bytes) -> None:
    """The faster library takes what is plain and whole; its result is zlib's."""
    expected = by_zlib_alone(body) if body else b""
    if expected is None:
        with pytest.raises(CodingError):
            decoded(body, "gzip", LIMIT)
    else:
        assert decoded(body, "gzip", LIMIT) == expected
