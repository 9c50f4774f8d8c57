"""Frames that a page's script makes: connections to closed hosts are spared, all else goes on."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass

import pytest
from playwright.sync_api import BrowserContext, Page, Playwright

from e2e.channels import profile
from e2e.frame_ways import CONNECTING, SILENT, SPARED, Ways
from e2e.proxied import serving
from e2e.real_pages import Listener
from e2e.site import in_thread
from tests.support.site import TAG, Proxied, reply
from tests.support.waiting import PATIENCE

CLOSED = "closed.example"
ADDRESS = f"https://a.{CLOSED}/"
OPEN = "open.example"
QUIET = {**SPARED, **SILENT}
LATER = {"after all others": "const f = document.createElement('iframe');"
         "document.body.append(f); f.contentWindow.location = url"}  # fmt: skip
"""Connects by a way that is not taken, when all others were tried."""
_PAGE = (
    b"<!doctype html><html lang=en><head><title>x</title></head><body><p>Hello</p>"
    b"<script src=%s></script></body></html>"
)


@dataclass(frozen=True, slots=True)
class Others:
    """Where the names of all other hosts lead."""

    listener: Listener
    port: int


@contextlib.asynccontextmanager
async def _listening() -> AsyncIterator[Others]:
    listener = Listener()
    server = await asyncio.start_server(listener.take, "127.0.0.1", 0)
    async with server:
        yield Others(listener, server.sockets[0].getsockname()[1])


@pytest.fixture(scope="module")
def others() -> Iterator[Others]:
    with in_thread(_listening()) as running:
        yield running


def _script(ways: Ways) -> bytes:
    return reply(ways.program(), "Content-Type: text/javascript", html=False)


def _with_open_vendor(config: str) -> str:
    vendor = f"""
[[vendor]]
id = "opened"
name = "Opened"
category = "necessary"
hosts = ["*.{OPEN}"]
policy_url = "https://{OPEN}/privacy"
"""
    return config + vendor + TAG.format(vendor="opened")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxied]:
    pages = {
        "": reply(_PAGE % b"none.js"),
        "part": reply(b"<!doctype html><title>x</title><p><iframe></iframe>"),
        "in": reply(b"<!doctype html><title>in</title><p>inside"),
        "patients/page": reply(_PAGE % b"/closed.js"),
    }
    for domain in (CLOSED, OPEN):
        name = domain.partition(".")[0]
        pages[name] = reply(_PAGE % f"/{name}.js".encode())
        pages[f"{name}.js"] = _script(Ways(QUIET, domain))
    pages["named"] = reply(_PAGE % b"/named.js")
    pages["named.js"] = _script(Ways(CONNECTING, CLOSED))
    folder = tmp_path_factory.mktemp("site")
    with serving(folder, pages, change=_with_open_vendor) as running:
        yield running


@pytest.fixture(scope="module")
def chromium(
    playwright_driver: Playwright, tmp_path_factory: pytest.TempPathFactory, others: Others
) -> Iterator[BrowserContext]:
    rules = f"MAP *.example 127.0.0.1:{others.port},MAP * 127.0.0.1"
    folder = tmp_path_factory.mktemp("profile")
    with profile(playwright_driver, folder, f"--host-resolver-rules={rules}") as context:
        yield context


def _wait_for(page: Page, others: Others, ways: Ways, expected: set[str]) -> set[str]:
    """The ways by which something was reached, once those expected are among them."""
    # Dozens of frames at once, on a machine that is busy with others.
    deadline = time.monotonic() + 3 * PATIENCE
    while time.monotonic() < deadline and not expected <= ways.among(others.listener.names):
        page.wait_for_timeout(50)
    return ways.among(others.listener.names)


@pytest.mark.parametrize("path", ["closed", "patients/page"])
def test_no_connection_to_a_closed_host(
    chromium: BrowserContext, site: Proxied, others: Others, path: str
) -> None:
    page, ways = _tried(chromium, site, others, path), Ways(QUIET, CLOSED)
    later = Ways(LATER, f"later.{CLOSED}")
    page.evaluate(later.program().decode())
    assert _wait_for(page, others, later, set(LATER)) == set(LATER)
    assert ways.among(others.listener.names) == set()
    page.close()


def test_the_ways_that_connect_all_the_same(
    chromium: BrowserContext, site: Proxied, others: Others
) -> None:
    page, ways = _tried(chromium, site, others, "named"), Ways(CONNECTING, CLOSED)
    assert _wait_for(page, others, ways, set(CONNECTING)) == set(CONNECTING)
    page.close()


def test_frames_of_open_hosts_load_by_every_way(
    chromium: BrowserContext, site: Proxied, others: Others
) -> None:
    page, ways = _tried(chromium, site, others, "open"), Ways(QUIET, OPEN)
    assert _wait_for(page, others, ways, set(QUIET)) == set(QUIET)
    page.close()


def _tried(chromium: BrowserContext, site: Proxied, others: Others, path: str) -> Page:
    """A page whose script has tried all of its ways, none of which failed."""
    others.listener.names.clear()
    page = chromium.new_page()
    page.goto(f"http://localhost:{site.port}/{path}", wait_until="commit")
    page.wait_for_function("window.faults && document.readyState != 'loading'")
    assert page.evaluate("faults") == []
    return page


NO_HOST_OF_OTHERS: Mapping[str, str] = {
    "the site's own page": "f.src = '/in'",
    "its whole address": "f.setAttribute('src', new URL('/in', location))",
    "markup": "f.outerHTML = '<iframe src=/in></iframe>'",
    "srcdoc": "f.srcdoc = 'inside'",
    "srcdoc, with an address that is closed": "f.src = closed; f.srcdoc = 'inside'",
    "srcdoc before the address": "f.srcdoc = 'inside'; f.src = closed",
    "srcdoc in markup": "f.outerHTML = `<iframe src=${closed} srcdoc=inside></iframe>`",
    "blob:": "f.src = URL.createObjectURL(new Blob(['inside'], {type: 'text/html'}))",
    "data:": "f.src = 'data:text/html,inside'",
    "javascript:": "f.src = \"javascript:'inside'\"",
    "an address that was closed before": "f.src = closed; f.src = '/in'",
    "the same, by attribute": "f.setAttribute('src', closed); f.setAttribute('src', '/in')",
    "the same, in markup": "f.outerHTML = `<iframe src=${closed}></iframe>`; last().src = '/in'",
}


@pytest.mark.parametrize("case", NO_HOST_OF_OTHERS)
def test_frames_of_no_other_host_are_what_they_were(
    chromium: BrowserContext, site: Proxied, case: str
) -> None:
    page = chromium.new_page()
    page.goto(f"http://localhost:{site.port}/")
    page.evaluate(
        "() => { const closed = 'https://a.closed.example/';"
        "const last = () => [...document.querySelectorAll('iframe')].at(-1);"
        "const f = document.body.appendChild(document.createElement('iframe'));"
        f"{NO_HOST_OF_OTHERS[case]} }}"
    )
    page.frame_locator("iframe").get_by_text("inside").wait_for()
    page.close()


@pytest.mark.parametrize(
    ("script", "expected"),
    [
        ("f.src = closed; return [f.src, f.getAttribute('src')]", [ADDRESS, ADDRESS]),
        ("f.src = '//a.closed.example'; return [f.getAttribute('src'), f.hasAttribute('srcdoc')]",
         ["//a.closed.example", True]),
        ("f.src = closed; f.src = '/in'; return [f.getAttribute('src'), f.hasAttribute('srcdoc')]",
         ["/in", False]),
        ("f.src = 'https://'; return f.getAttribute('src')", "https://"),
        ("f.src = null; return f.getAttribute('src')", "null"),
        ("return f.setAttribute('src', closed) === undefined", True),
        ("return f.setAttributeNode(document.createAttribute('src'))", None),
        ("try { f.setAttribute('src') } catch (e) { return e.name }", "TypeError"),
        ("try { f.src = Symbol() } catch (e) { return e.name }", "TypeError"),
        ("document.body.innerHTML = null; return document.body.childNodes.length", 0),
        ("document.body.innerHTML = `<p title='<iframe src=${closed}>'>a</p>"
         "<!--<iframe src=${closed}>--><iframe-x src=${closed}></iframe-x>"
         "<iframe src=${closed}></iframe>`;"
         "const [p, c, x, g] = document.body.childNodes;"
         "return [p.title, c.data, x.attributes.length, g.src, g.attributes.length]",
         [f"<iframe src={ADDRESS}>", f"<iframe src={ADDRESS}>", 1, ADDRESS, 2]),
        ("document.body.innerHTML = '<iframe src=/in id=a></iframe>';"
         "return document.body.innerHTML", '<iframe src="/in" id="a"></iframe>'),
        ("const x = new DOMParser().parseFromString('<iframe src=\"https://a.closed.example/\"/>',"
         "'application/xml'); return x.documentElement.outerHTML",
         '<iframe src="https://a.closed.example/"/>'),
    ],
)  # fmt: skip
def test_a_page_reads_what_it_wrote(
    chromium: BrowserContext, site: Proxied, script: str, expected: object
) -> None:
    page = chromium.new_page()
    page.goto(f"http://localhost:{site.port}/")
    read = page.evaluate(
        "() => { const closed = 'https://a.closed.example/';"
        f"const f = document.body.appendChild(document.createElement('iframe')); {script} }}"
    )
    assert read == expected
    page.close()


def test_a_closed_frame_says_whose_it_is(chromium: BrowserContext, site: Proxied) -> None:
    page = chromium.new_page()
    page.goto(f"http://localhost:{site.port}/")
    for number, script in enumerate((SPARED["src"], SPARED["innerHTML"])):
        host = f"w{number}.{CLOSED}"
        page.evaluate(f"(url) => {{ {script} }}", f"https://{host}/x")
        inside = page.frame_locator("iframe").nth(number)
        inside.get_by_text(f"This content comes from {host}").wait_for()
    page.frame_locator("iframe").first.get_by_role("link").click()
    page.wait_for_url("**/.consent/preferences*")
    page.close()
