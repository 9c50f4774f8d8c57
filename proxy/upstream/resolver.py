"""Addresses of upstreams' host names: looked up apart from requests, the last good ones kept."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
from collections.abc import Awaitable, Callable, Iterable

from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.resolver import ThreadedResolver

from proxy.http.addresses import parse_address
from proxy.upstream.server import Server

_log = logging.getLogger("consent_proxy.upstream")

Name = tuple[str, int]
"""Host and port."""
LookUp = Callable[[str, int, socket.AddressFamily], Awaitable[list[ResolveResult]]]


class Resolver(AbstractResolver):
    """A resolver for aiohttp's connector, without its cache.

    A name that was looked up before is answered from memory, whatever its age: `refresh` looks it
    up again. Of several addresses another one of the same family comes first each time; families
    stay in the order of getaddrinfo (RFC 6724), and the connector tries them in turn (RFC 8305).
    """

    def __init__(self, look_up: LookUp | None = None) -> None:
        self._look_up = look_up or ThreadedResolver().resolve
        self._known: dict[Name, list[ResolveResult]] = {}
        self._pending: dict[Name, asyncio.Task[list[ResolveResult]]] = {}
        self._failing: set[Name] = set()

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        name = host, port
        known = self._known.get(name)
        if known is None:
            known = await self._first(name)
        if len(known) > 1:
            known = self._known[name] = _rotated(known)
        return known

    async def refresh(self, names: Iterable[Name]) -> None:
        """Look names up again, one after the other: where a name server hangs, each takes a thread.
        Others are forgotten.
        """
        wanted = set(names)
        for name in self._known.keys() - wanted:
            del self._known[name]
        self._failing &= wanted
        for name in sorted(wanted):
            try:
                found = await self._look_up(*name, socket.AF_UNSPEC)
            except OSError as error:
                self._note_failure(name, error)
                continue
            if found:
                self._failing.discard(name)
                self._known[name] = found

    async def close(self) -> None:
        for task in self._pending.values():
            task.cancel()

    async def _first(self, name: Name) -> list[ResolveResult]:
        """Look a name up; requests that need it meanwhile wait for the same answer."""
        task = self._pending.get(name)
        if task is None:
            task = asyncio.ensure_future(self._looked_up(name))
            self._pending[name] = task
            task.add_done_callback(lambda _: self._pending.pop(name, None))
        return await asyncio.shield(task)

    async def _looked_up(self, name: Name) -> list[ResolveResult]:
        found = await self._look_up(*name, socket.AF_UNSPEC)
        if not found:
            raise OSError(None, "the name has no address")
        self._known[name] = found
        return found

    def _note_failure(self, name: Name, error: OSError) -> None:
        if name not in self._known or name in self._failing:
            return
        self._failing.add(name)
        _log.warning(
            "the name %s cannot be looked up (%s): its last good addresses are used until it can",
            name[0],
            error.strerror or error,
        )


def _rotated(found: list[ResolveResult]) -> list[ResolveResult]:
    families: dict[int, list[ResolveResult]] = {}
    for one in found:
        families.setdefault(one["family"], []).append(one)
    return [one for group in families.values() for one in (*group[1:], group[0])]


def upstream_names(servers: Iterable[Server]) -> set[Name]:
    """The host names of servers: what is to be looked up, no addresses and no sockets."""
    return {
        (server.url.raw_host, server.url.port)
        for server in servers
        if not server.socket
        and server.url.raw_host is not None
        and server.url.port is not None
        and parse_address(server.url.raw_host) is None
    }


async def refresh_periodically(
    resolver: Resolver, names: Callable[[], Iterable[Name]], seconds: Callable[[], float]
) -> None:
    """Look up the names in force now and every so many seconds, until cancelled."""
    while True:
        with contextlib.suppress(OSError):
            await resolver.refresh(names())
        await asyncio.sleep(seconds())
