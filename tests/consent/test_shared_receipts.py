"""Choices of a node whose receipts go to a database: what the visitor sees while it is away."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from proxy.receipts.outbox import Outbox, open_outbox
from tests.support.choices import FORM, OWN, post, stored
from tests.support.ports import free_ports
from tests.support.site import Answer, Proxied, proxied
from tests.support.waiting import PATIENCE


def with_database(text: str) -> str:
    """One that nobody serves."""
    url = f"postgresql://consent@127.0.0.1:{free_ports(1)[0]}/consent"
    return f'{text}\n[receipts]\nstore = "{url}"\noutbox = "var/outbox.db"\n'


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Proxied]:
    async with proxied(tmp_path, change=with_database) as found:
        yield found


def outbox_of(folder: Path) -> Outbox:
    return open_outbox(folder / "var/outbox.db")


def refused(answer: Answer) -> None:
    assert answer.status == 503
    assert b"Your choice was not saved" in answer.text
    assert not [v for v in answer.all("Set-Cookie") if v.startswith("consent=")]


async def test_a_choice_waits_for_no_database(site: Proxied, tmp_path: Path) -> None:
    answer = await post(site, {"action": "accept_all"})
    assert answer.status == 303
    chosen = stored(site, answer)
    assert [one.receipt_id for one in outbox_of(tmp_path).pending(9)] == [chosen.receipt_id]
    assert site.running.receipts is not None
    assert (site.running.receipts.recorded, site.running.receipts.refused) == (1, 0)


async def test_the_visitors_page_while_it_is_away(site: Proxied, tmp_path: Path) -> None:
    """A receipt on its way is shown, and can be erased; it has no proof to download yet."""
    answer = await post(site, {"action": "accept_all"})
    (value,) = [v for v in answer.all("Set-Cookie") if v.startswith("consent=")]
    cookie, receipt_id = value.partition(";")[0], stored(site, answer).receipt_id
    page = await site.ask("/.consent/preferences", cookie=cookie)
    assert receipt_id.encode() in page.text
    assert (await site.ask("/.consent/receipt", cookie=cookie)).status == 503
    erased = await site.ask(
        "/.consent/receipt", FORM, OWN, method="POST", body=b"action=erase", cookie=cookie, dest=""
    )
    assert erased.status == 303
    page = await site.ask("/.consent/preferences", cookie=cookie)
    assert page.status == 200
    assert receipt_id.encode() not in page.text
    assert (await site.ask("/.consent/receipt", cookie=cookie)).status == 404
    kinds = [str(one.kind) for one in outbox_of(tmp_path).pending(9)]
    assert kinds == ["receipt", "erasure"]


async def test_a_page_of_a_receipt_that_only_the_database_has(
    site: Proxied, tmp_path: Path
) -> None:
    answer = await post(site, {"action": "accept_all"})
    (value,) = [v for v in answer.all("Set-Cookie") if v.startswith("consent=")]
    cookie, outbox = value.partition(";")[0], outbox_of(tmp_path)
    outbox.remove(outbox.pending(9), "")
    began = time.monotonic()
    for _ in range(5):
        assert (await site.ask("/.consent/preferences", cookie=cookie)).status == 200
        assert (await site.ask("/.consent/receipt", cookie=cookie)).status == 503
        assert (await site.ask("/.consent/log/checkpoint")).status == 503
    assert time.monotonic() - began < PATIENCE


def damaged(path: Path) -> None:
    for one in path.parent.glob("outbox.db*"):
        one.write_bytes(b"not a database" * 1000)


def newer(path: Path) -> None:
    sqlite3.connect(path).execute("PRAGMA user_version = 9").connection.close()


def directory(path: Path) -> None:
    for one in path.parent.glob("outbox.db*"):
        one.unlink()
    path.mkdir()


@pytest.mark.parametrize("way", [damaged, newer, directory])
async def test_a_choice_that_cannot_be_recorded_opens_nothing(
    site: Proxied, tmp_path: Path, way: Callable[[Path], None], caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "var").mkdir()
    outbox_of(tmp_path).close()
    way(tmp_path / "var/outbox.db")
    refused(await post(site, {"action": "accept_all"}))
    assert "receipts cannot be written, so visitors' choices are refused" in caplog.text
    page = await site.ask("/")
    assert page.shows() == set()


async def test_a_full_disk(site: Proxied, tmp_path: Path) -> None:
    assert (await post(site, {"action": "accept_all"})).status == 303
    lane = site.running.receipts
    assert lane is not None
    assert lane._outbox is not None

    def limit(outbox: Outbox) -> None:
        (pages,) = outbox._db.execute("PRAGMA page_count").fetchone()
        outbox._db.execute(f"PRAGMA max_page_count = {pages}")

    answers = []
    for _ in range(60):  # until the free room in its pages is used up
        await lane._outbox.run(limit)
        answers.append(await post(site, {"action": "accept_all"}))
        if answers[-1].status != 303:
            break
    refused(answers[-1])
