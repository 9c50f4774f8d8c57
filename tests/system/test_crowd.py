"""A thousand visitors at once, each unlike the others, on one site and two workers: nobody gets
anything that was made for somebody else. What each must get is worked out offline.
"""

from __future__ import annotations

import asyncio
import datetime
import re
import signal
import sys
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from aiohttp import ClientSession, DummyCookieJar, TCPConnector
from multidict import CIMultiDict

from consent_rules.categories import CHOOSABLE, Category
from consent_rules.config.load import load_config
from proxy.cookies.signing_keys import first_keys
from proxy.http.content_coding import decoded
from proxy.review.preview import preview_request
from tests.support.crowd import COOKIE_STATES, Crowd, Due, Offline, Person
from tests.support.crowd_origin import LINKS, STYLE, Served, serve, served, version_in, version_now
from tests.support.forwarding import origin
from tests.support.guarded import guarded
from tests.support.ports import free_ports
from tests.support.processes import ROOT
from tests.support.prometheus_text import samples, total
from tests.support.site import HOST, config_text
from tests.support.waiting import PATIENCE

pytestmark = pytest.mark.slow

PEOPLE = 1000
AT_ONCE = 48
PART = (10, 59)
_SOMEBODYS = re.compile(rb"(?:patient|cart)-\d+")


@dataclass(frozen=True)
class Answer:
    status: int
    headers: CIMultiDict[str]
    body: bytes

    @property
    def text(self) -> bytes:
        return decoded(self.body, self.coding, 10**7)

    @property
    def coding(self) -> str:
        return self.headers.get("Content-Encoding", "")

    @property
    def policies(self) -> list[str]:
        return self.headers.getall("Content-Security-Policy", [])


@dataclass(frozen=True)
class Tagged:
    """A validator that somebody was given, and for what."""

    etag: str
    body: bytes
    policy: str
    coding: str


@dataclass
class Site:
    base: str
    session: ClientSession
    offline: Offline
    tags: dict[str, list[Tagged]] = field(default_factory=dict)
    seen: Counter[str] = field(default_factory=Counter)

    async def ask(self, who: Person, method: str = "GET", **more: str) -> Answer:
        headers: CIMultiDict[str] = CIMultiDict({"Host": HOST, **dict(who.headers)})
        headers.update({name.replace("_", "-"): value for name, value in more.items()})
        if who.cookies:
            headers["Cookie"] = who.cookie_header
        async with self.session.request(
            method, self.base + who.path, headers=headers, allow_redirects=False
        ) as got:
            return Answer(got.status, CIMultiDict(got.headers), await got.read())


def _served_to(who: Person, version: int) -> Served:
    return served(
        who.path,
        version=version,
        session=who.own("session"),
        cart=who.own("cart"),
        flavour=who.header("X-Flavour"),
        language=who.header("Accept-Language"),
    )


async def _visit(site: Site, who: Person) -> None:
    if who.path == "/style.css":
        await _fetch_style(site, who)
        return
    parts = who.number % 3 == 0 or who.path == "/ranged"
    first = await site.ask(who, **({"Range": "bytes=10-59"} if parts else {}))
    if first.status == 206:
        # No part of a page can be gated, so nobody else may act in it, whoever asks.
        assert who.path == "/ranged" and who.dest == ""
        assert first.body == _served_to(who, 0).body[10:60]
        assert first.policies == [site.offline.policy(None)]
        site.seen["part of a page"] += 1
        first = await site.ask(who)
    due = _check_page(site, who, first)
    await _ask_again(site, who, due, first)
    # By now replies lie ready, as bytes, for those who are alike.
    _check_page(site, who, await site.ask(who))


def _check_page(site: Site, who: Person, got: Answer) -> Due:
    assert got.status == 200, who
    version = version_in(got.text)
    assert version_now() - version < 30 or not version, "a version from long ago"
    due = site.offline.due(who, _served_to(who, version))
    assert got.text == due.body, who
    for name in _SOMEBODYS.findall(got.text):
        assert name.decode() in who.cookie_header
    assert got.policies == [due.policy], who
    set_cookies = got.headers.getall("Set-Cookie", [])
    if who.path != "/sets" or set_cookies:
        assert sorted(set_cookies) == sorted(due.set_cookies), who
    assert got.headers["Cache-Control"] == ("no-store" if who.path == "/never" else
                                            "private, no-cache"), who  # fmt: skip
    vary = {name.strip() for name in got.headers["Vary"].split(",")}
    assert vary >= {"Cookie", "Sec-GPC", "Accept-Language", "Accept-Encoding", "Sec-Fetch-Dest"}
    assert "Age" not in got.headers and "Expires" not in got.headers
    if got.coding:
        assert got.coding in who.header("Accept-Encoding")
    if "ETag" in got.headers:
        tag = Tagged(got.headers["ETag"], due.body, due.policy, got.coding)
        site.tags.setdefault(who.path, []).append(tag)
    site.seen[f"coding {got.coding}"] += 1
    return due


async def _ask_again(site: Site, who: Person, due: Due, first: Answer) -> None:
    """With validators that others were given: 304 only where theirs is, byte for byte, ours."""
    known = site.tags.get(who.path, [])
    others = [tag for at, tag in enumerate(known) if (at + who.number) % 7 == 0][-6:]
    if "ETag" in first.headers and who.number % 2:
        others.append(Tagged(first.headers["ETag"], due.body, due.policy, first.coding))
    named = ", ".join(tag.etag for tag in others) or '"nobody\'s"'
    more = {"If_Modified_Since": "Thu, 01 Jan 2099 00:00:00 GMT"} if who.number % 3 else {}
    got = await site.ask(who, If_None_Match=named, **more)
    ours = [
        tag
        for tag in others
        if tag.policy == due.policy
        and tag.coding == first.coding
        and tag.body == site.offline.due(who, _served_to(who, version_in(tag.body))).body
    ]
    if got.status == 304:
        assert any(tag.etag == got.headers["ETag"] for tag in ours), (who, got.headers)
        assert got.body == b""
        assert got.policies == [due.policy]
        site.seen["not modified"] += 1
        return
    _check_page(site, who, got)
    if ours and who.path not in {"/changing", "/never"}:
        raise AssertionError(f"{who} holds this page already")
    site.seen["modified"] += 1
    # Without the body, nobody knows of the mark that is in it.
    if who.number % 4 == 0 and who.path != "/meta":
        head = await site.ask(who, "HEAD")
        assert (head.status, head.body, head.policies) == (200, b"", [due.policy])


async def _fetch_style(site: Site, who: Person) -> None:
    decision = site.offline.decision(who)
    wanted = [link for vendor, link in LINKS.items() if vendor in decision.open]
    for part in ({}, {"Range": f"bytes={PART[0]}-{PART[1]}"}):
        got = await site.ask(who, **part)
        # A worker that does not have the file yet asks the origin, which sends the whole.
        whole = STYLE if got.status == 200 else STYLE[PART[0] : PART[1] + 1]
        assert (got.status, got.text) in ((200, whole), (206 if part else 200, whole))
        assert got.headers.getall("Link", []) == wanted, who
        site.seen["part of a file" if got.status == 206 else "file"] += 1


@asynccontextmanager
async def _two_workers(folder: Path, origin_port: int) -> AsyncIterator[tuple[str, str, str]]:
    """The site's and the operator's address, and the config's text."""
    port, admin = free_ports(2)
    text = config_text(origin_port).replace(
        'listen = "127.0.0.1:0"',
        f'listen = "127.0.0.1:{port}"\nadmin_listen = "127.0.0.1:{admin}"\nworkers = 2\n'
        "access_log = false",
    )
    config = folder / "c.toml"
    config.write_text(text)
    with (folder / "log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "proxy",
            "run",
            "--config",
            str(config),
            cwd=ROOT,
            stdout=log,
            stderr=log,
        )
    with guarded(process):
        try:
            async with asyncio.timeout(PATIENCE):
                while True:
                    try:
                        (await asyncio.open_connection("127.0.0.1", port))[1].close()
                        (await asyncio.open_connection("127.0.0.1", admin))[1].close()
                        break
                    except OSError:
                        assert process.returncode is None, (folder / "log").read_text()
                        await asyncio.sleep(0.05)
            yield f"http://127.0.0.1:{port}", f"http://127.0.0.1:{admin}", text
            assert "Traceback" not in (folder / "log").read_text()
        finally:
            if process.returncode is None:
                process.send_signal(signal.SIGTERM)
            await process.wait()


async def test_a_thousand_visitors(tmp_path: Path) -> None:
    today = datetime.datetime.now(datetime.UTC)
    async with (
        origin(serve) as upstream,
        _two_workers(tmp_path, upstream.port) as (base, admin, text),
        ClientSession(
            connector=TCPConnector(limit=AT_ONCE),
            auto_decompress=False,
            cookie_jar=DummyCookieJar(),
            skip_auto_headers=("User-Agent", "Accept"),
        ) as session,
    ):
        config = load_config(text, "c.toml", today=today.date()).config
        crowd = Crowd(
            first_keys(tmp_path / "keys", today),
            first_keys(tmp_path / "forged", today),
            config.policy.version,
        )
        question = preview_request(
            config, f"http://{HOST}/", accept=None, gpc=False, region="", today=today.date()
        )
        site = Site(base, session, Offline(question))
        waiting = asyncio.Semaphore(AT_ONCE)
        combinations: set[frozenset[Category]] = set()

        async def one(number: int) -> None:
            async with waiting:
                who = crowd.person(number)
                site.seen[f"cookie {who.cookie_state}"] += 1
                if who.cookie_state == "chosen" and who.visitor.preferences is not None:
                    combinations.add(who.visitor.preferences.allowed)
                await _visit(site, who)

        async with asyncio.TaskGroup() as group:
            for number in range(PEOPLE):
                group.create_task(one(number))
        async with session.get(f"{admin}/metrics") as told:
            counted = samples(await told.read())

    # It would prove little if pages had not come from memory, or hardly ever twice.
    assert len(combinations) == 2 ** len(CHOOSABLE)
    assert {f"cookie {state}" for state in COOKIE_STATES} < set(site.seen)
    for at_least, what in (
        (100, "not modified"), (100, "modified"), (2, "part of a page"), (10, "part of a file"),
        (40, "coding "), (40, "coding gzip"), (40, "coding br"), (40, "coding zstd"),
    ):  # fmt: skip
        assert site.seen[what] >= at_least, (what, site.seen)
    hits = sum(v for (name, labels), v in counted.items()
               if name == "requests_total" and labels[0] == "hit")  # fmt: skip
    # What is asked for with the opt-out signal is stored beside what is asked for without.
    assert hits > total(counted, "requests_total") * 0.3 > PEOPLE * 0.3, counted
