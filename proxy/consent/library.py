"""`/lib/…`: the libraries that the site serves itself. The same for every visitor."""

from __future__ import annotations

import asyncio

from aiohttp import web

from proxy.http.content_coding import negotiated
from proxy.http.error_pages import error_response
from proxy.runtime import Runtime

_FOR_EVER = "public, max-age=31536000, immutable"
_AFTER_A_CHANGE = "public, max-age=60"
"""Of an address that an earlier list of libraries had: it names another content in time."""


async def library_endpoint(request: web.BaseRequest, runtime: Runtime) -> web.Response:
    """A library's bytes, or 404 for a file that is not in the list."""
    libraries = runtime.libraries
    key, is_current = libraries.listed.requested(request.raw_path)
    file = libraries.files.get(key)
    if file is None:
        return error_response(request, 404)
    headers = {
        "Cache-Control": _FOR_EVER if is_current else _AFTER_A_CHANGE,
        "ETag": file.etag,
        "Vary": "Accept-Encoding",
        "X-Content-Type-Options": "nosniff",
        # Public files: a sandboxed frame of the site's own asks from an opaque origin.
        "Access-Control-Allow-Origin": "*",
    }
    if request.headers.get("If-None-Match", "") == file.etag:
        return web.Response(status=304, headers=headers)
    wanted = negotiated(request.headers.get("Accept-Encoding", ""))
    body, coding = (
        file.coded(wanted)
        if wanted in file.codings
        else await asyncio.to_thread(file.coded, wanted)
    )
    if coding:
        headers["Content-Encoding"] = coding
    charset = "utf-8" if file.media_type in {"text/javascript", "application/json"} else None
    return web.Response(body=body, content_type=file.media_type, charset=charset, headers=headers)
