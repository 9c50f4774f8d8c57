"""The health checks of all sites, while the config in force asks for them."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Iterable, Mapping

from proxy.upstream.checks import check, wait
from proxy.upstream.group import Member, UpstreamGroup
from proxy.upstream.pool import UpstreamPool

Key = tuple[str, str]
"""Site, and name of a server."""
_LOOK_SECONDS = 1.0
"""How long a changed config goes unnoticed."""


async def check_periodically(
    pool: UpstreamPool, groups: Callable[[], Iterable[UpstreamGroup]]
) -> None:
    """Check the servers of all groups that have a check, until cancelled. `pool` is for nothing
    else: a check does not wait for visitors' requests.
    """
    wanted: dict[Key, tuple[UpstreamGroup, Member]] = {}
    running: dict[Key, asyncio.Task[None]] = {}
    try:
        while True:
            wanted.clear()
            for group in groups():
                if group.check is not None:
                    wanted.update(
                        ((group.site, member.server.name), (group, member))
                        for member in group.members
                    )
            for key in running.keys() - wanted.keys():
                running.pop(key).cancel()
            for key in wanted:
                if key not in running or running[key].done():
                    running[key] = asyncio.create_task(_follow(pool, wanted, key))
            await asyncio.sleep(_LOOK_SECONDS)
    finally:
        for task in running.values():
            task.cancel()
        await asyncio.gather(*running.values(), return_exceptions=True)


async def _follow(
    pool: UpstreamPool, wanted: Mapping[Key, tuple[UpstreamGroup, Member]], key: Key
) -> None:
    with contextlib.suppress(KeyError):  # no longer in the config
        while True:
            group, member = wanted[key]
            how = group.check
            if how is None:
                return
            problem = await check(pool, member.server, how)
            group.checked(member, time.monotonic(), problem)
            await wait(how)
