"""The `__gpp` API in a real browser: every command, changes, and calls from frames."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page

from e2e.proxied import serving
from tests.support.site import Proxied, reply

# An ad's script in a frame finds the window with the locator, and asks it by message.
FRAME = b"""<!doctype html><html lang=en><head><title>x</title></head><body><script>
let up = window;
while (!up.frames.__gppLocator && up !== top) up = up.parent;
onmessage = (event) => { document.title = typeof event.data === "string" ?
  event.data : JSON.stringify(event.data); };
window.ask = (call) => up.postMessage(call, "*");
</script></body></html>"""
PAGE = b"""<!doctype html><html lang=en><head><title>x</title>
<script>__gpp('ping', (data, success) => { window.first = [data, success]; });</script>
<script async src="https://www.google-analytics.com/analytics.js"></script>
</head><body><p>Hello</p>%s<iframe src="/frame"></iframe></body></html>"""
# Elements that hide what the script needs of the document and the window.
HIDING = b"""<img name=body><img name=createElement><form name=addEventListener></form>
<p id=__gppLocator>Hello</p>"""

CALL = """([command, parameter]) => new Promise((done) =>
  __gpp(command, (data, success) => done([data, success]), parameter))"""
OUT, IN = "DBABLA~CVQVAAAAAACA.%s", "DBABLA~CVQqAAAAAACA.%s"
GPC, NO_GPC = "YA", "QA"


@contextmanager
def visiting(
    folder: Path,
    browser: Browser,
    approach: str = "national",
    **headers: str,
) -> Iterator[tuple[Proxied, Page]]:
    def change(text: str) -> str:
        given = 'country_header = "X-Country"'
        return text.replace(given, f'{given}\nregion_header = "X-Region"').replace(
            "[[site]]", f'[signals]\ngpp = "{approach}"\n[[site]]', 1
        )

    pages = {"": reply(PAGE % HIDING), "frame": reply(FRAME)}
    with serving(folder, pages, change=change) as site:
        context = browser.new_context(
            extra_http_headers={name.replace("_", "-"): value for name, value in headers.items()}
        )
        page = context.new_page()
        page.goto(f"http://localhost:{site.port}/")
        yield site, page
        context.close()


def call(page: Page, command: str, parameter: Any = None) -> Any:
    data, success = page.evaluate(CALL, [command, parameter])
    assert success is True
    return data


def test_every_command(tmp_path: Path, browser: Browser) -> None:
    with visiting(tmp_path, browser, X_Country="US") as (_, page):
        ping = call(page, "ping")
        assert page.evaluate("first") == [ping, True]  # there before any other script
        sections = ping.pop("parsedSections")
        assert ping == {
            "gppVersion": "1.1",
            "cmpStatus": "loaded",
            "cmpDisplayStatus": "visible",
            "signalStatus": "ready",
            "supportedAPIs": ["7:usnat"],
            "cmpId": 0,
            "sectionList": [7],
            "applicableSections": [7],
            "gppString": IN % NO_GPC,
        }
        assert sections["usnat"]["SaleOptOut"] == 2
        assert call(page, "hasSection", "usnat") is True
        assert call(page, "hasSection", "usca") is False
        assert call(page, "getSection", "usnat") == sections["usnat"]
        assert call(page, "getSection", "constructor") is None
        assert call(page, "getField", "usnat.SharingOptOut") == 2
        assert call(page, "getField", "usnat.Nothing") is None
        assert page.evaluate(CALL, ["nothing", None]) == [None, False]
        first, second = [call(page, "addEventListener") for _ in range(2)]
        assert (first["eventName"], first["data"]) == ("listenerRegistered", True)
        assert first["listenerId"] != second["listenerId"]
        removed = call(page, "removeEventListener", first["listenerId"])
        assert (removed["eventName"], removed["data"]) == ("listenerRemoved", True)
        again = call(page, "removeEventListener", first["listenerId"])
        assert again["data"] is False


@pytest.mark.parametrize(
    ("headers", "string"),
    [
        ({"X_Country": "US"}, IN % NO_GPC),
        ({"X_Country": "US", "Sec_GPC": "1"}, OUT % GPC),
        ({}, OUT % NO_GPC),  # from nobody knows where: nothing runs before a choice
    ],
)
def test_what_holds_before_a_choice(
    tmp_path: Path,
    browser: Browser,
    headers: dict[str, str],
    string: str,
) -> None:
    with visiting(tmp_path, browser, **headers) as (_, page):
        assert (call(page, "ping"))["gppString"] == string


def test_the_state_of_the_visitor(tmp_path: Path, browser: Browser) -> None:
    headers = {"X_Country": "US", "X_Region": "CA"}
    with visiting(tmp_path, browser, "state", **headers) as (_, page):
        ping = call(page, "ping")
        assert ping["supportedAPIs"] == ["8:usca"]
        assert ping["gppString"] == "DBABBg~BUoAAACA.QA"


@pytest.mark.parametrize(("approach", "country"), [("national", "DE"), ("off", "US")])
def test_nothing_where_it_does_not_apply(
    tmp_path: Path,
    browser: Browser,
    approach: str,
    country: str,
) -> None:
    with visiting(tmp_path, browser, approach, X_Country=country) as (_, page):
        assert page.evaluate("typeof window.__gpp") == "undefined"


def test_a_refusal_is_told_before_the_page_loads_anew(tmp_path: Path, browser: Browser) -> None:
    with visiting(tmp_path, browser, X_Country="US") as (_, page):
        page.evaluate(
            """() => { const heard = []; __gpp('addEventListener', (event) => {
              heard.push([event.eventName, event.data, event.pingData.gppString]);
              sessionStorage.heard = JSON.stringify(heard); }); }"""
        )
        page.get_by_role("button", name="Choose").click()
        page.locator("#yc input[value=advertising]").uncheck()
        page.wait_for_timeout(550)  # before, a press counts as one of two at "Choose"
        with page.expect_navigation():
            page.get_by_role("button", name="Save").click()
        assert json.loads(page.evaluate("sessionStorage.heard")) == [
            ["listenerRegistered", True, IN % NO_GPC],
            ["sectionChange", "usnat", OUT % NO_GPC],
            ["cmpDisplayStatus", "hidden", OUT % NO_GPC],
            ["signalStatus", "ready", OUT % NO_GPC],
        ]
        # The server says the same on the next page, and that nobody asks any more.
        assert call(page, "getField", "usnat.SaleOptOut") == 1
        ping = call(page, "ping")
        assert (ping["gppString"], ping["cmpDisplayStatus"]) == (OUT % NO_GPC, "disabled")


@pytest.mark.parametrize("text", [True, False])
def test_frames_ask_by_message(
    tmp_path: Path,
    browser: Browser,
    text: bool,
) -> None:
    with visiting(tmp_path, browser, X_Country="US") as (_, page):
        frame = page.frame(url="**/frame")
        assert frame is not None
        page.wait_for_function("frames.__gppLocator.window")
        asked = "{__gppCall: {command: 'getField', callId: 7, parameter: 'usnat.SaleOptOut'}}"
        frame.evaluate(f"ask({f'JSON.stringify({asked})' if text else asked})")
        frame.wait_for_function("document.title !== 'x'")
        assert frame.evaluate("JSON.parse(document.title)") == {
            "__gppReturn": {"returnValue": 2, "success": True, "callId": 7}
        }
