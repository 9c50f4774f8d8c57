"""The admin listener: health, config, metrics, purge, and the dashboard.

A page in an operator's browser can resolve a host name of its own to this listener (DNS rebinding)
and read it as its own origin. So it responds only to host names that cannot be registered by
others: addresses, names without a dot (`localhost`, a container's), and those of the config.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any

from aiohttp import web

from consent_rules.config.values import split_address
from consent_rules.matching.urls import host_of_authority
from consent_rules.receipts.tiles import read_tile
from proxy.cache import SharedCache
from proxy.cache.purge import TellNodes, purge
from proxy.http.addresses import parse_address
from proxy.http.handler import Handler
from proxy.http.targets import requested_host
from proxy.observability.metrics import Metrics
from proxy.receipts.errors import ReceiptStoreError
from proxy.receipts.recorder import Recorder

_DUMPS = partial(json.dumps, indent=2, ensure_ascii=False)
_HEALTH = frozenset({"/health", "/healthz"})

_HERE = ("/healthz", "/readyz", "/config", "/metrics", "POST /purge")
_NOT_OURS = (
    "This listener does not go by that name. Ask it by its address, or add the name to "
    "admin_hosts of [proxy].\n"
)


def _health(taken: bool, problems: Sequence[str] = ()) -> web.Response:
    text = "".join(f"{problem}\n" for problem in problems) or "ok\n"
    if not taken:
        text += "The config was rejected, see /config\n"
    headers = {"Cache-Control": "no-store"}
    return web.Response(status=503 if problems else 200, text=text, headers=headers)


_DASHBOARD = "/dashboard"
_LOG = "/log/"
_OF_A_LOG = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}
_FOR_EVER = {"Cache-Control": "public, max-age=31536000, immutable"}


async def _log_resource(path: str, recorder: Recorder | None) -> web.Response:
    """A resource of the log of receipts (https://c2sp.org/tlog-tiles)."""
    tile = read_tile(path)
    if recorder is None or (tile is None and path != "checkpoint"):
        return web.Response(status=404, text="no such part of a log\n", headers=_OF_A_LOG)
    try:
        if tile is None:
            note = await recorder.call(lambda store: store.checkpoint())
            return web.Response(text=note, headers=_OF_A_LOG)
        data = await recorder.call(lambda store: store.tile(tile))
    except ReceiptStoreError as error:
        return web.Response(status=503, text=f"{error}\n", headers=_OF_A_LOG)
    if data is None:
        return web.Response(status=404, text="the log is not that long\n", headers=_OF_A_LOG)
    return web.Response(
        body=data, content_type="application/octet-stream", headers={**_OF_A_LOG, **_FOR_EVER}
    )


def admin_host_names(listen: str, hosts: Iterable[str]) -> frozenset[str]:
    """The host names of the config: the host of `admin_listen`, and `admin_hosts`."""
    return frozenset({split_address(listen)[0], *hosts})


def is_admin_host(authority: str, names: frozenset[str]) -> bool:
    """Whether a request's host is one that cannot be registered by others; "" (none) is, for no
    browser sends a request without one.
    """
    if not authority:
        return True
    host = host_of_authority(authority)
    if not host:
        return False
    return host in names or "." not in host or parse_address(host) is not None


def make_admin(
    cache: Callable[[], SharedCache | None],
    metrics: Metrics,
    status: Callable[[], Mapping[str, Any]] = lambda: {"taken": True},
    names: Callable[[], frozenset[str]] = frozenset,
    receipts: Callable[[], Recorder | None] = lambda: None,
    tell_nodes: Callable[[], TellNodes | None] = lambda: None,
    unready: Callable[[], Awaitable[Sequence[str]]] | None = None,
    dashboard: Handler | None = None,
) -> Handler:
    """The handler of `admin_listen`.

    `cache` returns the shared cache in use, `status` whether the current file was accepted, with
    the problems of a rejected one, `names` the `admin_host_names`, `receipts` what writes the log
    whose tiles are served, `tell_nodes` what sends purges to all nodes; None for one node.
    `unready` returns what keeps this worker from serving. `dashboard` handles what begins with
    /dashboard.
    """

    async def admin(request: web.BaseRequest) -> web.StreamResponse:
        await asyncio.sleep(0)
        # No browser connects to a Unix socket, whose peers have no address.
        if request.remote and not is_admin_host(requested_host(request), names()):
            return web.Response(status=421, text=_NOT_OURS, headers={"Cache-Control": "no-store"})
        reading = request.method in {"GET", "HEAD"}
        if dashboard is not None:
            if request.path == _DASHBOARD or request.path.startswith(f"{_DASHBOARD}/"):
                return await dashboard(request)
            if request.path == "/" and reading:
                # For people, who type the address; programs ask for what they want.
                return web.Response(status=303, headers={"Location": f"{_DASHBOARD}/"})
        if request.path in _HEALTH and reading:
            return _health(status()["taken"])
        if request.path == "/readyz" and reading:
            problems = [] if unready is None else await unready()
            return _health(status()["taken"], problems)
        if request.path == "/config" and reading:
            headers = {"Cache-Control": "no-store"}
            return web.json_response(dict(status()), headers=headers, dumps=_DUMPS)
        if request.path == "/metrics" and reading:
            # At the first scrape: a start need not wait for it.
            from proxy.observability.prometheus import CONTENT_TYPE, metrics_text

            headers = {"Cache-Control": "no-store", "Content-Type": CONTENT_TYPE}
            return web.Response(body=metrics_text(metrics), headers=headers)
        if request.path == "/purge":
            return await purge(request, cache(), tell_nodes())
        if request.path.startswith(_LOG) and reading:
            return await _log_resource(request.path.removeprefix(_LOG), receipts())
        here = (
            *_HERE,
            *([] if receipts() is None else [f"{_LOG}checkpoint"]),
            *([] if dashboard is None else [f"{_DASHBOARD}/"]),
        )
        return web.Response(status=404, text=f"here: {', '.join(here)}\n")

    return admin
