"""A choice and its receipt: what is recorded, and that no choice holds without."""

from __future__ import annotations

import asyncio
import json
import re
import sqlite3
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from consent_rules.receipts.checkpoints import verify_checkpoint
from consent_rules.receipts.entries import commitment, read_entry
from consent_rules.receipts.exchange import audit_export, export_lines
from proxy.consent.record import new_receipt_id
from proxy.receipts.retention import erase_old
from proxy.receipts.store import ReceiptStore, read_store
from tests.support.choices import FORM, OWN, post, stored
from tests.support.site import Answer, Proxied, proxied

AGENT = (
    "User-Agent: Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15 "
    "(KHTML, like Gecko) Version/18.0 Mobile/15E148 Safari/604.1"
)
SECRETS = ["198.51.100.7", "Mozilla", "iPhone", "/patients/anna", "anna", "q=hiv", "hiv"]


def with_receipts(text: str) -> str:
    return f'{text}\n[receipts]\nstore = "sqlite:///receipts.db"\n'


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Proxied]:
    async with proxied(tmp_path, change=with_receipts) as found:
        yield found


def store_of(folder: Path) -> ReceiptStore:
    return read_store(folder / "receipts.db")


def receipt_of(folder: Path, receipt_id: str) -> dict[str, Any]:
    stored_receipt = store_of(folder).find(receipt_id)
    assert stored_receipt is not None
    found: dict[str, Any] = json.loads(stored_receipt.content)
    return found


def all_receipts(folder: Path) -> list[dict[str, Any]]:
    with sqlite3.connect(folder / "receipts.db") as db:
        rows = db.execute("SELECT content FROM receipt ORDER BY idx").fetchall()
    return [json.loads(row[0]) for row in rows]


async def test_without_the_table_nothing_is_written(tmp_path: Path) -> None:
    async with proxied(tmp_path) as site:
        assert (await post(site, {"action": "accept_all"})).status == 303
        banner = (await site.ask("/")).text.partition(b'<section id="yc"')[2]
        assert banner
        assert b'name="lang"' not in banner
    assert everything_in(tmp_path) == b""


async def test_a_choice_and_its_receipt(site: Proxied, tmp_path: Path) -> None:
    answer = await post(
        site, {"action": "save", "category": "analytics", "lang": "de"}, AGENT, "X-Country: DE",
        "X-Forwarded-For: 198.51.100.7", "Accept-Language: fr",
        "Referer: http://www.example.com/patients/anna?q=hiv",
    )  # fmt: skip
    chosen = stored(site, answer)
    found = receipt_of(tmp_path, chosen.receipt_id)
    notice = found.pop("notice")
    assert abs(time.time() - chosen.made_at) < 60
    assert found == {
        "format": 1,
        "id": chosen.receipt_id,
        "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(chosen.made_at)),
        "site": "www",
        "policy_version": "2026-01-01",
        "regime": "opt_in",
        "region": "DE",
        "surface": "banner",
        "action": "save",
        "gpc": False,
        "device": "phone",
        "enforced": True,
        "before": {
            "categories": dict.fromkeys(
                ("functional", "analytics", "session_replay", "advertising"), False
            ),
            "vendors": dict.fromkeys(
                ("google-analytics", "meta-pixel", "youtube", "hotjar"), False
            ),
        },
        "after": {
            "categories": {
                "functional": False, "analytics": True, "session_replay": False,
                "advertising": False,
            },
            "vendors": {
                "google-analytics": True, "meta-pixel": False, "youtube": False, "hotjar": False,
            },
        },
        "previous": "",
    }  # fmt: skip
    shown = json.loads(store_of(tmp_path).notice(notice) or b"")
    assert (shown["surface"], shown["language"]) == ("banner", "de")
    assert {one["category"] for one in shown["purposes"]} == set(found["after"]["categories"])
    assert "Google Analytics" in [v["name"] for one in shown["purposes"] for v in one["vendors"]]
    written = everything_in(tmp_path)
    assert [secret for secret in SECRETS if secret.encode() in written] == []


async def test_the_notice_is_the_banner_that_was_shown(site: Proxied, tmp_path: Path) -> None:
    page = (await site.ask("/", "Accept-Language: pl")).text.decode()
    assert 'name="lang" value="en"' in page, "the page's language comes first"
    banner = page[page.index('<section id="yc"') :].partition("</section>")[0]
    chosen = stored(site, await post(site, {"action": "accept_all", "lang": "en"}))
    notice = store_of(tmp_path).notice(receipt_of(tmp_path, chosen.receipt_id)["notice"])
    html = json.loads(notice or b"")["html"]
    shown = html[html.index('<section id="yc"') :].partition("</section>")[0]
    assert banner == shown.encode("ascii", "xmlcharrefreplace").decode()


async def test_receipts_of_a_visitor_are_linked(site: Proxied, tmp_path: Path) -> None:
    first = await post(site, {"action": "accept_all"})
    cookie = first.all("Set-Cookie")[0].partition(";")[0]
    second = await post(site, {"action": "reject_all", "source": "preferences"}, cookie=cookie)
    found = receipt_of(tmp_path, stored(site, second).receipt_id)
    assert found["previous"] == stored(site, first).receipt_id
    assert found["surface"] == "preferences"
    assert found["before"]["vendors"]["meta-pixel"] is True
    assert not any(found["after"]["vendors"].values())


@pytest.mark.parametrize(
    ("action", "surface", "opened"),
    [("vendor:youtube", "placeholder", "vendor"), ("once:youtube", "placeholder", "once")],
)
async def test_a_single_vendor(
    site: Proxied, tmp_path: Path, action: str, surface: str, opened: str
) -> None:
    assert (await post(site, {"action": action, "lang": "en"})).status == 303
    (found,) = all_receipts(tmp_path)
    assert (found["surface"], found["action"]) == (surface, opened)
    assert [vendor for vendor, yes in found["after"]["vendors"].items() if yes] == ["youtube"]
    notice = json.loads(store_of(tmp_path).notice(found["notice"]) or b"")
    assert [v["id"] for one in notice["purposes"] for v in one["vendors"]] == ["youtube"]
    assert "YouTube" in notice["html"]


async def test_opt_outs(site: Proxied, tmp_path: Path) -> None:
    us = "X-Country: US"
    await post(site, {"action": "opt_out", "source": "preferences"}, us)
    await post(site, {"action": "limit", "source": "preferences"}, us, "Sec-GPC: 1")
    sold, limited = all_receipts(tmp_path)
    assert (sold["regime"], sold["action"], sold["gpc"]) == ("opt_out", "opt_out", False)
    assert sold["before"]["categories"]["advertising"] is True
    assert sold["after"]["categories"]["advertising"] is False
    assert (limited["action"], limited["gpc"]) == ("limit", True)


async def test_gpc_alone_leaves_no_receipt(site: Proxied, tmp_path: Path) -> None:
    answer = await site.ask("/", "Sec-GPC: 1")
    assert answer.all("Set-Cookie") == []
    assert everything_in(tmp_path) == b""


async def test_the_log_proves_each_of_many_at_once(site: Proxied, tmp_path: Path) -> None:
    fields = [{"action": "accept_all"}, {"action": "reject_all"}] * 20
    answers = await asyncio.gather(*(post(site, one) for one in fields))
    store = store_of(tmp_path)
    assert store.size == 40
    for answer in answers:
        proof = store.prove(stored(site, answer).receipt_id)
        assert proof is not None
        entry = read_entry(proof.entry)
        assert getattr(entry, "commitment", b"") == commitment(
            proof.stored.content, proof.stored.salt
        )
        assert verify_checkpoint(proof.checkpoint, [store.verifier]).size == 40


def everything_in(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in folder.glob("receipts*"))


def remove_store(folder: Path) -> None:
    for path in folder.glob("receipts.db*"):
        path.unlink()


def break_store(folder: Path) -> None:
    remove_store(folder)
    (folder / "receipts.db").write_bytes(b"not a database" * 100)


@pytest.mark.parametrize("quiet", [False, True])
@pytest.mark.parametrize("action", ["accept_all", "vendor:youtube", "once:youtube"])
async def test_a_choice_without_a_receipt_opens_nothing(
    site: Proxied, tmp_path: Path, action: str, quiet: bool
) -> None:
    break_store(tmp_path)
    accept = "Accept: application/json" if quiet else "Accept: text/html"
    answer = await post(site, {"action": action}, accept)
    assert answer.status == 503
    assert answer.all("Set-Cookie") == []
    assert answer.one("Cache-Control") == "no-store"
    assert b"Your choice was not saved" in answer.text
    assert b"Nothing was opened, because your choice could not be recorded" in answer.text
    assert (b"<!doctype html>" in answer.text) is not quiet


async def test_it_says_so_in_the_visitors_language(site: Proxied, tmp_path: Path) -> None:
    break_store(tmp_path)
    for language, words in (("de", "Es wurde nichts freigegeben"), ("ar", "لم يُفتح أي شيء")):
        headers = ("Accept: text/html", f"Accept-Language: {language}")
        answer = await post(site, {"action": "accept_all"}, *headers)
        assert answer.status == 503
        assert f'lang="{language}"'.encode() in answer.text
        assert words.encode() in answer.text


async def test_a_refusal_closes_without_a_receipt(site: Proxied, tmp_path: Path) -> None:
    """The store fails: what is open may be closed, and nothing may be opened."""
    cookie = site.cookie("analytics", "functional")
    break_store(tmp_path)
    fields = {"action": "save", "category": ["analytics", "advertising"]}
    answer = await post(site, fields, cookie=f"{cookie}; _ga=1; _fbp=1")
    assert answer.status == 503
    chosen = stored(site, answer)
    assert set(map(str, chosen.allowed)) == {"analytics"}
    assert chosen.receipt_id == ""
    # Where the law lets tags run before a choice, a refusal has something to close from the start.
    answer = await post(site, {"action": "reject_all"}, "X-Country: US")
    assert answer.status == 503
    assert stored(site, answer).allowed == set()


async def test_the_store_comes_back(site: Proxied, tmp_path: Path) -> None:
    break_store(tmp_path)
    assert (await post(site, {"action": "accept_all"})).status == 503
    remove_store(tmp_path)
    answer = await post(site, {"action": "accept_all"})
    assert answer.status == 303
    assert receipt_of(tmp_path, stored(site, answer).receipt_id)


async def test_a_store_that_is_taken_away(site: Proxied, tmp_path: Path) -> None:
    """Under way: nothing is written to a file that nobody finds again."""
    first = read_origin(await site.ask("/.consent/log/checkpoint"))
    await post(site, {"action": "accept_all"})
    remove_store(tmp_path)
    answer = await post(site, {"action": "accept_all"})
    assert receipt_of(tmp_path, stored(site, answer).receipt_id)
    # The same key signs another log: not a second tree of the first one.
    assert read_origin(await site.ask("/.consent/log/checkpoint")) != first


def read_origin(answer: Answer) -> str:
    return answer.text.decode().partition("\n")[0]


async def test_a_visitor_who_disconnects_takes_no_other_along(
    site: Proxied, tmp_path: Path
) -> None:
    body = b"action=accept_all"
    head = "\r\n".join(
        ["POST /.consent/choice HTTP/1.1", "Host: www.example.com", FORM, OWN,
         f"Content-Length: {len(body)}", "", ""]
    )  # fmt: skip
    for _ in range(5):
        _, writer = await asyncio.open_connection("127.0.0.1", site.port)
        writer.write(head.encode() + body)
        await writer.drain()
        writer.transport.abort()
    answer = await post(site, {"action": "accept_all"})
    assert answer.status == 303
    assert receipt_of(tmp_path, stored(site, answer).receipt_id)


async def test_old_receipts_go_by_themselves(site: Proxied, tmp_path: Path) -> None:
    await post(site, {"action": "accept_all"})
    await post(site, {"action": "reject_all"})
    recorder, now = site.running.receipts, int(time.time())
    assert recorder is not None
    assert await erase_old(recorder, 1095, now) == 0
    assert await erase_old(recorder, 1095, now + 1095 * 86_400 + 60) == 2
    assert all_receipts(tmp_path) == []
    assert store_of(tmp_path).size == 3


# --- The visitor's own receipt


def cookie_of(answer: Answer) -> str:
    return answer.all("Set-Cookie")[0].partition(";")[0]


async def test_the_preferences_page_shows_the_receipt(site: Proxied) -> None:
    here = "/.consent/preferences"
    assert b"/.consent/receipt" not in (await site.ask(here)).text
    answer = await post(site, {"action": "accept_all"})
    page = (await site.ask(here, "Accept-Language: de", cookie=cookie_of(answer))).text.decode()
    assert stored(site, answer).receipt_id in page
    assert '<a href="/.consent/receipt" download' in page
    assert "Beleg herunterladen" in page
    assert 'action="/.consent/receipt"' in page
    # Of a store that fails the page says nothing, and it is there.
    other = site.cookie("analytics")
    assert (await site.ask(here, cookie=other)).status == 200


async def test_the_receipt_is_downloaded_with_its_proof(site: Proxied, tmp_path: Path) -> None:
    answer = await post(site, {"action": "accept_all"})
    got = await site.ask("/.consent/receipt", cookie=cookie_of(answer))
    assert got.one("Content-Type") == "application/json; charset=utf-8"
    assert got.one("Cache-Control") == "no-store"
    assert got.one("Content-Disposition").startswith("attachment")
    document = json.loads(got.text)
    assert [one["type"] for one in document] == ["log", "leaf", "notice", "checkpoint"]
    assert document[1]["receipt"]["id"] == stored(site, answer).receipt_id
    lines = export_lines(got.text)
    report, _ = audit_export(lines, [store_of(tmp_path).verifier])
    assert report.problems == ()
    report, _ = audit_export(export_lines(got.text.replace(b"accept_all", b"reject_all")))
    assert report.problems != ()
    for cookie in ("", site.cookie("analytics"), "consent=made-up"):
        assert (await site.ask("/.consent/receipt", cookie=cookie)).status == 404


async def test_the_visitor_erases_the_receipt(site: Proxied, tmp_path: Path) -> None:
    first, second = [await post(site, {"action": "accept_all"}) for _ in range(2)]
    erase = {"action": "erase", "return_to": "/a"}
    # Another site's form, and no form of ours, erase nothing.
    foreign = await post(
        site, erase, cookie=cookie_of(first), own="Sec-Fetch-Site: cross-site", path="/receipt"
    )
    assert foreign.status == 403
    wrong = await post(site, {"action": "x"}, cookie=cookie_of(first), path="/receipt")
    assert wrong.status == 400
    assert len(all_receipts(tmp_path)) == 2
    answer = await post(site, erase, cookie=cookie_of(first), path="/receipt")
    assert answer.status == 303
    assert [one["id"] for one in all_receipts(tmp_path)] == [stored(site, second).receipt_id]
    page = await site.ask(answer.one("Location"), cookie=cookie_of(first))
    assert b"The receipt is erased. Your choice still holds." in page.text
    assert b"/.consent/receipt" not in page.text
    assert "google-analytics" in (await site.ask("/", cookie=cookie_of(first))).shows()
    assert (await post(site, erase, path="/receipt")).status == 303  # nothing to erase


async def test_the_checkpoint_is_public(site: Proxied, tmp_path: Path) -> None:
    await post(site, {"action": "accept_all"})
    got = await site.ask("/.consent/log/checkpoint")
    assert got.one("Content-Type") == "text/plain; charset=utf-8"
    assert got.one("Cache-Control") == "max-age=5"
    checkpoint = verify_checkpoint(got.text.decode(), [store_of(tmp_path).verifier])
    assert re.fullmatch(r"www\.example\.com/\.consent/log/[0-9a-f]{8}", checkpoint.origin)
    assert checkpoint.size == 1
    break_store(tmp_path)
    assert (await site.ask("/.consent/log/checkpoint")).status == 503


async def test_without_receipts_there_is_no_log(tmp_path: Path) -> None:
    async with proxied(tmp_path) as site:
        for path in ("/.consent/log/checkpoint", "/.consent/receipt"):
            assert (await site.ask(path)).status == 404


def test_no_id_looks_like_an_option() -> None:
    """Of random ids one in 64 did, and `receipts show` took it for one."""
    assert not any(new_receipt_id().startswith("-") for _ in range(2000))
