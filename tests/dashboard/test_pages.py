"""The pages: what they say, that nothing in them runs, and their files."""

from __future__ import annotations

import asyncio
import csv
import io
import json
import re
import time
from collections.abc import AsyncIterator
from html.parser import HTMLParser
from pathlib import Path

import pytest
from aiohttp import ClientSession

from proxy.dashboard import choices as choices_module
from proxy.receipts.tally import ReceiptCounter
from tests.support.dashboard import (
    HOSTILE,
    Board,
    many_receipts,
    receipt_of,
    rows_of,
    serving,
    today,
    write,
)

PAGES = ("/dashboard/", "/dashboard/choices", "/dashboard/third-parties", "/dashboard/tags")


class Page(HTMLParser):
    """The elements of a page, with their attributes."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))


@pytest.fixture
async def client() -> AsyncIterator[ClientSession]:
    async with ClientSession() as session:
        yield session


async def text_of(client: ClientSession, board: Board, path: str) -> str:
    async with client.get(board.url + path) as reply:
        assert reply.status == 200, path
        return await reply.text()


async def test_every_page_and_its_files(tmp_path: Path, client: ClientSession) -> None:
    async with serving(tmp_path, receipts=many_receipts(200)) as board:
        seen = set()
        for path in PAGES:
            page = Page(await text_of(client, board, path))
            links = [str(a["href"]) for tag, a in page.elements if tag == "a"]
            files = [link for link in links if "/data/" in link]
            assert files, path
            for link in files:
                text = await text_of(client, board, link)
                seen.add(link.partition("?")[0].removeprefix("/dashboard/data/"))
                if ".json" in link:
                    rows = json.loads(text)["rows"]
                    lines = await text_of(client, board, link.replace(".json", ".csv"))
                    table = list(csv.DictReader(io.StringIO(lines)))
                    assert len(rows) == len(table)
                    assert [list(row) for row in rows] == [list(row) for row in table]
        tables = {
            "tags", "third-parties", "traffic", "upstreams", "versions",
            "choices-over-time", "choices-by-category", "choices-by-site", "choices-by-region",
            "choices-by-language", "choices-by-device", "choices-by-signal", "choices-by-action",
        }  # fmt: skip
        assert {f"{one}.{form}" for one in tables for form in ("csv", "json")} <= seen


async def test_the_policy_of_every_reply(tmp_path: Path, client: ClientSession) -> None:
    paths = (*PAGES, "/dashboard/style.css", "/dashboard/data/tags.csv", "/dashboard/nothing",
             "/dashboard", "/dashboard/sign-in")  # fmt: skip
    async with serving(tmp_path) as board:
        for path in paths:
            async with client.get(board.url + path, allow_redirects=False) as reply:
                headers = reply.headers
            policy = headers["Content-Security-Policy"]
            assert "default-src 'none'" in policy
            assert "frame-ancestors 'none'" in policy
            assert "unsafe" not in policy
            assert "script-src" not in policy
            assert headers["Cache-Control"] == "no-store"
            assert headers["X-Frame-Options"] == "DENY"
            assert headers["X-Content-Type-Options"] == "nosniff"


async def test_nothing_from_elsewhere_and_nothing_that_the_policy_refuses(
    tmp_path: Path, client: ClientSession
) -> None:
    async with serving(tmp_path, receipts=many_receipts(200)) as board:
        for path in PAGES:
            for tag, attributes in Page(await text_of(client, board, path)).elements:
                assert tag not in {"script", "style", "iframe", "object"}, path
                assert not {name for name in attributes if name.startswith("on")}
                assert "style" not in attributes
                for name in ("src", "href", "action"):
                    value = attributes.get(name)
                    assert value is None or value.startswith(("/dashboard", "#")), value


HOSTS = (HOSTILE, "=cmd|' /C calc'!A0", "+1", "-1", "@SUM(1)", "\tx", "{{ 7 * 7 }}", "\u202eevil")


async def test_what_visitors_and_pages_name_is_text(tmp_path: Path, client: ClientSession) -> None:
    sightings = [(host, f"/{host}") for host in HOSTS]
    made = [
        receipt_of(n, today() - 1, region=HOSTILE, device=HOSTILE, site=HOSTILE, language=HOSTILE)
        for n in range(9)
    ]
    async with serving(tmp_path, sightings=sightings, receipts=made) as board:
        for path in (*PAGES, f"/dashboard/choices?site={HOSTILE}&by={HOSTILE}&period={HOSTILE}"):
            text = await text_of(client, board, path)
            assert "<script" not in text
            assert "49" not in text.partition("<footer")[0] or "{{ 7" not in text
        assert "&lt;script" in await text_of(client, board, "/dashboard/third-parties")
        assert "&lt;script" in await text_of(client, board, "/dashboard/choices")
        for name in ("third-parties", "tags", "choices-by-region"):
            text = await text_of(client, board, f"/dashboard/data/{name}.csv")
            cells = [cell for row in csv.reader(io.StringIO(text)) for cell in row]
            assert not [cell for cell in cells if cell[:1] in tuple("=+-@\t\r")]
        tags = await text_of(client, board, "/dashboard/data/tags.csv")
        assert "'=HYPERLINK(1)" in tags
        found = rows_of(await text_of(client, board, "/dashboard/data/third-parties.json"))
        assert {row["name"] for row in found} >= {HOSTILE, "+1", "-1"}


async def test_third_parties_as_discovered_says_them(tmp_path: Path, client: ClientSession) -> None:
    sightings = [("cdn.example", "/blog")] * 7 + [("rare.example", "/")]
    async with serving(tmp_path, sightings=sightings) as board:
        rows = rows_of(await text_of(client, board, "/dashboard/data/third-parties.json"))
        found = {row["name"]: row for row in rows}
        assert found["cdn.example"]["in_reports"] == 7
        assert found["cdn.example"]["what"] == "unknown host"
        assert found["cdn.example"]["first_seen"] == found["cdn.example"]["last_seen"]
        pixel = found["Meta Pixel"]
        assert (pixel["vendor"], found["cdn.example"]["vendor"]) == ("meta-pixel", None)
        assert str(pixel["what"]).startswith("advertising: ")
        assert "[[tag]]" in found["cdn.example"]["config"]
        # Browsers' reports are of visitors.
        assert found["rare.example"]["in_reports"] == "fewer than 5"
        assert "reported fewer than 5 times" in found["rare.example"]["config"]
        assert "reported 7 times" in found["cdn.example"]["config"]


async def test_a_refused_config_is_said_with_file_and_line(
    tmp_path: Path, client: ClientSession
) -> None:
    async with serving(tmp_path) as board:
        text = await text_of(client, board, "/dashboard/")
        assert text.count("serves the config file as it is") == 1
        fault = 'c.toml:3: listn: no such key; did you mean "listen"?'
        board.status.update(taken=False, faults=[fault])
        text = await text_of(client, board, "/dashboard/")
        assert "the last good config is still served" in text
        assert "c.toml:3: listn" in text
        rows = rows_of(await text_of(client, board, "/dashboard/data/config-faults.json"))
        assert rows == [{"fault": fault}]


async def test_upstreams_and_versions(tmp_path: Path, client: ClientSession) -> None:
    async with serving(tmp_path) as board:
        rows = rows_of(await text_of(client, board, "/dashboard/data/upstreams.json"))
        assert [(row["site"], row["takes_connections"]) for row in rows] == [
            ("www", False),
            ("shop", False),
        ]
        page = await text_of(client, board, "/dashboard/")
        upstreams = page[page.index('id="upstreams"') :].partition("</section>")[0]
        # Not a table: on a phone its last columns would be beyond the edge.
        assert ("<table" in upstreams, upstreams.count("<article>")) == (False, 2)
        assert "<dt>Takes connections</dt><dd>no</dd>" in upstreams
        versions = rows_of(await text_of(client, board, "/dashboard/data/versions.json"))
        assert {"consent-proxy", "Python", "SQLite"} <= {row["part"] for row in versions}


@pytest.mark.parametrize(
    "path",
    ["data/tags.xml", "data/tags", "data/../tags.csv", "data/choices-by-name.csv", "data/.csv",
     "style.css/x", "base.html", "parts.html"],
)  # fmt: skip
async def test_what_is_not_there(path: str, tmp_path: Path, client: ClientSession) -> None:
    async with serving(tmp_path) as board, client.get(f"{board.url}/dashboard/{path}") as reply:
        assert reply.status == 404


async def test_the_address_alone_leads_to_the_dashboard(
    tmp_path: Path, client: ClientSession
) -> None:
    async with serving(tmp_path) as board:
        for path in ("/", "/dashboard"):
            async with client.get(board.url + path, allow_redirects=False) as reply:
                assert (reply.status, reply.headers["Location"]) == (303, "/dashboard/")


# --- Choices


async def test_without_receipts(tmp_path: Path, client: ClientSession) -> None:
    async with serving(tmp_path, more="") as board:
        assert "No receipts are written" in await text_of(client, board, "/dashboard/choices")


async def test_today_is_a_number_alone(tmp_path: Path, client: ClientSession) -> None:
    made = [receipt_of(n, today(), region="FR") for n in range(8)]
    made += [receipt_of(n, today() - 1) for n in range(100, 107)]
    async with serving(tmp_path, receipts=made) as board:
        text = await text_of(client, board, "/dashboard/choices")
        assert "Today so far: 8 choices" in text
        rows = rows_of(await text_of(client, board, "/dashboard/data/choices-by-region.json"))
        assert [(row["region"], row["choices"]) for row in rows] == [("DE", 7)]


async def test_of_today_alone_there_is_no_chart(tmp_path: Path, client: ClientSession) -> None:
    made = [receipt_of(n, today()) for n in range(9)]
    async with serving(tmp_path, receipts=made) as board:
        text = await text_of(client, board, "/dashboard/choices")
        assert "Today so far: 9 choices" in text
        assert "Nothing yet" not in text
        assert text.count("No choices in this period, which ends with yesterday.") == 1


async def test_sign_in_says_where_the_token_is(tmp_path: Path, client: ClientSession) -> None:
    async with serving(tmp_path) as board:
        assert "[dashboard]" in await text_of(client, board, "/dashboard/sign-in")


async def test_the_share_of_opt_outs_and_of_the_signal(
    tmp_path: Path, client: ClientSession
) -> None:
    made = [receipt_of(n, today() - 1, gpc=n < 10, action="reject_all") for n in range(30)]
    made += [
        receipt_of(n, today() - 1, regime="opt_out", action="opt_out") for n in range(100, 110)
    ]
    async with serving(tmp_path, receipts=made) as board:
        data = "/dashboard/data/choices-by-"
        signals = rows_of(await text_of(client, board, f"{data}signal.json"))
        assert sorted((row["choices"], row["percent"]) for row in signals) == [(10, 25), (30, 75)]
        actions = rows_of(await text_of(client, board, f"{data}action.json"))
        found = {row["action"]: (row["choices"], row["percent"]) for row in actions}
        assert found == {"opt out": (10, 25), "reject all": (30, 75)}


async def test_small_numbers_in_every_form(tmp_path: Path, client: ClientSession) -> None:
    made = [receipt_of(n, today() - 1, region="FR") for n in range(3)]
    made += [receipt_of(n, today() - 1) for n in range(100, 140)]
    made += [receipt_of(n, today() - 1, region="IT") for n in range(200, 206)]
    made += [receipt_of(300, today())]
    async with serving(tmp_path, receipts=made) as board:
        page = await text_of(client, board, "/dashboard/choices")
        assert "Today so far: fewer than 5" in page
        table = page[page.index('id="choices-by-region"') :].partition("</section>")[0]
        row = r'<th scope="row"[^>]*>(\w+)</th>\s*<td class="number">([^<]*)'
        assert re.findall(row, table) == [
            ("DE", "40"), ("FR", "fewer than 5"), ("IT", "not shown"),
        ]  # fmt: skip
        csv_text = await text_of(client, board, "/dashboard/data/choices-by-region.csv")
        assert "FR,fewer than 5,not shown" in csv_text
        rows = rows_of(await text_of(client, board, "/dashboard/data/choices-by-region.json"))
        assert {row["region"]: row["choices"] for row in rows} == {
            "DE": 40, "FR": "fewer than 5", "IT": "not shown",
        }  # fmt: skip


async def test_a_store_that_cannot_be_read(tmp_path: Path, client: ClientSession) -> None:
    async with serving(tmp_path) as board:
        assert board.place is not None
        board.place.path.write_bytes(b"no database" * 100)
        assert "cannot be counted" in await text_of(client, board, "/dashboard/choices")


async def test_a_slow_store_holds_up_neither_the_page_nor_the_proxy(
    tmp_path: Path, client: ClientSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = ReceiptCounter.count

    def slow(*arguments: object, **named: object) -> object:
        time.sleep(0.7)  # in a thread, as a database that is busy
        return real(*arguments, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(ReceiptCounter, "count", slow)
    monkeypatch.setattr(choices_module, "_WAIT_SECONDS", 0.1)
    made = [receipt_of(n, today() - n % 3) for n in range(60)]
    async with serving(tmp_path, receipts=made) as board:
        first = asyncio.create_task(text_of(client, board, "/dashboard/choices"))
        longest = 0.0
        while not first.done():
            start = time.perf_counter()
            await text_of(client, board, "/healthz")
            longest = max(longest, time.perf_counter() - start)
        assert "are being counted" in await first
        for _ in range(200):
            if "choices-by-region" in await text_of(client, board, "/dashboard/choices"):
                break
            await asyncio.sleep(0.05)
        else:
            raise AssertionError("never counted")
        assert longest < 0.6


async def test_what_was_counted_is_not_counted_again(
    tmp_path: Path, client: ClientSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[int] = []
    real = ReceiptCounter.count

    def counted(*arguments: object, **named: object) -> object:
        calls.append(1)
        return real(*arguments, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(ReceiptCounter, "count", counted)
    async with serving(tmp_path, receipts=[receipt_of(1, today() - 1)]) as board:
        for _ in range(10):
            await asyncio.gather(*[text_of(client, board, "/dashboard/choices")] * 1)
        assert board.place is not None
        write(board.place, [receipt_of(2, today() - 1)])
        await text_of(client, board, "/dashboard/choices")
    assert len(calls) == 1
