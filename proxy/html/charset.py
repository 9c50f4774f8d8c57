"""Determine the charset of a page as browsers do (HTML Standard, 13.2.3)."""

from __future__ import annotations

import codecs
import re
from functools import lru_cache

import webencodings

from consent_rules.lazy_pattern import lazy_pattern

UNREADABLE = frozenset(
    {
        "replacement",
        "csiso2022kr",
        "hz-gb-2312",
        "iso-2022-cn",
        "iso-2022-cn-ext",
        "iso-2022-kr",
    }
)
"""Browsers refuse to decode these (the `replacement` encoding)."""

_PRESCAN = 1024
"""Bytes in which a browser looks for a <meta charset>."""

LATE_PRESCAN = 16_384
"""Bytes in which some browser does."""
_ISO_2022_JP = frozenset({"iso-2022-jp", "csiso2022jp"})

_BLANK = b"\t\n\f\r "
_BOMS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16le"),
    (codecs.BOM_UTF16_BE, "utf-16be"),
)
# "<?x" in UTF-16 without a byte order mark: how an XML declaration begins.
_WIDE_DECLARATIONS = ((b"<\0?\0x\0", "utf-16le"), (b"\0<\0?\0x", "utf-16be"))
_META = lazy_pattern(rb"<meta(?=[\t\n\f\r /])", re.IGNORECASE)
_TAG = lazy_pattern(rb"</?[A-Za-z][^\t\n\f\r >]*")
_BOGUS = lazy_pattern(rb"<[!/?][^>]*")
_ATTRIBUTE = lazy_pattern(
    rb"[\t\n\f\r /]*([^\t\n\f\r />][^\t\n\f\r />=]*)"
    rb"(?:[\t\n\f\r ]*=[\t\n\f\r ]*(?:\"([^\"]*)\"|'([^']*)'|([^\t\n\f\r >]*)))?"
)
_CONTENT_CHARSET = lazy_pattern(
    rb"charset[\t\n\f\r ]*=[\t\n\f\r ]*(?:\"([^\"]*)\"|'([^']*)'|([^\t\n\f\r ;\"']+))",
    re.IGNORECASE,
)


_MAX_REMEMBERED = 200
"""Characters of a Content-Type, or of a label, that is remembered."""


def charset_of_content_type(content_type: str) -> str:
    """The charset parameter, lower case, or ""."""
    if len(content_type) <= _MAX_REMEMBERED:
        return _remembered(content_type)
    return _charset_parameter(content_type)


# Not that of a charset: what stands in it is no parameter.
_QUOTED_PARAMETER = lazy_pattern(r'(?<!charset)="(?:[^"\\]|\\.)*"?', re.IGNORECASE)


def _charset_parameter(content_type: str) -> str:
    for parameter in _QUOTED_PARAMETER.sub("", content_type).split(";")[1:]:
        name, _, value = parameter.partition("=")
        if name.strip().lower() == "charset":
            return value.strip().strip("\"'").strip().lower()
    return ""


_remembered = lru_cache(maxsize=512)(_charset_parameter)


def is_label(label: str) -> bool:
    """Whether a label names a charset that browsers support (Encoding Standard, 4.2)."""
    return (_is_known if len(label) <= _MAX_REMEMBERED else _is_listed)(label)


def _is_listed(label: str) -> bool:
    return webencodings.lookup(label) is not None


_is_known = lru_cache(maxsize=512)(_is_listed)


def python_codec(label: str) -> str:
    """The codec that reads a charset which browsers know by `label` (`is_label`)."""
    found = webencodings.lookup(label)
    assert found is not None
    name = found.codec_info.name
    return "gb18030" if name == "gbk" else name  # Encoding Standard, 10.1.1


def charset_of(body: bytes, content_type: str) -> tuple[str, bool]:
    """The label in force ("" for none), and whether nothing later in the page can change it."""
    for mark, label in _BOMS:
        if body.startswith(mark):
            return label, True
    named = charset_of_content_type(content_type)
    if named and (is_label(named) or named in UNREADABLE):
        return named, True
    for start, label in _WIDE_DECLARATIONS:
        if body.startswith(start):
            return label, False
    label = _prescan(body[:_PRESCAN])
    if not label:
        # Chromium continues the prescan while it meets only elements of a head. It matters only
        # where a tag may not look like one.
        late = _prescan(body[:LATE_PRESCAN])
        if late in _ISO_2022_JP:
            return late, False
    return label, False


def _prescan(head: bytes) -> str:
    """The first <meta> that names a charset, comments and other tags skipped (13.2.3.2)."""
    position = head.find(b"<")
    while position >= 0:
        if head.startswith(b"<!--", position):
            end = head.find(b"-->", position + 2)
            if end < 0:
                return ""
            position = end + 3
        elif (tag := _META.match(head, position) or _TAG.match(head, position)) is not None:
            attributes, position = _attributes(head, tag.end())
            label = _meta_label(attributes) if tag[0].lower() == b"<meta" else ""
            if label:
                return label
        elif (bogus := _BOGUS.match(head, position)) is not None:
            position = bogus.end()
        else:
            position += 1
        position = head.find(b"<", position)
    return ""


def _attributes(head: bytes, position: int) -> tuple[dict[bytes, bytes], int]:
    """The attributes of a tag from behind its name, and its end."""
    found: dict[bytes, bytes] = {}
    while (match := _ATTRIBUTE.match(head, position)) is not None:
        found.setdefault(match[1].lower(), match[2] or match[3] or match[4] or b"")
        position = match.end()
    return found, position


def _meta_label(attributes: dict[bytes, bytes]) -> str:
    label = attributes.get(b"charset")
    if label is None and attributes.get(b"http-equiv", b"").lower() == b"content-type":
        found = _CONTENT_CHARSET.search(attributes.get(b"content", b""))
        label = found and (found[1] or found[2] or found[3])
    name = (label or b"").strip(_BLANK).decode("latin-1").lower()
    if name in UNREADABLE:
        return name
    if not is_label(name):
        return ""
    # A <meta> that can be read at all is not in UTF-16 (step 15).
    return "utf-8" if python_codec(name).startswith("utf-16") else name
