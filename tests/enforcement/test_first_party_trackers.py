"""What scripts ask of trackers on the site's own host."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.site import proxied, reply

_OWN_SCRIPTS = (
    "cdn-cgi/scripts/5c5dd728/cloudflare-static/email-decode.min.js",
    "cdn-cgi/challenge-platform/scripts/jsd/main.js",
)
_PAGES = {
    name: reply(b"ok", html=False)
    for name in ("g/collect", "collection", "cdn-cgi/rum", *_OWN_SCRIPTS)
}
_HERE = "Referer: http://www.example.com/blog?x=1"
_PATIENT = "Referer: http://www.example.com/patients/pay"


@pytest.mark.parametrize(
    ("path", "allowed", "headers", "dest", "passes"),
    [
        ("/g/collect?v=2", (), (_HERE,), "empty", False),
        ("/g/%63ollect", (), (_HERE,), "empty", False),
        ("//g//collect", (), (_HERE,), "script", False),
        ("/g/collect?v=2", ("analytics",), (_HERE,), "empty", True),
        ("/g/collect?v=2", ("analytics",), (_PATIENT,), "empty", False),
        ("/g/collect?v=2", ("analytics",), (), "empty", False),
        ("/g/collect?v=2", ("analytics",), ("Referer: https://other.example/",), "empty", False),
        ("/g/collect?v=2", ("analytics",), ("Referer: http://[",), "empty", False),
        ("/g/collect", (), (_HERE,), "document", True),
        ("/g/collect", (), (_HERE, "Accept: text/html,*/*"), "", True),
        ("/g/collect", (), (_HERE, "Accept: */*"), "", False),
        ("/collection", (), (_HERE,), "empty", True),
        *((f"/{name}", (), (_PATIENT,), "script", True) for name in _OWN_SCRIPTS),
        ("/cdn-cgi/rum?", (), (_HERE,), "empty", False),
    ],
)
async def test_only_an_open_vendors_path_is_passed_on(
    tmp_path: Path, path: str, allowed: tuple[str, ...], headers: tuple[str, ...], dest: str,
    passes: bool,
) -> None:  # fmt: skip
    async with proxied(tmp_path, _PAGES) as site:
        cookie = site.cookie(*allowed) if allowed else ""
        for method in ("GET", "POST"):
            answer = await site.ask(
                path, *headers, method=method, dest=dest, cookie=cookie,
                body=b"x" if method == "POST" else b"",
            )  # fmt: skip
            assert (answer.status == 204) is not passes
        assert bool(site.asked) is passes


async def test_what_one_visitor_may_ask_is_not_ready_for_another(tmp_path: Path) -> None:
    script = reply(
        b"tag()", "Content-Type: text/javascript", "Cache-Control: max-age=600", html=False
    )
    async with proxied(tmp_path, {"gtag/js": script}) as site:
        for _ in range(3):
            answer = await site.ask(
                "/gtag/js", _HERE, dest="script", cookie=site.cookie("analytics")
            )
            assert answer.body == b"tag()"
        answer = await site.ask("/gtag/js", _HERE, dest="script")
        assert (answer.status, answer.body) == (204, b"")


async def test_nothing_is_held_back_where_nothing_is_enforced(tmp_path: Path) -> None:
    async with proxied(tmp_path, _PAGES, mode="observe") as site:
        assert (await site.ask("/g/collect", _HERE, dest="empty")).status == 200
