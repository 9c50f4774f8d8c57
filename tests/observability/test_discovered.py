"""What nobody approved is counted, from pages and from reports, and listed as config to paste."""

from __future__ import annotations

import contextlib
import datetime
import json
import os
import re
import sqlite3
import time
import tomllib
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from consent_rules.audit.inventory import SeenBy
from consent_rules.catalogue.load import catalogue
from consent_rules.categories import Audience
from proxy.observability.csp_reports import parse_csp_report
from proxy.observability.discovered import (
    MORE_PAGES,
    Sightings,
    as_config,
    count_new_third_parties,
    read_discovered,
    sightings_in,
    vendor_id_for,
)
from proxy.observability.metrics import Metrics
from proxy.observability.prometheus import metrics_text
from proxy.observability.rate_limit import RateLimit
from proxy.observability.served_pages import MAX_PAGES, ServedPages
from proxy.runtime import build_runtime
from tests.support.one_connection import connected
from tests.support.site import HOST, PAGE, Answer, Proxied, proxied, reply
from tests.support.slow_page import Slow, visiting

TODAY = datetime.date(2026, 11, 24)


def kept(site: Proxied, tmp_path: Path) -> dict[str, tuple[tuple[str, ...], int, int]]:
    path = tmp_path / "found.db"
    site.running.sightings._path = path
    site.running.sightings.write()
    return {d.host: (d.pages, d.in_pages, d.in_reports) for d in read_discovered(path)}


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=80) | st.sampled_from(sorted(catalogue())), st.booleans())
def test_an_id_is_one_that_a_config_takes_and_nobody_has(host: str, is_taken: bool) -> None:
    taken = {vendor_id_for(host)} if is_taken else set()
    found = vendor_id_for(host, taken)
    assert re.fullmatch(r"[a-z0-9]+(?:-[a-z0-9]+)*", found)
    assert found not in catalogue()
    assert found not in taken


async def test_whose_files_a_page_has_where_anybody_publishes(tmp_path: Path) -> None:
    shop = "//cdn.shopify.com/s/files/1/0533/2089"
    page = (
        f"<link rel=stylesheet href='{shop}/t/1/assets/a.css'><img src={shop}/files/b.jpg "
        f"srcset='{shop}/files/b.jpg 1x, {shop}/files/c.jpg 2x'>"
        "<style>a{b:url(https://cdn.shopify.com/s/files/1/0001/0002/d.png)}</style>"
        "<a href=https://cdn.shopify.com/s/files/1/0003/0004/e.pdf>a link loads nothing</a>"
        "<img src=https://nobody-knows.example/s/files/1/0005/0006/f.png>"
    )
    async with proxied(tmp_path, {"": reply(page.encode())}) as site:
        await site.ask("/")
        site.running.sightings._path = path = tmp_path / "found.db"
        site.running.sightings.write()
        site.running.sightings.add("www", "/", seen="page", host="cdn.shopify.com")
        more = [f"cdn.shopify.com/s/files/1/{number}/1/*" for number in range(20)]
        site.running.sightings.add_folders("www", "cdn.shopify.com", more)
        before = {one.host: one.folders for one in read_discovered(path)}
        site.running.sightings.write()
    assert before == {
        "cdn.shopify.com": (
            "cdn.shopify.com/s/files/1/0001/0002/*", "cdn.shopify.com/s/files/1/0533/2089/*",
        ),
        "nobody-knows.example": (),
    }  # fmt: skip
    (shown,) = (one for one in read_discovered(path) if one.host == "cdn.shopify.com")
    assert set(before["cdn.shopify.com"]) < set(shown.folders)
    assert len(shown.folders) == 8
    assert f"# paths = {json.dumps(shown.folders)}" in as_config(shown, TODAY)


async def report(site: Proxied, page: str, *blocked: str, sender: str = "") -> Answer:
    """Send CSP reports, as browsers gather them. `sender` is an address."""
    body = json.dumps(
        [
            {"body": {"documentURL": f"http://{HOST}{page}", "blockedURL": url}, "url": ""}
            for url in blocked
        ]
    ).encode()
    forwarded = [f"X-Forwarded-For: {sender}"] if sender else []
    answer = await site.ask("/.consent/report", *forwarded, method="POST", body=body)
    assert answer.status in {204, 429}
    return answer


async def test_pages_and_reports_are_counted(tmp_path: Path) -> None:
    pages = {"": reply(PAGE), "patients/pay": reply(PAGE)}
    async with proxied(tmp_path, pages) as site:
        for _ in range(3):
            await site.ask("/")
        await site.ask("/patients/pay")
        await report(site, "/?account=7", "https://late.example/beacon")
        found = kept(site, tmp_path)
        # Once for each page, not for each visitor; a patient page's path is kept by nobody.
        assert found["nobody-knows.example"] == (("(patient pages)", "/"), 2, 0)
        assert found["late.example"] == (("/",), 0, 1)
        assert "google-analytics" not in found, "it has a tag here"


MARK = "X-Page-Audience: patient"
META = b'<meta name="page-audience" content="patient">'
XHTML = b'<html xmlns="http://www.w3.org/1999/xhtml"><head></head><body/></html>'
NAMED = "/erika-mustermann"


@pytest.mark.parametrize(
    "page",
    [
        reply(PAGE, MARK),
        reply(META + PAGE),
        reply(PAGE.replace(b"<h1>", b'<iframe src="/patients/x"></iframe><h1>')),
        reply(b"<!-- -->" * 30_000 + PAGE, MARK),
    ],
    ids=["header", "meta", "frame", "streamed"],
)
@pytest.mark.parametrize("cached", [True, False], ids=["cache", "no cache"])
async def test_a_page_that_says_itself_that_it_is_for_patients(
    tmp_path: Path, page: bytes, cached: bool
) -> None:
    def change(text: str) -> str:
        return text if cached else text.replace("[proxy]\n", "[proxy]\ncache_bytes = 0\n", 1)

    async with proxied(tmp_path, {NAMED[1:]: page}, change=change) as site:
        await site.ask(NAMED)
        await report(site, NAMED, "https://late.example/x")
        found = kept(site, tmp_path)
    assert found["nobody-knows.example"] == (("(patient pages)",), 1, 0)
    assert found["late.example"] == (("(patient pages)",), 0, 1)


async def test_a_page_that_says_so_late(tmp_path: Path) -> None:
    slow = Slow(rest=META + b'<script src="https://nobody-knows.example/y.js"></script>')
    async with proxied(tmp_path, {NAMED[1:]: slow}) as site:
        async with visiting(site, NAMED) as reader:
            await reader.readuntil(b"<p>first</p>")
            slow.go_on.set()
            await reader.read()
        await report(site, NAMED, "https://late.example/x")
        found = kept(site, tmp_path)
    assert found["nobody-knows.example"] == (("(patient pages)",), 1, 0)
    assert found["late.example"] == (("(patient pages)",), 0, 1)


# --- Reports, which anybody can send


@pytest.mark.parametrize(
    ("served", "answer"),
    [
        ("/a", reply(PAGE)),
        ("/a?b=c", reply(PAGE)),
        ("/caf%C3%A9", reply(PAGE)),
        ("/streamed", reply(b"<!-- -->" * 30_000 + PAGE)),
        ("/ungated", reply(PAGE, "Content-Encoding: gzip")),
        ("/xml", reply(XHTML, "Content-Type: application/xhtml+xml", html=False)),
    ],
)
async def test_a_report_counts_for_a_page_that_was_served(
    tmp_path: Path, served: str, answer: bytes
) -> None:
    async with proxied(tmp_path, {"*": answer}) as site:
        await report(site, served, "https://late.example/x")
        assert "late.example" not in kept(site, tmp_path), "not served yet"
        await site.ask(served)
        await report(site, f"{served}?other", "https://late.example/x")
        assert kept(site, tmp_path)["late.example"] == ((served.partition("?")[0],), 0, 1)


@pytest.mark.parametrize(
    ("path", "answer"),
    [
        ("/script.js", reply(b"1", "Content-Type: text/javascript", html=False)),
        ("/missing", reply(PAGE, status="404 Not Found")),
        ("/missing", reply(b"<!-- -->" * 30_000 + PAGE, status="404 Not Found")),
        ("/broken", reply(PAGE, "Content-Encoding: gzip", status="500 Internal Server Error")),
    ],
)
async def test_a_report_counts_for_no_file_and_no_error(
    tmp_path: Path, path: str, answer: bytes
) -> None:
    async with proxied(tmp_path, {"*": answer}) as site:
        await site.ask(path)
        await report(site, path, "https://late.example/x")
        assert "late.example" not in kept(site, tmp_path)


async def test_a_page_counts_when_it_comes_from_memory_after_a_reload(tmp_path: Path) -> None:
    fresh = reply(PAGE, "Cache-Control: public, max-age=600")
    async with proxied(tmp_path, {"a": fresh}) as site:
        async with connected(site) as visitor:
            for _ in range(3):
                await visitor.ask("/a")
        before = site.running
        after = build_runtime(site.config, tmp_path, lambda: before.keys, before)
        assert after.served_pages.audience("www", "/a") is Audience.MARKETING
        assert after.served_pages.audience("other", "/a") is None


def test_all_workers_know_what_one_has_served() -> None:
    pages = ServedPages()
    child = os.fork()
    if child == 0:
        pages.add("www", "/a", Audience.PATIENT)
        os._exit(0)
    os.waitpid(child, 0)
    assert pages.audience("www", "/a") is Audience.PATIENT
    pages.add("www", "/a", Audience.MARKETING)
    assert pages.audience("www", "/a") is Audience.PATIENT, "it is for some visitors"


def test_so_many_pages_are_known() -> None:
    pages = ServedPages()
    for number in range(150_000):
        pages.add("www", f"/{number}", Audience.MARKETING)
    known = [pages.audience("www", f"/{number}") is not None for number in range(150_000)]
    assert 30_000 < sum(known) <= MAX_PAGES
    assert sum(known[-1000:]) > 900, "the latest are known"
    assert pages.audience("www", "/nobody-asked") is None


async def test_a_network_names_so_many_new_hosts(tmp_path: Path) -> None:
    async with proxied(tmp_path) as site:
        await site.ask("/")
        sent = 0
        for number in range(40):
            hosts = [f"https://{number}-{one}.example/" for one in range(50)]
            sent += 50 * ((await report(site, "/", *hosts, sender="192.0.2.1")).status == 204)
        assert sent >= 1500
        # Another address of the network is no other network; a host that is known is told again.
        await report(site, "/", "https://same.example/", sender="192.0.2.9")
        await report(site, "/", "https://late.example/", sender="198.51.100.1")
        await report(site, "/", "https://late.example/", sender="192.0.2.1")
        found = kept(site, tmp_path)
        named = {host for host, (_, _, parse_csp_report) in found.items() if parse_csp_report}
        assert len(named) <= 21
        assert "late.example" in named
        assert "same.example" not in named


async def test_a_flood_of_reports_keeps_no_tracker_in_a_page_from_being_recorded(
    tmp_path: Path,
) -> None:
    path = tmp_path / "found.db"
    flood = Sightings(path)
    for batch in range(4):
        for number in range(2000):
            flood.add("www", "/", host=f"{batch}-{number}.example", seen="report")
        flood.write()
    async with proxied(tmp_path) as site:
        for number in range(8000):
            site.running.sightings.add("www", "/", host=f"x{number}.example", seen="report")
        await site.ask("/")
        found = kept(site, tmp_path)
    assert found["nobody-knows.example"] == (("/",), 1, 0)


def test_what_is_new_finds_room(tmp_path: Path) -> None:
    path = tmp_path / "found.db"
    sightings = Sightings(path)
    for batch in range(4):
        for number in range(2000):
            sightings.add("www", "/", host=f"{batch}-{number}.example", seen="report")
            sightings.add("www", "/", host="often.example", seen="report")
        sightings.write()
    sightings.add("www", "/", host="new.example", seen="report")
    sightings.write()
    found = {one.host: one for one in read_discovered(path)}
    assert len(found) <= 2000
    assert "new.example" in found
    assert found["often.example"].in_reports == 8000, "what is seen again stays"


def test_reports_of_many_pages_take_no_place_of_pages(tmp_path: Path) -> None:
    path = tmp_path / "found.db"
    sightings = Sightings(path)
    for number in range(80):
        sightings.add("www", f"/{number}", host="a.example", seen="report")
    sightings.write()
    sightings.add("www", "/real", host="a.example", seen="page")
    sightings.write()
    (found,) = read_discovered(path)
    assert "/real" in found.pages


@pytest.mark.parametrize(
    "body",
    [
        {"document-uri": f"http://{HOST}/", "blocked-uri": f"https://{'a.' * 32_000}example/"},
        {"document-uri": f"http://{'a.' * 32_000}example/", "blocked-uri": "https://b.example/"},
        {"document-uri": f"http://{HOST}/{'a/' * 31_000}", "blocked-uri": "https://b.example/"},
        {"document-uri": f"http://{HOST}/?{'a=/&' * 15_000}", "blocked-uri": "https://b.example/"},
    ],
    ids=["host", "page's host", "path", "query"],
)
async def test_what_a_report_costs_is_bounded(tmp_path: Path, body: dict[str, str]) -> None:
    sent = json.dumps({"csp-report": body}).encode()
    assert 60_000 < len(sent) < 65_536
    async with proxied(tmp_path) as site:
        await site.ask("/")
        began = time.process_time()
        answer = await site.ask("/.consent/report", method="POST", body=sent)
        assert time.process_time() - began < 0.2
        assert answer.status == 204
        assert set(kept(site, tmp_path)) <= {"nobody-knows.example", "b.example"}


@pytest.mark.parametrize(
    "page", ["http://[", "http://[::1", "", "\x00", "http://www.example.com:x/"]
)
async def test_a_report_about_no_page(tmp_path: Path, page: str) -> None:
    body = {"csp-report": {"document-uri": page, "blocked-uri": "https://late.example/"}}
    async with proxied(tmp_path) as site:
        await site.ask("/")
        sent = json.dumps(body).encode()
        assert (await site.ask("/.consent/report", method="POST", body=sent)).status == 204
        assert "late.example" not in kept(site, tmp_path)


async def test_reports_are_limited(tmp_path: Path) -> None:
    async with proxied(tmp_path, {}) as site:
        big = await site.ask("/.consent/report", method="POST", body=b"x" * 70_000)
        assert big.status == 413
        statuses = [
            (await site.ask("/.consent/report", method="POST", body=b"{}")).status
            for _ in range(60)
        ]
        assert set(statuses) == {204, 429}


@pytest.mark.parametrize(
    ("body", "pairs"),
    [
        (b"", []),
        (b"[]", []),
        (b"[1, null, {}]", []),
        (b"[" * 100_000, []),
        (b'{"csp-report": "x"}', []),
        (b'{"csp-report": {"document-uri": "https://a/", "blocked-uri": "inline"}}', []),
        (b'{"csp-report": {"document-uri": "https://a/", "blocked-uri": "https://b/"}}',
         [("https://a/", "https://b/")]),
        (b'[{"type": "csp-violation", "url": "https://a/", '
         b'"body": {"documentURL": "https://a/p", "blockedURL": "https://b/x"}}]',
         [("https://a/p", "https://b/x")]),
    ],
)  # fmt: skip
def test_reports(body: bytes, pairs: list[tuple[str, str]]) -> None:
    assert list(parse_csp_report(body)) == pairs


def test_a_site_names_so_many_pages(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "found.db"
    sightings = Sightings(path)
    for number in range(80):
        sightings.add("www", f"/{number}", host="a.example", seen="page")
    sightings.write()
    (found,) = read_discovered(path)
    assert found.pages[-1] == MORE_PAGES
    assert len(found.pages) <= 52
    assert found.in_pages == 80


def test_a_file_that_cannot_be_written_stops_nothing(tmp_path: Path) -> None:
    path = tmp_path / "found.db"
    path.write_bytes(b"this is no database, and it is longer than a header of one would be" * 20)
    sightings = Sightings(path)
    sightings.add("www", "/", host="a.example", seen="page")
    sightings.write()
    with pytest.raises(sqlite3.Error):
        read_discovered(path)


def test_config_to_paste_is_config_once_uncommented(tmp_path: Path) -> None:
    path = tmp_path / "found.db"
    sightings = Sightings(path)
    sightings.add("www", "/", host="cdn.stranger.example", seen="page")
    sightings.write()
    (found,) = read_discovered(path)
    text = as_config(found, TODAY)
    assert tomllib.loads(text) == {}, "pasting alone approves nothing"
    keys = ("[[", "id =", "name =", "category =", "hosts =", "vendor =", "sites =", "approved",
            "expires")  # fmt: skip
    lines = [line.removeprefix("# ") for line in text.splitlines()]
    data = tomllib.loads("\n".join(line for line in lines if line.startswith(keys)))
    assert data["vendor"][0]["hosts"] == ["cdn.stranger.example"]
    assert data["tag"][0]["vendor"] == data["vendor"][0]["id"]
    assert data["tag"][0]["expires"] == datetime.date(2027, 11, 24)


def test_a_vendor_a_host_and_a_changed_script_are_told_apart(tmp_path: Path) -> None:
    path = tmp_path / "found.db"
    sightings = Sightings(path)
    for _ in range(2):
        sightings.add("www", "/", vendor="meta-pixel", seen="page")
    sightings.add("www", "/", vendor="meta-pixel", seen="report")
    sightings.add("www", "/", vendor="meta-pixel", script="sha256-x=", seen="page")
    sightings.add("www", "/", host="a.example", seen="page")
    sightings.write()
    found = {(one.host, one.owner, one.script): one for one in read_discovered(path)}
    assert found.keys() == {
        ("", "meta-pixel", ""),
        ("", "meta-pixel", "sha256-x="),
        ("a.example", "", ""),
    }
    whole = found["", "meta-pixel", ""]
    assert (whole.in_pages, whole.in_reports) == (2, 1)
    assert 'inline_hashes = ["sha256-x="]' in as_config(found["", "meta-pixel", "sha256-x="], TODAY)
    assert "# meta-pixel on site www" in as_config(whole, TODAY)


@pytest.mark.parametrize("opens", ["reads", "writes"])
def test_a_file_of_an_earlier_version_is_taken_over(tmp_path: Path, opens: str) -> None:
    path = tmp_path / "found.db"
    rows = [
        ("www", "a.example", "", "/", "page", 3, "2026-11-20"),
        ("www", "meta-pixel", "meta-pixel", "/", "page", 2, "2026-11-21"),
        ("www", "changed inline script of hotjar: sha256-ab=", "", "/", "page", 1, "2026-11-22"),
        ("www", "script whose pin cannot be held", "", "/", "page", 1, "2026-11-22"),
    ]
    with contextlib.closing(sqlite3.connect(path)) as database, database:
        database.execute(
            "CREATE TABLE discovered (site TEXT NOT NULL, host TEXT NOT NULL, owner TEXT NOT NULL, "
            "page TEXT NOT NULL, seen TEXT NOT NULL, times INTEGER NOT NULL, "
            "last_seen TEXT NOT NULL, PRIMARY KEY (site, host, page, seen))"
        )
        database.executemany("INSERT INTO discovered VALUES (?, ?, ?, ?, ?, ?, ?)", rows)
    if opens == "writes":
        sightings = Sightings(path)
        sightings.add("www", "/", host="a.example", seen="page")
        sightings.write()
    for _ in range(2):
        found = {(d.host, d.owner, d.script): d.in_pages for d in read_discovered(path)}
        assert found == {
            ("a.example", "", ""): 4 if opens == "writes" else 3,
            ("", "meta-pixel", ""): 2,
            ("", "hotjar", "sha256-ab="): 1,
        }


def test_bucket() -> None:
    limit = RateLimit(a_second=1, at_once=2)
    assert [limit.allow("a", 0.0) for _ in range(3)] == [True, True, False]
    assert limit.allow("b", 0.0)
    assert limit.allow("a", 1.0)
    assert not limit.allow("a", 1.5)
    assert limit.allow("a", 2.5)


# --- The file


def test_the_file_is_the_operators(tmp_path: Path) -> None:
    path = tmp_path / "found.db"
    before = os.umask(0o022)
    try:
        with contextlib.closing(sqlite3.connect(path)) as older:  # of an earlier version
            older.execute("PRAGMA journal_mode = WAL")
            older.execute("CREATE TABLE x (y)")
            older.commit()
            assert path.stat().st_mode & 0o077
            sightings = Sightings(path)
            sightings.add("www", "/", host="a.example", seen="page")
            sightings.write()
            modes = {file.name: file.stat().st_mode & 0o777 for file in tmp_path.iterdir()}
            assert set(modes) == {"found.db", "found.db-wal", "found.db-shm"}
            assert set(modes.values()) == {0o600}
    finally:
        os.umask(before)
    new = tmp_path / "new.db"
    sightings = Sightings(new)
    sightings.add("www", "/", host="a.example", seen="page")
    sightings.write()
    assert new.stat().st_mode & 0o777 == 0o600


def test_nothing_that_moves_a_terminals_cursor_is_shown(tmp_path: Path) -> None:
    path = tmp_path / "found.db"
    sightings = Sightings(path)
    sightings.add("www", "/\x1b[2J\u202e", host='a"\x1b]0;.example', seen="page")
    sightings.write()
    (found,) = read_discovered(path)
    text = as_config(found, TODAY)
    assert text.replace("\n", "").isprintable()
    lines = [line.removeprefix("# ") for line in text.splitlines()]
    (hosts,) = [line for line in lines if line.startswith("hosts")]
    assert tomllib.loads(hosts) == {"hosts": [found.host]}


async def test_another_consent_dialog_is_named(tmp_path: Path) -> None:
    page = PAGE.replace(
        b"<h1>",
        b'<script src="https://cdn.cookielaw.org/scripttemplates/otSDKStub.js"></script><h1>',
    )
    async with proxied(tmp_path, {"": reply(page)}) as site:
        await site.ask("/")
        site.running.sightings._path = tmp_path / "found.db"
        site.running.sightings.write()
    texts = {d.name: as_config(d, TODAY) for d in read_discovered(tmp_path / "found.db")}
    assert "# a consent dialog of its own" in texts["onetrust"]
    assert [name for name, text in texts.items() if "consent dialog" in text] == ["onetrust"]


def test_the_day_on_which_it_was_seen_first(tmp_path: Path) -> None:
    path = tmp_path / "found.db"

    def see(host: str) -> None:
        sightings = Sightings(path)
        sightings.add("www", "/", host=host, seen="page")
        sightings.write()

    see("a.example")
    with contextlib.closing(sqlite3.connect(path)) as database, database:
        days = "UPDATE sightings SET first_seen = '2026-01-02', last_seen = '2026-01-02'"
        database.execute(days)
    see("a.example")
    (found,) = read_discovered(path)
    assert found.first_seen == "2026-01-02" < found.last_seen
    # A file that an earlier version has made does not know it.
    with contextlib.closing(sqlite3.connect(path)) as database, database:
        database.execute("ALTER TABLE sightings DROP COLUMN first_seen")
    see("a.example")
    see("b.example")
    known = {one.host: one.first_seen for one in read_discovered(path)}
    assert known["a.example"] == ""
    assert known["b.example"]


def test_what_is_seen_for_the_first_time_is_told_once(tmp_path: Path) -> None:
    """Of all workers: they write to one file."""
    path = tmp_path / "found.db"
    workers = [Sightings(path), Sightings(path)]
    told = []
    for number, host in enumerate(("a.example", "a.example", "b.example")):
        worker = workers[number % 2]
        worker.add("www", f"/{number}", host=host, seen="report" if number else "page")
        worker.add("www", f"/{number}", vendor="hotjar", seen="page")
        worker.add("www", "/", vendor="hotjar", script="sha256-x", seen="page")
        told.append(dict(worker.write()))
    one = {("www", "host"): 1}
    assert told == [one | {("www", "vendor"): 1}, {}, one]
    assert workers[0].write() == {}


async def test_a_new_third_party_is_counted(tmp_path: Path) -> None:
    async with proxied(tmp_path, {"": reply(PAGE)}) as site:
        site.running.sightings._path = tmp_path / "found.db"
        metrics = Metrics()
        metrics.begin(0)
        await site.ask("/")
        count_new_third_parties(site.running.sightings.write(), metrics)
        await site.ask("/")
        count_new_third_parties(site.running.sightings.write(), metrics)
        metrics.publish()
        name = b'consent_proxy_new_third_parties_total{kind="host",site="www"} 1.0'
        assert name in metrics_text(metrics)


@pytest.mark.parametrize(
    "path",
    ["robots.txt", "sitemap.xml", "sitemap_index.xml", "favicon.ico", "ads.txt", "app-ads.txt",
     "apple-touch-icon-120x120.png", ".well-known/security.txt", "browserconfig.xml"],
)  # fmt: skip
async def test_an_address_for_programs_is_no_page_of_third_parties(
    path: str, tmp_path: Path
) -> None:
    """The page for what is missing comes for these, too: no visitor sees it there."""
    missing = reply(PAGE, status="404 Not Found")
    async with proxied(tmp_path, {path: missing, "missing": missing}) as site:
        await site.ask(f"/{path}")
        assert kept(site, tmp_path) == {}
        await site.ask("/missing")
        assert kept(site, tmp_path)["nobody-knows.example"][0] == ("/missing",)


def test_the_inventory_of_an_audit_has_a_sites_discoveries(tmp_path: Path) -> None:
    path = tmp_path / "found.db"
    sightings = Sightings(path)
    sightings.add("www", "/a", host="late.example", seen="report")
    sightings.add("www", "/b", vendor="hotjar", seen="page")
    sightings.add("www", "/b", vendor="hotjar", seen="report")
    sightings.add("www", "/b", vendor="hotjar", script="sha256-x", seen="page")
    sightings.add("other", "/", host="elsewhere.example", seen="page")
    sightings.write()
    found = {one.host or one.vendor: (one.pages, one.by) for one in sightings_in(path, "www")}
    assert found == {
        "late.example": (("/a",), (SeenBy.REPORTS,)),
        "hotjar": (("/b",), (SeenBy.PAGES, SeenBy.REPORTS)),
    }
