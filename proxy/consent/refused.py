"""A choice that is refused: a page for the visitor, and the reason in the log."""

from __future__ import annotations

import logging

from aiohttp import web

from proxy.banner.error_words import refused_words
from proxy.banner.return_path import preferences_url
from proxy.context import RequestContext
from proxy.http.access_record import REQUEST_ID
from proxy.http.error_pages import error_response
from proxy.runtime import Runtime

_log = logging.getLogger("consent_proxy.consent")


def refused(
    request: web.BaseRequest, context: RequestContext, runtime: Runtime, status: int, reason: str
) -> web.Response:
    """The response to a choice that is not stored. `reason` is a sentence or the end of one.

    Logged at most once a minute for each site and reason: anybody can send forms.
    """
    if runtime.warnings.allow(f"choice {context.site.name} {reason}", context.received_at):
        shown = reason[:1].lower() + reason[1:]
        _log.warning("site %s: a choice was refused (%d): %s", context.site.name, status, shown)
    texts = runtime.wording.texts_for(None, request.headers.get("Accept-Language", ""))
    words = refused_words(texts, preferences_url(runtime.prefix), "" if status == 403 else reason)
    return error_response(request, status, request.get(REQUEST_ID, ""), words)
