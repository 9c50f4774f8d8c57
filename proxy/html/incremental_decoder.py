"""Determine the charset of a page that is still arriving, and decode it.

The few charsets that are not ASCII-compatible (UTF-16, ISO-2022-JP) are decoded chunk by chunk and
the page is sent in UTF-8; in all others a tag has the same bytes.
"""

from __future__ import annotations

import codecs
from dataclasses import dataclass

from proxy.html.charset import UNREADABLE, python_codec


@dataclass(slots=True)
class Decoding:
    """`codec` reads the output of `decode`. `is_refused`: browsers do not support the charset."""

    codec: str
    label: str
    is_refused: bool
    _decoder: codecs.IncrementalDecoder | None

    @property
    def transcodes(self) -> bool:
        return self._decoder is not None

    def decode(self, data: bytes) -> bytes:
        return data if self._decoder is None else _utf8(self._decoder.decode(data))

    def end(self) -> bytes:
        """The replacement of an unfinished character at the end."""
        return b"" if self._decoder is None else _utf8(self._decoder.decode(b"", final=True))


def decoding_of(label: str) -> Decoding:
    """The decoding for a charset's label, as `charset_of` gives it."""
    if label in UNREADABLE:
        return Decoding("utf-8", label, is_refused=True, _decoder=None)
    codec = python_codec(label or "windows-1252")
    decoder = None
    if codec.startswith("utf-16") or codec == "iso2022_jp":
        # Malformed bytes are replaced in the output as well: both are the same.
        decoder = codecs.getincrementaldecoder(codec)("replace")
    return Decoding(
        codec if decoder is None else "utf-8", label, is_refused=False, _decoder=decoder
    )


def _utf8(text: str) -> bytes:
    return text.encode("utf-8", "replace")
