"""A tag closes at midnight of its last day, without a reload: also on pages that nobody keeps."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from tests.support.site import PAGE, proxied, reply


async def test_a_tag_closes_by_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    night = (time.time() // 86400 + 1) * 86400
    day = time.strftime("%Y-%m-%d", time.gmtime(night))
    pages = {"": reply(PAGE, "Cache-Control: no-store")}
    clock = [night - 2]
    monkeypatch.setattr(time, "time", lambda: clock[0])
    async with proxied(
        tmp_path, pages, change=lambda text: text.replace("2999-01-01", day, 1)
    ) as site:
        cookie = f"Cookie: {site.cookie('analytics', 'advertising')}"
        before = await site.ask("/", cookie)
        assert before.shows() == {"google-analytics", "meta-pixel"}
        assert "google-analytics.com" in before.policy
        clock[0] = night + 0.5
        after = await site.ask("/", cookie)
        assert after.shows() == {"meta-pixel"}
        assert "google-analytics.com" not in after.policy
