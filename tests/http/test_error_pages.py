"""Error pages: in the visitor's language, with a way to try again and a number that the log has."""

from __future__ import annotations

import html
import re
from pathlib import Path

import pytest

from proxy.banner.texts import languages
from tests.support.forwarding import Visit
from tests.support.site import proxied

HTML = "Accept: text/html"


async def gone(visit: Visit) -> None:
    raise ConnectionResetError("an origin that hangs up")


@pytest.mark.parametrize("lang", ["en", "de", "ar", "ja", "zh-Hant"])
async def test_an_origin_that_fails(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, lang: str
) -> None:
    texts = languages()[lang]
    async with proxied(tmp_path, {"x": gone}) as site:
        answer = await site.ask("/x", HTML, f"Accept-Language: {lang}, en;q=0.5")
        plain = await site.ask("/x", "Accept: */*", f"Accept-Language: {lang}")
    assert answer.status == plain.status == 502
    page = html.unescape(answer.text.decode())
    assert f'<html lang="{lang}" dir="{texts.dir}">' in page
    for key in ("unavailable", "unavailable_text", "reference"):
        assert texts[f"error.{key}"] in page
        assert texts[f"error.{key}"] in plain.text.decode()
    assert f'<a href="">{texts["error.retry"]}</a>' in page
    reference = re.search(r"<small>[^<]*: ([0-9a-f]{16})</small>", page)
    assert reference is not None
    assert f"(reference {reference[1]})" in caplog.text
    assert answer.one("Cache-Control") == "no-store"
