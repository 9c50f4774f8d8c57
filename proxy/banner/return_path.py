"""The path to return to after a choice: a path of this site, never another site's."""

from __future__ import annotations

from urllib.parse import quote, urlencode

LIMIT = 2048
"""Characters. A longer path is replaced by the home page."""

# Characters of a path, query or fragment (RFC 3986), and `%` for encoded ones.
_KEPT = "/?#%:@!$&'()*+,;=-._~[]"


def safe_return_to(value: str | None, default: str = "/") -> str:
    r"""The value if it is a path of this site, in ASCII; else `default`.

    A path starts with one `/`, its path part has no `//`, and it contains no backslash or control
    character: browsers read `/\host`, `//host` and `/<tab>/host` as another host (WHATWG URL
    Standard, 4.4). After `?` or `#` any URL is allowed: it is not navigated to.
    """
    if not value or len(value) > LIMIT or not value.startswith("/"):
        return default
    if any(ch == "\\" or ord(ch) < 0x20 or 0x7F <= ord(ch) < 0xA0 for ch in value):
        return default
    path = value.partition("?")[0].partition("#")[0]
    if "//" in path:
        return default
    try:
        return quote(value, safe=_KEPT)
    except UnicodeEncodeError:  # a lone surrogate: not text that any page has in its address
        return default


def preferences_url(
    prefix: str,
    return_to: str = "",
    *,
    lang: str = "",
    saved: bool = False,
    erased: bool = False,
    vendor: str = "",
) -> str:
    """The URL of the preferences page; `return_to` must be safe already. `lang` is
    that of the page which leads there; with `vendor` it asks whether that one's content may be
    shown.
    """
    query: dict[str, str] = {}
    if return_to:
        query["return_to"] = return_to
    if lang:
        query["lang"] = lang
    if saved:
        query["saved"] = "1"
    if erased:
        query["erased"] = "1"
    if vendor:
        query["vendor"] = vendor
    return f"{prefix}/preferences" + (f"?{urlencode(query)}" if query else "")
