"""The reply with the site's own service worker.

What it makes up or takes from the Cache API never passes the proxy. So its script is sent with a
few lines of ours behind it, which hold every page it answers with to the visitor's choice: see
`static/banner/worker.js`.
"""

from __future__ import annotations

import json

from aiohttp import hdrs, web
from multidict import CIMultiDict

from proxy.banner.assets import minified_script
from proxy.banner.presenters import decision_key
from proxy.cache import OriginResponse
from proxy.context import RequestContext
from proxy.enforcement.response_filter import ResponseKind
from proxy.enforcement.shared_caching import remove_cdn_directives
from proxy.http.representation import remove_origin_metadata
from proxy.responses.reply import Reply
from proxy.responses.stream import stream
from proxy.runtime import Runtime
from proxy.upstream.body import read_body

_MAX_BYTES = 4_000_000
"""Bytes. Browsers reject far smaller scripts; a larger one is sent unchanged."""
_READ_SECONDS = 30.0


def with_policy(script: bytes, policy: str, closed: str, key: str, prefix: str) -> bytes:
    """The script with our lines at its end: in front they would undo its "use strict".

    `policy` is what the visitor's state allows, whose digest is `key` (`decision_key`); `closed` is
    the policy under which no third party acts.
    """
    data = {
        "policy": policy,
        "closed": closed,
        "key": key,
        "mark": f"{prefix}/report",
        "state": f"{prefix}/state",
    }
    ours = minified_script("worker.js").replace("DATA", json.dumps(data))
    return b"%s\n;%s" % (script, ours.encode("ascii"))


async def service_worker_reply(
    request: web.BaseRequest, context: RequestContext, origin: OriginResponse, runtime: Runtime
) -> Reply[web.StreamResponse]:
    """The reply with a service worker's script. One that cannot be decoded is sent unchanged."""
    decision = context.decision
    coded = origin.headers.get(hdrs.CONTENT_ENCODING, "identity") != "identity"
    already = b""
    if origin.status == 200 and request.method == "GET" and not coded and decision.enforce:
        read = await read_body(origin.body, _MAX_BYTES, runtime.timeouts.idle, _READ_SECONDS)
        already = read.body
        if read.whole:
            return _with_policy(read.body, context, runtime)

    async def send(headers: CIMultiDict[str], _: str) -> web.StreamResponse:
        return await stream(
            request, origin, headers, already_read=already, timeouts=runtime.timeouts
        )

    return Reply(ResponseKind.SERVICE_WORKER, context, send)


def _with_policy(
    script: bytes, context: RequestContext, runtime: Runtime
) -> Reply[web.StreamResponse]:
    closed = runtime.sites[context.site.name].enforcement.policy(None)
    key = decision_key(context.site, context.site_decision)

    async def send(headers: CIMultiDict[str], policy: str) -> web.StreamResponse:
        remove_origin_metadata(headers)
        # Browsers compare the script byte by byte: a new choice makes a new one.
        headers[hdrs.CACHE_CONTROL] = "private, no-cache"
        remove_cdn_directives(headers)
        body = with_policy(script, policy, closed, key, runtime.prefix)
        return web.Response(status=200, body=body, headers=headers)

    return Reply(ResponseKind.SERVICE_WORKER, context, send)
