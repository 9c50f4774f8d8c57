"""Which pages an audit visits, and how it goes on where it was broken."""

from __future__ import annotations

import asyncio
import datetime
import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest
from aiohttp import web

from consent_rules.audit.report import AuditReport
from consent_rules.audit.scope import AuditScope
from consent_rules.audit.states import AuditState
from consent_rules.categories import Regime
from e2e.audits import audited
from e2e.chromium import LOOPBACK
from e2e.site import in_thread
from proxy.audit.browser import MissingBrowserError, chromium
from proxy.audit.choosing import ChoiceWays
from proxy.audit.crawl import CrawlLimits, CrawlPlan
from proxy.audit.scopes import scope_by_catalogue
from proxy.audit.state_file import StateFile
from proxy.audit.visiting import VisitLimits
from tests.support.commands import Done, run
from tests.support.guarded import guarded
from tests.support.ports import free_ports

LINKS = {
    "/": ["/a", "/private/x", "/account/logout", "/brochure.pdf", "/d1", "https://else.example/"]
    + [f"/calendar?month={month}" for month in range(6)]
    + ["/a#part", "mailto:x@example.com", "/.consent/preferences"],
    "/d1": ["/d2", "/slow"],
    "/d2": ["/d3"],
}


class Origin:
    """Pages with links, and how often each was asked for."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.asked: Counter[str] = Counter()
        self.open = 0
        self.two_are_open = asyncio.Event()

    async def answer(self, request: web.BaseRequest) -> web.StreamResponse:
        if request.path == "/robots.txt":
            return web.Response(text="User-agent: *\nDisallow: /private/\n")
        if request.path == "/sitemap.xml":
            return web.Response(text="<urlset><loc>https://www.example.com/listed</loc></urlset>")
        if request.path in {"/favicon.ico", "/.consent/state"}:
            return web.Response(status=404)
        self.asked[request.path_qs] += 1
        self.open += 1
        if self.open > 1:
            self.two_are_open.set()
        if request.path in {"/slow", "/d2"}:
            # Two pages of one wave: each waits until the other has come.
            with suppress(TimeoutError):
                await asyncio.wait_for(self.two_are_open.wait(), 10)
        self.open -= 1
        if request.path == "/private/x" and request.cookies.get("session") != "jane":
            return web.Response(status=403, text="Sign in")
        links = "".join(f'<a href="{href}">x</a>' for href in LINKS.get(request.path, ()))
        if request.path == "/closed":
            return web.Response(status=403, text="<title>No</title>", content_type="text/html")
        if request.path == "/tool":
            links = '<div class="acme-cookie-bar"><button>Got it</button></div>'
        if request.path == "/leaky":
            links = '<img src="http://nobody-knows.example:9/x.gif">'
        return web.Response(text=f"<title>x</title>{links}", content_type="text/html")

    @asynccontextmanager
    async def serve(self) -> AsyncIterator[None]:
        runner = web.ServerRunner(web.Server(self.answer))
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", self.port).start()
        try:
            yield
        finally:
            await runner.cleanup()


@pytest.fixture
def origin() -> Iterator[Origin]:
    (port,) = free_ports(1)
    running = Origin(port)
    with in_thread(running.serve()):
        yield running


def audit(
    origin: Origin,
    state_file: StateFile | None = None,
    *,
    pages: int = 30,
    obey_robots: bool = True,
    storage_state: str | None = None,
) -> AuditReport:
    start = f"http://localhost:{origin.port}/"
    plan = CrawlPlan(
        start=start,
        states=(AuditState.NO_CHOICE, AuditState.GPC),
        ways=ChoiceWays("/.consent"),
        limits=CrawlLimits(pages=pages, depth=2, rate=0, visit=VisitLimits(0.1, 30.0)),
        obey_robots=obey_robots,
        storage_state=storage_state,
    )
    return audited(plan, _scope(start), state_file=state_file).report


def _scope(start: str) -> AuditScope:
    return scope_by_catalogue(
        start,
        own=(),
        patient_pages=(),
        regime=Regime.OPT_IN,
        region="",
        today=datetime.date(2026, 11, 29),
    )


def test_pages_are_those_that_are_linked_listed_and_allowed(origin: Origin, tmp_path: Path) -> None:
    file = StateFile(tmp_path / "audit.jsonl")
    report = audit(origin, file)
    expected = {"/", "/a", "/d1", "/d2", "/slow", "/listed"}
    expected |= {f"/calendar?month={month}" for month in range(3)}
    assert set(origin.asked) == expected
    assert set(origin.asked.values()) == {2}, "once in each state"
    assert origin.two_are_open.is_set(), "several pages at once"
    assert set(report.unvisited) == {
        "robots.txt asks crawlers to leave some pages out",
        "pages more than 2 links away (--depth)",
    }

    # As if it had been killed in the middle of the last line.
    text = file.path.read_text()
    file.path.write_text(text[:-20])
    origin.asked.clear()
    again = audit(origin, file)
    assert sum(origin.asked.values()) == 1
    assert {page.url for page in again.pages} == {page.url for page in report.pages}
    assert again.visits == report.visits


def test_pages_behind_a_sign_in_and_those_that_robots_txt_excludes(
    origin: Origin, tmp_path: Path
) -> None:
    session = tmp_path / "session.json"
    cookie = {
        "name": "session", "value": "jane", "domain": "localhost", "path": "/", "expires": -1,
        "httpOnly": True, "secure": False, "sameSite": "Lax",
    }  # fmt: skip
    session.write_text(json.dumps({"cookies": [cookie], "origins": []}))
    report = audit(origin, pages=4, obey_robots=False, storage_state=str(session))
    (private,) = (page for page in report.pages if page.url.endswith("/private/x"))
    assert private.failed == ""


def test_an_audit_that_was_killed_goes_on_where_it_was(origin: Origin, tmp_path: Path) -> None:
    file = tmp_path / "audit.jsonl"
    options = ("--states", "no-choice", "--rate", "0", "--at-once", "1", "--depth", "1",
               "--quiet-seconds", "0.1", "--fail-on", "never", "--state", str(file),
               f"--chromium-flag={LOOPBACK}")  # fmt: skip
    address = f"http://localhost:{origin.port}/"
    first = subprocess.Popen(
        [sys.executable, "-m", "proxy", "audit", address, *options], start_new_session=True
    )
    with guarded(first):
        try:
            deadline = time.monotonic() + 120
            while not file.exists() or len(file.read_text().splitlines()) < 3:
                assert first.poll() is None, "it ended before it was killed"
                assert time.monotonic() < deadline
                time.sleep(0.02)
        finally:
            os.killpg(first.pid, signal.SIGKILL)
            first.wait()
    seen = len(file.read_text().splitlines()) - 1
    origin.asked.clear()
    with ThreadPoolExecutor(1) as pool:
        done = pool.submit(run, "audit", address, *options).result()
    assert done.exit_code == 0, done.output
    assert origin.asked.total() == 7 - seen, "what was seen before is not asked for again"


def test_no_more_pages_than_the_limit(origin: Origin) -> None:
    report = audit(origin, pages=3)
    assert len(report.pages) == len(origin.asked) == 3
    assert "more than 3 pages (--pages)" in report.unvisited


def test_a_browser_that_stops_is_told_with_what_to_do() -> None:
    async def lost() -> None:
        async with chromium([LOOPBACK]) as browser:
            await browser.close()
            await browser.new_context()

    with (
        ThreadPoolExecutor(1) as pool,
        pytest.raises(MissingBrowserError, match=r"the browser stopped: .* With --state FILE"),
    ):
        pool.submit(asyncio.run, lost()).result()


@pytest.mark.parametrize(
    ("path", "options", "first", "reason"),
    [
        (
            "/closed",
            ("--states", "no-choice,accepted"),
            "The site could not be opened: HTTP status 403.",
            "HTTP status 403",
        ),
        (
            "/a",
            ("--states", "accepted"),
            "Nothing was audited: none of the states could be reached.",
            "nothing on the page looks like a consent tool",
        ),
        (
            "/tool",
            ("--states", "accepted", "--accept", "###"),
            "Nothing was audited: none of the states could be reached.",
            "name one with --accept",
        ),
    ],
)
def test_an_audit_that_saw_nothing_is_not_green(
    origin: Origin,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    path: str,
    options: tuple[str, ...],
    first: str,
    reason: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    address = f"http://localhost:{origin.port}{path}"
    with ThreadPoolExecutor(1) as pool:
        done = pool.submit(
            run, "audit", address, *options, "--depth", "0", "--quiet-seconds", "0.1",
            "--fail-on", "never", "--junit", "audit.xml", f"--chromium-flag={LOOPBACK}",
        ).result()  # fmt: skip
    assert done.exit_code == 1, done.output
    assert done.stdout.startswith(first)
    assert reason in done.stdout
    assert "0 of " in done.stdout
    assert "<error message=" in (tmp_path / "audit.xml").read_text()


def test_the_command_writes_each_report_and_its_exit_code_tells(
    origin: Origin, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)

    def audit_leaky(*options: str) -> Done:
        address = f"http://localhost:{origin.port}/leaky"
        quick = ("--states", "no-choice", "--depth", "0", "--quiet-seconds", "0.2")
        with ThreadPoolExecutor(1) as pool:
            return pool.submit(
                run, "audit", address, *quick, f"--chromium-flag={LOOPBACK}", *options
            ).result()

    files = ("html", "json", "junit", "sarif")
    first = audit_leaky(*(word for kind in files for word in (f"--{kind}", f"audit.{kind}")))
    assert first.exit_code == 1, first.output
    assert "high nobody-knows.example:9: a request to a third party" in first.stdout
    for kind in files:
        assert "nobody-knows.example" in (tmp_path / f"audit.{kind}").read_text(), kind
    assert "data:image/jpeg;base64," in (tmp_path / "audit.html").read_text()
    again = audit_leaky("--since", "audit.json", "--fail-on", "critical")
    assert again.exit_code == 0, again.output
    assert ": 0 new, 0 gone" in again.stdout
