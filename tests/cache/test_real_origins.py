"""What belongs to a visitor, as real servers send it by default: nobody else ever gets it."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from aiohttp import ClientSession

from proxy.upstream import exchange
from tests.support.servers import SERVERS, Running, Server, install, running
from tests.support.site import Answer, Proxied, in_front_of

OWNER = re.compile(rb'owner"?:?\s*"?([a-z]+)')


@pytest.fixture(scope="module", params=list(SERVERS.values()), ids=list(SERVERS))
def server(request: pytest.FixtureRequest) -> Iterator[tuple[Server, Running]]:
    kind: Server = request.param
    why_not = install(kind)
    assert not why_not, why_not
    with running(kind) as started:
        yield kind, started


def only(*names: str) -> pytest.MarkDecorator:
    return pytest.mark.parametrize(
        "server", [SERVERS[name] for name in names], ids=names, indirect=True, scope="module"
    )


def owner(answer: Answer) -> str:
    """Whose body it is; "" where it belongs to no visitor."""
    found = OWNER.search(answer.text)
    return found[1].decode() if found else ""


# What somebody else may send to get at what another visitor's request has left.
PRYING: tuple[tuple[str, ...], ...] = (
    (),
    ("Cache-Control: max-stale",),
    ("Cache-Control: max-stale=60, only-if-cached",),
    ("Cache-Control: only-if-cached",),
    ("Cache-Control: max-stale=4000000, max-age=4000000",),
    ("Range: bytes=0-60",),
    ("If-Modified-Since: Mon, 01 Jan 2001 00:00:00 GMT",),
    ('If-None-Match: "nobody has this"',),
)
OTHERS = ("", "sid=bob")


async def _pry(site: Proxied, path: str) -> None:
    for cookie in OTHERS:
        for headers in PRYING:
            for dest in ("", "document"):
                got = await site.ask(path, *headers, cookie=cookie, dest=dest)
                assert owner(got) in {"", cookie.removeprefix("sid=") or "nobody"}, (
                    path, headers, cookie, got,
                )  # fmt: skip


async def test_nobody_gets_what_another_visitor_asked_for(
    server: tuple[Server, Running], tmp_path: Path
) -> None:
    kind, origin = server
    async with in_front_of(origin.port, tmp_path) as site:
        for path in kind.paths:
            for dest in ("", "document"):
                mine = await site.ask(path, cookie="sid=alice", dest=dest)
                assert (mine.status, owner(mine)) == (200, "alice"), (path, mine)
            await _pry(site, path)
            # With the validators of what they must not have, others learn nothing from us either.
            named = [f"If-None-Match: {etag}" for etag in mine.all("ETag")]
            got = await site.ask(path, *named, cookie="sid=bob", dest="")
            assert owner(got) in {"", "bob"}


async def test_nobody_gets_it_while_the_origin_is_away(
    server: tuple[Server, Running], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kind, origin = server
    # Each of hundreds of requests would wait for the origin to come back.
    monkeypatch.setattr(exchange, "_RESTART_SECONDS", 0.0)
    async with in_front_of(origin.port, tmp_path) as site:
        for path in kind.paths:
            assert owner(await site.ask(path, cookie="sid=alice", dest="")) == "alice"
            assert owner(await site.ask(path, cookie="sid=alice")) == "alice"
        origin.stop()
        try:
            for path in kind.paths:
                await _pry(site, path)
        finally:
            origin.start()


async def test_visitors_at_the_same_time_get_their_own(
    server: tuple[Server, Running], tmp_path: Path
) -> None:
    kind, origin = server
    async with in_front_of(origin.port, tmp_path) as site:

        async def one(number: int) -> None:
            who = ("alice", "bob", "")[number % 3]
            path = kind.paths[number // 3 % len(kind.paths)]
            got = await site.ask(path, cookie=f"sid={who}" if who else "", dest="")
            assert owner(got) == (who or "nobody"), (path, who, got)

        async with asyncio.TaskGroup() as group:
            for number in range(60):
                group.create_task(one(number))


@only("flask", "django")
@pytest.mark.parametrize("name", ["SCRIPT_NAME", "Script-Name", "script_name"])
async def test_gunicorn_is_told_no_other_path(
    server: tuple[Server, Running], tmp_path: Path, name: str
) -> None:
    """gunicorn takes SCRIPT_NAME off the path, as a peer on this machine says it."""
    _, origin = server
    if "_" in name:
        headers = {name: "/public"}
        async with ClientSession() as direct:
            url = f"http://127.0.0.1:{origin.port}/public/me"
            async with direct.get(url, headers=headers) as got:
                assert got.status == 200
    async with in_front_of(origin.port, tmp_path) as site:
        assert (await site.ask("/public/me", f"{name}: /public")).status == 404


@only("express", "nginx")  # the others give their files no lifetime
async def test_files_that_are_for_all_come_from_memory(
    server: tuple[Server, Running], tmp_path: Path
) -> None:
    _, origin = server
    async with in_front_of(origin.port, tmp_path) as site:
        first = await site.ask("/static/site.css", cookie="sid=alice", dest="style")
        assert first.status == 200
        second = await site.ask("/static/site.css", cookie="sid=bob", dest="style")
        assert second.one("Age") != "" and second.text == first.text
