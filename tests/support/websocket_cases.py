"""What a WebSocket client may send, well-formed and not, as frames: the cases of the Autobahn test
suite by their sections, and RFC 6455 where they come from.
"""

from __future__ import annotations

import random
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass

TEXT, BINARY, CONTINUATION, CLOSE, PING, PONG = 1, 2, 0, 8, 9, 10
_MASK = b"\x12\x34\x56\x78"


@dataclass(frozen=True)
class Case:
    """The bytes that a client sends after the handshake, in pieces of `chop` bytes (0: at once)."""

    name: str
    sent: bytes
    chop: int = 0
    deflate: bool = False


def frame(
    opcode: int, payload: bytes = b"", *, fin: bool = True, rsv: int = 0, masked: bool = True
) -> bytes:
    """RFC 6455, 5.2."""
    head = bytes([(0x80 if fin else 0) | rsv << 4 | opcode])
    bit, length = (0x80 if masked else 0), len(payload)
    if length < 126:
        head += bytes([bit | length])
    elif length < 65536:
        head += bytes([bit | 126]) + struct.pack("!H", length)
    else:
        head += bytes([bit | 127]) + struct.pack("!Q", length)
    if not masked:
        return head + payload
    key = (_MASK * (length // 4 + 1))[:length]
    mixed = int.from_bytes(payload, "big") ^ int.from_bytes(key, "big")
    return head + _MASK + mixed.to_bytes(length, "big")


def closing(code: int | None = 1000, reason: bytes = b"") -> bytes:
    return frame(CLOSE, b"" if code is None else struct.pack("!H", code) + reason)


END = closing()
_VALID_CODES = (1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 3000, 3999, 4000, 4999)
_INVALID_CODES = (0, 999, 1004, 1005, 1006, 1016, 1100, 2000, 2999, 5000, 65535)
_NOT_UTF_8 = (
    b"\x80", b"\xbf", b"\xc0\x80", b"\xc3", b"\xe0\x80\x80", b"\xed\xa0\x80", b"\xf0\x80\x80\x80",
    b"\xf4\x90\x80\x80", b"\xfe", b"\xff", b"a\xcebc", b"\xce\xba\xe1\xbd\xb9\xed\xa0\x80edited",
)  # fmt: skip
_UTF_8 = ("κόσμε", "\u0000", "\ufffd", "\uffff", "\U0001f600", "\U0010ffff", "\u00e9\u0301")


def _framing() -> Iterator[Case]:
    for opcode in (TEXT, BINARY):
        for size in (0, 1, 125, 126, 127, 128, 65535, 65536, 70000):
            sent = frame(opcode, b"*" * size) + END
            yield Case(f"1: {size} bytes, opcode {opcode}", sent)
            yield Case(f"1: {size} bytes, opcode {opcode}, chopped", sent, chop=997)
    yield Case("1: unmasked", frame(TEXT, b"hello", masked=False) + END)


def _pings() -> Iterator[Case]:
    for size in (0, 5, 125, 126):
        yield Case(f"2: ping of {size}", frame(PING, b"\xfe" * size) + END)
    yield Case("2: chopped by the byte", frame(PING, b"hello") + END, chop=1)
    yield Case("2: a pong nobody asked for", frame(PONG, b"x") + frame(TEXT, b"t") + END)
    yield Case("2: ten pings", b"".join(frame(PING, bytes([n])) for n in range(10)) + END)


def _reserved() -> Iterator[Case]:
    for bits in range(1, 8):
        for opcode in (TEXT, BINARY, PING, CLOSE):
            sent = frame(TEXT, b"first") + frame(opcode, b"", rsv=bits) + END
            yield Case(f"3: reserved bits {bits}, opcode {opcode}", sent)
    for opcode in (3, 4, 5, 6, 7, 11, 12, 13, 14, 15):
        yield Case(f"4: opcode {opcode}", frame(TEXT, b"first") + frame(opcode, b"x") + END)


def _fragments() -> Iterator[Case]:
    part, last = frame(TEXT, b"one ", fin=False), frame(CONTINUATION, b"two")
    for chop in (0, 1):
        yield Case(f"5: two parts, chop {chop}", part + last + END, chop)
        yield Case(f"5: a ping between, chop {chop}", part + frame(PING, b"p") + last + END, chop)
    yield Case("5: a ping in parts", frame(PING, b"p", fin=False) + last + END)
    yield Case("5: a continuation of nothing", frame(CONTINUATION, b"x") + END)
    yield Case("5: an open continuation of nothing", frame(CONTINUATION, b"x", fin=False) + END)
    yield Case("5: a new message within one", part + frame(TEXT, b"new") + END)
    many = b"".join(frame(CONTINUATION, b"x" * 100, fin=False) for _ in range(100))
    yield Case("5: a hundred parts", part + many + last + END)


def _utf_8() -> Iterator[Case]:
    for text in _UTF_8:
        data = text.encode()
        yield Case(f"6: {text!r}", frame(TEXT, data) + END)
        cut = frame(TEXT, data[:1], fin=False) + frame(CONTINUATION, data[1:]) + END
        yield Case(f"6: {text!r} in parts", cut)
    for data in _NOT_UTF_8:
        yield Case(f"6: {data!r}", frame(TEXT, data) + END)
        yield Case(f"6: {data!r} as binary", frame(BINARY, data) + END)


def _closing() -> Iterator[Case]:
    yield Case("7: without a code", closing(None))
    yield Case("7: one byte", frame(CLOSE, b"\x03"))
    for code in (*_VALID_CODES, *_INVALID_CODES):
        yield Case(f"7: code {code}", closing(code, b"why"))
    yield Case("7: a long reason", closing(1000, b"*" * 123))
    yield Case("7: too long a reason", closing(1000, b"*" * 124))
    yield Case("7: a reason that is no text", closing(1000, b"\xce\xba\xff"))
    yield Case("7: more after it", END + frame(TEXT, b"late"))
    yield Case("7: a ping after it", END + frame(PING))
    yield Case("7: twice", END + END)
    yield Case("7: within a message", frame(TEXT, b"open", fin=False) + END)


def _large() -> Iterator[Case]:
    data = random.Random(1).randbytes(1 << 20)
    yield Case("9: a MiB", frame(BINARY, data) + END)
    yield Case("9: a MiB, chopped", frame(BINARY, data) + END, chop=4096)
    parts = [data[at : at + 65536] for at in range(0, len(data), 65536)]
    sent = frame(BINARY, parts[0], fin=False)
    sent += b"".join(frame(CONTINUATION, one, fin=False) for one in parts[1:])
    yield Case("9: a MiB in parts", sent + frame(CONTINUATION) + END)


def _deflated() -> Iterator[Case]:
    for size in (16, 1000, 100_000):
        text = (b"A sentence that repeats. " * (size // 25 + 1))[:size]
        engine = zlib.compressobj(9, zlib.DEFLATED, -15)
        packed = (engine.compress(text) + engine.flush(zlib.Z_SYNC_FLUSH))[:-4]
        yield Case(f"12: deflated, {size}", frame(TEXT, packed, rsv=4) + END, deflate=True)
    yield Case("12: what is not deflate", frame(TEXT, b"\xff" * 50, rsv=4) + END, deflate=True)


SECTIONS = {
    "framing": _framing, "pings": _pings, "reserved bits and opcodes": _reserved,
    "fragments": _fragments, "utf-8": _utf_8, "closing": _closing, "large": _large,
    "deflated": _deflated,
}  # fmt: skip
