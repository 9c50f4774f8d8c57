"""Many visitors at once: each gets their own page, byte for byte as it is made offline."""

from __future__ import annotations

import asyncio
import datetime
import random
from dataclasses import replace
from pathlib import Path

from consent_rules.categories import CHOOSABLE, Category
from consent_rules.decision import Visitor
from consent_rules.preferences import Preferences
from proxy.offline import Question, ask_offline, rewritten
from tests.app.site import PAGE, TAGS, Answer, Proxied, proxied, reply

VISITS = 200
LANGUAGES = ("", "de", "es", "ar")


async def _visit(site: Proxied, question: Question, seed: int) -> None:
    draw = random.Random(seed)
    path = draw.choice(["/", "/blog", "/patients/pay?x=1"])
    gpc, us = draw.random() < 0.4, draw.random() < 0.4
    language, coding = draw.choice(LANGUAGES), draw.choice(["gzip", "br", "zstd", "identity"])
    preferences, cookie = None, ""
    if draw.random() < 0.7:
        allowed = [str(c) for c in CHOOSABLE if draw.random() < 0.5]
        vendors = {v: draw.random() < 0.5 for v in draw.sample(TAGS, draw.randint(0, 2))}
        version = draw.choice(["2026-01-01", "2026-01-01", "2025-01-01"])
        under = draw.random() < 0.5
        cookie = site.cookie(*allowed, vendors=vendors, under_gpc=under, version=version)
        preferences = Preferences(
            frozenset(map(Category, allowed)), version, vendors=vendors, under_gpc=under
        )
    headers = [f"Accept-Encoding: {coding}", *(["Sec-GPC: 1"] if gpc else [])]
    headers += [f"Accept-Language: {language}"] if language else []
    headers += ["X-Country: US"] if us else []
    visitor = Visitor(preferences, gpc=gpc, region="US" if us else "")
    expected = rewritten(
        replace(question, url=f"http://www.example.com{path}", visitor=visitor),
        page_at(path),
        "text/html",
        language=language,
        bare=False,
    )
    answer: Answer = await site.ask(path, *headers, cookie=cookie)
    assert answer.text == expected, (seed, path)
    again = await site.ask(path, *headers, f"If-None-Match: {answer.one('ETag')}", cookie=cookie)
    assert (again.status, again.body) == (304, b"")


def page_at(path: str) -> bytes:
    # No language in the page: the visitor's shows.
    return PAGE.replace(b' lang="en"', b"").replace(b"Hello", path.encode())


async def test_a_crowd(tmp_path: Path) -> None:
    pages = {name: reply(page_at(f"/{name}")) for name in ("", "blog")}
    pages["patients/pay"] = reply(page_at("/patients/pay?x=1"))
    async with proxied(tmp_path, pages) as site:
        waiting = asyncio.Semaphore(16)
        today = datetime.datetime.now(datetime.UTC).date()
        question = ask_offline(
            site.config, "http://www.example.com/", accept=None, gpc=False, region="", today=today
        )

        async def one(seed: int) -> None:
            async with waiting:
                await _visit(site, question, seed)

        await asyncio.gather(*map(one, range(VISITS)))
