"""What nobody approved is counted, from pages and from reports, and listed as config to paste."""

from __future__ import annotations

import contextlib
import datetime
import json
import sqlite3
import tomllib
from pathlib import Path

import pytest

from proxy.observability.csp_reports import reported
from proxy.observability.discovered import MORE_PAGES, Sightings, as_config, read_discovered
from proxy.observability.rate_limit import RateLimit
from tests.app.site import PAGE, Proxied, proxied, reply

TODAY = datetime.date(2026, 11, 24)


def kept(site: Proxied, tmp_path: Path) -> dict[str, tuple[tuple[str, ...], int, int]]:
    path = tmp_path / "found.db"
    site.running.sightings._path = path
    site.running.sightings.write()
    return {d.host: (d.pages, d.in_pages, d.in_reports) for d in read_discovered(path)}


async def test_pages_and_reports_are_counted(tmp_path: Path) -> None:
    pages = {"": reply(PAGE), "patients/pay": reply(PAGE)}
    async with proxied(tmp_path, pages) as site:
        for _ in range(3):
            await site.ask("/")
        await site.ask("/patients/pay")
        report = {
            "csp-report": {
                "document-uri": "http://www.example.com/x?account=7",
                "blocked-uri": "https://late.example/beacon",
            }
        }
        answer = await site.ask("/.consent/report", method="POST", body=json.dumps(report).encode())
        assert answer.status == 204
        found = kept(site, tmp_path)
        # Once for each page, not for each visitor; a patient page's path is kept by nobody.
        assert found["nobody-knows.example"] == (("(patient pages)", "/"), 2, 0)
        assert found["late.example"] == (("/x",), 0, 1)
        assert "google-analytics" not in found, "it has a tag here"


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
    assert list(reported(body)) == pairs


def test_a_site_names_so_many_pages(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "found.db"
    sightings = Sightings(path)
    for number in range(80):
        sightings.add("www", f"/{number}", host="a.example", seen="page")
    sightings.write()
    (found,) = read_discovered(path)
    assert MORE_PAGES in found.pages
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
