"""Libraries: what the site serves itself has the site's own address on every page."""

from __future__ import annotations

from dataclasses import replace

import pytest

from consent_rules.matching.libraries import libraries_of
from consent_rules.matching.script_hashes import file_hash
from proxy.html import compile_page, render
from tests.html.pipeline import BOUNDARY, URL, UTF8, owners

HASH = file_hash(b"content")
LIBRARIES = libraries_of(
    [
        ("https://cdn.test/jquery-3.7.1.min.js", HASH, ""),
        ("https://cdn.test/css/all.css?v=5", HASH, ""),
        ("https://fonts.test/css2?family=Inter:wght@400(x)", HASH, "text/css"),
        ("https://video.test/player.js", HASH, ""),
        ("https://cdn.test/dot.png", HASH, ""),
    ],
    "/.consent",
    {"cdn.test/css/all.css?v=5": "sha384-changed"},
)
AT = f"/.consent/lib/{LIBRARIES.digest}"
SERVING = replace(BOUNDARY, libraries=LIBRARIES)
JQUERY = "https://cdn.test/jquery-3.7.1.min.js"
OURS = f"{AT}/cdn.test/jquery-3.7.1.min.js"
SHEET = "https://cdn.test/css/all.css?v=5"
CLOSED = "application/consent-closed"


def shown(page: str, *is_open: str, everything: bool = False) -> str:
    compiled = compile_page(page.encode(), UTF8, URL, SERVING)
    return render(compiled, owners(*is_open), everything=everything).decode()


@pytest.mark.parametrize(
    ("written", "sent"),
    [
        (f"<script src={JQUERY}></script>", f'<script src="{OURS}"></script>'),
        (f"<script src='http:{JQUERY[6:]}#x'></script>", f'<script src="{OURS}"></script>'),
        (f'<SCRIPT defer SRC="{JQUERY[6:]}"></SCRIPT>', f'<SCRIPT defer SRC="{OURS}"></SCRIPT>'),
        # The page's own integrity holds for the bytes as they came.
        (
            f'<script src="{JQUERY}" integrity="{HASH}" crossorigin=anonymous></script>',
            f'<script src="{OURS}" integrity="{HASH}" crossorigin=anonymous></script>',
        ),
        (
            f'<link rel=stylesheet href="{SHEET}">',
            f'<link rel=stylesheet href="{AT}/cdn.test/css/all.css?v=5">',
        ),
        # A sheet that is not served as it came has another hash.
        (
            f'<link integrity="{HASH}" rel=stylesheet href="{SHEET}">',
            '<link integrity="sha384-changed" rel=stylesheet '
            f'href="{AT}/cdn.test/css/all.css?v=5">',
        ),
        (
            f'<link rel=preload as=script href="{JQUERY}">',
            f'<link rel=preload as=script href="{OURS}">',
        ),
        (
            "<style>@import url(https://fonts.test/css2?family=Inter:wght@400(x));p{color:red}"
            "</style>".replace("(x)", "\\(x\\)"),
            f"<style>@import url({AT}/fonts.test/css2?family=Inter:wght@400\\(x\\));"
            "p{color:red}</style>",
        ),
        (
            '<style>@import "https://cdn.test/css/all.css?v=5";</style>',
            f'<style>@import "{AT}/cdn.test/css/all.css?v=5";</style>',
        ),
        ('<img src="//cdn.test/dot.png">', f'<img src="{AT}/cdn.test/dot.png">'),
        # One that a known vendor owns is served as well, whatever the visitor chose.
        (
            '<script src="https://video.test/player.js"></script>',
            f'<script src="{AT}/video.test/player.js"></script>',
        ),
        # Another version or query is another file.
        (
            '<script src="https://cdn.test/jquery-3.7.2.min.js"></script>',
            f"<script type={CLOSED} src=data:, ></script>",
        ),
        (
            f'<script src="{JQUERY}?x"></script>',
            f"<script type={CLOSED} src=data:, ></script>",
        ),
        # A document of another origin does not become one of the site's.
        (f'<iframe src="{JQUERY}" width=1></iframe>', '<iframe src="" width=1></iframe>'),
        # An image with several addresses is none.
        (
            '<img src=/a.png srcset="//cdn.test/dot.png 1x, //cdn.test/two.png 2x">',
            '<img src=/a.png srcset="">',
        ),
    ],
)
def test_what_is_written(written: str, sent: str) -> None:
    page = "<!doctype html><title>x</title><body>{}"
    assert shown(page.format(written)) == page.format(sent)
    assert shown(page.format(written), "video", "@marketing") == page.format(sent)


def test_observe_mode_changes_nothing() -> None:
    page = f"<!doctype html><script src={JQUERY}></script>"
    assert shown(page, everything=True) == page


def test_whatever_the_base_the_address_is_the_sites() -> None:
    page = (
        f'<!doctype html><base href="https://elsewhere.test/"><script src="{JQUERY}"></script>'
        '<script src="jquery-3.7.1.min.js"></script>'
    )
    own = f'<script src="https://www.example.com{OURS}"></script>'
    assert own in shown(page)
    # Two readings of the base, of which one only leads to the library.
    page = (
        '<!doctype html><noscript><base href="https://cdn.test/"></noscript>'
        '<base href="https://elsewhere.test/"><script src="jquery-3.7.1.min.js"></script>'
    )
    assert OURS not in shown(page)


def test_a_page_of_many_readings_reaches_nobody_else() -> None:
    for page in (
        f"<!doctype html><noscript><script src={JQUERY}></script></noscript><p>a",
        f"<!doctype html><svg><script href={JQUERY}></script></svg>",
        f"<!doctype html><select><svg><script href={JQUERY}></script></svg></select>",
        f'<!doctype html><script src="{JQUERY}" src="https://cdn.test/x.js"></script>',
        f'<!doctype html><noscript><a title="</noscript><script src={JQUERY}></script>">x</a>',
        f'<!doctype html><script type="text/plain" data-category="analytics" src="{JQUERY}">'
        "</script>",
    ):
        assert "//cdn.test" not in shown(page), page
        assert "//cdn.test" not in shown(page, "@analytics", "@marketing"), page


def test_gates_and_owners_know_no_third_party() -> None:
    page = compile_page(
        f"<!doctype html><script src={JQUERY}></script>".encode(), UTF8, URL, SERVING
    )
    assert not page.owners
    assert [gate.needs for gate in page.gates] == [frozenset()]
