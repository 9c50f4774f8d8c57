"""Response and request helpers of the consent endpoints."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qs, urlsplit

from aiohttp import web

from consent_rules.matching.urls import host_of_authority
from proxy.banner.return_path import safe_return_to
from proxy.context import RequestContext
from proxy.http.error_pages import error_response
from proxy.runtime import Runtime

_BODY_SECONDS = 20.0
NO_STORE = {"Cache-Control": "no-store"}


def method_not_allowed(request: web.BaseRequest, allowed: str) -> web.Response:
    response = error_response(request, 405)
    response.headers["Allow"] = allowed
    return response


def json_response(value: Any, headers: Mapping[str, str] = NO_STORE) -> web.Response:
    return web.Response(
        text=json.dumps(value, separators=(",", ":")),
        content_type="application/json",
        headers={**headers, "X-Content-Type-Options": "nosniff"},
    )


def return_target(
    request: web.BaseRequest, context: RequestContext, given: str | None, prefix: str
) -> str:
    """The page to return to: the one that the form names, else the Referer's."""
    if given:
        return safe_return_to(given)
    try:
        referer = urlsplit(request.headers.get("Referer", ""))
    except ValueError:  # such as "http://["
        return "/"
    if not referer.netloc or host_of_authority(referer.netloc) != context.host:
        return "/"
    path = referer.path + (f"?{referer.query}" if referer.query else "")
    if path.startswith(prefix + "/"):
        return "/"
    return safe_return_to(path)


def language_of(given: str, runtime: Runtime) -> str:
    """The language that a form or link names, as `Texts.lang` has it; "" for one that we lack."""
    texts = runtime.wording.texts_of(given)
    return texts.lang if texts is not None else ""


def query_parameter(request: web.BaseRequest) -> dict[str, str]:
    query = request.raw_path.partition("?")[2]
    try:
        fields = parse_qs(query, max_num_fields=20, errors="replace")
    except ValueError:  # too many: none of our links
        return {}
    return {name: values[0] for name, values in fields.items()}


async def read_request_body(request: web.BaseRequest, limit: int) -> bytes | int:
    """A request's body, or the status of the rejection: too large, too slow, malformed."""
    parts: list[bytes] = []
    size = 0
    try:
        async with asyncio.timeout(_BODY_SECONDS):
            async for chunk in request.content.iter_chunked(16_384):
                size += len(chunk)
                if size > limit:
                    return 413
                parts.append(chunk)
    except TimeoutError:
        return 408
    except web.RequestPayloadError:
        return 400
    return b"".join(parts)
