"""Content that a closed script would have made: a placeholder stands at its place."""

from __future__ import annotations

import pytest

from consent_rules.catalogue.load import catalogue
from proxy.html import Page, compile_page, render
from proxy.html.gates import Embed, EmbedPlace
from proxy.html.incremental import IncrementalCompiler
from proxy.html.owners import KnownVendor
from tests.html.catalogue_boundary import BOUNDARY, URL

UTF8 = "text/html; charset=utf-8"
SHOWN = "[!]"


def page_of(markup: str) -> Page:
    body = f"<!doctype html><title>x</title><body>{markup}</body>"
    return compile_page(body.encode(), UTF8, URL, BOUNDARY)


def closed(markup: str) -> tuple[str, list[Embed]]:
    """The markup with all closed, "[!]" for each placeholder, and what these stand for."""
    embeds: list[Embed] = []

    def placeholder(embed: Embed) -> bytes:
        embeds.append(embed)
        return SHOWN.encode()

    found = render(page_of(markup), frozenset(), placeholder=placeholder).decode()
    return found.partition("<body>")[2].removesuffix("</body>"), embeds


@pytest.mark.parametrize(
    ("vendor", "markup", "shown"),
    [
        (
            "hubspot-forms",
            "<p>a</p><script>hbspt.forms.create({portalId: '1', formId: '2'});</script><p>b</p>",
            "</script>[!]<p>b</p>",
        ),
        (
            "hubspot-forms",
            "<div id=f></div><script>hbspt.forms.create({formId: '2', target: '#f'});</script>",
            "<div id=f>[!]</div>",
        ),
        ("hubspot-forms", "<div class=hs-form-frame data-form-id=2></div>", "data-form-id=2>[!]<"),
        ("marketo-forms", '<form id="mktoForm_12"></form>', '"mktoForm_12">[!]</form>'),
        ("typeform", "<div data-tf-live=01H></div>", "<div data-tf-live=01H>[!]</div>"),
        ("calendly", "<div class='x calendly-inline-widget'></div>", "widget'>[!]</div>"),
        ("wistia", "<div class='wistia_embed wistia_async_1'></div>", "_1'>[!]</div>"),
        (
            "jotform",
            "<script src=https://form.jotform.com/jsform/1></script><p>b",
            "</script>[!]<p>b",
        ),
        (
            "google-maps",
            "<div id=map></div><script>function initMap() { new google.maps.Map("
            'document.getElementById("map"), {zoom: 4}) }</script>',
            "<div id=map>[!]</div>",
        ),
        (
            "x-social",
            "<blockquote class=twitter-tweet><p>Hi</p></blockquote>",
            "<blockquote class=twitter-tweet>[!]<p>Hi</p>",
        ),
        ("recaptcha", "<form><div class=g-recaptcha></div></form>", "g-recaptcha>[!]</div>"),
        ("hcaptcha", "<div class=h-captcha data-sitekey=1></div>", "data-sitekey=1>[!]</div>"),
        ("turnstile", "<div class=cf-turnstile></div>", "<div class=cf-turnstile>[!]</div>"),
        (
            "stripe",
            "<script src=https://js.stripe.com/v3/></script><div id=card-element></div>",
            "<div id=card-element>[!]</div>",
        ),
        (
            "paypal",
            "<script src=https://www.paypal.com/sdk/js></script>"
            "<div id=paypal-button-container></div>",
            "<div id=paypal-button-container>[!]</div>",
        ),
        ("instagram", "<blockquote class=instagram-media></blockquote>", ">[!]</blockquote>"),
        ("tiktok-embed", "<blockquote class=tiktok-embed></blockquote>", ">[!]</blockquote>"),
    ],
)
def test_places(vendor: str, markup: str, shown: str) -> None:
    found, embeds = closed(markup)
    assert shown in found
    (embed,) = embeds
    assert embed.owner == KnownVendor(vendor)
    assert embed.place is (EmbedPlace.TEXT if "<p>Hi" in markup else EmbedPlace.CONTENT)
    page = page_of(markup)
    assert markup in render(page, page.owners).decode()
    compiler = IncrementalCompiler(UTF8, URL, BOUNDARY, 100_000)
    compiler.add(page.body)
    piece = compiler.take(last=True)
    assert piece is not None
    assert sum(gate.embed is not None for gate in piece.page.gates) == 1


@pytest.mark.parametrize(
    "markup",
    [
        "<div class=calendly-inline-widgets></div>",
        "<button class=g-recaptcha></button>",
        "<div id=card-element></div>",
        "<script src=/own.js></script><div id=payment-element></div>",
        "<p>calendly-inline-widget</p>",
        "<div class=calendly-inline-widget hidden></div>",
        "<a href=/x><div class=calendly-inline-widget></div></a>",
        "<template><div class=calendly-inline-widget></div></template>",
        "<svg><g class=calendly-inline-widget></g></svg>",
        "<div id=__next><div class=calendly-inline-widget></div></div>"
        "<script id=__NEXT_DATA__ type=application/json>{}</script>",
        "<script>new google.maps.Map(there)</script>",
        "<p id=map>a</p><script>new google.maps.Map(document.getElementById('map'))</script>",
        "<noscript><div class=calendly-inline-widget></div></noscript>",
    ],
)
def test_no_place(markup: str) -> None:
    assert closed(markup)[1] == []


def test_places_are_of_vendors_that_show_something() -> None:
    marked = [vendor for vendor in catalogue().values() if vendor.places]
    assert len(marked) >= 30
    assert all(vendor.embed and vendor.embed != "chat" for vendor in marked)


@pytest.mark.parametrize(
    ("markup", "place"),
    [
        ("<form action=https://x.list-manage.com/subscribe>", EmbedPlace.FORM),
        ("<form action=https://nobody.example/>", EmbedPlace.FORM),
        ("<form action=https://nobody.example/ hidden>", None),
        ("<form action=/own>", None),
        ("<form action=/.consent/choice>", None),
        ("<button formaction=https://nobody.example/>", None),
        ("<table><form action=https://nobody.example/>", None),
        (
            "<script id=__NEXT_DATA__ type=application/json>{}</script>"
            "<form action=https://nobody.example/>",
            None,
        ),
    ],
)
def test_a_closed_form_says_so(markup: str, place: EmbedPlace | None) -> None:
    found, embeds = closed(f"{markup}<input name=q>")
    assert [embed.place for embed in embeds] == ([] if place is None else [place])
    assert found.endswith((f">{SHOWN}<input name=q>", "><input name=q>"))


@pytest.mark.parametrize(
    ("image", "size", "alt"),
    [
        ('<img src="https://i.ytimg.com/vi/a/hq.jpg">', (320, 180), "YouTube"),
        ('<img src="https://i.ytimg.com/vi/a/hq.jpg" alt="" width=48 height=36>', (48, 36), ""),
        (
            '<img src="https://maps.googleapis.com/maps/api/staticmap?center=x&amp;size=600x300">',
            (600, 300),
            "Google Maps",
        ),
        ('<img src="https://i.ytimg.com/vi/a/hq.jpg" alt=Tour>', (320, 180), ""),
        ('<img src="https://i.ytimg.com/vi/a/hq.jpg" width=1 height=1>', None, ""),
        ('<img src="https://www.facebook.com/tr?id=1">', None, ""),
    ],
)
def test_a_videos_or_maps_picture_says_whose_it_is(
    image: str, size: tuple[int, int] | None, alt: str
) -> None:
    found, _ = closed(image)
    assert ("data:image/svg+xml" in found) is (size is not None)
    if size is not None:
        assert "width=%22{}%22 height=%22{}%22".format(*size) in found
    assert f'<img alt="{alt}' in found if alt else True
