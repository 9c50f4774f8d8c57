"""The operator's listener: health, config, metrics, purge. It answers while the loop turns."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from aiohttp import web

from proxy.cache import SharedCache
from proxy.cache.purge import purge
from proxy.http.handler import Handler
from proxy.observability.metrics import Metrics
from proxy.observability.prometheus import CONTENT_TYPE, metrics_text

_DUMPS = partial(json.dumps, indent=2, ensure_ascii=False)
_HEALTH = frozenset({"/health", "/healthz", "/readyz"})


def make_admin(
    cache: Callable[[], SharedCache | None],
    metrics: Metrics,
    status: Callable[[], Mapping[str, Any]] = lambda: {"taken": True},
) -> Handler:
    """The handler of `admin_listen`. `cache` gives the shared cache in use, `told` what there
    is to say of it: whether the file as it is now was taken, and the faults that kept it out.
    """

    async def admin(request: web.BaseRequest) -> web.StreamResponse:
        await asyncio.sleep(0)
        reading = request.method in {"GET", "HEAD"}
        if request.path in _HEALTH and reading:
            taken = status()["taken"]
            text = "ok\n" if taken else "ok\nThe config was not taken, see /config\n"
            return web.Response(text=text, headers={"Cache-Control": "no-store"})
        if request.path == "/config" and reading:
            headers = {"Cache-Control": "no-store"}
            return web.json_response(dict(status()), headers=headers, dumps=_DUMPS)
        if request.path == "/metrics" and reading:
            headers = {"Cache-Control": "no-store", "Content-Type": CONTENT_TYPE}
            return web.Response(body=metrics_text(metrics), headers=headers)
        if request.path == "/purge":
            return purge(request, cache())
        return web.Response(status=404, text="here: /health, /config, /metrics, /purge\n")

    return admin
