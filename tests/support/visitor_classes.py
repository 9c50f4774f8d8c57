"""Visitors who differ in what a finished response depends on, and what they get."""

from __future__ import annotations

from consent_rules.categories import Category
from consent_rules.preferences import Preferences
from tests.support.site import Answer, Proxied

PATHS = ("/", "/app.js", "/linked.css", "/patients/one")


def said(answer: Answer) -> tuple[int, list[tuple[str, str]], bytes]:
    """An answer without what differs from one moment, or one way of asking, to the next."""
    momentary = {"age", "date", "connection", "x-request-id"}
    kept = [(n, v) for n, v in answer.headers if n.lower() not in momentary]
    return answer.status, sorted(kept), answer.body


async def visitors(site: Proxied) -> list[tuple[str, ...]]:
    """Header fields of visitors who differ in one thing each."""
    analytics = site.cookie("analytics")
    expired = Preferences(
        allowed=frozenset({Category.ADVERTISING}), policy_version="2026-01-01",
        made_at=1, expires_at=2,
    )  # fmt: skip
    return [
        (),
        ("Sec-GPC: 1",),
        ("X-Country: US",),
        ("X-Country: US", "Sec-GPC: 1"),
        ("X-Country: DE",),
        ("Accept-Encoding: gzip",),
        ("Accept-Encoding: br, gzip",),
        ("Accept-Encoding: zstd",),
        ("Accept-Language: de",),
        ("Accept-Language: ar;q=0.9, en;q=0.1",),
        ("Sec-Fetch-Dest: document",),
        ("Sec-Fetch-Dest: iframe",),
        ("Sec-Fetch-Dest: script",),
        ("Sec-Fetch-Dest: worker",),
        (f"Cookie: {analytics}",),
        (f"Cookie: {analytics}", "Sec-GPC: 1"),
        (f"Cookie: {site.cookie('advertising', 'social', 'analytics')}",),
        (f"Cookie: {site.cookie('advertising', under_gpc=True)}", "Sec-GPC: 1"),
        (f"Cookie: {site.cookie(vendors={'meta-pixel': True})}",),
        (f"Cookie: {site.cookie('advertising', version='2020-01-01')}", "X-Country: US"),
        (f"Cookie: consent={site.running.keys.sign(expired, 'www')}",),
        (f"Cookie: {analytics[:-4]}AAAA",),
        ("Cookie: _ga=1; _fbp=2",),
        ("Cookie: _fbp=2; _ga=1; _hjid=3", "Sec-Fetch-Dest: document"),
        (f"Cookie: _ga=1; _fbp=2; {analytics}",),
        ("Cookie: basket=17",),
        ("Cookie: basket=17", "Sec-Fetch-Dest: document"),
        ("Cookie: session=1",),
        ("Cookie: session=1", "Sec-Fetch-Dest: document"),
        ("X-Forwarded-Proto: https",),
        ("X-Forwarded-Host: localhost",),
        ("X-Forwarded-Host: elsewhere.example",),
        ("Referer: https://www.example.com/", "User-Agent: one"),
        ("Cache-Control: max-age=0",),
        ("Range: bytes=0-9",),
        ("If-Modified-Since: Wed, 25 Nov 2026 00:00:00 GMT",),
        ("If-None-Match: *",),
    ]


def no_sign_in(text: str) -> str:
    return text.replace('[[site.page]]\nwhen_cookie = "session"\naudience = "patient"\n', "", 1)
