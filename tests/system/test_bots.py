"""Crawlers and link previews get the page without a banner, and no gate that others do not get."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from proxy.http.access_record import Access
from proxy.observability.metrics import Metrics
from proxy.observability.prometheus import metrics_text
from tests.support.one_connection import connected
from tests.support.site import BANNER, PAGE, Answer, proxied, reply

FRESH = {"": reply(PAGE, "Cache-Control: public, max-age=600")}
UNSTORED = {"": reply(PAGE, "Cache-Control: no-store")}
US = "X-Country: US"
CHROME = "User-Agent: Mozilla/5.0 (Windows NT 10.0) AppleWebKit/537.36 Chrome/140.0 Safari/537.36"
PHONE = "User-Agent: Mozilla/5.0 (Android 14; Mobile; rv:132.0) Gecko/132.0 Firefox/132.0"
BOTS = (
    "User-Agent: Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)",
    "User-Agent: facebookexternalhit/1.1 (+http://www.facebook.com/externalhit_uatext.php)",
    "User-Agent: Slackbot-LinkExpanding 1.0 (+https://api.slack.com/robots)",
)


def asks(answer: Answer) -> bool:
    return BANNER in answer.text


@pytest.mark.parametrize("pages", [FRESH, UNSTORED], ids=["stored", "not stored"])
@pytest.mark.parametrize("region", [[], [US]], ids=["opt_in", "opt_out"])
async def test_no_banner_and_no_gate_more(
    tmp_path: Path, pages: dict[str, bytes], region: list[str]
) -> None:
    async with proxied(tmp_path, pages) as site, connected(site) as visitor:
        for _ in range(3):  # later ones from memory, in turn
            for agent in (CHROME, *BOTS, PHONE):
                answer = await visitor.ask("/", "Sec-Fetch-Dest: document", agent, *region)
                assert asks(answer) is (agent not in BOTS), agent
                without = await site.ask("/", *region)
                assert asks(without)
                assert answer.shows() <= without.shows()
                assert b"<h1>Hello</h1>" in answer.text


async def test_a_choice_of_a_bot_counts_as_any(tmp_path: Path) -> None:
    """Whoever tests a site with a tool brings a choice, too."""
    async with proxied(tmp_path, FRESH) as site, connected(site) as visitor:
        yes = f"Cookie: {site.cookie('analytics', 'advertising', 'functional')}"
        no = f"Cookie: {site.cookie()}"
        for _ in range(3):
            allowed = (await visitor.ask("/", CHROME, yes)).shows()
            assert (await visitor.ask("/", BOTS[0], yes)).shows() == allowed
            assert (await visitor.ask("/", BOTS[0], no, US)).shows() == set()
        assert (await visitor.ask("/", BOTS[0], "Cookie: consent=x", US)).shows() == set()


async def test_pages_are_counted_by_device(tmp_path: Path) -> None:
    metrics, seen = Metrics(1), Counter[tuple[str, str]]()

    def access(record: Access) -> None:
        metrics(record)
        seen[record.cache, record.device] += 1

    style = reply(b"a{}", "Content-Type: text/css", html=False)
    pages = {**FRESH, "site.css": style}
    async with proxied(tmp_path, pages, access=access) as site, connected(site) as visitor:
        for _ in range(3):
            await visitor.ask("/", CHROME)
            await visitor.ask("/", PHONE)
            await visitor.ask("/", BOTS[1])
            await visitor.ask("/")
        await visitor.ask("/site.css", PHONE)
    told = metrics_text(metrics).decode()
    for device, number in (("desktop", 3), ("phone", 3), ("bot", 3), ("other", 3)):
        name = "consent_proxy_pages_by_device_total"
        assert f'{name}{{device="{device}",site="www"}} {number}.0' in told, told
    assert seen["hit", "phone"] >= 1 and seen["hit", "bot"] >= 1


async def test_a_flood_of_agents_takes_the_full_path_and_is_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Beyond what is parsed in a time, a bot is a visitor like others: the banner is there."""
    monkeypatch.setattr("proxy.runtime._NEW_AGENTS_AT_ONCE", 20)
    monkeypatch.setattr("proxy.runtime._NEW_AGENTS_A_SECOND", 0)
    async with proxied(tmp_path, FRESH) as site, connected(site) as visitor:
        asked = [
            asks(await visitor.ask("/", f"User-Agent: Twitterbot/1.{number}"))
            for number in range(30)
        ]
        assert asked == [False] * 20 + [True] * 10
        assert not asks(await visitor.ask("/", "User-Agent: Twitterbot/1.0"))
