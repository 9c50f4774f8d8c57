"""Page + decision -> bytes: what a key tells apart, and what is kept."""

from __future__ import annotations

import base64
import datetime
import hashlib
import html
import re
from dataclasses import replace
from itertools import product

import pytest

from consent_rules.catalogue.load import catalogue
from consent_rules.categories import CHOOSABLE, Audience, Category
from consent_rules.config.build_rules import build_rules
from consent_rules.config.load import load_config
from consent_rules.config.theme import theme_of
from consent_rules.decision import Decision, Visitor, decide
from consent_rules.preferences import Preferences
from proxy.banner.assets import AssetKind, assets
from proxy.banner.texts import texts_for
from proxy.html import Boundary, Page, compile_page
from proxy.html.owners import MARKETING_ONLY, AllowedCategory, known_vendor
from proxy.http.content_coding import encoded
from proxy.http.representation import is_own_etag
from proxy.rendering.injected_markup import Injection
from proxy.rendering.open_owners import open_owners
from proxy.rendering.variants import Variant, Variants, variant_key, write_variant
from tests.support.site import PAGE, config_text

TODAY = datetime.date(2026, 6, 15)
LOADED = load_config(config_text(1), "c.toml", today=TODAY).config
RULES = build_rules(LOADED, catalogue())
(SITE,) = RULES.sites
THEME = theme_of(vars(LOADED.theme))
COMPILED: Page = compile_page(
    PAGE, "text/html", "http://www.example.com/", Boundary(SITE.own, RULES.index)
)


def decided(visitor: Visitor, audience: Audience = Audience.MARKETING) -> Decision:
    return decide(RULES, RULES.page(SITE, "/", audience, TODAY), visitor)


def written(
    decision: Decision, language: str = "en", injection: Injection | None = None
) -> Variant:
    return write_variant(
        COMPILED, SITE, RULES, LOADED, THEME, decision, texts_for(language, ""),
        injection or Injection(),
    )  # fmt: skip


VISITORS = [
    Visitor(preferences, gpc=gpc, region=region)
    for gpc, region, preferences in product(
        (False, True),
        ("", "US"),
        (
            None,
            *(Preferences(frozenset(c), "2026-01-01") for c in ((), CHOOSABLE)),
            *(Preferences(frozenset({c}), "2026-01-01") for c in CHOOSABLE),
            Preferences(frozenset(CHOOSABLE), "old"),
            Preferences(frozenset(CHOOSABLE), "2026-01-01", under_gpc=True),
            Preferences(frozenset(), "2026-01-01", vendors={"youtube": True}),
            Preferences(frozenset(CHOOSABLE), "2026-01-01", vendors={"youtube": False}),
        ),
    )
]


def test_equal_keys_equal_bytes() -> None:
    """The key is all that a variant depends on: else one visitor would get another's page."""
    seen: dict[object, bytes] = {}
    for visitor, audience in product(VISITORS, Audience):
        decision = decided(visitor, audience)
        for language, injection in (
            ("en", Injection()), ("de", Injection()), ("en", Injection(visible=False)),
        ):  # fmt: skip
            key = variant_key(COMPILED, decision, texts_for(language, ""), injection, "")
            body = written(decision, language, injection).body
            assert seen.setdefault(key, body) == body
    assert len(seen) > 50


def test_the_hashes_are_those_of_what_is_inline() -> None:
    for visitor, audience in product(VISITORS, Audience):
        variant = written(decided(visitor, audience))
        own = variant.own
        # What a frame shows stands in an attribute, and is held by the page's policy.
        body = (
            variant.body
            + html.unescape(
                "".join(re.findall(r'srcdoc="([^"]*)"', variant.body.decode()))
            ).encode()
        )
        for tag, hashes in (("script", own.scripts), ("style", own.styles)):
            found = {
                "sha256-" + base64.b64encode(hashlib.sha256(content).digest()).decode()
                for content in re.findall(rb"<%s(?: data-[^>]*)?>(.+?)</%s>" % (
                    tag.encode(), tag.encode()), body, re.DOTALL)
            }  # fmt: skip
            assert set(hashes) == found


def test_what_is_put_into_pages_is_ascii() -> None:
    """It is written into pages of any charset; a character reference in a script is none."""
    for kind in set(AssetKind) - {AssetKind.PREFERENCES}:
        found = assets(THEME, kind)
        assert (found.style + found.script).isascii()
        assert "</" not in found.script.lower()
        assert "<!--" not in found.script


def test_no_markup_of_ours_in_a_bare_page() -> None:
    bare = written(decided(Visitor()), injection=Injection(signals=False, visible=False))
    assert b"yc-" not in bare.body
    assert bare.own.scripts == bare.own.styles == ()


def test_consent_mode_is_told_when_google_runs() -> None:
    analytics = Preferences(frozenset({Category.ANALYTICS}), "2026-01-01")
    body = written(decided(Visitor(analytics))).body
    assert body.index(b"gtag('consent','default'") < body.index(b"google-analytics.com")
    assert b'"analytics_storage":"granted"' in body
    assert b'"ad_storage":"denied"' in body
    assert b"gtag('consent'" not in written(decided(Visitor())).body


@pytest.mark.parametrize("coding", ["", "gzip", "br", "zstd"])
def test_codings_are_made_once(coding: str) -> None:
    variant = written(decided(Visitor()))
    first, name = variant.coded(coding)
    assert name == coding
    assert variant.coded(coding)[0] is first
    small = Variant(COMPILED, b"small", variant.own)
    assert small.coded(coding) == (b"small", "")


@pytest.mark.parametrize("visitor", VISITORS)
@pytest.mark.parametrize("audience", Audience)
def test_a_remembered_key_is_the_key(visitor: Visitor, audience: Audience) -> None:
    variants, decision, texts = Variants(10_000), decided(visitor, audience), texts_for("en", "")
    other = replace(COMPILED, owners=frozenset())
    for page in (COMPILED, other, COMPILED, other):
        made = variant_key(page, decision, texts, Injection(), "/x")
        assert variants.key(page, decision, texts, Injection(), "/x") == made
    # Not that of another decision, though it is where the first one was.
    del decision
    for again in range(20):
        decision = decided(visitor if again % 2 else Visitor(), audience)
        made = variant_key(COMPILED, decision, texts, Injection(), "")
        assert variants.key(COMPILED, decision, texts, Injection(), "") == made


def test_the_open_owners_are_those_of_the_decision_alone() -> None:
    for visitor, audience in product(VISITORS, Audience):
        decision = decided(visitor, audience)
        patient = audience is Audience.PATIENT
        allowed = {c for c, is_on in decision.categories.items() if is_on}
        if patient:
            allowed &= {Category.NECESSARY}
        wanted = {*map(known_vendor, decision.open), *map(AllowedCategory, allowed)}
        assert open_owners(decision) == wanted | (set() if patient else {MARKETING_ONLY})


def test_validators() -> None:
    variant = written(decided(Visitor()))
    tags = {variant.etag_with(p, c) for p in ("a", "b") for c in ("", "br")}
    assert len(tags) == 4
    for tag in tags:
        assert re.fullmatch(r'"cp-[0-9a-f]+"', tag)
        assert is_own_etag(f'W/{tag}, "x"')
    assert not is_own_etag('"x"')
    assert variant.etag_with("a", "") == written(decided(Visitor())).etag_with("a", "")


def test_the_budget_holds() -> None:
    own = written(decided(Visitor())).own
    kept = Variants(10_000)
    for number in range(50):
        kept.put(number, Variant(COMPILED, bytes(1000), own))
    assert [n for n in range(50) if kept.get(n) is not None] == [47, 48, 49]
    kept.put("large", Variant(COMPILED, bytes(100_000), own))
    assert kept.get("large") is None
    assert kept.get(49) is not None


@pytest.mark.parametrize(
    ("head", "body"),
    [
        (b"<noscript><img src=/pixel.gif></noscript>", b"<p>Hello</p>"),
        (b"<noscript><img src=https://www.facebook.com/tr?id=1></noscript><title>x</title>", b"Hi"),
        (b"<noscript><iframe src=/f></iframe></noscript>", b""),
        (b"<noscript><style>p{}</style></noscript>", b"<p>Hello</p>"),
    ],
)
def test_the_banner_stands_on_pages_with_a_pixel_for_those_without_scripts(
    head: bytes, body: bytes
) -> None:
    html = b"<!doctype html><html><head>%s</head><body>%s</body></html>" % (head, body)
    boundary = Boundary(SITE.own, RULES.index)
    page = compile_page(html, "text/html", "http://www.example.com/", boundary)
    found = write_variant(
        page, SITE, RULES, LOADED, THEME, decided(Visitor()), texts_for("en", ""), Injection()
    )
    assert b'<section id="yc"' in found.body


@pytest.mark.parametrize("coding", ["gzip", "br", "zstd"])
def test_what_nobody_keeps_is_compressed_quickly_and_better_when_it_is_asked_for_again(
    coding: str,
) -> None:
    decision = decided(VISITORS[0])
    once, kept = written(decision), written(decision)
    best = encoded(kept.body, coding)
    assert once.coded(coding, is_kept=False)[0] == encoded(once.body, coding, quickly=True)
    assert once.coded(coding, is_kept=False)[0] == best
    assert once.coded(coding, is_kept=False)[0] == best


@pytest.mark.parametrize("coding", ["gzip", "br", "zstd"])
def test_under_a_validator_the_bytes_stay_the_same(coding: str) -> None:
    for first_is_kept in (True, False):
        variant = written(decided(VISITORS[0]))
        variant.coded(coding, is_kept=first_is_kept)
        under_a_validator = {
            variant.coded(coding, is_kept=is_kept)[0] for is_kept in (True, False, True)
        }
        assert under_a_validator == {encoded(variant.body, coding)}
