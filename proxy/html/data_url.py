"""What a `data:` URL holds (RFC 2397; Fetch Standard, 6)."""

from __future__ import annotations

import base64
import codecs
import re
from dataclasses import dataclass
from urllib.parse import unquote_to_bytes

from consent_rules.matching.urls import strip_url
from proxy.html.charset import is_label, python_codec

# Blanks in front, and tabs and newlines anywhere, are no part of a URL, not even of its scheme.
_SCHEME = re.compile(r"[\x00-\x20]*+d[\t\n\r]*a[\t\n\r]*t[\t\n\r]*a[\t\n\r]*:", re.IGNORECASE)
_DATA = re.compile(r"data:([^,]*),(.*)", re.IGNORECASE | re.DOTALL)
_CHARSET = re.compile(r";\s*charset\s*=\s*[\"']?([^\s;\"']+)", re.IGNORECASE)
_BOMS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)


@dataclass(frozen=True, slots=True)
class Data:
    """`media_type` is in lower case, without parameters, "" where none is given."""

    media_type: str
    text: str

    @property
    def is_xml(self) -> bool:
        return self.media_type.endswith("xml")


def is_data(url: str) -> bool:
    """Whether a URL's scheme is `data:`."""
    return _SCHEME.match(url) is not None


def data_of(url: str) -> Data | None:
    """What a URL holds, decoded by its charset; None for other URLs."""
    found = _DATA.match(strip_url(url)) if is_data(url) else None
    if found is None:
        return None
    content = unquote_to_bytes(found[2].partition("#")[0])
    media_type = found[1].strip().lower()
    if media_type.endswith("base64"):
        letters = re.sub(rb"[^A-Za-z0-9+/]", b"", content)
        try:
            content = base64.b64decode(letters + b"=" * (-len(letters) % 4))
        except ValueError:
            content = b""
    text = content.decode(_codec(media_type, content), "replace")
    return Data(media_type.partition(";")[0].strip(), text)


def _codec(parameters: str, content: bytes) -> str:
    for mark, codec in _BOMS:
        if content.startswith(mark):
            return codec
    named = _CHARSET.search(parameters)
    if named is None or not is_label(named[1]):
        return "utf-8"
    codec = python_codec(named[1])
    try:
        codecs.lookup(codec)
    except LookupError:  # one that browsers decode to nothing, or by bytes
        return "latin-1"
    return codec
