"""The site's own service worker: it answers for pages, so it is held to the policy as well.

What it makes up or takes from the Cache API never passes the proxy. So its script is sent with a
few lines of ours behind it, which put our policy on every page it answers with.
"""

from __future__ import annotations

import json

from aiohttp import ClientResponse, hdrs, web
from multidict import CIMultiDict

from consent_rules.decision import Decision
from proxy.banner.assets import minified_script
from proxy.context import RequestContext
from proxy.enforcement.shared_caching import remove_cdn_directives
from proxy.http.representation import remove_origin_metadata
from proxy.responses.stream import stream
from proxy.upstream.body import read_body
from proxy.upstream.timeouts import Timeouts

_MAX_BYTES = 4_000_000
"""Bytes. Browsers give up on far smaller scripts; a larger one goes out as it is."""
_READ_SECONDS = 30.0
_CSP = "Content-Security-Policy"


def with_policy(script: bytes, policy: str, mark: str) -> bytes:
    """The script with our lines at its end: in front they would undo its "use strict"."""
    ours = (
        minified_script("worker.js")
        .replace("POLICY", json.dumps(policy))
        .replace("MARK", json.dumps(mark))
    )
    return b"%s\n;%s" % (script, ours.encode("ascii"))


async def worker_reply(
    request: web.BaseRequest,
    upstream: ClientResponse,
    headers: CIMultiDict[str],
    context: RequestContext,
    decision: Decision,
    timeouts: Timeouts,
) -> web.StreamResponse:
    """Send a service worker's script on. `headers` are held to the decision already, and the last
    policy among them is ours.
    """
    coded = headers.get(hdrs.CONTENT_ENCODING, "identity") != "identity"
    if upstream.status != 200 or request.method != "GET" or coded or not decision.enforce:
        return await stream(request, upstream, headers, upstream.status, timeouts=timeouts)
    read = await read_body(upstream, _MAX_BYTES, timeouts.idle, _READ_SECONDS)
    if not read.whole:
        return await stream(
            request, upstream, headers, upstream.status, already_read=read.body, timeouts=timeouts
        )
    remove_origin_metadata(headers)
    # Browsers compare the script byte by byte: a new choice makes a new one.
    headers[hdrs.CACHE_CONTROL] = "private, no-cache"
    remove_cdn_directives(headers)
    policy = headers.getall(_CSP)[-1]
    body = with_policy(read.body, policy, f"{context.runtime.prefix}/report")
    return web.Response(status=200, body=body, headers=headers)
