"""The proxy's own error pages.

They do not name the upstream: details are in the log, found by the reference number.
"""

from __future__ import annotations

from dataclasses import dataclass
from html import escape

from aiohttp import hdrs, web

# What a reader can do about it, per status; other statuses get the text of their class.
_TEXTS = {
    400: ("Bad request", "Your browser sent a request that this site could not understand."),
    403: ("Not accepted", "This was not sent from a page of this site, so nothing was changed."),
    404: ("Not found", "There is no page at this address."),
    405: ("Not allowed", "This kind of request is not allowed here."),
    408: ("Request timed out", "The request took too long to arrive. Please try again."),
    413: ("Too large", "What you sent is larger than this site accepts."),
    414: ("Address too long", "The address is longer than this site accepts."),
    417: ("Expectation failed", "This site cannot meet what the request expects."),
    421: ("Unknown site", "There is no site under this name here. Please check the address."),
    429: (
        "Too many requests",
        "Too many requests from your network are under way. Please try again in a moment.",
    ),
    431: (
        "Request too large",
        "Your browser sent more cookies or headers than this site accepts. "
        "Clearing this site's cookies may help.",
    ),
    500: ("Something went wrong", "The problem is on our side. Please try again in a moment."),
    501: ("Not supported", "This site does not support this kind of request."),
    502: ("Site not reachable", "The site did not answer properly. Please try again in a moment."),
    503: ("Busy", "The site is busy. Please try again in a moment."),
    504: ("No answer", "The site took too long to answer. Please try again in a moment."),
    505: ("Version not supported", "This site speaks HTTP/1.1."),
    508: ("Loop detected", "This request came back to where it started."),
}

_PAGE = """<!doctype html>
<html lang="{lang}" dir="{direction}">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="robots" content="noindex">
<title>{title}</title>
<style>
:root {{ color-scheme: light dark; }}
body {{ font: 1.0625rem/1.6 system-ui, sans-serif; max-width: 34rem; margin: 15vh auto 0;
  padding: 0 1.25rem; }}
h1 {{ font-size: 1.5rem; line-height: 1.25; margin: 0 0 .75rem; }}
p {{ margin: 0 0 1rem; }}
small {{ opacity: .75; }}
</style>
</head>
<body>
<main>
<h1>{title}</h1>
<p>{text}</p>
{more}</main>
</body>
</html>
"""

_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; img-src data:; font-src data:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)

# After these the start of the next request is unknown, or not worth waiting for.
_LAST_ON_CONNECTION = frozenset({400, 408, 413, 414, 417, 431, 501, 505})


@dataclass(frozen=True, slots=True)
class ErrorWords:
    """What an error page says, and a link to go on. `link` "" is the page itself, to try again."""

    title: str
    text: str
    lang: str = "en"
    direction: str = "ltr"
    reference: str = "Reference"
    link_text: str = ""
    link: str = ""


def default_words(status: int) -> ErrorWords:
    """The English words for a status."""
    return ErrorWords(*(_TEXTS.get(status) or _TEXTS[500 if status >= 500 else 400]))


def error_response(
    request: web.BaseRequest,
    status: int,
    request_id: str = "",
    words: ErrorWords | None = None,
    page: tuple[str, str] | None = None,
) -> web.Response:
    """HTML for page requests, some lines of text for all others; never stored by any cache.

    `page` is a whole page of the site's own with its language, in place of ours. Its policy lets it
    load nothing and run no script, whoever wrote it.
    """
    words = words or default_words(status)
    wants_html = "text/html" in request.headers.get(hdrs.ACCEPT, "").lower()
    if wants_html:
        body = _html(words, request_id) if page is None else page[0]
    else:
        reference = f"{words.reference}: {request_id}\n" if request_id else ""
        body = f"{status} {words.title}\n{words.text}\n{reference}"
    response = web.Response(
        status=status,
        text=body,
        content_type="text/html" if wants_html else "text/plain",
        charset="utf-8",
        headers={
            "Cache-Control": "no-store",
            "Content-Security-Policy": _POLICY,
            "Referrer-Policy": "no-referrer",
            "Vary": "Accept",
            "X-Content-Type-Options": "nosniff",
        },
    )
    lang = words.lang if page is None or not wants_html else page[1]
    if lang not in {"", "en"}:
        response.headers[hdrs.CONTENT_LANGUAGE] = lang
    if status == 405:
        response.headers[hdrs.ALLOW] = "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"
    if status in (429, 503):
        response.headers[hdrs.RETRY_AFTER] = "5"
    if status in _LAST_ON_CONNECTION:
        response.force_close()
    return response


def _html(words: ErrorWords, request_id: str) -> str:
    more = ""
    if words.link_text:
        more += f'<p><a href="{escape(words.link)}">{escape(words.link_text)}</a></p>\n'
    if request_id:
        more += f"<p><small>{escape(words.reference)}: {escape(request_id)}</small></p>\n"
    return _PAGE.format(
        lang=escape(words.lang),
        direction=words.direction,
        title=escape(words.title),
        text=escape(words.text),
        more=more,
    )
