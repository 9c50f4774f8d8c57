"""What US state laws ask for: the link, its icon, and forms that work without JavaScript."""

from __future__ import annotations

import time
from pathlib import Path
from urllib.parse import urlencode

import pytest

from consent_rules.categories import Category
from tests.support.site import PAGE, Answer, Proxied, proxied, reply

ICON = b'<svg aria-hidden="true" width="30" height="14"'
CHOICES, COOKIES = b"Your Privacy Choices</a>", b"Cookie preferences</a>"
SELL = b'value="opt_out">Do Not Sell or Share My Personal Information</button>'
LIMIT = b'value="limit">Limit the Use of My Sensitive Personal Information</button>'
OPTED_OUT = b"You have opted out of the sale and sharing of your personal information."
LIMITED = b"The use of your sensitive personal information is limited."


def with_states(text: str) -> str:
    return text.replace(
        'country_header = "X-Country"', 'country_header = "X-Country"\nregion_header = "X-State"'
    )


def of(state: str) -> list[str]:
    country, _, part = state.partition("-")
    return [f"X-Country: {country}", *([f"X-State: {part}"] if part else [])]


async def choose(site: Proxied, action: str, *headers: str, cookie: str = "") -> Answer:
    return await site.ask(
        "/.consent/choice",
        "Content-Type: application/x-www-form-urlencoded",
        "Sec-Fetch-Site: same-origin",
        *headers,
        method="POST",
        body=urlencode({"action": action, "source": "preferences", "return_to": "/"}).encode(),
        cookie=cookie,
    )


def chosen(answer: Answer, site: Proxied) -> set[str]:
    token = answer.all("Set-Cookie")[0].partition("=")[2].partition(";")[0]
    preferences = site.running.keys.verify(token, "www", time.time())
    assert preferences is not None
    return {str(category) for category in preferences.allowed}


@pytest.mark.parametrize(
    ("region", "link", "limit"),
    [
        ("US-CA", True, True),
        ("US-CO", True, False),
        ("US-TX", True, False),
        ("US", True, True),  # somewhere in the US: all that any state asks for
        ("US-ID", False, False),
        ("US-WA", False, False),
        ("DE", False, False),
    ],
)
async def test_u3_u6_link_icon_and_forms_by_region(
    tmp_path: Path, region: str, link: bool, limit: bool
) -> None:
    async with proxied(tmp_path, change=with_states) as site:
        page = (await site.ask("/", *of(region))).text
        assert (CHOICES in page, ICON in page, COOKIES in page) == (link, link, not link)
        preferences = (await site.ask("/.consent/preferences", *of(region))).text
        assert (SELL in preferences, LIMIT in preferences) == (link, limit)


async def test_u3_opting_out_closes_what_sells_or_shares_and_nothing_else(tmp_path: Path) -> None:
    async with proxied(tmp_path, change=with_states) as site:
        before = (await site.ask("/", *of("US-CA"))).shows()
        assert before == {"google-analytics", "meta-pixel", "youtube"}
        answer = await choose(site, "opt_out", *of("US-CA"))
        assert answer.status == 303
        assert chosen(answer, site) == {Category.ANALYTICS, Category.FUNCTIONAL}
        cookie = answer.all("Set-Cookie")[0].partition(";")[0]
        page = await site.ask("/", *of("US-CA"), cookie=cookie)
        assert page.shows() == {"google-analytics", "youtube"}
        # What was done is told, and asked for no more (11 CCR 7026(g)).
        told = (await site.ask(answer.one("Location"), *of("US-CA"), cookie=cookie)).text
        assert OPTED_OUT in told and SELL not in told
        # Elsewhere on the way, the same cookie: it stays.
        assert (await site.ask("/", *of("DE"), cookie=cookie)).shows() == page.shows()


async def test_u6_limiting_leaves_no_more_than_extra_features(tmp_path: Path) -> None:
    async with proxied(tmp_path, change=with_states) as site:
        cookie = site.cookie("functional", "analytics", "advertising", vendors={"meta-pixel": True})
        answer = await choose(site, "limit", *of("US-CA"), cookie=cookie)
        assert chosen(answer, site) == {Category.FUNCTIONAL}
        cookie = answer.all("Set-Cookie")[0].partition(";")[0]
        assert (await site.ask("/", *of("US-CA"), cookie=cookie)).shows() == {"youtube"}
        told = (await site.ask("/.consent/preferences", *of("US-CA"), cookie=cookie)).text
        assert LIMITED in told and LIMIT not in told


async def test_opting_out_opens_nothing_that_was_refused(tmp_path: Path) -> None:
    async with proxied(tmp_path, change=with_states) as site:
        for action in ("opt_out", "limit"):
            cookie = site.cookie("advertising", vendors={"youtube": False, "meta-pixel": True})
            answer = await choose(site, action, *of("US-CA"), cookie=cookie)
            assert chosen(answer, site) == set()
            held = answer.all("Set-Cookie")[0].partition(";")[0]
            assert (await site.ask("/", *of("US-CA"), cookie=held)).shows() == set()


async def test_u2_the_signal_counts_as_opted_out(tmp_path: Path) -> None:
    async with proxied(tmp_path, change=with_states) as site:
        told = (await site.ask("/.consent/preferences", *of("US-CA"), "Sec-GPC: 1")).text
        assert b"Opt-out preference signal honored" in told
        assert OPTED_OUT in told and SELL not in told
        assert '<b aria-hidden="true">✓</b>'.encode() in told


async def test_a_site_that_shares_nothing_has_no_such_link(tmp_path: Path) -> None:
    def without_ads(text: str) -> str:
        return with_states(text).replace('vendor = "meta-pixel"', 'vendor = "matomo"')

    async with proxied(tmp_path, change=without_ads) as site:
        assert CHOICES not in (await site.ask("/", *of("US-CA"))).text
        assert SELL not in (await site.ask("/.consent/preferences", *of("US-CA"))).text


@pytest.mark.parametrize("patient", [False, True])
async def test_what_was_typed_is_put_back_on_marketing_pages_only(
    tmp_path: Path, patient: bool
) -> None:
    path = "/patients/x" if patient else "/"
    async with proxied(tmp_path, {"patients/x": reply(PAGE)}) as site:
        asked = await site.ask(path, cookie="a=1; consent-kept=1")
        plain = await site.ask(path, cookie="a=1")
        assert (b"sessionStorage" in asked.text) is not patient
        again = await site.ask(path, cookie="a=1")
        assert again.text == plain.text
        if patient:
            assert b"sessionStorage" not in plain.text
