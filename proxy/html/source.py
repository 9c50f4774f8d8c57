"""The bytes of a page as text for the parser, positions preserved."""

from __future__ import annotations

import re
from dataclasses import dataclass

from proxy.html.charset import UNREADABLE, charset_of, charset_of_content_type, python_codec

__all__ = ["Source", "UndecodableError", "charset_of_content_type", "read_source"]

# What switches ISO-2022-JP to two bytes a character. In a page that names no charset browsers may
# detect it by sniffing, and find tags where others see none.
_SHIFT_TO_KANJI = (b"\x1b$", b"\x1b(")


class UndecodableError(Exception):
    """The page's bytes are invalid in its charset."""


_BYTES = re.compile(r"[\x00-\xff]+")
_UTF8_BOM = "\xef\xbb\xbf"
_BACKSLASH_IN_CHARACTER = frozenset({"cp932", "gb18030", "big5hkscs"})


@dataclass(frozen=True, slots=True)
class Source:
    """A page ready for the parser. `body` holds the bytes that spans refer to: the origin's own or,
    for the few encodings that are not ASCII-compatible, the same text in UTF-8.

    `text` has exactly one character a byte (latin-1), carriage returns replaced by newlines, so
    that a parser's offsets are byte offsets. `wire` is the codec from UTF-8 back to the origin's
    encoding when it is one of those few, else "".
    """

    body: bytes
    text: str
    charset: str
    wire: str
    label: str
    """The charset's name as the origin gives it, for a header; "" where none is given."""

    def word(self, value: str) -> str:
        """An attribute's value as the browser reads it: decoded by the page's charset.

        Where character references and raw bytes meet in one value, or bytes are invalid, U+FFFD
        replaces what cannot be decoded: no host may contain it, and a URL without a host is closed.
        """
        if value.isascii():
            return value
        return _BYTES.sub(lambda m: m[0].encode("latin-1").decode(self.charset, "replace"), value)

    def css(self, text: str) -> str:
        """A style sheet's text, same length, in which a backslash is a backslash.

        Half of a character may look like one in the double-byte charsets of East Asia.
        """
        if text.isascii() or self.charset not in _BACKSLASH_IN_CHARACTER:
            return text
        characters = text.encode("latin-1", "replace").decode(self.charset, "replace")
        widths = (
            (c, 1 if c.isascii() or c == "\ufffd" else len(c.encode(self.charset, "replace")))
            for c in characters
        )
        masked = "".join(c if c.isascii() else "\xff" * width for c, width in widths)
        return masked if len(masked) == len(text) else text

    def line_and_column(self, offset: int) -> tuple[int, int]:
        """1-based line and column (in bytes) of an offset; CRLF, LF and CR each end a line."""
        before = self.body[:offset]
        line = before.count(b"\n") + before.count(b"\r") - before.count(b"\r\n") + 1
        start = max(before.rfind(b"\n"), before.rfind(b"\r")) + 1
        return line, offset - start + 1


def read_source(body: bytes, content_type: str = "") -> Source:
    """Determine the charset as a browser does (BOM, header, <meta>) and prepare the text.

    Raises UndecodableError for bytes that are invalid in it, or a charset that browsers do not
    support.
    """
    label, certain = charset_of(body, content_type)
    if label in UNREADABLE:
        raise UndecodableError(f"charset {label!r} is not one that browsers decode")
    codec = python_codec(label or "windows-1252")
    if codec.startswith("utf-16") or codec == "iso2022_jp":
        return _transcoded(body, codec, label)
    if not (certain or label) and is_shifted(body):
        # Browsers may guess a charset that is not declared. The header declares the one that we
        # used.
        if body.isascii():
            return _transcoded(body, "iso2022_jp", "iso-2022-jp")
        label = "windows-1252"
    return Source(body, text_of(body), codec, "", label)


def is_shifted(body: bytes) -> bool:
    """Whether a browser that has to guess may read bytes as ISO-2022-JP."""
    return any(shift in body for shift in _SHIFT_TO_KANJI)


def text_of(body: bytes) -> str:
    """Bytes as text of the same length, as the parser expects it."""
    text = body.decode("latin-1")
    if text.startswith(_UTF8_BOM):
        # The mark is not part of the text; blanks keep the offsets.
        text = "   " + text[3:]
    return _one_newline(text)


def _one_newline(text: str) -> str:
    """The text with every CR a newline, at the same length."""
    if "\r" not in text:
        return text
    # In CSS a backslash takes one line break with it, and CRLF is one: what is left of it must
    # not be a second. URLs drop tabs, and HTML takes them for any other blank.
    return text.replace("\\\r\n", "\\\n\t").replace("\r", "\n")


def _transcoded(body: bytes, codec: str, label: str) -> Source:
    try:
        text = body.decode(codec)
        # Only bytes that survive a round trip may be sent in the origin's encoding.
        exact = text.encode(codec) == body
    except UnicodeError as error:
        if codec != "iso2022_jp":
            raise UndecodableError(f"the page is not valid {label}: {error}") from error
        # Browsers decode more than Python's codec; where that fails, its valid part is sent.
        text, exact = body.decode(codec, "replace"), False
    utf8 = text.encode("utf-8")
    latin = utf8.decode("latin-1")
    if text.startswith("\ufeff"):
        latin = "   " + latin[3:]
    return Source(
        utf8,
        _one_newline(latin),
        "utf-8",
        codec if exact else "",
        label if exact else "utf-8",
    )
