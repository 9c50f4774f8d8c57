"""A choice that is refused: a page for the visitor, and the reason in the log."""

from __future__ import annotations

import logging

from aiohttp import web

from proxy.banner.error_words import not_recorded_words, refused_words
from proxy.banner.return_path import preferences_url
from proxy.banner.texts import Texts
from proxy.context import RequestContext
from proxy.http.access_record import REQUEST_ID
from proxy.http.error_pages import error_response
from proxy.runtime import Runtime

_log = logging.getLogger("consent_proxy.consent")


def refused(
    request: web.BaseRequest,
    context: RequestContext,
    runtime: Runtime,
    status: int,
    reason: str,
    lang: str = "",
) -> web.Response:
    """The response to a choice that is not stored. `reason` is a sentence or the end of one, `lang`
    the language of the form, where it is known.

    Logged at most once a minute for each site and reason: anybody can send forms.
    """
    _log_refusal(context, runtime, status, reason)
    texts = _texts(request, runtime, lang)
    detail = "" if status == 403 else reason
    words = refused_words(texts, preferences_url(runtime.prefix, lang=texts.lang), detail)
    return error_response(request, status, request.get(REQUEST_ID, ""), words)


def not_recorded(
    request: web.BaseRequest, context: RequestContext, runtime: Runtime, lang: str = ""
) -> web.Response:
    """The response to a choice whose receipt could not be written."""
    _log_refusal(context, runtime, 503, "its receipt could not be written")
    texts = _texts(request, runtime, lang)
    words = not_recorded_words(texts, preferences_url(runtime.prefix, lang=texts.lang))
    return error_response(request, 503, request.get(REQUEST_ID, ""), words)


def _texts(request: web.BaseRequest, runtime: Runtime, lang: str) -> Texts:
    return runtime.wording.texts_for(lang, request.headers.get("Accept-Language", ""))


def _log_refusal(context: RequestContext, runtime: Runtime, status: int, reason: str) -> None:
    if runtime.warnings.allow(f"choice {context.site.name} {reason}", context.received_at):
        shown = reason[:1].lower() + reason[1:]
        _log.warning("site %s: a choice was refused (%d): %s", context.site.name, status, shown)
