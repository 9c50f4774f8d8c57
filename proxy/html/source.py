"""The bytes of a page as text that a parser can read without losing their positions."""

from __future__ import annotations

import codecs
import re
from dataclasses import dataclass

_PRESCAN = 1024
"""Bytes in which a browser looks for a <meta charset> (HTML Standard, 13.2.3.2)."""

_META_CHARSET = re.compile(
    rb"<meta[^>]{0,512}?charset\s*=\s*[\"']?\s*([^\s\"'/>;]+)", re.IGNORECASE
)

# Labels of https://encoding.spec.whatwg.org/#names-and-labels whose encodings are not
# ASCII-compatible. Every other label can be read byte by byte: in none of the multi-byte
# encodings does a trail byte look like `<`, `>`, a quote, `=` or a space.
_UTF_16 = {
    **dict.fromkeys(
        ("utf-16", "utf-16le", "ucs-2", "unicode", "csunicode", "iso-10646-ucs-2", "unicodefeff"),
        "utf-16-le",
    ),
    **dict.fromkeys(("utf-16be", "unicodefffe"), "utf-16-be"),
}
_ISO_2022_JP = frozenset({"iso-2022-jp", "csiso2022jp"})
# Browsers refuse to decode these (the `replacement` encoding), or do not know them and would
# guess: a page in one of them is not gated but locked.
_REFUSED = frozenset(
    {
        "replacement",
        "csiso2022kr",
        "hz-gb-2312",
        "iso-2022-cn",
        "iso-2022-cn-ext",
        "iso-2022-kr",
        "utf-7",
        "utf-32",
        "utf-32le",
        "utf-32be",
    }
)


class UndecodableError(Exception):
    """The page's bytes cannot be read as its charset says."""


@dataclass(frozen=True, slots=True)
class Source:
    """A page ready for the parser.

    `body` holds the bytes that spans refer to: the origin's own or, for the few encodings that
    are not ASCII-compatible, the same text in UTF-8. `text` has exactly one character a byte
    (latin-1), carriage returns turned into newlines, so that a parser's offsets are byte
    offsets. `wire` names the codec that turns UTF-8 back into the origin's encoding when it is
    one of those few, else "".
    """

    body: bytes
    text: str
    charset: str
    wire: str
    label: str
    """The charset's name as the origin gives it, for a header; "" where none is given."""

    def word(self, value: str) -> str:
        """An attribute's value as the browser sees it: decoded by the page's charset."""
        if value.isascii():
            return value
        try:
            return value.encode("latin-1").decode(self.charset)
        except (UnicodeError, LookupError):
            # Character references and raw bytes in one value, or broken bytes. What cannot be
            # read is no known host, and an unknown host is closed.
            return value

    def line_and_column(self, offset: int) -> tuple[int, int]:
        """1-based line and column (in bytes) of an offset; CRLF, LF and CR each end a line."""
        before = self.body[:offset]
        line = before.count(b"\n") + before.count(b"\r") - before.count(b"\r\n") + 1
        start = max(before.rfind(b"\n"), before.rfind(b"\r")) + 1
        return line, offset - start + 1


def charset_of_content_type(content_type: str) -> str:
    """The charset parameter, lower case, or ""."""
    for parameter in content_type.split(";")[1:]:
        name, _, value = parameter.partition("=")
        if name.strip().lower() == "charset":
            return value.strip().strip("\"'").strip().lower()
    return ""


def read_source(body: bytes, content_type: str = "") -> Source:
    """Decide the charset as a browser does (BOM, header, <meta>) and prepare the text.

    Raises UndecodableError where the bytes do not fit or the charset is one browsers refuse.
    """
    charset, from_bom = _charset(body, content_type)
    label = charset
    charset = charset or "windows-1252"
    if charset in _REFUSED:
        raise UndecodableError(f"charset {charset!r} is not one that browsers decode")
    if charset in _UTF_16:
        return _transcoded(body, _UTF_16[charset], charset)
    if charset in _ISO_2022_JP:
        return _transcoded(body, "iso2022_jp", charset)
    text = body.decode("latin-1")
    if from_bom:
        # The mark is not part of the text; blanks keep the offsets.
        text = "   " + text[3:]
    if "\r" in text:
        text = text.replace("\r", "\n")
    return Source(body, text, _python_codec(charset), "", label)


def _charset(body: bytes, content_type: str) -> tuple[str, bool]:
    if body.startswith(codecs.BOM_UTF8):
        return "utf-8", True
    if body.startswith(codecs.BOM_UTF16_LE):
        return "utf-16le", True
    if body.startswith(codecs.BOM_UTF16_BE):
        return "utf-16be", True
    named = charset_of_content_type(content_type)
    if named:
        return named, False
    found = _META_CHARSET.search(body[:_PRESCAN])
    if found is None:
        return "", False
    label = found[1].decode("latin-1").lower()
    # A <meta> that can be read at all is not in UTF-16 (HTML Standard, 13.2.3.2, step 15).
    return ("utf-8" if label in _UTF_16 else label), False


def _python_codec(label: str) -> str:
    try:
        return codecs.lookup(label).name
    except LookupError:
        return "utf-8"


def _transcoded(body: bytes, codec: str, label: str) -> Source:
    try:
        text = body.decode(codec)
        # Only bytes that come back the same may go out in the origin's encoding.
        exact = text.encode(codec) == body
    except UnicodeError as error:
        raise UndecodableError(f"the page is not valid {label}: {error}") from error
    utf8 = text.encode("utf-8")
    latin = utf8.decode("latin-1")
    if text.startswith("\ufeff"):
        latin = "   " + latin[3:]
    return Source(
        utf8,
        latin.replace("\r", "\n"),
        "utf-8",
        codec if exact else "",
        label if exact else "utf-8",
    )
