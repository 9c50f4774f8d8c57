"""Media types: which responses are pages and documents."""

from __future__ import annotations

import re
from functools import lru_cache

from aiohttp import hdrs, web
from multidict import CIMultiDict, MultiMapping

from consent_rules.lazy_pattern import lazy_pattern
from proxy.http.fetch_metadata import destination, is_navigation, may_become_page

# Where a type is missing, browsers take bytes that begin like this for HTML (MIME Sniffing, 7.1).
_SNIFFED = lazy_pattern(
    rb"\s*<(?:!--|(?:!doctype html|html|head|script|iframe|h1|div|font|table|a|style|"
    rb"title|b|body|br|p)[\s/>])",
    re.IGNORECASE,
)
SNIFFED_BYTES = 1445
UNTYPED = frozenset({"", "unknown/unknown", "application/unknown"})
"""What browsers sniff for HTML."""
_HTML_OR_UNTYPED = UNTYPED | {"text/html"}
_XML = frozenset({"text/xml", "application/xml", "text/xsl"})
"""XML; types in `+xml` as well."""
SIGNED_EXCHANGE = "application/signed-exchange"
"""A response of any URL's, signed by its owner, which Chromium shows as a page of that URL
(draft-yasskin-http-origin-signed-responses)."""
_ESSENCE_END = lazy_pattern(r"[;\s(]")
_MAX_REMEMBERED = 200
"""Characters of a Content-Type or of an Accept that is remembered."""


def media_type(headers: MultiMapping[str]) -> str:
    """The Content-Type without parameters, lower case; "" when there is none.

    Of several, browsers take the last that is one (Fetch Standard, "extract a MIME type").
    """
    text = ",".join(headers.getall("Content-Type", ()))
    return _remembered(text) if len(text) <= _MAX_REMEMBERED else _last_essence(text)


def _last_essence(text: str) -> str:
    found = ""
    for one in text.split(","):
        # A blank ends the type as a semicolon does: so browsers read `text/html charset=x`.
        essence = _ESSENCE_END.split(one.strip(), maxsplit=1)[0].lower()
        if "/" in essence and essence != "*/*":
            found = essence
    return found


_remembered = lru_cache(maxsize=512)(_last_essence)


_QUOTED = lazy_pattern(r'"(?:[^"\\]|\\.)*"')
_MEMBER = lazy_pattern(r'(?:[^",]|"(?:[^"\\]|\\.)*(?:"|\\?\Z))+')
# Not that of a charset: what stands in it is no parameter.
_QUOTED_PARAMETER = lazy_pattern(r'(?<!charset)="(?:[^"\\]|\\.)*"?', re.IGNORECASE)
_CHARSET = lazy_pattern(r";[\t ]*charset=[\t ]*\"?([\w.:+-]+)", re.IGNORECASE)


def send_one_type(headers: CIMultiDict[str]) -> None:
    """Replace several types, in one field or in more, by the one that counts, in place.

    Some engines take the first of several, others the last (Fetch Standard, "extract a MIME type"):
    a page to the one is text to the other. With `nosniff`, since such a type is not believed
    everywhere. Without a type among them there is none.
    """
    values = headers.getall(hdrs.CONTENT_TYPE, ())
    if not values or (len(values) == 1 and _is_one(values[0])):
        return
    essence = charset = ""
    # A field of a line of its own ends there, whatever quote it has open.
    for member in (member for value in values for member in _MEMBER.findall(value)):
        found = _last_essence(member.split(";", 1)[0])
        if not found:
            continue
        named = _CHARSET.search(_QUOTED_PARAMETER.sub("", member))
        if named or found != essence:
            charset = named[1] if named else ""
        essence = found
    headers.popall(hdrs.CONTENT_TYPE)
    if essence:
        headers[hdrs.CONTENT_TYPE] = f"{essence}; charset={charset}" if charset else essence
        headers["X-Content-Type-Options"] = "nosniff"


def _is_one(value: str) -> bool:
    """Whether a field is one type to every reader: no comma but within its quotes, which end."""
    return "," not in value or not {",", '"'} & set(_QUOTED.sub("", value))


def without_signed_exchange(accept: str) -> str:
    """An Accept field without the type of signed exchanges; "" when none is left."""
    return (_cleared if len(accept) <= _MAX_REMEMBERED else _without_signed_exchange)(accept)


def _without_signed_exchange(accept: str) -> str:
    members = accept.split(",")
    return ",".join(
        m for m in members if m.partition(";")[0].strip().lower() != SIGNED_EXCHANGE
    ).strip()


_cleared = lru_cache(maxsize=256)(_without_signed_exchange)


def is_page(status: int, headers: CIMultiDict[str]) -> bool:
    """Whether a response is one that is gated as a page: a complete HTML document."""
    # A part of a page cannot be gated; without a type, browsers look for HTML in the bytes.
    html = media_type(headers) in _HTML_OR_UNTYPED
    return html and status >= 200 and status not in {204, 205, 206, 304}


def is_other_than_html(headers: CIMultiDict[str], body: bytes) -> bool:
    """Whether bytes without a media type are not a page, by MIME sniffing."""
    return media_type(headers) in UNTYPED and not _SNIFFED.match(body[:SNIFFED_BYTES])


def is_xml(headers: CIMultiDict[str]) -> bool:
    """Whether the media type is one of XML."""
    kind = media_type(headers)
    return kind in _XML or kind.endswith("+xml")


def is_xml_document(request: web.BaseRequest, status: int, headers: CIMultiDict[str]) -> bool:
    """Whether a browser shows the response as a page, or applies it to another document (XSLT)."""
    if request.method not in {"GET", "HEAD"} or status in {204, 205, 206, 304}:
        return False
    if not is_xml(headers):
        return False
    return is_navigation(request) or destination(request) == "xslt"


def may_be_xml_document(request: web.BaseRequest, status: int, headers: CIMultiDict[str]) -> bool:
    """Whether it may be one: without fetch metadata nothing tells a transformation from data, until
    its body is read.
    """
    if not is_xml(headers):
        return False
    if is_xml_document(request, status, headers):
        return True
    unknown = destination(request) is None and may_become_page(request)
    return unknown and request.method == "GET" and status == 200
