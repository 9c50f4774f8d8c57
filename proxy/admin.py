"""The operator's listener: health, metrics, purge. It answers while the worker's loop turns."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from aiohttp import web

from proxy.cache.purge import purge
from proxy.metrics import Metrics
from proxy.metrics_text import CONTENT_TYPE, metrics_text
from proxy.running import Running
from proxy.server import Handler

_HEALTH = frozenset({"/health", "/healthz", "/readyz"})


def make_admin(current: Callable[[], Running], metrics: Metrics) -> Handler:
    """The handler of `admin_listen`. `current` gives the configuration in force."""

    async def admin(request: web.BaseRequest) -> web.StreamResponse:
        await asyncio.sleep(0)
        reading = request.method in {"GET", "HEAD"}
        if request.path in _HEALTH and reading:
            return web.Response(text="ok\n", headers={"Cache-Control": "no-store"})
        if request.path == "/metrics" and reading:
            headers = {"Cache-Control": "no-store", "Content-Type": CONTENT_TYPE}
            return web.Response(body=metrics_text(metrics), headers=headers)
        if request.path == "/purge":
            return purge(request, current().cache)
        return web.Response(status=404, text="here: /health, /metrics, /purge\n")

    return admin
