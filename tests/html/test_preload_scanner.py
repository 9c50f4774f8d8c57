"""What only a browser's preload scanner finds in a page."""

from __future__ import annotations

import pytest

from proxy.html import render
from tests.html.pipeline import closed, compiled, owners

OTHER = b"//pixel.test/x"


@pytest.mark.parametrize(
    ("page", "expected"),
    [
        (b'<video poster="" poster=%b alt=a></video>', b'<video poster=""  alt=a></video>'),
        (b'<script src="" src="%b&amp;y"></script>', b'<script src="" ></script>'),
        (b"<link rel=x\nrel=stylesheet href=%b>", b"<link rel=x\n href=%b>"),
        (b'<LINK rel=preload HREF="" HREF=%b as=image>', b'<LINK rel=preload HREF=""  as=image>'),
        (b'<source srcset="" srcset="/a 1x, %b 2x">', b'<source srcset="" >'),
        (b"<input type=image src src='%b'>", b"<input type=image src >"),
        (b'<svg><image href="" href=%b /></svg>', b'<svg><image href=""  /></svg>'),
        (b"<p>\n<b id=a id=b>\n<img src=\"\"src='%b'>", b'<p>\n<b id=a id=b>\n<img src="">'),
        # Of the site's own, or nothing that the scanner looks at.
        (b"<img src=a src=b>", None),
        (b"<p id=a id=//pixel.test/b>", None),
        (b"<a href=a href=%b>a</a>", None),
        (b'<svg><link rel="stylesheet" href="%b"/></svg>',
         b'<svg><link rel=consent-closed rel="stylesheet" href=data:, /></svg>'),
        (b'<math><link rel="stylesheet" href="/a.css"/></math>', None),
        (b'<svg><video poster="%b"/></svg>', b'<svg><video poster=""/></svg>'),
        (b'<svg><input type="image" src="%b"/></svg>', b'<svg><input type="image" src=""/></svg>'),
        (b'<svg><picture><source srcset="%b 1x"><img src="/a"></picture></svg>',
         b'<svg><picture><source srcset=""><img src="/a"></picture></svg>'),
        (b'<math><link rel="modulepreload" href="%b"/></math>',
         b'<math><link rel=consent-closed rel="modulepreload" href=data:, /></math>'),
        (b'<math><video poster="%b"/></math>', b'<math><video poster=""/></math>'),
        (b'<svg><script src="%b">a()</script></svg>', b'<svg><script src="">a()</script></svg>'),
        (b'<svg><script href="/own.js" src="%b"/></svg>',
         b'<svg><script href="/own.js" src=""/></svg>'),
        (b'<math><script src="%b"></script></math>', b'<math><script src=""></script></math>'),
        (b'<svg><script src="/own.js"></script></svg>', None),
        (b'<svg><base href="%b"/></svg>', b'<svg><base href=""/></svg>'),
        (b"<!doctype html><html><head></head><frameset></frameset><video poster=%b>",
         b'<!doctype html><html><head></head><frameset></frameset><video poster="">'),
        (b"<!doctype html><html><head></head><FRAMESET\n></FRAMESET><script src=%b></script>",
         b"<!doctype html><html><head></head><FRAMESET\n></FRAMESET>"
         b"<script type=application/consent-closed src=data:, ></script>"),
        (b"<noscript><frameset><script src=%b></script>",
         b"<noscript><frameset><script type=application/consent-closed src=data:, ></script>"),
        (b"<noscript><frameset><video poster=%b></video></noscript><frame src=/a>",
         b'<noscript><frameset><video poster=""></video></noscript><frame src=/a>'),
        (b"<select><button><selectedcontent><img src=%b></selectedcontent></button></select>",
         b'<select><button><selectedcontent><img src=""></selectedcontent></button></select>'),
        (b"<select><SelectedContent></SelectedContent><option selected><img src=%b>",
         b'<select><SelectedContent></SelectedContent><option selected><img src="">'),
    ],
)  # fmt: skip
def test_it_is_closed(page: bytes, expected: bytes | None) -> None:
    page = page.replace(b"%b", OTHER)
    assert closed(page) == (page if expected is None else expected.replace(b"%b", OTHER))
    assert render(compiled(page), owners("pixel")) == page


@pytest.mark.parametrize("drawing", ["svg", "math", "svg><desc><math", "math><annotation-xml"])
@pytest.mark.parametrize(
    "tag",
    [
        "script src=%b", "link rel=stylesheet href=%b", "link rel=preload as=image imagesrcset=%b",
        "img src=%b", "img srcset=%b", "input type=image src=%b", "video poster=%b",
        "source srcset=%b", "base href=%b", "image href=%b", "image xlink:href=%b",
    ],
)  # fmt: skip
def test_no_tag_of_a_drawing_names_another_host(drawing: str, tag: str) -> None:
    tag = tag.replace("%b", OTHER.decode())
    page = f"<{drawing}><{tag}></{tag.partition(' ')[0]}>".encode()
    assert OTHER not in closed(page)


@pytest.mark.parametrize(
    "page",
    [
        b"<link rel=stylesheet href=%b src=%b>",
        b"<link rel=preload href=%b src=%b poster=%b as=image>",
        b"<script type=module src=%b href=%b></script>",
        b"<script type=module href=%b>pixelq(1)</script>",
        b"<svg><script type=module src=%b href=%b></script></svg>",
    ],
)
def test_an_attribute_that_no_scanner_takes_is_nothing_to_close(page: bytes) -> None:
    """Ours before the tag's own make those the second of their name."""
    assert not compiled(closed(page.replace(b"%b", OTHER))).owners
