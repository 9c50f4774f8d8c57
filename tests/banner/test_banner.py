"""Markup: valid, inert, escaped, small, and the same bytes for the same values."""

from __future__ import annotations

import base64
import datetime
import gzip
import hashlib
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from xml.etree.ElementTree import Element

import html5lib
import pytest
from hypothesis import given
from hypothesis import strategies as st

from consent_rules.categories import CHOOSABLE, Audience, Category
from consent_rules.config.theme import Palette, Theme, contrast, text_on, theme_of
from proxy.banner.assets import AssetKind, assets
from proxy.banner.banner import banner_html, head_html, link_html, preferences_page, safe_url
from proxy.banner.placeholder import KINDS, form_notice, placeholder_html
from proxy.banner.texts import Texts, languages
from proxy.banner.views import BannerView, CategoryView, PageState, PreferencesView, VendorView

Categories = Callable[..., tuple[CategoryView, ...]]
Page = Callable[..., str]

HOSTILE = """<script>alert(1)</script>"'><img src=x onerror=alert(1)>{{ 7*7 }}{vendor}&amp;"""
KEY = "0123456789ab"
FULL = PageState(off=CHOOSABLE, key=KEY)
DAY = datetime.date(2026, 11, 24)


def parse(html: str) -> Element:
    """Parse as HTML 5; any parse error raises."""
    document: Element = html5lib.HTMLParser(strict=True, namespaceHTMLElements=False).parse(html)
    return document


def elements(html: str) -> Iterator[Element]:
    return (e for e in parse(html).iter() if isinstance(e.tag, str))


def preferences(categories: tuple[CategoryView, ...], **changes: object) -> PreferencesView:
    view = PreferencesView("Acme Billing", "/privacy", categories, return_to="/a?b=1&c=2")
    return replace(view, **changes)  # type: ignore[arg-type]


def every_page(texts: Texts, host_page: Page, categories: Categories) -> Iterator[str]:
    yield host_page(texts, gpc=True, placeholders=True)
    yield host_page(texts, on=(Category.ANALYTICS,))
    yield host_page(texts, decided=True, placeholders=True)
    yield preferences_page(preferences(categories()), texts)
    yield preferences_page(
        preferences(
            categories(on=(Category.ANALYTICS,)),
            gpc=True,
            saved=True,
            chosen_on=DAY,
            audience=Audience.PATIENT,
        ),
        texts,
    )


def test_every_page_is_valid_and_carries_nothing_a_csp_forbids(
    texts: Texts, host_page: Page, categories: Categories
) -> None:
    for html in every_page(texts, host_page, categories):
        ids = []
        for element in elements(html):
            names = {name.lower() for name in element.attrib}
            assert "style" not in names
            assert not [n for n in names if n.startswith("on")]
            assert (
                element.tag in {"a", "form", "button"}
                or not {"href", "action", "formaction"} & names
            )
            assert "src" not in names
            ids += [element.attrib["id"]] if "id" in names else []
        assert len(ids) == len(set(ids))


def test_labels_and_descriptions_point_at_something(
    texts: Texts, host_page: Page, categories: Categories
) -> None:
    for html in every_page(texts, host_page, categories):
        found = list(elements(html))
        ids = {e.attrib["id"] for e in found if "id" in e.attrib}
        for element in found:
            for name in ("for", "form", "aria-describedby", "aria-labelledby", "aria-controls"):
                assert element.attrib.get(name) in {None, *ids}, (element.tag, name)


def test_no_address_leaves_the_site_but_the_companies_policies(
    texts: Texts, host_page: Page, categories: Categories
) -> None:
    for html in every_page(texts, host_page, categories):
        outside = set(re.findall(r"(?:https?:)?//[a-z0-9.-]+", html)) - {"https://policies.example"}
        assert outside == set()
        assert "url(" not in html and "@import" not in html


def test_language_and_direction_are_said(texts: Texts, categories: Categories) -> None:
    view = BannerView("A", "/privacy", categories())
    for html in (banner_html(view, texts), link_html(texts)):
        assert f'lang="{texts.lang}" dir="{texts.dir}"' in html
    page = preferences_page(preferences(categories()), texts)
    assert f'<html lang="{texts.lang}" dir="{texts.dir}">' in page


def test_names_are_neutral(host_page: Page, english: Texts) -> None:
    # Filter lists of content blockers hide elements by such words.
    words = re.compile(r"cookie|consent|gdpr|ccpa|banner|track|ads?\b|privacy|popup|overlay", re.I)
    for element in elements(host_page(english, gpc=True, placeholders=True)):
        own = [element.attrib.get("id", ""), *element.attrib.get("class", "").split()]
        assert not [name for name in own if words.search(name)]


def outline(element: Element) -> list[object]:
    """The page without what is ours."""
    kept = [
        outline(child)
        for child in element
        if isinstance(child.tag, str)
        and not child.attrib.get("id", "").startswith("yc")
        and not child.attrib.get("class", "").startswith("yc")
    ]
    return [element.tag, sorted(element.attrib.items()), *kept]


@pytest.mark.parametrize(
    "around",
    [
        "<p>a <b>b {} c</b></p><p>d</p>",
        "<a href=/x>{}</a><p>d</p>",
        "<table><tr><td>{}</td></tr></table>",
        "<form action=/x><p>{}</p><input></form>",
        "<ul><li>{}<li>b</ul>",
        "<h1>a{}</h1>",
    ],
)
def test_a_placeholder_does_not_change_how_the_page_is_parsed(around: str, english: Texts) -> None:
    html = placeholder_html("v", "V", "video", "10", "10", english)
    with_it = html5lib.parse(around.format(html), namespaceHTMLElements=False)
    without = html5lib.parse(around.format(""), namespaceHTMLElements=False)
    assert outline(with_it) == outline(without)


@pytest.mark.parametrize("before", ["<p>open", "<div><ul><li>a", "<b>open", "<table></table>", ""])
def test_banner_and_link_do_not_change_how_the_page_is_parsed(
    before: str, english: Texts, categories: Categories
) -> None:
    view = BannerView("A", "/privacy", categories(), gpc=True)
    ours = link_html(english, "/a", placeholders=True) + banner_html(view, english)
    with_it = html5lib.parse(f"<body>{before}{ours}</body>", namespaceHTMLElements=False)
    without = html5lib.parse(f"<body>{before}</body>", namespaceHTMLElements=False)
    assert outline(with_it) == outline(without)


def test_hostile_names_stay_text(english: Texts) -> None:
    vendor = VendorView(HOSTILE, HOSTILE, HOSTILE, HOSTILE, "https://x/" + HOSTILE, (HOSTILE,))
    shown = (CategoryView(Category.ANALYTICS, vendors=(vendor,)),)
    banner = BannerView(HOSTILE, "/" + HOSTILE, shown, return_to="/" + HOSTILE)
    pages = [
        preferences_page(PreferencesView(HOSTILE, "/" + HOSTILE, shown, chosen_on=DAY), english),
        "<!doctype html><title>x</title>" + banner_html(banner, english),
        "<!doctype html><title>x</title>" + link_html(english, "/" + HOSTILE, placeholders=True),
        "<!doctype html><title>x</title>"
        + placeholder_html(HOSTILE, HOSTILE, HOSTILE, HOSTILE, HOSTILE, english),
    ]
    for html in pages:
        found = list(elements(html))
        assert not [e for e in found if e.tag in {"script", "img"}]
        assert not [a for e in found for a in e.attrib if a.startswith("on")]
        assert "49" not in html
    assert pages[0].count("&lt;script&gt;alert(1)&lt;/script&gt;") >= 6
    hidden = [e for e in elements(pages[1]) if e.attrib.get("name") == "return_to"]
    assert hidden[0].attrib["value"] == "/" + HOSTILE


@pytest.mark.parametrize(
    ("url", "safe"),
    [
        ("/privacy", "/privacy"),
        ("https://a.example/", "https://a.example/"),
        ("http://a.example/", "http://a.example/"),
        ("//a.example/", ""),
        ("/\\a.example/", ""),
        ("javascript:alert(1)", ""),
        (" javascript:alert(1)", ""),
        ("data:text/html,x", ""),
        ("", ""),
    ],
)
def test_links_lead_to_pages_only(url: str, safe: str, english: Texts) -> None:
    assert safe_url(url) == safe
    html = banner_html(BannerView("A", url, (CategoryView(Category.ANALYTICS),)), english)
    assert (english["banner.policy"] in html) is bool(safe)


@given(st.text(max_size=40))
def test_return_path_is_carried_unchanged(path: str) -> None:
    texts = languages()["en"]
    path = "/" + path.replace("\r", "").replace("\0", "").replace("\n", "")
    if any(0xD800 <= ord(ch) <= 0xDFFF for ch in path):
        return
    view = BannerView("A", "/p", (CategoryView(Category.ANALYTICS),), return_to=path)
    document = html5lib.parse(banner_html(view, texts), namespaceHTMLElements=False)
    field = document.find(".//input[@name='return_to']")
    assert field is not None
    assert field.attrib["value"] == path


def test_same_values_same_bytes(english: Texts, categories: Categories) -> None:
    view = BannerView("A", "/privacy", categories(), return_to="/a")
    first = banner_html(view, english)
    assert banner_html(replace(view, return_to="/b"), english) != first
    assert banner_html(BannerView("A", "/privacy", categories(), return_to="/a"), english) == first
    assert "\ue000" not in first
    assert head_html(Theme(), FULL, english) == head_html(Theme(), replace(FULL), english)


@pytest.mark.parametrize("kind", AssetKind)
def test_hashes_are_those_of_the_contents(kind: AssetKind) -> None:
    found = assets(Theme(), kind)
    for content, sha256 in (
        (found.style, found.style_sha256),
        (found.script, found.script_sha256),
    ):
        real = base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()
        assert sha256 == (real if content else "")
        assert "</" not in content
        # What stands in a page of the site must read the same in every charset.
        assert content.isascii() or kind is AssetKind.PREFERENCES
    assert bool(found.script) is (kind is not AssetKind.FRAME)
    assert bool(found.style) is (kind is not AssetKind.SAVE_FORM)


@pytest.mark.parametrize("decided", [False, True])
def test_assets_do_not_depend_on_the_visitor(decided: bool, english: Texts) -> None:
    kind = AssetKind.DECIDED if decided else AssetKind.UNDECIDED
    found = assets(Theme(), kind)
    for state in (
        PageState(on=CHOOSABLE, decided=decided, gpc=True),
        PageState(off=CHOOSABLE, decided=decided, exceptions=(("youtube", True),), key=KEY),
    ):
        html = head_html(Theme(), state, english, prefix="/.other", placeholders=True)
        assert f"<style>{found.style}</style>" in html
        scripts = re.findall(r"<script[^>]*>(.*?)</script>", html, re.S)
        assert scripts == [assets(Theme(), AssetKind.PLACEHOLDER).script, found.script]
        assert f"<style>{assets(Theme(), AssetKind.PLACEHOLDER).style}</style>" in html
        assert 'data-at="/.other/"' in html


def test_every_declaration_outlives_the_pages_css() -> None:
    for kind in (AssetKind.UNDECIDED, AssetKind.DECIDED, AssetKind.PLACEHOLDER):
        style = assets(Theme(), kind).style
        declarations = re.findall(r"[{;]([a-z][a-z-]*:[^;{}]+)(?=[;}])", style)
        assert declarations
        assert [d for d in declarations if not d.endswith("!important")] == []


def test_the_banner_names_who_asks(texts: Texts, categories: Categories) -> None:
    """An informed choice knows the controller (EDPB guidelines 05/2020, 64)."""
    for gpc in (False, True):
        view = BannerView("Acme & <Billing>", "/privacy", categories(), gpc=gpc)
        assert "Acme &amp; &lt;Billing&gt;" in banner_html(view, texts)


def packed(html: str) -> int:
    # As it is sent: in ASCII, which reads the same in every charset.
    return len(gzip.compress(html.encode("ascii", "xmlcharrefreplace"), 9))


def test_first_visit_costs_at_most_5_kb(
    texts: Texts, categories: Categories, capsys: pytest.CaptureFixture[str]
) -> None:
    view = BannerView("Acme Billing", "/privacy", categories(), gpc=True, return_to="/a")
    size = packed(
        head_html(Theme(), FULL, texts)
        + link_html(texts, "/a", choices=True)
        + banner_html(view, texts)
    )
    script = packed(assets(Theme()).script)
    with capsys.disabled():
        print(f"[{texts.lang}: {size} bytes, script {script}]", end=" ")
    assert size <= 5_000
    assert script <= 1_700


@pytest.mark.parametrize("choices", [False, True])
def test_decided_visitor_costs_at_most_1_kb(
    choices: bool, texts: Texts, capsys: pytest.CaptureFixture[str]
) -> None:
    state = PageState(on=CHOOSABLE, decided=True, gpc=True, key=KEY)
    size = packed(
        head_html(Theme(), state, texts) + link_html(texts, "/a", has_banner=False, choices=choices)
    )
    with capsys.disabled():
        print(f"[{texts.lang}: {size} bytes]", end=" ")
    assert size <= (1_130 if choices else 1_000)


def test_c1_accept_and_reject_are_the_same_control(texts: Texts, categories: Categories) -> None:
    pages = (
        "<!doctype html><title>x</title>" + banner_html(BannerView("A", "/p", categories()), texts),
        preferences_page(preferences(categories()), texts),
    )
    for html in pages:
        buttons = {
            e.attrib["value"]: e.attrib for e in elements(html) if e.attrib.get("name") == "action"
        }
        accept, reject = buttons["accept_all"], buttons["reject_all"]
        assert {**accept, "value": ""} == {**reject, "value": ""}


def test_c3_nothing_is_ticked_before_a_choice(english: Texts, categories: Categories) -> None:
    for html in (
        "<!doctype html><title>x</title>"
        + banner_html(BannerView("A", "/p", categories()), english),
        preferences_page(preferences(categories()), english),
    ):
        boxes = [e for e in elements(html) if e.attrib.get("name") == "category"]
        assert [e.attrib["value"] for e in boxes] == list(CHOOSABLE)
        assert not [e for e in boxes if "checked" in e.attrib]


def test_c4_purposes_stand_before_the_choice(texts: Texts, categories: Categories) -> None:
    html = banner_html(BannerView("A", "/privacy", categories()[:2]), texts)
    shown, hidden = html.split('id="yc-p"')
    assert texts["category.functional.purpose"] in shown
    assert texts["category.analytics.purpose"] in shown
    assert texts["category.advertising.purpose"] not in html
    assert texts["category.analytics.text"] in hidden
    assert 'href="/privacy"' in shown


def test_c4_every_recipient_is_listed(english: Texts, categories: Categories) -> None:
    html = preferences_page(preferences(categories()), english)
    for text in ("Google Analytics", "Google LLC", "Counts visits", "_ga_*", "Matomo"):
        assert text in html
    assert '<a href="https://policies.example/privacy" rel="noreferrer">' in html


def test_running_tools_are_told_apart_from_asking_ones(
    english: Texts, categories: Categories
) -> None:
    html = banner_html(BannerView("A", "/p", categories(on=(Category.ADVERTISING,))), english)
    assert "run on this site for advertising. You can refuse" in html
    assert "Only with your permission: extra features," in html
    everything = banner_html(BannerView("A", "/p", categories(on=CHOOSABLE)), english)
    assert "permission" not in everything.split('id="yc-p"')[0]


@pytest.mark.parametrize(
    ("on", "chosen", "says"),
    [
        ((), None, "You have not chosen yet."),
        ((), DAY, "You refused everything that is optional on 24 November 2026."),
        (CHOOSABLE, DAY, "You allowed everything on 24 November 2026."),
        (
            (Category.ANALYTICS,),
            DAY,
            "On 24 November 2026 you allowed: Statistics. You refused: Extra features, "
            "Visit recordings, Advertising and Social media.",
        ),
    ],
)
def test_present_state_is_told(
    on: tuple[Category, ...],
    chosen: datetime.date | None,
    says: str,
    english: Texts,
    categories: Categories,
) -> None:
    view = preferences(categories(on=on), chosen_on=chosen)
    assert f"<p>{says}</p>" in preferences_page(view, english)


def test_preferences_page_says_what_holds(texts: Texts, categories: Categories) -> None:
    plain = preferences_page(preferences(categories()), texts)
    full = preferences_page(
        preferences(categories(), gpc=True, saved=True, audience=Audience.PATIENT), texts
    )
    for key in ("gpc.honored", "preferences.saved", "preferences.patient"):
        assert texts[key] not in plain
        assert texts[key] in full
    assert 'href="/a?b=1&amp;c=2"' in plain
    assert texts.count("preferences.keep", 180, "days") in plain


def test_preferences_page_leads_back_to_this_site_only(
    english: Texts, categories: Categories
) -> None:
    html = preferences_page(preferences(categories(), return_to="//evil.example"), english)
    assert "evil.example" not in html


def test_u2_the_signal_is_shown_in_banner_and_preferences(
    english: Texts, categories: Categories
) -> None:
    held = tuple(replace(c, held_by_gpc=c.category == "advertising") for c in categories())
    html = preferences_page(preferences(held, gpc=True), english)
    assert "Opt-out preference signal honored" in html
    assert html.count("browser&#39;s opt-out signal.</b>") == 1
    assert "Opt-out preference signal honored" in banner_html(
        BannerView("A", "/p", held, gpc=True), english
    )


def test_each_vendor_has_both_exceptions_and_its_state(
    english: Texts, categories: Categories
) -> None:
    boxes = {
        (e.attrib["name"], e.attrib["value"]): "checked" in e.attrib
        for e in elements(preferences_page(preferences(categories()), english))
        if e.attrib.get("type") == "checkbox"
    }
    assert boxes["vendor", "matomo"] is True
    assert boxes["vendor_off", "matomo"] is False
    assert boxes["vendor", "google-analytics"] is False
    fixed = (CategoryView(Category.ANALYTICS, vendors=(VendorView("gtm", "G", switchable=False),)),)
    assert 'value="gtm"' not in preferences_page(preferences(fixed), english)


def test_necessary_is_always_shown_and_never_a_box(english: Texts) -> None:
    only = (CategoryView(Category.NECESSARY, True, (VendorView("host", "Host Ltd"),)),)
    for shown in ((), only):
        html = preferences_page(preferences(shown), english)
        assert html.count("Always on") == 1
        assert "checkbox" not in html
    assert "Host Ltd" in preferences_page(preferences(only), english)


@pytest.mark.parametrize(
    ("width", "height", "size", "fills"),
    [
        ("560", "315", ("560", "315"), False),
        ("560px", " 315.5 ", ("560", "315"), False),
        ("100%", "450", ("100%", "450"), True),
        (None, None, ("100%", "240"), True),
        ("", "100%", ("100%", "240"), True),
        ("-5", "1e9", ("100%", "240"), True),
        ('"><script>', "999999", ("100%", "240"), True),
    ],
)
def test_placeholder_takes_the_size_of_the_embed(
    width: str | None, height: str | None, size: tuple[str, str], fills: bool, english: Texts
) -> None:
    html = placeholder_html("v", "V", "video", width, height, english)
    assert f'<svg aria-hidden="true" width="{size[0]}" height="{size[1]}">' in html
    assert ("yc-w" in html) is fills


@pytest.mark.parametrize("kind", [*KINDS, "hologram"])
def test_placeholder_names_the_company_and_offers_the_way(kind: str, texts: Texts) -> None:
    html = placeholder_html("you-tube", "YouTube", kind, "560", "315", texts)
    assert html.count("YouTube") == 3
    # Until it is seen shown, a button leads to the preferences page.
    for value in ("once:you-tube", "vendor:you-tube"):
        assert f'form="yc-o" formmethod="get" name="action" value="{value}"' in html
    assert 'form="yc-o" formmethod="get" formaction="/.consent/preferences"' in html
    patient = placeholder_html("you-tube", "YouTube", kind, "560", "315", texts, allow=False)
    assert "vendor:" not in patient
    closed = "placeholder.unsent" if kind == "captcha" else "placeholder.closed"
    assert texts[closed] in patient


def test_a_closed_forms_notice_says_where_it_goes_and_offers_the_way(texts: Texts) -> None:
    html = form_notice("mailchimp", "Mailchimp", texts)
    assert texts.say("placeholder.send", vendor="Mailchimp") in html
    assert 'form="yc-o" formmethod="get" name="action" value="once:mailchimp"' in html
    assert "<svg" not in html
    patient = form_notice("mailchimp", "Mailchimp", texts, allow=False)
    assert "once:" not in patient
    assert texts["placeholder.unsent"] in patient


def test_search_engines_take_no_snippet_from_what_is_ours(
    english: Texts, categories: Categories
) -> None:
    """Google knows the attribute on <div>, <section> and <span> only."""
    view = BannerView("A", "/privacy", categories())
    for html in (
        banner_html(view, english),
        link_html(english, "/a"),
        placeholder_html("v", "V", "video", None, None, english),
        form_notice("v", "V", english),
    ):
        tag = html.lstrip()[1:].partition(">")[0]
        assert tag.split()[0] in {"div", "section", "span"}
        assert "data-nosnippet" in tag.split()


@pytest.mark.parametrize(
    ("own", "light", "dark"),
    [
        ({}, Theme().light, Theme().dark),
        ({"accent": "#0b6e4f"}, Palette("#ffffff", "#1c2430", "#0b6e4f"), None),
        (
            {"accent": "#0b6e4f", "dark_accent": "#8fd3cf"},
            Palette("#ffffff", "#1c2430", "#0b6e4f"),
            Palette("#1b2027", "#e9edf2", "#8fd3cf"),
        ),
        (
            {"dark_background": "#000000", "dark_text": "#ffffff"},
            Theme().light,
            Palette("#000000", "#ffffff", "#b5cdea"),
        ),
    ],
)
def test_colours_of_the_site_in_the_light_and_in_the_dark(
    own: dict[str, str], light: Palette, dark: Palette | None
) -> None:
    theme = theme_of(own)
    assert theme.light == light
    assert theme.dark == (dark or light)


@pytest.mark.parametrize(
    ("accent", "given_text", "taken"),
    [
        ("#0b6e4f", None, "#fff"),
        ("#0b6e4f", "#fdf6e3", "#fdf6e3"),
        ("#0b6e4f", "#0b7e4f", "#fff"),  # nobody could read it; `check` warns of it
    ],
)
def test_text_on_the_buttons_is_the_sites_where_it_can_be_read(
    accent: str, given_text: str | None, taken: str
) -> None:
    theme = theme_of({"accent": accent, "accent_text": given_text})
    assert theme.light.text_on_accent == taken
    assert f"--yc-on:{taken}" in assets(theme).style


@given(st.from_regex(r"#[0-9a-f]{6}", fullmatch=True))
def test_text_on_any_accent_can_be_read(colour: str) -> None:
    assert contrast(text_on(colour), colour) >= 4.5


def mixed(one: str, share: float, other: str) -> str:
    """`color-mix(in srgb, one share, other)` of six-digit colours."""
    pairs = ((int(one[i : i + 2], 16), int(other[i : i + 2], 16)) for i in (1, 3, 5))
    return "#" + "".join(f"{round(a * share + b * (1 - share)):02x}" for a, b in pairs)


@pytest.mark.parametrize("ground", ["#ffffff", "#000000", "#1b2027", "#fdf6e3", "#2b0b3f"])
def test_what_is_mixed_from_a_lawful_theme_can_be_read(ground: str) -> None:
    greys = (f"#{v:02x}{v:02x}{v:02x}" for v in range(256))
    lawful = [g for g in greys if contrast(g, ground) >= 7]
    assert lawful
    for text in lawful:
        assert contrast(mixed(text, 0.85, ground), ground) >= 4.5
        assert contrast(mixed(text, 0.70, ground), ground) >= 3
