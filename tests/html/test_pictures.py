"""A closed image keeps its element, its alternative text and its size."""

from __future__ import annotations

import re
import time
from urllib.parse import unquote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.html import compile_page, render
from tests.html.catalogue_boundary import BOUNDARY
from tests.html.catalogue_boundary import URL as CATALOGUE_URL
from tests.html.pipeline import UTF8, closed, compiled, owners

_DRAWN = re.compile(r'(?:src|srcset|href)="(data:image/svg\+xml,[^"]*)"')
_SIZE = re.compile(r'<svg xmlns="http://www.w3.org/2000/svg" width="(\d+)" height="(\d+)">')
_TEXT = re.compile(r">([^<>]+)</text>")


def drawn(page: str) -> tuple[tuple[int, int], str] | None:
    """Size and words of the one picture that stands for something; None where none does."""
    found = _DRAWN.findall(page)
    assert len(found) < 2, page
    if not found:
        return None
    picture = unquote(found[0])
    size = _SIZE.search(picture)
    assert size is not None, picture
    words = _TEXT.search(picture)
    return (int(size[1]), int(size[2])), words[1] if words else ""


@pytest.mark.parametrize(
    ("attributes", "expected"),
    [
        # Attributes, styles, and one side of either.
        ('src="{}" width=600 height=400 alt="A nurse"', ((600, 400), "A nurse")),
        ('src="{}" width="600.5px" height=" 400 " alt="A nurse"', ((600, 400), "A nurse")),
        ('src="{}" style="width:600px;height:400px" alt="A nurse"', ((600, 400), "A nurse")),
        ('src="{}" style="max-width:9px;WIDTH : 60.5px !important" height=40', ((60, 40), "")),
        ('src="{}" width=600 alt="A nurse"', ((600, 400), "A nurse")),
        ('src="{}" height=400 alt="A nurse"', ((600, 400), "A nurse")),
        ('src="{}" width=100% height=400 alt="A nurse"', ((600, 400), "A nurse")),
        ('src="{}" width=600 height=auto', ((600, 400), "")),
        ('src="{}" width=600 height=400', ((600, 400), "")),
        ('src="{}" width=600 height=400 alt=""', ((600, 400), "")),
        # What a builder notes, and what an image server is told.
        ('src="{}" data-image-dimensions="2500x1667"', ((2500, 1667), "")),
        ('src="{}" data-orig-size="1200,900" width=600', ((600, 450), "")),
        ('src="{}" data-width=1200 data-height=900 height=90', ((120, 90), "")),
        ('src="{}?resize=300%2C200&amp;ssl=1" alt=Team', ((300, 200), "Team")),
        ('src="{}?fit=300,200"', ((300, 200), "")),
        ('src="{}?w=300&amp;h=200"', ((300, 200), "")),
        ('src="{}?height=200&amp;width=300"', ((300, 200), "")),
        ('src="{}?w=300"', ((300, 200), "")),
        ('src="{}/v1/fill/w_300,h_200,al_c,q_80/a.jpg"', ((300, 200), "")),
        ('src="{}/upload/c_fill,w_300/a.jpg"', ((300, 200), "")),
        ('src="{}-300x200.jpg"', ((300, 200), "")),
        ('src="{}_300x.jpg?v=1"', ((300, 200), "")),
        ('src="{}_300x200@2x.jpg"', ((300, 200), "")),
        # Nobody says it: a text has its own, and styles may give the rest theirs.
        ('src="{}" alt="Acme"', ((48, 24), "Acme")),
        ('src="{}" alt="A nurse beside an empty bed"', ((320, 180), "A nurse beside an empty bed")),
        ('src="{}"', ((3, 2), "")),
        ('src="{}" alt=""', ((3, 2), "")),
        ('src="{}?v=1920x1080p"', ((3, 2), "")),
        # A photograph, by its address: in a link it is what can be clicked.
        ('src="{}.jpg"', ((120, 80), "")),
        ('src="{}.JPEG?v=3" alt=""', ((120, 80), "")),
        ('src="{}/b.webp#x"', ((120, 80), "")),
        ('data-src="{}.avif"', ((120, 80), "")),
        ('srcset="{}.jpg 1x, {} 2x"', ((120, 80), "")),
        ('src="{}.jpg" width=60', ((60, 40), "")),
        ('src="{}.jpg" alt="Acme"', ((48, 24), "Acme")),
        ('src="{}.jpg" width=1', None),
        ('src="{}.jpg" onerror="own(this)"', None),
        ('src="{}.gif"', ((3, 2), "")),
        ('src="{}.jpgs"', ((3, 2), "")),
        ('src="{}.jpg/px"', ((3, 2), "")),
        # Other words for it, where it has no alternative text.
        ('src="{}" title="Acme"', ((48, 24), "Acme")),
        ('src="{}" alt=" " aria-label="Acme" title="Logo"', ((48, 24), "Acme")),
        ('src="{}" alt="" title=Team width=60 height=40', ((60, 40), "Team")),
        ('src="{}" alt="Acme" title="The best"', ((48, 24), "Acme")),
        # Other attributes that show it.
        ('srcset="{} 1x, {} 2x" width=60 height=40 alt=Team', ((60, 40), "Team")),
        ('src="{}" srcset="{} 2x" width=60 height=40 alt=Team', ((60, 40), "Team")),
        ('src="" srcset="{} 2x" width=60 height=40 alt=Team', ((60, 40), "Team")),
        ('src="/own.jpg" srcset="{} 2x" width=60 height=40 alt=Team', None),
        ('src="data:," data-src="{}" width=60 height=40 alt=Team', ((60, 40), "Team")),
        ('src="data:," data-srcset="{} 1x" width=60 height=40 alt=Team', ((60, 40), "Team")),
        ('src="data:," data-src="{}" data-srcset="{} 1x" width=60 height=40', ((60, 40), "")),
        # What shows nothing, or has a way out of its own.
        ('src="{}" width=1 height=1 alt=Team', None),
        ('src="{}" hidden width=60 height=40 alt=Team', None),
        ('src="{}" style="display: none" alt=Team', None),
        ('src="{}" onerror="own(this)" width=60 height=40', None),
        ('src="{}" onerror="own(this)" alt=Team', None),
        ('src="{}" onerror="own(this)" width=60 height=40 alt=Team', ((60, 40), "Team")),
    ],
)
@pytest.mark.parametrize("host", ["//nobody.test/a", "//video.test/a"])
def test_an_image_that_may_be_content(
    attributes: str, expected: tuple[tuple[int, int], str] | None, host: str
) -> None:
    page = f"<img id=a {attributes.replace('{}', host)}>"
    shown = closed(page.encode()).decode()
    assert host not in shown
    assert drawn(shown) == expected
    kept = r"(?<= )(?:id|width|height|alt|style|data-[a-z-]*size)=\S+"
    assert re.findall(kept, _DRAWN.sub("", shown)) == re.findall(kept, page)


@pytest.mark.parametrize(
    ("attributes", "expected"),
    [
        ('src="{}"', None),
        ('src="{}.jpg"', None),
        ('src="{}" title="Acme"', None),
        ('src="{}" alt=""', None),
        ('src="{}" width=60 height=40', ((60, 40), "")),
        ('src="{}" alt="Acme"', ((48, 24), "Acme")),
    ],
)
def test_an_image_of_a_vendor_that_tracks(
    attributes: str, expected: tuple[tuple[int, int], str] | None
) -> None:
    page = f"<img {attributes.replace('{}', '//pixel.test/a')}>".encode()
    assert drawn(closed(page).decode()) == expected
    assert render(compiled(page), owners("pixel")) == page


@pytest.mark.parametrize(
    ("attributes", "expected"),
    [
        ('type=image src="{}" width=60 height=40 alt=Go', ((60, 40), "Go")),
        ('type=image src="{}" alt="Go"', ((32, 24), "Go")),
        ('type=image src="{}" width=60 height=40', None),  # the browser's own "Submit"
    ],
)
def test_a_button_with_an_image(
    attributes: str, expected: tuple[tuple[int, int], str] | None
) -> None:
    page = f"<input {attributes.replace('{}', '//nobody.test/a')}>"
    assert drawn(closed(page.encode()).decode()) == expected


@pytest.mark.parametrize(
    ("image", "expected"),
    [
        ('<image href="{}" width="60" height="40"/>', ((60, 40), "")),
        ('<image xlink:href="{}" width=600 height=400 aria-label="A nurse" />',
         ((600, 400), "A nurse")),
        ('<image href="{}" width="100%" height="100%"><title>Acme</title></image>',
         ((48, 24), "Acme")),
        ('<image href="{}"/>', ((3, 2), "")),
        ('<image href="{}" width="1" height="1"/>', None),
        ('<image href="{}" onerror="own(this)"/>', None),
        ('<image href="/own.jpg" width="60" height="40"/>', None),
        ('<feImage href="{}" width="60" height="40"/>', None),
    ],
)  # fmt: skip
def test_an_image_of_a_drawing(image: str, expected: tuple[tuple[int, int], str] | None) -> None:
    page = f"<svg>{image.replace('{}', '//nobody.test/a')}</svg>"
    shown = closed(page.encode()).decode()
    assert "nobody.test" not in shown
    assert drawn(shown) == expected


def test_a_video_keeps_its_place_without_its_poster() -> None:
    page = b'<video src="/own.mp4" poster="//nobody.test/a" width=60 height=40></video>'
    assert closed(page) == b'<video src="/own.mp4" poster="" width=60 height=40></video>'


@pytest.mark.parametrize(
    "address",
    [
        "https://static.wixstatic.com/media/a.jpg/v1/fill/w_300,h_200,al_c,q_80/a.jpg",
        "https://images.squarespace-cdn.com/content/v1/5f/a.jpg?w=300&amp;h=200",
        "https://cdn.shopify.com/s/files/1/0001/0002/files/a_300x200.jpg?v=1",
        "https://cdn.prod.website-files.com/5f/a-300x200.jpg",
        "https://i0.wp.com/www.example.com/a.jpg?resize=300%2C200&amp;ssl=1",
        "https://acme.files.wordpress.com/2026/01/a-300x200.jpg",
        "https://res.cloudinary.com/acme/image/upload/w_300,h_200/a.jpg",
        "https://acme.imgix.net/a.jpg?w=300&amp;h=200",
        "https://images.ctfassets.net/acme/a.jpg?w=300&amp;h=200",
        "https://cdn.sanity.io/images/acme/production/a-300x200.jpg",
        "https://images.unsplash.com/photo-1?w=300&amp;h=200",
    ],
)
@pytest.mark.parametrize("alt", ["", "Our team"])
def test_hosts_of_sites_own_content(address: str, alt: str) -> None:
    markup = f'<img src="{address}" alt="{alt}">'.encode()
    page = compile_page(markup, UTF8, CATALOGUE_URL, BOUNDARY)
    shown = render(page, frozenset()).decode()
    assert drawn(shown) == ((300, 200), alt)
    assert f'alt="{alt}"' in shown


_PARTS = st.lists(
    st.sampled_from(
        ["w_", "h_", ",", "x", "300", "0", "99999", "?w=", "&h=", "&resize=", "%2C", "-", "_", "/",
         ".jpg", "@2x", "=", "é", "%"]
    ),
    max_size=12,
).map("".join)  # fmt: skip


@settings(max_examples=200, deadline=None)
@given(_PARTS, _PARTS, _PARTS)
def test_whatever_is_written_the_address_goes_and_the_size_is_one(
    address: str, width: str, style: str
) -> None:
    page = f'<img src="//nobody.test/{address}" width="{width}" style="width:{style}px" alt=x>'
    shown = closed(page.encode()).decode()
    assert "nobody.test" not in shown
    found = drawn(shown)
    assert found is None or all(0 < side < 100_000 for side in found[0])


def test_a_long_address_is_searched_for_a_size_once() -> None:
    page = f'<p><img src="https://img.test/{"-10x10" * 12_000}">'.encode()
    began = time.process_time()
    compiled(page)
    assert time.process_time() - began < 2
