"""How long a choice counts: for as long as the config says, for the policy it was given to; a
refusal outlives the policy, and nobody is asked again without cause. The clock is moved.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.choices import post, stored
from tests.support.clock import DAY, Clock
from tests.support.site import BANNER, Answer, Proxied, proxied

KEPT = 180 * DAY
ALL = {"google-analytics", "meta-pixel", "hotjar", "youtube"}


async def chosen(site: Proxied, action: str, cookie: str = "", *headers: str) -> str:
    answer = await post(site, {"action": action}, *headers, cookie=cookie)
    return answer.all("Set-Cookie")[0].partition(";")[0]


def asks(answer: Answer) -> bool:
    return BANNER in answer.text


@pytest.mark.parametrize("action", ["accept_all", "reject_all"])
async def test_c6_a_choice_is_kept_and_nobody_asks_again(
    tmp_path: Path, clock: Clock, action: str
) -> None:
    async with proxied(tmp_path) as site:
        assert asks(await site.ask("/"))
        cookie = await chosen(site, action)
        for days in (0, 1, 90, 179):
            clock.after(days * DAY)
            answer = await site.ask("/", cookie=cookie)
            assert not asks(answer), days
            assert answer.shows() == (ALL if action == "accept_all" else set())
        for headers in (("Accept-Language: de",), ("X-Country: US",), ("Sec-GPC: 1",)):
            assert not asks(await site.ask("/", *headers, cookie=cookie))


@pytest.mark.parametrize("action", ["accept_all", "reject_all"])
async def test_c6_then_it_asks_again(tmp_path: Path, clock: Clock, action: str) -> None:
    async with proxied(tmp_path) as site:
        cookie = await chosen(site, action)
        clock.after(KEPT - 1)
        assert not asks(await site.ask("/", cookie=cookie))
        clock.after(KEPT)
        answer = await site.ask("/", cookie=cookie)
        assert asks(answer)
        assert answer.shows() == set()


async def test_the_browser_is_told_the_same(tmp_path: Path, clock: Clock) -> None:
    async with proxied(tmp_path) as site:
        answer = await post(site, {"action": "accept_all"})
        (cookie,) = answer.all("Set-Cookie")
        assert f"; Max-Age={KEPT};" in cookie
        assert stored(site, answer).expires_at == clock.began + KEPT


async def test_a_config_that_shortens_it_shortens_earlier_choices(
    tmp_path: Path, clock: Clock
) -> None:
    async with proxied(tmp_path) as site:
        cookie = await chosen(site, "accept_all")

    def shorter(text: str) -> str:
        return text.replace('regime = "opt_in"', 'regime = "opt_in"\nmax_age_days = 30', 1)

    async with proxied(tmp_path, change=shorter) as site:  # the same keys
        clock.after(30 * DAY - 1)
        assert (await site.ask("/", cookie=cookie)).shows() == ALL
        clock.after(30 * DAY)
        answer = await site.ask("/", cookie=cookie)
        assert asks(answer)
        assert answer.shows() == set()


async def test_one_vendor_more_does_not_make_the_rest_last_longer(
    tmp_path: Path, clock: Clock
) -> None:
    async with proxied(tmp_path) as site:
        first = await post(site, {"action": "save", "category": "analytics"})
        cookie = first.all("Set-Cookie")[0].partition(";")[0]
        clock.after(100 * DAY)
        answer = await post(site, {"action": "vendor:youtube"}, cookie=cookie)
        # The browser keeps what was refused; what was allowed ends as the earlier choice does.
        assert f"; Max-Age={400 * DAY};" in answer.all("Set-Cookie")[0]
        assert stored(site, answer).expires_at == clock.began + KEPT
        cookie = answer.all("Set-Cookie")[0].partition(";")[0]
        assert (await site.ask("/", cookie=cookie)).shows() == {"google-analytics", "youtube"}
        clock.after(KEPT)
        assert (await site.ask("/", cookie=cookie)).shows() == set()


@pytest.mark.parametrize(
    ("action", "asked"), [("accept_all", True), ("reject_all", False), ("save", False)]
)
async def test_a_new_version_asks_again_but_a_refusal_survives(
    tmp_path: Path, action: str, asked: bool
) -> None:
    async with proxied(tmp_path) as site:
        cookie = await chosen(site, action)
        assert not asks(await site.ask("/", cookie=cookie))

    def newer(text: str) -> str:
        return text.replace("2026-01-01", "2026-06-01")

    async with proxied(tmp_path, change=newer) as site:
        for country in ("DE", "US"):
            answer = await site.ask("/", f"X-Country: {country}", cookie=cookie)
            assert asks(answer) is asked, country
            if country == "DE" or not asked:
                assert answer.shows() == set()
            assert "hotjar" not in answer.shows()  # session replay asks in every regime
        again = await chosen(site, "accept_all", cookie)
        answer = await site.ask("/", cookie=again)
        assert (asks(answer), answer.shows()) == (False, ALL)


async def test_an_unchanged_policy_never_asks_again(tmp_path: Path) -> None:
    """New keys of the config, a restart, new tags of the same categories: no cause to ask."""
    async with proxied(tmp_path) as site:
        cookie = await chosen(site, "accept_all")

    def other(text: str) -> str:
        return text.replace('controller = "Example"', 'controller = "Example Inc."')

    async with proxied(tmp_path, change=other) as site:
        assert not asks(await site.ask("/", cookie=cookie))


async def test_u1_the_signal_is_a_valid_opt_out_on_the_first_reply(tmp_path: Path) -> None:
    async with proxied(tmp_path) as site:
        for country in ("US", "DE"):
            answer = await site.ask("/", f"X-Country: {country}", "Sec-GPC: 1")
            assert "meta-pixel" not in answer.shows()
            assert "facebook" not in answer.policy
            assert answer.all("Set-Cookie") == []
        without = await site.ask("/", "X-Country: US")
        assert "meta-pixel" in without.shows()
        assert "Sec-GPC" in without.one("Vary")


async def test_u1_only_a_choice_made_under_the_signal_is_later_than_it(tmp_path: Path) -> None:
    async with proxied(tmp_path) as site:
        before = await chosen(site, "accept_all")
        assert (await site.ask("/", "Sec-GPC: 1", cookie=before)).shows() == ALL - {"meta-pixel"}
        later = await chosen(site, "accept_all", before, "Sec-GPC: 1")
        assert (await site.ask("/", "Sec-GPC: 1", cookie=later)).shows() == ALL
        # It wins for what it names, and for nothing else.
        named = await post(site, {"action": "vendor:youtube"}, "Sec-GPC: 1", cookie=before)
        cookie = named.all("Set-Cookie")[0].partition(";")[0]
        assert (await site.ask("/", "Sec-GPC: 1", cookie=cookie)).shows() == ALL - {"meta-pixel"}


async def test_u2_the_signal_is_shown_as_honoured(tmp_path: Path) -> None:
    async with proxied(tmp_path) as site:
        for path in ("/", "/.consent/preferences"):
            shown = (await site.ask(path, "Sec-GPC: 1")).text
            assert b"Opt-out preference signal honored" in shown, path
            assert b"Opt-out preference signal honored" not in (await site.ask(path)).text
        assert b'"gpc":true' in (await site.ask("/", "Sec-GPC: 1")).text
