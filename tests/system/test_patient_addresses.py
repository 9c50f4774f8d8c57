"""Patient pages: click identifiers are taken off by a redirect, and nowhere else."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.site import PAGE, proxied, reply

PAGES = {"patients/pay": reply(PAGE), "": reply(PAGE), "x": reply(PAGE)}


@pytest.mark.parametrize(
    ("path", "there"),
    [
        ("/patients/pay?gclid=1&bill=2", "/patients/pay?bill=2"),
        ("/patients/pay?fbclid=1", "/patients/pay"),
        ("//patients/pay?fbclid=1", "/patients/pay"),
        ("/patients/pay?bill=2", ""),
        ("/?gclid=1", ""),
    ],
)
async def test_redirect(tmp_path: Path, path: str, there: str) -> None:
    async with proxied(tmp_path, PAGES) as site:
        answer = await site.ask(path)
        assert answer.one("Location") == there
        assert (answer.status == 302) is bool(there)
        if there:
            assert answer.one("Referrer-Policy") == "no-referrer"
            assert "no-store" in answer.one("Cache-Control")


async def test_only_what_is_shown_is_redirected(tmp_path: Path) -> None:
    async with proxied(tmp_path, PAGES) as site:
        path = "/patients/pay?gclid=1"
        assert (await site.ask(path, dest="empty")).status == 200
        assert (await site.ask(path, method="POST", body=b"x")).status == 200
