"""What only a browser's preload scanner finds in a drawing, a tokenizer without a tree."""

from __future__ import annotations

import pytest

from proxy.html import UndecodableError, render
from tests.html.pipeline import URL, closed, compiled, owners
from tests.html.scanner_oracle import scanned_hosts

CLOSED = " type=application/consent-closed>x{}"
IMAGE = " src=data:, srcset=data:, href=data:, xlink:href=data:,"


@pytest.mark.parametrize(
    ("page", "expected"),
    [
        # In an attribute, a comment, a section of the tree.
        ('<svg><style><a title="</style><img src=%b>"></a></style></svg>',
         f'<svg><style><a title="</style><img{IMAGE} src=%b>"></a></style></svg>'),
        ("<svg><title><!--</title><img srcset='%b 2x'>--></title></svg>",
         f"<svg><title><!--</title><img{IMAGE} srcset='%b 2x'>--></title></svg>"),
        ("<math><textarea><!--</textarea><video poster=%b>--></textarea></math>",
         "<math><textarea><!--</textarea><video poster=data:, poster=%b>--></textarea></math>"),
        ("<svg><script><![CDATA[</script ><input type=image src=%b>]]></script></svg>",
         "<svg><script><![CDATA[</script ><input src=data:, type=image src=%b>]]></script></svg>"),
        ("<svg><text><![CDATA[ > <image href=%b> ]]></text></svg>",
         f"<svg><text><![CDATA[ > <image{IMAGE} href=%b> ]]></text></svg>"),
        # Of what the tree has ended at once, the text goes on.
        ('<svg><STYLE/></svg><p title="</style><script src=%b></script>">x</p>',
         '<svg><STYLE/></svg><p title="</style><script src=data:, src=%b></script>">x</p>'),
        ('<svg><title><p title="</title><source srcset=%b>">x</p>',
         '<svg><title><p title="</title><source srcset=data:, srcset=%b>">x</p>'),
        ('<svg><style><a b="</style><link rel=x rel=stylesheet href=%b>"></a></style></svg>',
         '<svg><style><a b="</style><link href=data:, imagesrcset=data:, rel=x rel=stylesheet'
         ' href=%b>"></a></style></svg>'),
        ('<svg><style><a b="</style><base href=%b>"></a></style></svg>',
         '<svg><style><a b="</style><base href=data:, href=%b>"></a></style></svg>'),
        ('<svg><style><a b="</style><img src src=%b>"></a></style></svg>',
         f'<svg><style><a b="</style><img{IMAGE} src src=%b>"></a></style></svg>'),
        ("<svg><style>/*<a title=\"*/@import '%b';\"></a>*/</style></svg>",
         "<svg><style>/*<a title=\"*/@import 'data:text/css,';\"></a>*/</style></svg>"),
        # The same to a browser without JavaScript.
        ("<svg><noscript><!--</noscript><img src=%b>--></noscript></svg>",
         f"<svg><noscript><!--</noscript><img{IMAGE} src=%b>--></noscript></svg>"),
        ('<noscript>x</noscript><frameset><svg><title><a b="</title><img src=%b>"></title></svg>',
         '<noscript>x</noscript><frameset><svg><title><a b="</title>'
         f'<img{IMAGE} src=%b>"></title></svg>'),
        # A style that is closed as a whole keeps its tag: behind that all of this is text.
        ("<svg><style><![CDATA[><img src=%b>a{b:url(%b)",
         f"<svg><style{CLOSED}<![CDATA[><img src=%b>a{{b:url(%b)"),
        ("<svg><style>a{b:url(%b?c&amp;d)}<![CDATA[><img src=%b>]]></style></svg>",
         f"<svg><style{CLOSED}a{{b:url(%b?c&amp;d)}}<![CDATA[><img src=%b>]]></style></svg>"),
        ("<svg><style>@import '%b?c&amp;d';</style></svg>",
         f"<svg><style{CLOSED}@import 'data:text/css,';</style></svg>"),
        # Of the site's own, or nothing that the scanner comes to.
        ('<svg><style><a title="</style><img src=/x>"></a></style></svg>', None),
        ('<svg><title>a</title></svg><p title="</title><img src=%b>">x</p>', None),
        ('<svg><style/></svg><p title="<img src=%b>">x</p>', None),
        ('<svg><style>a{}</style></svg><p title="<img src=%b>">x</p>', None),
        ('<svg><style/></svg><style>a{}</style><p title="</style><img src=%b>">x</p>', None),
        ("<svg><text><![CDATA[<img src=%b>]]></text></svg>", None),
        ("<script>/*<![CDATA[*/a='<b><img src=%b>'/*]]>*/</script><svg></svg>", None),
        ('<svg><style><a title="</style><a href=%b><p style=background:url(%b)>"></a></style>',
         None),
    ],
)  # fmt: skip
def test_its_addresses_come_second(page: str, expected: str | None) -> None:
    page, expected = (
        text.replace("%b", "//pixel.test/x")
        for text in (page, page if expected is None else expected)
    )
    assert closed(page.encode()).decode() == expected
    assert render(compiled(page.encode()), owners("pixel")).decode() == page
    # One that is closed has nothing to close.
    assert not compiled(expected.encode()).owners
    assert scanned_hosts(expected, URL, scripting=True) <= {"www.example.com"}


def test_the_scanner_reads_what_the_tree_has_in_an_attribute() -> None:
    page = '<svg><style><a title="</style><img src=//pixel.test/x>"></a></style></svg>'
    assert scanned_hosts(page, URL, scripting=True) == {"pixel.test"}


@pytest.mark.parametrize(
    "page",
    [
        b"<noscript><select></noscript><title></style><script src=%b></script>",
        b'<select><noscript><img src=%b?y=1></noscript><title><img src="%b"></title>',
        b"<svg><style>a{fill:url(%b)}<noscript><p title='</noscript><img src=%b>'></noscript>",
    ],
)
def test_what_cannot_be_taken_out_for_two_kinds_of_browsers(page: bytes) -> None:
    """With JavaScript the element ends elsewhere than without: neither end is the other's, and
    without its tag the text would be markup. Such a page goes out under a policy alone.
    """
    with pytest.raises(UndecodableError, match="ends elsewhere"):
        compiled(page.replace(b"%b", b"//pixel.test/x"))
