"""A group of servers in front of real ones: what a visitor gets while some of them fail."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import time
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from unittest.mock import Mock

import pytest
from aiohttp.test_utils import make_mocked_request
from hypothesis import given
from hypothesis import strategies as st

from consent_rules.config.models import Balance
from proxy.upstream import health
from proxy.upstream.checking import check_periodically
from proxy.upstream.group import Member, UpstreamGroup
from proxy.upstream.health import HealthPolicy
from proxy.upstream.pool import UpstreamPool
from proxy.upstream.server import server_at
from tests.support.forwarding import Script, Visit, ok, origin
from tests.support.site import PAGE, Proxied, in_front_of, reply
from tests.support.waiting import PATIENCE

pytestmark = pytest.mark.slow


def refusing() -> int:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port: int = closed.getsockname()[1]
        return port


@contextlib.asynccontextmanager
async def in_front(folder: Path, ports: list[int], keys: str = "") -> AsyncIterator[Proxied]:
    """A proxy in front of servers at these ports. `keys` are further ones of the site."""
    servers = ", ".join(f'"http://127.0.0.1:{port}"' for port in ports)

    def edit(text: str) -> str:
        return text.replace('"http://127.0.0.1:0"', f"[{servers}]\n{keys}")

    async with in_front_of(0, folder, change=edit) as site:
        yield site


def named(name: bytes, *headers: bytes) -> Script:
    """An origin that says its name."""

    async def script(visit: Visit) -> None:
        while True:
            await visit.request()
            await visit.send(ok(name, b"Content-Type: text/plain", *headers))

    return script


def group_of(site: Proxied) -> UpstreamGroup:
    (one,) = site.running.sites.values()
    return one.upstream


async def bodies(site: Proxied, count: int, *headers: str) -> Counter[bytes]:
    found: Counter[bytes] = Counter()
    for number in range(count):
        answer = await site.ask(f"/{number}", *headers)
        assert answer.status == 200
        found[answer.body] += 1
    return found


async def test_round_robin_by_weights(tmp_path: Path) -> None:
    async with (
        origin(named(b"a")) as a,
        origin(named(b"b")) as b,
        in_front(tmp_path, [a.port, b.port], 'balance = "round_robin"\nweights = [3, 1]') as site,
    ):
        assert await bodies(site, 12) == {b"a": 9, b"b": 3}


@pytest.mark.parametrize("balance", ["round_robin", "least_connections", "hash"])
@pytest.mark.parametrize(("slow_start", "least", "most"), [(0, 60, 140), (3600, 0, 30)])
async def test_a_server_that_is_up_again_gets_its_share_by_and_by(
    tmp_path: Path, balance: str, slow_start: int, least: int, most: int
) -> None:
    keys = f'balance = "{balance}"\nhealth = {{max_fails = 1, slow_start = {slow_start}}}'
    if balance == "hash":
        keys += '\nhash_by = "header:X-Tenant"'
    async with in_front(tmp_path, [1, 2], keys) as site:
        group = group_of(site)
        back, now = group.members[0], time.monotonic()
        group.failed(back, now - 1, "refused")
        group.succeeded(back, now)
        chosen: Counter[bool] = Counter()
        for number in range(200):
            headers = {"X-Tenant": str(number)}
            member = group.choose(make_mocked_request("GET", "/", headers=headers), now)
            assert member is not None
            group.finished(member)
            chosen[member is back] += 1
    assert least <= chosen[True] <= most


async def test_least_connections(tmp_path: Path) -> None:
    """The server that hangs holds its requests, so the other one gets all that come."""
    release = asyncio.Event()

    async def hangs(visit: Visit) -> None:
        await visit.request()
        await release.wait()
        await visit.send(ok(b"late", b"Content-Type: text/plain"))

    async with (
        origin(hangs) as slow,
        origin(named(b"quick")) as quick,
        in_front(tmp_path, [slow.port, quick.port]) as site,
    ):
        held = asyncio.ensure_future(site.ask("/held"))
        async with asyncio.timeout(PATIENCE):
            while not slow.exchanges:
                if held.done():
                    held = asyncio.ensure_future(site.ask("/held"))
                await asyncio.sleep(0.01)
        assert await bodies(site, 10) == {b"quick": 10}
        release.set()
        assert (await held).body == b"late"
        assert [member.in_use for member in group_of(site).members] == [0, 0]


@pytest.mark.parametrize(
    ("keys", "header"),
    [
        ('balance = "hash"', "X-Forwarded-For: 203.0.113.{}"),
        ('balance = "hash"\nhash_by = "cookie:sid"', "Cookie: sid={}"),
        ('balance = "hash"\nhash_by = "header:X-Tenant"', "X-Tenant: {}"),
    ],
)
async def test_hash(tmp_path: Path, keys: str, header: str) -> None:
    async with (
        origin(named(b"a")) as a,
        origin(named(b"b")) as b,
        in_front(tmp_path, [a.port, b.port], keys) as site,
    ):
        firsts: list[bytes] = []
        for visitor in range(12):
            found = await bodies(site, 3, header.format(visitor))
            assert len(found) == 1
            firsts += found
    assert len(set(firsts)) == 2


async def test_a_refusing_server_costs_no_visitor_anything(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with (
        origin(named(b"a")) as a,
        in_front(tmp_path, [refusing(), a.port], 'balance = "round_robin"') as site,
    ):
        assert await bodies(site, 10) == {b"a": 10}
        answer = await site.ask("/form", method="POST", body=b"x" * 200_000)
        assert (answer.status, a.exchanges[-1].body) == (200, b"x" * 200_000)
        group = group_of(site)
        assert [member.health.is_up for member in group.members] == [False, True]
        assert group.members[0].ejections == 1
    assert caplog.text.count("gets no requests for 10 s, after 3 failures in a row") == 1


def breaking(answer: bytes = b"") -> Script:
    """An origin that reads a request, sends this and hangs up."""

    async def script(visit: Visit) -> None:
        await visit.request()
        await visit.send(answer)

    return script


@pytest.mark.parametrize("answer", [b"", b"HTTP/1.1 2OO what\r\n\r\n"])
@pytest.mark.parametrize(
    ("method", "body", "repeated"),
    [("GET", b"", True), ("PUT", b"y" * 100_000, True), ("POST", b"z", False)],
)
async def test_only_what_may_be_sent_twice_is(
    tmp_path: Path, answer: bytes, method: str, body: bytes, repeated: bool
) -> None:
    """The first server may have acted on the request: an order must not be placed twice."""
    async with (
        origin(breaking(answer)) as broken,
        origin(named(b"a")) as a,
        in_front(tmp_path, [broken.port, a.port], 'balance = "round_robin"') as site,
    ):
        found = await site.ask("/order", method=method, body=body)
        assert found.status == (200 if repeated else 502)
        assert len(broken.exchanges) == 1
        assert [one.body for one in a.exchanges] == ([body] if repeated else [])


async def test_without_a_budget_nothing_is_sent_again(tmp_path: Path) -> None:
    async with (
        origin(named(b"a")) as a,
        in_front(
            tmp_path, [refusing(), a.port], 'balance = "round_robin"\nretry_budget = 0.0'
        ) as site,
    ):
        assert (await site.ask("/")).status == 502
        assert group_of(site).retries == 0


async def test_interim_responses_are_the_beginning_of_a_response(tmp_path: Path) -> None:
    hints = b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\n\r\n"
    async with (
        origin(breaking(hints)) as broken,
        origin(named(b"a")) as a,
        in_front(tmp_path, [broken.port, a.port], 'balance = "round_robin"') as site,
    ):
        raw = await site.raw(
            b"GET / HTTP/1.1\r\nHost: www.example.com\r\nConnection: close\r\n\r\n"
        )
        assert b" 502 " in raw
        assert not a.exchanges


async def test_a_hanging_server_is_put_out_and_its_request_not_sent_again(tmp_path: Path) -> None:
    async def hangs(visit: Visit) -> None:
        await visit.request()
        await visit.reader.read()

    keys = 'balance = "round_robin"\nhealth = {max_fails = 1}'
    async with (
        origin(hangs) as slow,
        origin(named(b"a")) as a,
        in_front(tmp_path, [slow.port, a.port], keys) as site,
    ):
        timeouts = replace(site.running.timeouts, first_byte=0.3)
        object.__setattr__(site.running, "timeouts", timeouts)
        assert (await site.ask("/slow")).status == 504
        assert not a.exchanges
        object.__setattr__(site.running, "timeouts", replace(timeouts, first_byte=PATIENCE))
        assert await bodies(site, 4) == {b"a": 4}
        assert len(slow.exchanges) == 1


async def test_killed_within_a_body(tmp_path: Path) -> None:
    """The visitor's response breaks off: none is glued together of two; the server is ejected."""
    part = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 10\r\n\r\nhello"
    async with (
        origin(breaking(part)) as broken,
        origin(named(b"a")) as a,
        in_front(
            tmp_path, [broken.port, a.port], 'balance = "round_robin"\nhealth = {max_fails = 1}'
        ) as site,
    ):
        with contextlib.suppress(ConnectionError):
            raw = await site.raw(
                b"GET / HTTP/1.1\r\nHost: www.example.com\r\nConnection: close\r\n\r\n"
            )
            assert raw.endswith(b"\r\n\r\nhello")
        async with asyncio.timeout(PATIENCE):
            while group_of(site).members[0].health.is_up:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        assert await bodies(site, 3) == {b"a": 3}
        assert [member.in_use for member in group_of(site).members] == [0, 0]


async def test_all_down_and_up_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """503 with `Retry-After` at once, and no tracker in it; a server that comes back is found by
    a request within a second or so.
    """
    monkeypatch.setattr(health, "PROBE_SECONDS", 1e6)
    ports = [refusing(), refusing()]
    async with in_front(tmp_path, ports, "health = {max_fails = 1, fail_timeout = 600.0}") as site:
        assert (await site.ask("/")).status == 502
        answer = await site.ask("/", "Accept: text/html", "Accept-Language: es")
        assert (answer.status, answer.one("Retry-After")) == (503, "5")
        assert answer.all("Content-Security-Policy")[0].startswith("default-src 'none'")
        assert answer.one("Content-Language") == "es"
        assert "all upstreams of www are down" in caplog.text

        monkeypatch.setattr(health, "PROBE_SECONDS", 0.1)

        async def back(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(ok(b"back", b"Content-Type: text/plain", b"Connection: close"))
            writer.close()

        async with await asyncio.start_server(back, "127.0.0.1", ports[1]):
            async with asyncio.timeout(PATIENCE):
                while (await site.ask("/")).status != 200:  # noqa: ASYNC110
                    await asyncio.sleep(0.05)
            assert await bodies(site, 3) == {b"back": 3}


def closes_on_die(name: bytes) -> Script:
    """An origin that one page makes close the connection without an answer."""

    async def script(visit: Visit) -> None:
        while b"/die" not in (await visit.request()).line:
            await visit.send(ok(name, b"Content-Type: text/plain"))

    return script


async def test_one_bad_page_takes_no_site_down(tmp_path: Path) -> None:
    """Whoever asks for it again and again ejects every server: those are used all the same, for
    they take connections.
    """
    async with (
        origin(closes_on_die(b"a")) as a,
        origin(closes_on_die(b"b")) as b,
        in_front(tmp_path, [a.port, b.port], "health = {fail_timeout = 600.0}") as site,
    ):
        for _ in range(12):
            assert (await site.ask("/die")).status in {502, 503}
        assert not any(member.health.is_up for member in group_of(site).members)
        assert (await bodies(site, 6)).total() == 6


async def test_a_request_that_fails_everywhere_counts_once(tmp_path: Path) -> None:
    async with (
        origin(closes_on_die(b"a")) as a,
        origin(closes_on_die(b"b")) as b,
        in_front(tmp_path, [a.port, b.port]) as site,
    ):
        assert (await site.ask("/die")).status == 502
        assert len([x for x in (*a.exchanges, *b.exchanges) if b"/die" in x.line]) == 2
        assert sum(member.failures for member in group_of(site).members) == 1


@pytest.mark.parametrize("method", ["PUT", "DELETE"])
async def test_what_changes_something_is_repeated_once(tmp_path: Path, method: str) -> None:
    """Wherever kept connections are closed upon it (RFC 9110, 9.2.2)."""
    async with (
        origin(closes_on_die(b"a")) as a,
        origin(closes_on_die(b"b")) as b,
        in_front(tmp_path, [a.port, b.port]) as site,
    ):
        await asyncio.gather(*(site.ask(f"/{number}") for number in range(8)))  # to be kept
        await site.ask("/die", method=method)
        assert len([x for x in (*a.exchanges, *b.exchanges) if b"/die" in x.line]) <= 2


async def test_a_check_asks_each_server_by_its_own_name(tmp_path: Path) -> None:
    keys = 'preserve_host = false\nhealth = {path = "/health", interval = 0.05, timeout = 0.05}'
    async with (
        origin(named(b"a")) as a,
        origin(named(b"b")) as b,
        in_front(tmp_path, [a.port, b.port], keys) as site,
        UpstreamPool() as pool,
    ):
        checking = asyncio.create_task(check_periodically(pool, lambda: [group_of(site)]))
        async with asyncio.timeout(PATIENCE):
            while not (a.exchanges and b.exchanges):  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        checking.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await checking
        for server in (a, b):
            host = f"host: 127.0.0.1:{server.port}".encode()
            assert host in b"\n".join(b": ".join(one) for one in server.exchanges[0].headers)


async def test_health_checks_take_a_server_out_and_back(tmp_path: Path) -> None:
    sick = asyncio.Event()

    async def flapping(visit: Visit) -> None:
        while True:
            request = await visit.request()
            if b" /healthz " in request.line and sick.is_set():
                await visit.send(ok(b"", b"X-A: b").replace(b"200 OK", b"503 Busy"))
            else:
                await visit.send(ok(b"b", b"Content-Type: text/plain"))

    keys = 'balance = "round_robin"\nhealth = {path = "/healthz", interval = 0.05, timeout = 0.05}'
    keys = keys.replace("timeout = 0.05", "timeout = 0.05, fall = 2")
    async with (
        origin(named(b"a")) as a,
        origin(flapping) as b,
        in_front(tmp_path, [a.port, b.port], keys.replace("0.05", "5.0")) as site,
        UpstreamPool() as pool,
    ):
        group = group_of(site)
        assert group.check is not None
        object.__setattr__(group.check, "interval", 0.02)
        checking = asyncio.create_task(check_periodically(pool, lambda: [group]))

        async def until(up: bool) -> None:
            async with asyncio.timeout(PATIENCE):
                while group.members[1].health.is_up is not up:  # noqa: ASYNC110
                    await asyncio.sleep(0.01)

        assert set(await bodies(site, 4)) == {b"a", b"b"}
        sick.set()
        await until(up=False)
        assert await bodies(site, 4) == {b"a": 4}
        sick.clear()
        await until(up=True)
        assert set(await bodies(site, 4)) == {b"a", b"b"}
        checking.cancel()
        await asyncio.gather(checking, return_exceptions=True)
    asked = [one for one in a.exchanges if b" /healthz " in one.line]
    assert asked[0].values(b"host") == [b"www.example.com"]
    assert asked[0].values(b"user-agent") == [b"consent-proxy health check"]


async def test_a_page_is_stored_once_for_all_servers(tmp_path: Path) -> None:
    page = reply(PAGE, "Cache-Control: max-age=60")

    async def script(visit: Visit) -> None:
        while True:
            await visit.request()
            await visit.send(page)

    async with (
        origin(script) as a,
        origin(script) as b,
        in_front(tmp_path, [a.port, b.port], 'balance = "round_robin"') as site,
    ):
        for _ in range(4):
            answer = await site.ask("/")
            assert answer.status == 200
            assert answer.shows() == set()
        assert len(a.exchanges) + len(b.exchanges) == 1


async def test_each_server_gets_its_own_host(tmp_path: Path) -> None:
    async with (
        origin(named(b"a")) as a,
        origin(named(b"b")) as b,
        in_front(
            tmp_path, [a.port, b.port], 'balance = "round_robin"\npreserve_host = false'
        ) as site,
    ):
        await bodies(site, 4)
    for one in (a, b):
        assert {host for sent in one.exchanges for host in sent.values(b"host")} == {
            f"127.0.0.1:{one.port}".encode()
        }


async def test_nothing_leaks_while_servers_flap(tmp_path: Path) -> None:
    """Connections, tasks and descriptors after 60 requests to servers that refuse, break off and
    hang up within bodies.
    """
    part = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 10\r\n\r\nhello"

    async def moody(visit: Visit) -> None:
        number = visit.number % 4
        await visit.request()
        await visit.send([b"", part, b"HTTP/1.1 2OO\r\n\r\n", ok(b"fine")][number])

    def open_files() -> int:
        return len(list(Path("/proc/self/fd").iterdir()))

    async def some(site: Proxied, count: int) -> None:
        for number in range(count):
            with contextlib.suppress(ConnectionError, AssertionError):
                body = b"b" * 100_000 if number % 3 == 0 else b""
                await site.ask(f"/{number}", method="PUT" if body else "GET", body=body)

    async def settled(before: tuple[int, int]) -> None:
        async with asyncio.timeout(PATIENCE):
            while open_files() > before[0] or len(asyncio.all_tasks()) > before[1]:  # noqa: ASYNC110
                await asyncio.sleep(0.05)

    async with (
        origin(moody) as a,
        origin(moody) as b,
        in_front(tmp_path, [a.port, b.port, refusing()], "health = {max_fails = 0}") as site,
    ):
        await some(site, 4)
        await asyncio.sleep(0.2)
        before = open_files() + 2, len(asyncio.all_tasks()) + 2
        await some(site, 60)
        await settled(before)
        assert all(member.in_use == 0 for member in group_of(site).members)


REQUEST = Mock(method="GET")
EVENTS = st.lists(
    st.tuples(
        st.sampled_from(["ask", "fail", "check ok", "check bad", "leave"]),
        st.integers(0, 4), st.floats(0, 4),
    ),
    max_size=80,
)  # fmt: skip


@given(st.sampled_from(list(Balance)), st.integers(2, 5), EVENTS)
def test_an_ejected_server_is_not_chosen_while_another_is_up(
    balance: Balance, count: int, events: list[tuple[str, int, float]]
) -> None:
    members = tuple(Member(server_at(f"http://10.0.0.{n}")) for n in range(count))
    policy = HealthPolicy(max_fails=2, fail_timeout=3, rise=1, fall=1)
    group = UpstreamGroup("www", members, balance=balance, policy=policy)
    now, held = 0.0, list[Member]()
    for what, number, seconds in events:
        now += seconds
        if what.startswith("check"):
            group.checked(members[number % count], now, "" if what == "check ok" else "bad")
        elif what == "ask":
            up = [one for one in members if one.health.is_up]
            due = [one for one in members if (one.health.ejected_until or now + 1) <= now]
            chosen = group.choose(REQUEST, now)
            if up:
                assert chosen in up or chosen in due
            if chosen is not None:
                assert chosen.health.passes_checks
                held.append(chosen)
        elif held:
            member = held.pop(number % len(held))
            if what == "fail":
                group.failed(member, now, "it broke")
            else:
                group.left(member)
            group.finished(member)
    for member in held:
        group.succeeded(member, now)
        group.finished(member)
    assert all(member.in_use == 0 for member in members)
