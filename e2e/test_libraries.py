"""Libraries in a browser: a page that needs them looks and works as without the proxy, nothing
allowed, and nobody but the site is asked.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Browser, Route

from consent_rules.matching.script_hashes import file_hash
from e2e.npm import from_npm
from e2e.proxied import serving
from tests.support.libraries import with_libraries
from tests.support.site import reply

JQUERY = from_npm("jquery/dist/jquery.min.js").read_bytes()
DOT = b'<svg xmlns="http://www.w3.org/2000/svg" width="8" height="8"><path d="M0 0h8v8z"/></svg>'
SHEET = b"@import 'base.css';#card{width:200px}#icon{background:url(../img/dot.svg?v=2#x)}"
FONTS = (
    b"@font-face{font-family:A;src:url(https://fonts.gstatic.com/s/a.woff2) format('woff2')}"
    b"body{font-family:A,serif;margin:7px}"
)
FILES = {
    "https://code.jquery.com/jquery-3.7.1.min.js": JQUERY,
    "https://cdn.jsdelivr.net/npm/kit@5/dist/css/kit.css": SHEET,
    "https://cdn.jsdelivr.net/npm/kit@5/dist/css/base.css": b"#card{height:50px}",
    "https://cdn.jsdelivr.net/npm/kit@5/dist/img/dot.svg?v=2": DOT,
    "https://fonts.googleapis.com/css2?family=A:wght@400;700": FONTS,
    "https://fonts.gstatic.com/s/a.woff2": b"wOF2",
}
PAGE = f"""<!doctype html><html lang=en><title>x</title>
<link rel=preconnect href=https://fonts.gstatic.com crossorigin>
<link rel=stylesheet href="https://cdn.jsdelivr.net/npm/kit@5/dist/css/kit.css"
  integrity="{file_hash(SHEET)}" crossorigin=anonymous>
<link rel=stylesheet href="https://fonts.googleapis.com/css2?family=A:wght@400;700"
  integrity="{file_hash(FONTS)}" crossorigin>
<script src="https://code.jquery.com/jquery-3.7.1.min.js" crossorigin="anonymous"
  integrity="{file_hash(JQUERY)}"></script>
<h1>Welcome</h1><div id=card>A card</div><b id=icon>i</b>
<script nonce=n>$('#card').text('Written by jQuery ' + $.fn.jquery)</script>""".encode()
POLICY = (
    "Content-Security-Policy: default-src 'none'; script-src 'nonce-n' https://code.jquery.com; "
    "style-src https://cdn.jsdelivr.net https://fonts.googleapis.com; img-src *.jsdelivr.net; "
    "font-src https://fonts.gstatic.com"
)


@pytest.mark.parametrize("path", ["", "patients/pay"])
@pytest.mark.parametrize("policy", [(), (POLICY,)], ids=["", "with a policy of its own"])
def test_a_page_looks_and_works(
    tmp_path: Path, browser: Browser, path: str, policy: tuple[str, ...]
) -> None:
    pages = {"": reply(PAGE, *policy), "patients/pay": reply(PAGE, *policy)}
    context = browser.new_context()
    elsewhere: list[str] = []

    def refuse(route: Route) -> None:
        elsewhere.append(route.request.url)
        route.abort()

    context.route("https://**", refuse)
    with serving(tmp_path, pages, change=with_libraries(tmp_path, FILES)) as site:
        tab = context.new_page()
        errors: list[str] = []
        served: dict[str, int] = {}
        tab.on("pageerror", lambda error: errors.append(str(error)))
        tab.on("console", lambda told: errors.append(told.text) if told.type == "error" else None)
        tab.on(
            "response", lambda got: served.update({got.url.partition("/lib/")[2][13:]: got.status})
        )
        tab.goto(f"http://www.example.com:{site.port}/{path}", wait_until="load")
        assert tab.inner_text("#card").startswith("Written by jQuery 3.")
        box = tab.locator("#card").bounding_box()
        assert box is not None and (box["width"], box["height"]) == (200, 50)
        assert tab.evaluate("getComputedStyle(document.body).marginTop") == "7px"
        tab.wait_for_function("performance.getEntriesByType('resource').length >= 6")
        asked = {url for url in served if url}
        assert asked == {url.removeprefix("https://") for url in FILES}
        assert all(status == 200 for url, status in served.items() if url)
        # The font that this test made up is none.
        assert not [told for told in errors if "decode downloaded font" not in told]
    assert elsewhere == []
    context.close()
