"""Wherever a path decides something, it is read in all the ways that a server may read it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.site import PAGE, Proxied, Reply, proxied, reply

SPELLINGS = [
    "/patients/pay", "/index.php/patients/pay", "/%70atients/..;/x", "//patients/..;/x",
    "/%70atients/%252e%252e/x", "/%70atients/..%5cx", "/%70atients/..%2fx",
    "/(S(x))/patients/pay", "/%u0070atients/pay", "/?r=patients/pay", "/%ef%bd%90atients/pay",
    "http://www.example.com/index.php/patients/pay",
]  # fmt: skip


def _everything(site: Proxied) -> str:
    return site.cookie("analytics", "advertising", "social", "functional", "session_replay")


def _everywhere(page: bytes) -> dict[str, Reply]:
    """An origin that shows one page wherever it is asked."""
    return {"": page, "*": page}


@pytest.mark.parametrize("path", SPELLINGS)
async def test_no_gate_of_a_patient_page_is_open(tmp_path: Path, path: str) -> None:
    page = reply(PAGE, "Cache-Control: max-age=600")
    async with proxied(tmp_path, _everywhere(page)) as site:
        for _ in range(2):
            answer = await site.ask(path, cookie=_everything(site))
            assert answer.status == 200
            assert answer.shows() == set()
            assert "google" not in answer.policy
        assert len(site.asked) == 2, "nothing of a patient page is kept"


async def test_a_marketing_page_is_open_all_the_same(tmp_path: Path) -> None:
    async with proxied(tmp_path, _everywhere(reply(PAGE))) as site:
        for path in ("/", "/blog/caf%C3%A9", "/index.php/blog", "/?utm_source=x"):
            assert "google-analytics" in (await site.ask(path, cookie=_everything(site))).shows()


@pytest.mark.parametrize("path", SPELLINGS[:-1])
async def test_click_identifiers_are_taken_off(tmp_path: Path, path: str) -> None:
    async with proxied(tmp_path, _everywhere(reply(PAGE))) as site:
        mark = "&" if "?" in path else "?"
        answer = await site.ask(f"{path}{mark}gclid=1&bill=2")
        assert answer.status == 302
        there = f"/{path.lstrip('/')}{mark}bill=2"
        assert answer.one("Location") == there


@pytest.mark.parametrize("path", SPELLINGS[:-1])
async def test_a_page_that_shows_a_patient_page_in_a_frame_is_one(
    tmp_path: Path, path: str
) -> None:
    # As a document on the site's own host a browser would spell it.
    url = f"http://www.example.com{path}"
    page = PAGE.replace(b"<p>Fin", f'<iframe src="{url}"></iframe><p>Fin'.encode())
    async with proxied(tmp_path, {"": reply(page)}) as site:
        assert (await site.ask("/", cookie=_everything(site))).shows() == set()


@pytest.mark.parametrize("path", SPELLINGS[:-1])
async def test_a_tracker_on_an_own_path_knows_the_page_that_asks(tmp_path: Path, path: str) -> None:
    pages = {"g/collect": reply(b"ok", html=False)}
    async with proxied(tmp_path, pages) as site:
        answer = await site.ask(
            "/g/collect?v=2", f"Referer: http://www.example.com{path}", dest="empty",
            cookie=_everything(site),
        )  # fmt: skip
        assert (answer.status, site.asked) == (204, [])


@pytest.mark.parametrize(
    "path",
    ["/G/Collect", "/g/%2563ollect", "/g%2fcollect", "/g;x/collect;y", "/index.php/g/collect",
     "/g/%ef%bd%83ollect", "/g\\collect", "/x/..;/g/collect", "/g/collect%00", "/g/collect%20"],
)  # fmt: skip
async def test_an_own_path_of_a_closed_vendor_is_known_by_any_spelling(
    tmp_path: Path, path: str
) -> None:
    async with proxied(tmp_path, _everywhere(reply(b"ok", html=False))) as site:
        here = "Referer: http://www.example.com/blog"
        assert (await site.ask(path, here, dest="empty")).status == 204
        assert site.asked == []


@pytest.mark.parametrize("path", SPELLINGS)
async def test_patient_pages_are_enforced_where_others_are_observed(
    tmp_path: Path, path: str
) -> None:
    async with proxied(tmp_path, _everywhere(reply(PAGE)), mode="observe") as site:
        assert (await site.ask(path)).shows() == set()


@pytest.mark.parametrize(
    "path",
    ["/%2econsent/state", "//.consent/state", "/.Consent/state", "/.consent;x/state",
     "/x/../.consent/state", "/.consent%2fstate", "/index.php/.consent/state", "/.consentx/state",
     "/.well-known/gpc%2ejson", "/.well-known//gpc.json"],
)  # fmt: skip
async def test_the_reserved_prefix_has_one_spelling(tmp_path: Path, path: str) -> None:
    """Any other is the upstream's, and held to the decision as any page: nothing that is answered
    here can be reached in a way that a rule in front of us does not see.
    """
    async with proxied(tmp_path, _everywhere(reply(PAGE))) as site:
        answer = await site.ask(path)
        assert len(site.asked) == 1
        assert answer.shows() == set()


@pytest.mark.parametrize(
    "path", ["/.consent/../patients/pay", "/.consent/..;/patients/pay", "/.consent/%2e%2e/x",
             "/.consent/state/", "/.consent//state", "/.consent/State"],
)  # fmt: skip
async def test_nothing_below_the_reserved_prefix_reaches_the_upstream(
    tmp_path: Path, path: str
) -> None:
    async with proxied(tmp_path, _everywhere(reply(PAGE))) as site:
        assert (await site.ask(path)).status == 404
        assert site.asked == []
