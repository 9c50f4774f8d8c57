"""A preference cookie that is there and cannot be read, that is out of date, that comes twice or is
another host's: it opens no more than a refusal would, in every regime.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from consent_rules.categories import Category
from consent_rules.preferences import Preferences
from proxy.cookies.preference_cookie import KeyRing
from proxy.http.access_record import Access
from proxy.observability.metrics import Metrics
from proxy.observability.prometheus import metrics_text
from tests.support.choices import post
from tests.support.clock import DAY, Clock
from tests.support.one_connection import connected
from tests.support.site import BANNER, PAGE, Answer, Proxied, proxied, reply

US = "X-Country: US"
FRESH = {"": reply(PAGE, "Cache-Control: public, max-age=600")}
OPEN_BEFORE_A_CHOICE = {"google-analytics", "meta-pixel", "youtube"}
STRANGER = KeyRing({"1.pem": Ed25519PrivateKey.from_private_bytes(b"9" * 32)})


def asks(answer: Answer) -> bool:
    return BANNER in answer.text


def foreign(site: Proxied, *allowed: Category) -> str:
    """As another node with other keys would set it, or as it was before the keys were lost."""
    now = int(time.time())
    choice = Preferences(
        frozenset(allowed), site.config.policy.version, made_at=now, expires_at=now + 600
    )
    return f"consent={STRANGER.sign(choice, 'www')}"


UNREADABLE: dict[str, Callable[[Proxied], str]] = {
    "other keys": foreign,
    "a yes by other keys": lambda site: foreign(site, Category.ADVERTISING),
    "cut off": lambda site: site.cookie()[:-1],
    "changed": lambda site: site.cookie()[:-30] + "A" * 30,
    "empty": lambda _: "consent=",
    "a word": lambda _: "consent=all",
    "of another form": lambda _: "consent=a.b.c",
    "twice": lambda site: f"{foreign(site)}; consent=x",
    "among others": lambda site: f"a=1; {foreign(site)}; _ga=GA1.1.1; b=2",
    "too much to search": lambda site: "a=1; " * 9000 + site.cookie(),
}


@pytest.mark.parametrize("cookie", UNREADABLE.values(), ids=list(UNREADABLE))
async def test_closes_what_asks_and_shows_the_banner(
    tmp_path: Path, cookie: Callable[[Proxied], str]
) -> None:
    async with proxied(tmp_path, FRESH) as site:
        assert (await site.ask("/", US)).shows() == OPEN_BEFORE_A_CHOICE
        brought = cookie(site)
        for headers in ([US], [US, "Sec-GPC: 1"], []):
            answer = await site.ask("/", *headers, cookie=brought)
            if answer.status == 431:  # more than is read of any request
                return
            assert answer.shows() == set(), headers
            assert "google-analytics" not in answer.policy
            assert asks(answer)
        # Nor does it change what anybody else gets.
        assert (await site.ask("/", US)).shows() == OPEN_BEFORE_A_CHOICE


async def test_from_memory_as_well(tmp_path: Path) -> None:
    async with proxied(tmp_path, FRESH) as site, connected(site) as visitor:
        for _ in range(4):
            assert (await visitor.ask("/", US, "Accept-Encoding: identity")).shows()
            answer = await visitor.ask(
                "/", US, "Accept-Encoding: identity", f"Cookie: {foreign(site)}"
            )
            assert (answer.shows(), asks(answer)) == (set(), True)


async def test_a_new_choice_takes_its_place(tmp_path: Path) -> None:
    async with proxied(tmp_path) as site:
        answer = await post(site, {"action": "accept_all"}, US, cookie=foreign(site))
        cookie = answer.all("Set-Cookie")[-1].partition(";")[0]
        page = await site.ask("/", US, cookie=cookie)
        assert (page.shows(), asks(page)) == (OPEN_BEFORE_A_CHOICE | {"hotjar"}, False)


async def test_one_vendor_alone_opens_no_other(tmp_path: Path) -> None:
    """What the unreadable cookie refused is not known: everything else stays refused."""
    async with proxied(tmp_path) as site:
        answer = await post(site, {"action": "vendor:youtube"}, US, cookie=foreign(site))
        cookie = answer.all("Set-Cookie")[0].partition(";")[0]
        assert (await site.ask("/", US, cookie=cookie)).shows() == {"youtube"}


# --- Said and counted


async def test_is_said_once_an_interval_and_counted(
    tmp_path: Path, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    metrics, seen = Metrics(1), Counter[str]()

    def access(record: Access) -> None:
        seen[record.unreadable_choice] += 1
        metrics(record)

    style = reply(b"a{}", "Content-Type: text/css", html=False)
    pages = {**FRESH, "site.css": style}
    async with proxied(tmp_path, pages, access=access) as site, connected(site) as visitor:
        for _ in range(5):  # from memory, too
            await visitor.ask("/", f"Cookie: {foreign(site)}")
            await visitor.ask("/", "Cookie: consent=x")
            await visitor.ask("/")
        await visitor.ask("/site.css", f"Cookie: {foreign(site)}")
        warnings = [r.getMessage() for r in caplog.records if "cannot be read: they" in r.msg]
        assert sorted("keys lost" in warning for warning in warnings) == [False, True]
        assert not any(foreign(site)[8:] in warning for warning in warnings)
        clock.after(3600)
        await site.ask("/", cookie="consent=y")
        assert sum("cannot be read: they" in r.msg for r in caplog.records) == 3
    told = metrics_text(metrics).decode()
    for cause, count in (("unknown_key", 5), ("damaged", 6)):
        name = "consent_proxy_unreadable_choices_total"
        assert f'{name}{{cause="{cause}",site="www"}} {count}.0' in told
    assert (seen["unknown_key"], seen["damaged"], seen[""]) == (6, 6, 5)


# --- A refusal needs no date, an acceptance does


@pytest.mark.parametrize("at", [-3600, -301, 0, 181 * DAY, 399 * DAY], ids=str)
async def test_a_refusal_counts_whatever_the_clock_says(
    tmp_path: Path, clock: Clock, at: float
) -> None:
    async with proxied(tmp_path, FRESH) as site:
        answer = await post(site, {"action": "reject_all"}, US)
        (cookie,) = answer.all("Set-Cookie")
        assert f"; Max-Age={400 * DAY};" in cookie
        clock.after(at)
        page = await site.ask("/", US, cookie=cookie.partition(";")[0])
        assert page.shows() == set()
        assert "google-analytics" not in page.policy


@pytest.mark.parametrize("at", [-3600, 181 * DAY], ids=str)
async def test_an_acceptance_does_not(tmp_path: Path, clock: Clock, at: float) -> None:
    async with proxied(tmp_path, FRESH) as site:
        answer = await post(site, {"action": "accept_all"})
        cookie = answer.all("Set-Cookie")[0].partition(";")[0]
        assert (await site.ask("/", cookie=cookie)).shows()
        clock.after(at)
        page = await site.ask("/", cookie=cookie)
        assert (page.shows(), asks(page)) == (set(), True)


async def test_it_turns_good_when_the_clocks_agree(tmp_path: Path, clock: Clock) -> None:
    """From memory, too: a reply made while the cookie seemed to be of the future ends with that."""
    async with proxied(tmp_path, FRESH) as site, connected(site) as visitor:
        answer = await post(site, {"action": "accept_all"})
        cookie = "Cookie: " + answer.all("Set-Cookie")[0].partition(";")[0]
        clock.after(-400)
        for _ in range(3):
            assert (await visitor.ask("/", cookie)).shows() == set()
        clock.after(0)
        assert (await visitor.ask("/", cookie)).shows()


# --- Twelve months after an opt-out (California Civil Code 1798.135(c)(4))


def with_states(text: str) -> str:
    return text.replace(
        'country_header = "X-Country"', 'country_header = "X-Country"\nregion_header = "X-State"'
    )


@pytest.mark.parametrize(
    ("state", "action", "asked_from"),
    [
        ("CA", "reject_all", 366),
        ("CA", "opt_out", 366),
        ("CA", "accept_all", 180),  # nothing was opted out of
        ("CO", "reject_all", 180),
    ],
)
async def test_nobody_is_asked_again_too_soon(
    tmp_path: Path, clock: Clock, state: str, action: str, asked_from: int
) -> None:
    region = (US, f"X-State: {state}")
    async with proxied(tmp_path, FRESH, change=with_states) as site, connected(site) as visitor:
        answer = await post(site, {"action": action}, *region)
        cookie = answer.all("Set-Cookie")[0].partition(";")[0]
        for days in (1, 179, 180, 181, 364, 365, 366, 399):
            clock.after(days * DAY)
            for _ in range(2):
                page = await visitor.ask("/", *region, f"Cookie: {cookie}")
                assert asks(page) is (days >= asked_from), days
                if action != "accept_all":
                    assert "meta-pixel" not in page.shows()


# --- Hosts that share one choice


def with_blog(text: str) -> str:
    start, end = text.index("[[site]]"), text.index("[[tag]]")
    blog = text[start:end].replace('"www"', '"blog"').replace(
        '["www.example.com", "localhost"]', '["blog.example.com"]'
    )  # fmt: skip
    return text.replace('sites = ["www"]', 'sites = ["www", "blog"]').replace(
        "[[tag]]", blog + "[[tag]]", 1
    )


def sharing(text: str) -> str:
    return with_blog(text) + '\n[preferences]\ncookie_domain = ".example.com"\n'


BLOG = "blog.example.com"


@asynccontextmanager
async def two_hosts(folder: Path) -> AsyncIterator[Proxied]:
    async with proxied(folder, FRESH, change=sharing) as site:
        yield site


async def test_a_choice_on_one_host_is_the_others_too(tmp_path: Path) -> None:
    async with two_hosts(tmp_path) as site:
        answer = await post(site, {"action": "reject_all"}, US)
        (cookie,) = answer.all("Set-Cookie")
        assert "; Domain=example.com;" in cookie
        pair = cookie.partition(";")[0]
        for host in ("www.example.com", BLOG):
            page = await site.ask("/", US, host=host, cookie=pair)
            assert (page.shows(), asks(page)) == (set(), False), host
        # The other host's choice replaces it: the same name, domain and path.
        later = await post(site, {"action": "accept_all"}, US, host=BLOG, cookie=pair)
        pair = later.all("Set-Cookie")[0].partition(";")[0]
        for host in ("www.example.com", BLOG):
            page = await site.ask("/", US, host=host, cookie=pair)
            assert "hotjar" in page.shows(), host


async def test_any_choice_on_the_blog_does_not_lose_a_refusal_on_www(tmp_path: Path) -> None:
    async with two_hosts(tmp_path) as site:
        first = await post(site, {"action": "reject_all"}, US)
        pair = first.all("Set-Cookie")[0].partition(";")[0]
        later = await post(site, {"action": "vendor:youtube"}, US, host=BLOG, cookie=pair)
        pair = later.all("Set-Cookie")[0].partition(";")[0]
        for host in ("www.example.com", BLOG):
            assert (await site.ask("/", US, host=host, cookie=pair)).shows() == {"youtube"}


async def test_without_a_shared_domain_each_host_asks_for_itself(tmp_path: Path) -> None:
    async with proxied(tmp_path, FRESH, change=with_blog) as site:
        first = await post(site, {"action": "accept_all"})
        pair = first.all("Set-Cookie")[0].partition(";")[0]
        assert (await site.ask("/", cookie=pair)).shows()
        page = await site.ask("/", host=BLOG, cookie=pair)
        assert (page.shows(), asks(page)) == (set(), True)


async def test_of_two_good_cookies_the_stricter_counts_and_a_choice_ends_both(
    tmp_path: Path,
) -> None:
    async with two_hosts(tmp_path) as site:
        yes = site.cookie("analytics", "advertising", "functional")
        no = site.cookie("functional", site="blog")
        for cookie in (f"{yes}; {no}", f"{no}; {yes}"):
            for host in ("www.example.com", BLOG):
                assert (await site.ask("/", US, host=host, cookie=cookie)).shows() == {"youtube"}
        answer = await post(site, {"action": "accept_all"}, US, cookie=f"{yes}; {no}")
        *ended, new = [value for value in answer.all("Set-Cookie") if value.startswith("consent=")]
        assert ended and all("Max-Age=0" in value for value in ended)
        assert any("Domain" not in value for value in ended)
        page = await site.ask("/", US, host=BLOG, cookie=new.partition(";")[0])
        assert page.shows() == OPEN_BEFORE_A_CHOICE | {"hotjar"}


@pytest.mark.parametrize("many", [4, 40])
async def test_junk_in_front_hides_nothing(tmp_path: Path, many: int) -> None:
    now = int(time.time())
    async with proxied(tmp_path, FRESH) as site:
        head = site.cookie().partition("=")[2].partition(".")[0]
        forged = [f"{head}.{'A' * (10 + n)}.{'A' * 86}" for n in range(4)]
        others = [
            STRANGER.sign(
                Preferences(frozenset(), "x", made_at=now + n, expires_at=now + 99), "www"
            )
            for n in range(4)
        ]
        for junk in ([f"{n}" for n in range(many)], forged, others * (many // 4)):
            crowd = "; ".join(f"consent={one}" for one in junk)
            for own, shown in (
                (site.cookie("analytics"), {"google-analytics"}),
                (site.cookie(), set()),
            ):
                for cookie in (f"{crowd}; {own}", f"{own}; {crowd}"):
                    page = await site.ask("/", US, cookie=cookie)
                    assert (page.shows(), asks(page)) == (shown, False)
