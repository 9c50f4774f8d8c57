"""Pinned scripts: the attribute is written, a changed snippet stays closed."""

from __future__ import annotations

from dataclasses import replace

import pytest

from consent_rules.config.build_rules import pins_of
from consent_rules.config.models import ScriptPin, Tag
from consent_rules.matching.script_hashes import inline_hash, normal_inline_hash, normal_integrity
from proxy.html import compile_page, render
from proxy.html.owners import UNHELD_PIN, ChangedScript, KnownVendor
from tests.html.pipeline import BOUNDARY, URL, UTF8, owners

GOOD = "sha384-" + "A" * 64
OTHER = "sha384-" + "B" * 64
SNIPPET = "pixelq('start', 'ü')\nmore()"
SRC = "https://cdn.pixel.test/v1/p.js?x=1"

TAG = Tag.model_construct(
    vendor="pixel",
    scripts=(ScriptPin(url=SRC, integrity=GOOD),),
    inline_hashes=(inline_hash(SNIPPET),),
)
PINNED = replace(BOUNDARY, pins=pins_of([TAG]))
INERT = " type=application/consent-closed"
GATED = f"<script{INERT} {{}}=data:, ></script>"
ADDED = f' integrity="{GOOD}" crossorigin="anonymous"'


def shown(page: str, *is_open: str, everything: bool = False) -> str:
    compiled = compile_page(page.encode(), UTF8, URL, PINNED)
    return render(compiled, owners(*is_open), everything=everything).decode()


@pytest.mark.parametrize(
    ("written", "sent"),
    [
        (f'<script src="{SRC}"></script>', f'<script{ADDED} src="{SRC}"></script>'),
        (f'<SCRIPT async SRC="{SRC}#x"></SCRIPT>', f'<script{ADDED} async SRC="{SRC}#x"></SCRIPT>'),
        (
            f'<script src="//cdn.pixel.test/v1/p.js?x=1" integrity="{OTHER}"></script>',
            f'<script{ADDED} src="//cdn.pixel.test/v1/p.js?x=1" integrity="{OTHER}"></script>',
        ),
        (
            f'<script src="{SRC}" crossorigin="use-credentials"></script>',
            f'<script integrity="{GOOD}" src="{SRC}" crossorigin="use-credentials"></script>',
        ),
        (f'<script src="{SRC}"{ADDED}></script>', f'<script src="{SRC}"{ADDED}></script>'),
        (
            '<script src="https://cdn.pixel.test/v2/p.js"></script>',
            '<script src="https://cdn.pixel.test/v2/p.js"></script>',
        ),
        # No browser checks the hash there.
        (f'<svg><script href="{SRC}"></script></svg>', f"<svg>{GATED.format('href')}</svg>"),
        # A loader may make another script of it, without the attribute.
        (
            f'<script data-lazy-src="{SRC}" type=x/lazy></script>',
            f"{GATED.format('data-lazy-src')}".replace(" >", "  type=x/lazy>"),
        ),
        (f"<script type=x/lazy>{SNIPPET}</script>", f"<script type=x/lazy>{SNIPPET}</script>"),
        (f"<script type=x/lazy>{SNIPPET};evil()</script>", f"<script{INERT} type=x/lazy></script>"),
        (f"<script>{SNIPPET}</script>", f"<script>{SNIPPET}</script>"),
        (f"<script>{SNIPPET};evil()</script>", f"<script{INERT}></script>"),
        ("<script>{SNIPPET};own()</script>", "<script>{SNIPPET};own()</script>"),
    ],
)
def test_an_open_vendor(written: str, sent: str) -> None:
    page = f"<!doctype html><body><i>1</i>{written}<i>2</i>"
    assert shown(page, "pixel") == f"<!doctype html><body><i>1</i>{sent}<i>2</i>"


def test_a_closed_vendor_and_observe_mode() -> None:
    page = f'<!doctype html><body><script src="{SRC}"></script>x'
    assert shown(page) == f"<!doctype html><body>{GATED.format('src')}x"
    assert shown(page, everything=True) == page


def test_the_pin_is_no_owner_and_a_changed_script_has_its_hash() -> None:
    page = (
        f'<script src="{SRC}"></script><script>pixelq(2)</script>'
        f'<noscript><script src="{SRC}"></script></noscript>'
        f'<svg><script href="{SRC}"></script></svg>'
    )
    found = compile_page(page.encode(), UTF8, URL, PINNED)
    changed = ChangedScript("pixel", inline_hash("pixelq(2)"))
    assert found.owners == {KnownVendor("pixel"), changed, UNHELD_PIN}
    assert found.vendors == {"pixel"}


def test_the_hash_is_the_browsers() -> None:
    # https://www.w3.org/TR/CSP3/#example-hash-source
    digest = "sha256-qznLcsROx4GACP2dm0UCKCzCG+HiZ1guq6ZZDob/Tng="
    assert inline_hash("alert('Hello, world.');") == digest
    assert normal_inline_hash(f"'{digest}'") == digest
    assert normal_integrity(f" {GOOD}\n{OTHER} ") == f"{GOOD} {OTHER}"
