"""What a request that lasts does when the server stops."""

from __future__ import annotations

from collections.abc import Callable

from aiohttp import web

ON_DRAIN: web.RequestKey[Callable[[], None]] = web.RequestKey("on_drain")
"""On a request: ends its response. Of event streams and tunnels, which would outlast any drain."""
