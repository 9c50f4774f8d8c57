"""Active health checks: each worker asks each server of a site for a path, time and again."""

from __future__ import annotations

import asyncio
import random
from dataclasses import dataclass

import aiohttp
from multidict import CIMultiDict

from proxy.upstream.errors import failure_kind
from proxy.upstream.exchange import UpstreamRequest, exchange
from proxy.upstream.pool import UpstreamPool
from proxy.upstream.server import Server
from proxy.upstream.timeouts import Timeouts


@dataclass(frozen=True, slots=True)
class HealthCheck:
    """`status` are the codes that pass; none is 200 to 399, as in HAProxy. `host` is the Host
    field, "" for the server's own. Seconds.
    """

    path: str
    host: str
    interval: float = 5.0
    timeout: float = 2.0
    status: frozenset[int] = frozenset()

    def passes(self, status: int) -> bool:
        return status in self.status if self.status else 200 <= status < 400


async def check(pool: UpstreamPool, server: Server, how: HealthCheck) -> str:
    """Ask a server once, on a connection of its own. What is wrong, or ""."""
    headers = CIMultiDict(
        {
            "Host": how.host or server.authority,
            "User-Agent": "consent-proxy health check",
            "Connection": "close",
        }
    )
    request = UpstreamRequest("GET", server, how.path, headers, is_alone=False)
    limits = Timeouts(connect=how.timeout, first_byte=how.timeout, idle=how.timeout)
    try:
        async with asyncio.timeout(how.timeout):
            response = await exchange(pool, request, limits)
    except TimeoutError:
        return f"no response to {how.path} within {how.timeout:g} s"
    except (aiohttp.ClientError, OSError, ValueError) as error:
        return f"no response to {how.path} ({failure_kind(error)})"
    response.release()
    return "" if how.passes(response.status) else f"{how.path} has the status {response.status}"


async def wait(how: HealthCheck) -> None:
    """The pause between two checks: workers and nodes must not ask all at once."""
    await asyncio.sleep(how.interval * random.uniform(0.9, 1.1))  # noqa: S311 - no secret
