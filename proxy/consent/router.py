"""Route the reserved prefix: preferences, choice, state, keys, reports, libraries."""

from __future__ import annotations

import contextlib
import datetime
import hashlib
import json
from typing import Any

from aiohttp import hdrs, web

from proxy.banner.presenters import decision_key, site_vendors
from proxy.banner.return_path import preferences_url
from proxy.cache.conditional import opaque_tag, tags_in
from proxy.consent.choice import choice_endpoint
from proxy.consent.library import library_endpoint
from proxy.consent.preferences import declaration_endpoint, preferences_endpoint
from proxy.consent.receipt import checkpoint_endpoint, receipt_endpoint
from proxy.consent.replies import (
    NO_STORE,
    json_response,
    language_of,
    method_not_allowed,
    query_parameter,
    return_target,
)
from proxy.consent.reports import report_endpoint
from proxy.context import RequestContext
from proxy.http.error_pages import error_response
from proxy.runtime import Runtime

_GPC_PATH = "/.well-known/gpc.json"
_CHECKPOINT = "/log/checkpoint"


def is_own_path(path: str, prefix: str) -> bool:
    """Whether a path is under the reserved prefix. Everything else is the upstream's."""
    return path.startswith(prefix + "/") or path in {prefix, _GPC_PATH}


async def answer(
    request: web.BaseRequest, context: RequestContext, runtime: Runtime
) -> web.StreamResponse:
    """Respond to a request under the reserved prefix."""
    reading = request.method in {"GET", "HEAD"}
    if context.path == _GPC_PATH:
        return _gpc(runtime) if reading else method_not_allowed(request, "GET, HEAD")
    name = context.path[len(runtime.prefix) :]
    if name == "/preferences":
        # A closed form leads here with the method it had.
        return (
            await preferences_endpoint(request, context, runtime)
            if reading
            else _redirect_to_preferences(request, context, runtime)
        )
    if name == "/choice":
        if request.method == "POST":
            return await choice_endpoint(request, context, runtime)
        return _redirect_to_preferences(request, context, runtime)
    if name == "/receipt":
        return await receipt_endpoint(request, context, runtime)
    if name == "/report":
        if request.method == "POST":
            return await report_endpoint(request, context, runtime)
        return method_not_allowed(request, "POST")
    if name.startswith("/lib/"):
        if reading:
            return await library_endpoint(request, runtime)
        return method_not_allowed(request, "GET, HEAD")
    if name not in {"/state", "/jwks.json", "/declaration", "/declaration.json", _CHECKPOINT}:
        return error_response(request, 404)
    if not reading:
        return method_not_allowed(request, "GET, HEAD")
    if name == _CHECKPOINT:
        return await checkpoint_endpoint(request, runtime)
    if name.startswith("/declaration"):
        return declaration_endpoint(request, context, runtime, as_json=name.endswith(".json"))
    if name == "/state":
        return json_response(_state(context, runtime))
    return _jwks(request, runtime)


_JWKS_CACHING = {"Cache-Control": "public, max-age=60, stale-if-error=86400"}
"""A key that was revoked counts at an origin for as long as this is stored there. While the proxy
cannot be asked, nobody chooses either."""


def _jwks(request: web.BaseRequest, runtime: Runtime) -> web.Response:
    """The public keys as a JWK Set (RFC 7517)."""
    keys = runtime.keys.jwks()
    etag = hashlib.sha256(json.dumps(keys).encode()).hexdigest()[:24]
    headers = {**_JWKS_CACHING, "ETag": f'"{etag}"'}
    conditions = request.headers.getall(hdrs.IF_NONE_MATCH, ())
    if any(opaque_tag(tag) == f'"{etag}"' for value in conditions for tag in tags_in(value)):
        return web.Response(status=304, headers=headers)
    return json_response(keys, headers)


def _gpc(runtime: Runtime) -> web.Response:
    """https://w3c.github.io/gpc/#gpc-support-resource"""
    version = runtime.config.policy.version
    document: dict[str, Any] = {"gpc": True}
    with contextlib.suppress(ValueError):
        document["lastUpdate"] = datetime.date.fromisoformat(version).isoformat()
    return json_response(document, {"Cache-Control": "public, max-age=3600"})


def _state(context: RequestContext, runtime: Runtime) -> dict[str, Any]:
    """The visitor's state for scripts of the site, or its servers."""
    decision = context.site_decision
    return {
        "site": context.site.name,
        "decided": not decision.show_banner,
        "gpc": decision.gpc,
        "regime": decision.regime,
        "policy_version": runtime.rules.policy_version,
        "categories": {str(c): on for c, on in decision.categories.items()},
        "vendors": {vendor: one.open for vendor, one in sorted(decision.by_vendor.items())},
        "key": decision_key(context.site, decision),
    }


def _redirect_to_preferences(
    request: web.BaseRequest, context: RequestContext, runtime: Runtime
) -> web.Response:
    query = query_parameter(request)
    back = return_target(request, context, query.get("return_to"), runtime.prefix)
    # The buttons of a placeholder that the browser has not seen shown: `vendor:youtube`.
    vendor = query.get("action", "").partition(":")[2]
    vendor = vendor if vendor in site_vendors(context.site) else ""
    lang = language_of(query.get("lang", ""), runtime)
    there = preferences_url(runtime.prefix, back, lang=lang, vendor=vendor)
    return web.Response(status=303, headers={"Location": there, **NO_STORE})
