"""A marketing page that a patient page shows in a frame has the patient page's decision: scripts of
both reach into each other's windows.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.one_connection import Connection, connected
from tests.support.site import HOST, PAGE, proxied, reply

_OWN = f"Referer: http://{HOST}/blog"
_PATIENT = f"Referer: http://{HOST}/patients/pay"
_SAME_ORIGIN = "Sec-Fetch-Site: same-origin"
_OPEN = {"google-analytics"}

# Header fields, the destination, and what is open to a visitor who allowed analytics. Patient pages
# send no referrer.
_REQUESTS: tuple[tuple[tuple[str, ...], str, set[str]], ...] = (
    ((_SAME_ORIGIN,), "iframe", set()),
    ((_SAME_ORIGIN,), "frame", set()),
    ((_SAME_ORIGIN,), "object", set()),
    ((_SAME_ORIGIN,), "embed", set()),
    ((_SAME_ORIGIN,), "fencedframe", set()),
    ((), "iframe", set()),
    ((_SAME_ORIGIN, _PATIENT), "iframe", set()),
    ((_SAME_ORIGIN, f"Referer: http://{HOST}/%70atients/pay"), "iframe", set()),
    ((_SAME_ORIGIN, "Referer: http://["), "iframe", set()),
    ((_SAME_ORIGIN, "Referer: https://other.example/"), "iframe", set()),
    (("Sec-Fetch-Site: same-site",), "iframe", set()),
    ((_SAME_ORIGIN, _OWN), "iframe", _OPEN),
    (("Sec-Fetch-Site: same-site", "Referer: http://blog.example.com/"), "iframe", _OPEN),
    (("Sec-Fetch-Site: cross-site",), "iframe", _OPEN),
    (("Sec-Fetch-Site: none",), "iframe", _OPEN),
    ((_SAME_ORIGIN,), "document", _OPEN),
    (("Sec-Fetch-Site: none",), "document", _OPEN),
)


def _without_patient_pages(text: str) -> str:
    by_path = '[[site.page]]\npath = "/patients/*"\naudience = "patient"\n'
    return _without_sign_in(text).replace(by_path, "")


def _without_sign_in(text: str) -> str:
    return text.replace('[[site.page]]\nwhen_cookie = "session"\naudience = "patient"\n', "")


async def _shown(kept: Connection, cookie: str, fields: tuple[str, ...], dest: str) -> set[str]:
    answer = await kept.ask("/", *fields, f"Sec-Fetch-Dest: {dest}", f"Cookie: {cookie}")
    assert answer.status == 200
    shown = answer.shows()
    assert ("google-analytics.com" in answer.policy) is (shown == _OPEN)
    return shown


@pytest.mark.parametrize("caching", ["no-store", "public, max-age=600"])
async def test_a_frame_of_a_patient_page(tmp_path: Path, caching: str) -> None:
    page = reply(PAGE, f"Cache-Control: {caching}", 'ETag: "1"')
    async with (
        proxied(tmp_path, {"": page}, change=_without_sign_in) as site,
        connected(site) as kept,
    ):
        cookie = site.cookie("analytics")
        for fields, dest, shown in (*_REQUESTS, *reversed(_REQUESTS)) * 2:
            assert await _shown(kept, cookie, fields, dest) == shown, (fields, dest)


async def test_a_site_without_patient_pages(tmp_path: Path) -> None:
    async with (
        proxied(tmp_path, {"": reply(PAGE)}, change=_without_patient_pages) as site,
        connected(site) as kept,
    ):
        cookie = site.cookie("analytics")
        for fields, dest, _ in _REQUESTS:
            assert await _shown(kept, cookie, fields, dest) == _OPEN, (fields, dest)


async def test_a_frame_in_such_a_frame(tmp_path: Path) -> None:
    """The page in the frame sends no referrer either."""
    async with proxied(tmp_path, {"": reply(PAGE)}) as site:
        answer = await site.ask("/", _SAME_ORIGIN, dest="iframe", cookie=site.cookie("analytics"))
        assert answer.one("Referrer-Policy") == "no-referrer"
