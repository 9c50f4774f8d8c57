"""Names of upstreams: looked up apart from requests, the last good addresses kept."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Mapping
from types import SimpleNamespace
from typing import TYPE_CHECKING, cast

import pytest
from aiohttp.abc import ResolveResult
from yarl import URL

from proxy.service import _resolve_periodically
from proxy.upstream.pool import UpstreamPool
from proxy.upstream.resolver import Resolver, refresh_periodically, upstream_names
from proxy.upstream.server import server_at
from proxy.upstream.timeouts import Timeouts
from tests.support.forwarding import answers, forwarding_runtime, ok, origin
from tests.support.waiting import PATIENCE

if TYPE_CHECKING:
    from proxy.config.reload import LiveRuntime

NAME = ("app.internal", 80)


def address(host: str, port: int = 80) -> ResolveResult:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    return ResolveResult(
        hostname="app.internal", host=host, port=port, family=family, proto=0,
        flags=socket.AI_NUMERICHOST,
    )  # fmt: skip


class Names:
    """A name server: `addresses` by name; none at all while it is `down`."""

    def __init__(self, addresses: Mapping[str, list[str]]) -> None:
        self.addresses = dict(addresses)
        self.down = False
        self.asked = 0

    async def __call__(self, host: str, port: int, _: socket.AddressFamily) -> list[ResolveResult]:
        self.asked += 1
        await asyncio.sleep(0)
        if self.down:
            raise socket.gaierror(-3, "Temporary failure in name resolution")
        return [address(one, port) for one in self.addresses[host]]


async def hosts(resolver: Resolver) -> list[str]:
    return [one["host"] for one in await resolver.resolve(*NAME)]


async def test_a_request_is_answered_from_memory() -> None:
    names = Names({"app.internal": ["10.0.0.1"]})
    resolver = Resolver(names)
    assert await asyncio.gather(*(hosts(resolver) for _ in range(20))) == [["10.0.0.1"]] * 20
    assert names.asked == 1
    names.addresses["app.internal"] = ["10.0.0.2"]
    assert await hosts(resolver) == ["10.0.0.1"]
    await resolver.refresh([NAME])
    assert await hosts(resolver) == ["10.0.0.2"]
    assert names.asked == 2


async def test_the_last_good_addresses_outlive_the_name_server(
    caplog: pytest.LogCaptureFixture,
) -> None:
    names = Names({"app.internal": ["10.0.0.1"]})
    resolver = Resolver(names)
    await resolver.refresh([NAME])
    names.down = True
    for _ in range(3):
        await resolver.refresh([NAME])
        assert await hosts(resolver) == ["10.0.0.1"]
    assert caplog.text.count("cannot be looked up") == 1
    names.down = False
    names.addresses["app.internal"] = []
    await resolver.refresh([NAME])
    assert await hosts(resolver) == ["10.0.0.1"]


async def test_a_name_that_was_never_found_is_asked_for_again() -> None:
    names = Names({"app.internal": ["10.0.0.1"]})
    names.down = True
    resolver = Resolver(names)
    with pytest.raises(OSError, match="name resolution"):
        await hosts(resolver)
    names.down = False
    assert await hosts(resolver) == ["10.0.0.1"]


async def test_names_of_an_older_config_are_forgotten() -> None:
    names = Names({"app.internal": ["10.0.0.1"]})
    resolver = Resolver(names)
    await hosts(resolver)
    await resolver.refresh([])
    names.addresses["app.internal"] = ["10.0.0.9"]
    assert await hosts(resolver) == ["10.0.0.9"]


async def test_addresses_take_turns_within_their_family() -> None:
    resolver = Resolver(Names({"app.internal": ["fd00::1", "fd00::2", "10.0.0.1", "10.0.0.2"]}))
    firsts = []
    for _ in range(4):
        found = await hosts(resolver)
        assert [":" in host for host in found] == [True, True, False, False]
        firsts.append(found[0])
    assert sorted(firsts) == ["fd00::1", "fd00::1", "fd00::2", "fd00::2"]


async def test_a_dead_address_is_passed_over() -> None:
    """Of several addresses the next one is tried; IPv4 is where IPv6 leads nowhere (RFC 8305)."""
    async with origin(answers(ok())) as upstream:
        found = ["::1", "127.0.0.2", "127.0.0.1"]
        resolver = Resolver(Names({"app.internal": found}))
        server = server_at(f"http://app.internal:{upstream.port}")
        async with UpstreamPool(resolver=resolver) as pool:
            for _ in found:
                connection = await pool.connect(server, Timeouts(connect=PATIENCE))
                connection.close()
    assert upstream.connections == len(found)


async def test_names_are_looked_up_before_the_first_request_and_again() -> None:
    names = Names({"app.internal": ["10.0.0.1"]})
    resolver = Resolver(names)
    task = asyncio.create_task(refresh_periodically(resolver, lambda: [NAME], lambda: 0.01))
    async with asyncio.timeout(PATIENCE):
        while names.asked < 3:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    task.cancel()


async def test_how_often_is_what_the_config_says(monkeypatch: pytest.MonkeyPatch) -> None:
    server = URL("http://app.internal")
    configs = [
        forwarding_runtime(server, None, proxy=f"upstream_resolve_interval = {seconds}\n")
        for seconds in (7, 9)
    ]
    paused: list[float] = []

    async def sleep(seconds: float) -> None:
        if not seconds:
            return
        paused.append(seconds)
        current.runtime = configs[1]
        if len(paused) == 2:
            raise asyncio.CancelledError

    current = SimpleNamespace(runtime=configs[0])
    names = Names({"app.internal": ["10.0.0.1"]})
    monkeypatch.setattr(asyncio, "sleep", sleep)
    with contextlib.suppress(asyncio.CancelledError):
        await _resolve_periodically(Resolver(names), cast("LiveRuntime", current))
    assert paused == [7.0, 9.0]
    assert names.asked == 2


def test_addresses_and_sockets_are_no_names() -> None:
    servers = map(
        server_at,
        ("http://10.0.0.1", "http://[::1]:90", "unix:/run/x.sock", "https://a.internal",
         "http://b.internal:8080"),
    )  # fmt: skip
    assert upstream_names(servers) == {("a.internal", 443), ("b.internal", 8080)}
