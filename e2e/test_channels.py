"""Every way that a page's own script has to reach another host, from every window it can get."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest
from playwright.sync_api import BrowserContext, Page, Playwright

from consent_rules.categories import Category
from e2e.channels import (
    APPROVED,
    PAGES,
    SCRIPT,
    UNKNOWN,
    WATCH_SECONDS,
    WINDOWS,
    Arrived,
    ClosedHosts,
    Window,
    both,
    closed_hosts,
    profile,
    try_windows,
    wait_for,
    with_vendor,
)
from e2e.proxied import serving
from tests.support.site import Proxied

README = Path(__file__).parents[1] / "README.md"
CHANNELS = tuple(
    re.findall(
        r'^    "?([a-z-]+)"?: ',
        SCRIPT.decode().partition("global.CHANNELS = {")[2].partition("global.tryChannels")[0],
        re.MULTILINE,
    )
)

INERT: Mapping[str, str] = {
    "attribution": "Chromium took the interface out again",
    "interest-group": "Chromium took the interface out again",
    "shared-storage-worklet": "Chromium took the interface out again",
    "background-fetch": "asks for a permission first",
    "link-dns-prefetch": "a look-up of a name, which reaches no host",
    "link-prerender": "Chromium no longer obeys it",
    "svg-use": "only of the same origin",
}
"""Channels that reach nothing without the proxy either, and why."""
TAKEN_OUT_AFTER_150 = frozenset({"attribution", "interest-group", "shared-storage-worklet"})
"""Those of them that Chromium 150, and what is older, may still obey."""


@dataclass(frozen=True, slots=True)
class Hole:
    """Channels that no header and no script of ours stops."""

    channels: frozenset[str]
    why: str
    connects: bool = False
    """Only a connection is made; no request follows."""


NOT_STOPPABLE: Mapping[str, Hole] = {
    "`preconnect`": Hole(
        frozenset(("link-preconnect",)), "no policy directive governs it", connects=True
    ),
    "speculation rules": Hole(
        frozenset(("speculation-prefetch", "speculation-prerender")),
        "no policy directive governs the rules of the site's own script",
    ),
    "opens a window": Hole(
        frozenset(("popup",)), "no policy directive governs a top-level navigation"
    ),
    "frame or form": Hole(
        frozenset(("iframe", "iframe-location", "iframe-refresh", "iframe-link", "frame", "form")),
        "Chromium connects before it asks the policy",
        connects=True,
    ),
    "WebRTC": Hole(
        frozenset(("rtc-stun", "rtc-turn")),
        "browsers have no directive for it, and a window's own script is out of a page's reach",
    ),
}
"""By the words that README.md has for it."""
LEAKING = {channel for hole in NOT_STOPPABLE.values() for channel in hole.channels}
PEERS = NOT_STOPPABLE["WebRTC"].channels
CONNECTING = {c for hole in NOT_STOPPABLE.values() if hole.connects for c in hole.channels}
POPUP = "popup"
ACTIVE = [channel for channel in CHANNELS if channel not in INERT]

PDF = both("/a.pdf")
"""Chromium shows it in a document of its own making, without the policy that it came with."""
MARKETING: tuple[Window, ...] = tuple(
    ("popup", address) for address in ("/page", "/a.svg", "/a.xml", "/no-such-page")
)
"""What has a decision of its own, though a patient page opens it."""
FEW: tuple[Window, ...] = (("top", ""), ("blank", ""), ("srcdoc-alone", ""), *both("/robots.txt"))

OPEN_WINDOWS: Mapping[str, tuple[Window, ...]] = {"PDF": PDF, "opens a marketing page": MARKETING}
"""Windows that the page's policy does not hold, by the words that README.md has for them."""

WITHOUT_PEERS = frozenset(
    window
    for window in WINDOWS
    if window[0] != "blank-by-index" and not window[0].endswith("-alone")
)
"""Where the script that takes WebRTC away comes before the page's own."""
REFUSED = frozenset(
    ("frame", address)
    for address in (
        "/hangs-up",
        "/.consent/state",
        "/.consent/jwks.json",
        "/.consent/preferences",
        "/.well-known/gpc.json",
    )
)
"""What may be in no frame."""
ISOLATED = frozenset({("popup", "/patients/page")})
"""What no marketing page can look into."""


@dataclass(frozen=True, slots=True)
class State:
    """A visitor on a page."""

    path: str
    domain: str
    """Where the channels lead."""
    choice: tuple[str, ...] | None
    windows: tuple[Window, ...]


EVERYTHING = tuple(map(str, Category))
STATES = {
    "before a choice": State("/", APPROVED, None, WINDOWS),
    "all rejected": State("/", APPROVED, (), FEW),
    "all accepted, a host without a tag": State("/", UNKNOWN, EVERYTHING, FEW),
    "all accepted, a patient page": State(
        "/patients/page",
        APPROVED,
        EVERYTHING,
        tuple(window for window in WINDOWS if window not in MARKETING),
    ),
}


@pytest.fixture(scope="module")
def hosts() -> Iterator[ClosedHosts]:
    with closed_hosts(CHANNELS) as running:
        yield running


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxied]:
    with serving(tmp_path_factory.mktemp("site"), PAGES, change=with_vendor) as running:
        yield running


@pytest.fixture
def chromium(
    playwright_driver: Playwright, tmp_path: Path, hosts: ClosedHosts
) -> Iterator[BrowserContext]:
    with profile(playwright_driver, tmp_path / "profile", hosts.flag()) as context:
        yield context


def opened(context: BrowserContext, site: Proxied, state: State) -> Page:
    base = f"http://localhost:{site.port}"
    if state.choice is not None:
        name, _, value = site.cookie(*state.choice).partition("=")
        context.add_cookies([{"name": name, "value": value, "url": base}])
    page = context.new_page()
    page.goto(f"{base}{state.path}")
    return page


def test_the_script_has_these_channels(chromium: BrowserContext, site: Proxied) -> None:
    page = opened(chromium, site, STATES["before a choice"])
    assert tuple(page.evaluate("Object.keys(CHANNELS)")) == CHANNELS
    assert set(INERT) | LEAKING <= set(CHANNELS)


def test_without_the_proxy_every_channel_reaches_its_host(
    chromium: BrowserContext, site: Proxied, hosts: ClosedHosts
) -> None:
    page = chromium.new_page()
    page.goto(f"{site.config.sites[0].upstream[0]}/".replace("127.0.0.1", "localhost"))
    before = hosts.counts()
    try_windows(page, [("top", "")], hosts.targets(APPROVED, (c for c in CHANNELS if c != POPUP)))
    assert wait_for(hosts, before, page, set(ACTIVE) - {POPUP}) == set()
    try_windows(page, [("top", "")], hosts.targets(APPROVED, [POPUP]))
    assert wait_for(hosts, before, page, {POPUP}) == set()
    browser = chromium.browser
    old = browser is not None and int(browser.version.partition(".")[0]) <= 150
    inert = set(INERT) - TAKEN_OUT_AFTER_150 if old else set(INERT)
    assert inert.isdisjoint(hosts.since(before)), "no longer inert"


@pytest.mark.parametrize("name", STATES)
def test_no_channel_reaches_a_closed_host(
    chromium: BrowserContext, site: Proxied, hosts: ClosedHosts, name: str
) -> None:
    state = STATES[name]
    page = opened(chromium, site, state)
    before = hosts.counts()
    targets = hosts.targets(state.domain, (c for c in CHANNELS if c != POPUP))
    top = try_windows(page, state.windows[:1], targets)
    page.wait_for_timeout(1000 * WATCH_SECONDS)
    assert PEERS.isdisjoint(hosts.since(before))
    faults = top | try_windows(page, state.windows[1:], targets)
    page.wait_for_timeout(1000 * WATCH_SECONDS)
    assert unexpected(hosts.since(before)) == {}
    reached = {window for window, found in faults.items() if "*" not in found}
    assert reached == set(state.windows) - REFUSED - (ISOLATED if state.path == "/" else set())
    without_peers = {window for window, found in faults.items() if "rtc-stun" in found}
    assert without_peers == reached & WITHOUT_PEERS
    # What nothing stops is not stopped: else it would not belong into the table.
    assert wait_for(hosts, before, page, LEAKING - {POPUP}) == set()
    try_windows(page, [("top", "")], hosts.targets(state.domain, [POPUP]))
    assert wait_for(hosts, before, page, {POPUP}) == set()


@pytest.mark.parametrize(
    ("name", "windows"),
    [("before a choice", PDF), ("all accepted, a patient page", MARKETING)],
)
def test_windows_that_no_policy_of_the_page_holds(
    chromium: BrowserContext,
    site: Proxied,
    hosts: ClosedHosts,
    name: str,
    windows: tuple[Window, ...],
) -> None:
    page = opened(chromium, site, STATES[name])
    for window in windows:
        before = hosts.counts()
        try_windows(page, [window], hosts.targets(APPROVED, ["fetch"]))
        assert wait_for(hosts, before, page, {"fetch"}) == set(), window


@pytest.mark.parametrize("words", [*NOT_STOPPABLE, *OPEN_WINDOWS])
def test_readme_names_what_nothing_stops(words: str) -> None:
    section = README.read_text("utf-8").partition("## What it is not")[2].partition("\n## ")[0]
    assert words in " ".join(section.split())


def unexpected(arrived: Mapping[str, Arrived]) -> dict[str, Arrived]:
    """What came by other channels than those that nothing stops, or by these more than that."""
    return {
        channel: one
        for channel, one in arrived.items()
        if channel not in LEAKING or (channel in CONNECTING and one.requests)
    }
