"""Sites on builders and CDNs in a browser, walked from observe mode by the printed advice alone:
before a choice their pages look as without the proxy, and their trackers are asked for nothing.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Route

import proxy.cli.library
from e2e.builder_sites import SITES
from e2e.proxied import serving
from proxy.cli.library_fetch import Fetched
from tests.support.advice import walked
from tests.support.commands import run
from tests.support.site import config_text, reply

# Every property of every element that is seen, and how large images are by themselves.
_LOOKS = """() => [document.documentElement, document.body, ...document.querySelectorAll('main *')]
  .filter((one) => !['SCRIPT', 'LINK', 'STYLE'].includes(one.tagName))
  .map((one) => ({
    name: `${one.tagName}#${one.id}.${one.className}`,
    natural: [one.naturalWidth, one.naturalHeight],
    ...Object.fromEntries([...getComputedStyle(one)]
      .map((name) => [name, getComputedStyle(one).getPropertyValue(name)])),
  }))"""
_WITHOUT_BANNER = """() => document.querySelectorAll('#yc, #yc-l')
  .forEach((own) => own.style.setProperty('display', 'none', 'important'))"""


class Elsewhere:
    """Answers for all hosts but the site's, and notes which were asked."""

    def __init__(self, files: dict[str, str]) -> None:
        self._files = files
        self.asked: set[str] = set()

    def answer(self, route: Route) -> None:
        url = route.request.url
        self.asked.add(url.split("/")[2])
        body = self._files.get(url)
        if body is None:
            route.fulfill(status=200, content_type="text/plain", body="")
            return
        route.fulfill(
            status=200,
            content_type=kind_of(url),
            body=body,
            headers={"Access-Control-Allow-Origin": "*"},
        )


def kind_of(url: str) -> str:
    path = url.partition("?")[0]
    kinds = {"svg": "image/svg+xml", "js": "text/javascript"}
    return kinds.get(path.rpartition(".")[2], "text/css")


@dataclass(frozen=True)
class Look:
    """How a page looks, and which hosts it asked."""

    elements: list[dict[str, Any]]
    picture: bytes
    asked: frozenset[str]


def parted(one: Look, other: Look) -> list[str]:
    """What of a page's elements differs."""
    if len(one.elements) != len(other.elements):
        return [f"{len(one.elements)} elements, and {len(other.elements)}"]
    return [
        f"{left['name']}: {key} {left.get(key)!r}, and {right.get(key)!r}"
        for left, right in zip(one.elements, other.elements, strict=True)
        for key in sorted(left.keys() | right.keys())
        if left.get(key) != right.get(key)
    ]


def look(browser: Browser, url: str, files: dict[str, str], page: str = "") -> Look:
    """Open a page; its content is `page`, if any, in place of what the server has."""
    elsewhere = Elsewhere(files)
    context: BrowserContext = browser.new_context(viewport={"width": 900, "height": 700})
    context.route(re.compile(r"https://"), elsewhere.answer)
    if page:
        context.route(url, lambda route: route.fulfill(body=page, content_type="text/html"))
    tab = context.new_page()
    tab.goto(url, wait_until="load")
    tab.evaluate(_WITHOUT_BANNER)
    elements = tab.evaluate(_LOOKS)
    seen = Look(elements, tab.screenshot(animations="disabled"), frozenset(elsewhere.asked))
    context.close()
    return seen


def with_upstream_of(config: Path, mode: str) -> Callable[[str], str]:
    """The config of a file, with the upstream of another text."""

    def change(text: str) -> str:
        (upstream,) = re.findall(r"(?m)^upstream = .*$", text)
        kept = re.sub(r"(?m)^upstream = .*$", upstream, config.read_text())
        return kept.replace('mode = "observe"', f'mode = "{mode}"')

    return change


@pytest.mark.parametrize("name", SITES)
def test_the_printed_advice_alone_makes_a_page_whole(
    name: str, tmp_path: Path, browser: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = SITES[name]
    page = f"<!doctype html><html lang=en><title>x</title><body><main>{site.page}</main></html>"

    def fetched(url: str) -> Fetched:
        return Fetched(url, site.files[url].encode(), kind_of(url))

    monkeypatch.setattr(proxy.cli.library, "fetch", fetched)
    pages = {"": reply(page.encode())}
    config, html = tmp_path / "c.toml", tmp_path / "page.html"
    config.write_text(config_text(1, [], mode="observe"))
    html.write_text(page)

    def visit(mode: str) -> Look:
        with serving(tmp_path, pages, change=with_upstream_of(config, mode)) as running:
            seen = look(browser, f"http://www.example.com:{running.port}/", site.files)
            running.running.sightings.write()
        return seen

    plain = look(browser, "http://www.example.com:8090/", site.files, page)
    assert site.trackers <= plain.asked
    assert visit("observe").asked >= plain.asked
    closed = visit("enforce")
    assert closed.picture != plain.picture, "without the advice it is not whole"
    report = run("discovered", "--config", config, "--report").stdout
    walked(config, re.sub(r"(?m)( library add .*)$", rf"\1 --html {html}", report))
    enforced = visit("enforce")
    assert enforced.asked.isdisjoint(site.trackers), report
    assert parted(enforced, plain) == [], report
    assert enforced.picture == plain.picture, report
