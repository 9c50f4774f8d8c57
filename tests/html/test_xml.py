"""Documents in XML: what reaches out is taken out, and nothing else."""

from __future__ import annotations

from xml.parsers import expat

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.html import UndecodableError
from proxy.html.xml import gated_xml
from tests.html.pipeline import BOUNDARY, URL, owners

XHTML = "application/xhtml+xml"
EVERYONE = owners("@marketing", "pixel", "video", "?evil.test")


def gated(document: str, *is_open: str) -> str:
    shown = gated_xml(document.encode(), XHTML, URL, BOUNDARY, owners("@marketing", *is_open))
    return shown.decode()


@pytest.mark.parametrize(
    ("document", "shown"),
    [
        ('<link rel="preconnect" href="//pixel.test"/>', "<link/>"),
        ('<link rel="next" href="/2"/>', '<link rel="next" href="/2"/>'),
        ('<a href="//pixel.test">x</a>', '<a href="//pixel.test">x</a>'),
        ('<img alt="x" src="//evil.test/a.png"/>', '<img alt="x"/>'),
        ('<h:img h:src="//evil.test/a.png"/>', "<h:img/>"),
        ('<image xlink:href="//evil.test/a.png" width="9"/>', '<image width="9"/>'),
        ('<script src="//pixel.test/x.js"></script>', '<script type="x"></script>'),
        ('<script type="a" src="//pixel.test/x.js">own()</script>',
         '<script type="x">own()</script>'),
        ("<script>pixelq(1)</script><p/>", "<script></script><p/>"),
        ("<script><![CDATA[pixelq(1)]]></script>", "<script></script>"),
        ("<script>own()</script>", "<script>own()</script>"),
        ("<style>a{b:url(//evil.test/x)}</style>", "<style></style>"),
        ("<style>a{b:url(/x)}</style>", "<style>a{b:url(/x)}</style>"),
        ('<?xml-stylesheet href="//evil.test/x.css"?><x/>', "<x/>"),
        ('<?xml-stylesheet href="/x.css"?><x/>', '<?xml-stylesheet href="/x.css"?><x/>'),
        ("<!-- <img src='//evil.test'/> --><p/>", "<!-- <img src='//evil.test'/> --><p/>"),
        ("<![CDATA[<img src='//evil.test'/>]]><p/>", "<![CDATA[<img src='//evil.test'/>]]><p/>"),
        ("<p a='>'><b/></p>", "<p a='>'><b/></p>"),
        # Of attributes that differ by their prefixes only, any may count.
        ('<img z:src="/own" src="//evil.test/x"/>', "<img/>"),
        ('<link z:rel="x" rel="preconnect" z:href="/own" href="//evil.test"/>', "<link/>"),
        ('<image href="/o" y:href="/own" z:href="//evil.test/x"/>', "<image/>"),
        ('<img z:src="/a" src="/b"/>', '<img z:src="/a" src="/b"/>'),
        ('<base z:href="/own" href="//evil.test/"/><img src="/x"/>', "<base/><img/>"),
        ('<?xml-stylesheet href="data:text/css,@import %22//evil.test%22"?><x/>', "<x/>"),
        ('<?xml-stylesheet href="data:text/css,@import %22http://evil.test%22"?><x/>', "<x/>"),
        ("<p/><q x=y/><img src='//evil.test'/>", "<p/>"),
        ("<p/>\n<1<img src='//evil.test'/>", "<p/>\n"),
        ('<x xmlns:a="http://a.test/"/>', '<x xmlns:a="http://a.test/"/>'),
        ('<!DOCTYPE x [<!ENTITY e "<y/>">]><x>&e;&amp;</x>',
         '<!DOCTYPE x [<!ENTITY e "<y/>">]><x>&amp;</x>'),
        ('<!DOCTYPE x [<!ATTLIST y z CDATA "1">]><x/>', "<!DOCTYPE x ><x/>"),
        ('<!DOCTYPE x PUBLIC "a>b" "c[d">\n<x/>', '<!DOCTYPE x PUBLIC "a>b" "c[d">\n<x/>'),
    ],
)  # fmt: skip
def test_table(document: str, shown: str) -> None:
    assert gated(document) == shown


XSL = 'xmlns:x="http://www.w3.org/1999/XSL/Transform"'


@pytest.mark.parametrize(
    ("document", "shown"),
    [
        ('<x:attribute name="rel">preconnect</x:attribute>',
         '<x:attribute name="rel">pre&#173;connect</x:attribute>'),
        ('<x:attribute name="rel"> author PreConnect </x:attribute>',
         '<x:attribute name="rel"> author Pre&#173;Connect </x:attribute>'),
        ("<p>We preconnect people.</p>", "<p>We pre&#173;connect people.</p>"),
        ('<x:attribute name="rel">pre&#99;onnect</x:attribute>',
         '<x:attribute name="rel"></x:attribute>'),
        ('<x:attribute name="rel"><![CDATA[dns-prefetch]]></x:attribute>',
         '<x:attribute name="rel"></x:attribute>'),
        ("<x:value-of select=\"'preconnect'\"/>", "<x:value-of/>"),
        ('<x:element name="l"/>', '<x:element name="l"/>'),
        ('<link rel="preconnect" href="{$h}"/>', '<link href="{$h}"/>'),
        ('<link rel="preconnect"><x:attribute name="href"/></link>',
         '<link><x:attribute name="href"/></link>'),
        ('<x:text disable-output-escaping="yes">&lt;link rel=preconnect href=//a></x:text>',
         '<x:text disable-output-escaping="yes">&lt;link rel=pre&#173;connect href=//a></x:text>'),
        ('<link rel="{$r}" href="{$h}"/>', '<link href="{$h}"/>'),
        ('<link rel="stylesheet" href="{$h}"/>', '<link rel="stylesheet" href="{$h}"/>'),
        ("<x:text>we preload it</x:text>", "<x:text>we preload it</x:text>"),
    ],
)  # fmt: skip
def test_a_transformation_makes_no_hints(document: str, shown: str) -> None:
    # No policy governs them; all else that a transformation makes is the policy's.
    root = f"<x:stylesheet {XSL}>{{}}</x:stylesheet>"
    assert gated(root.format(document)) == root.format(shown)


def test_what_a_transformation_may_copy_is_no_hint() -> None:
    assert gated('<l rel="preconnect" u="//evil.test"/>') == '<l u="//evil.test"/>'
    assert gated('<p>preconnect</p><a rel="next"/>') == '<p>preconnect</p><a rel="next"/>'


@pytest.mark.parametrize(
    "subset",
    [
        '<!ENTITY a "//evil.test/">',
        '<!-- <!ENTITY a "/own"> --><!ENTITY a "//evil.test/">',
        '<?p <!ENTITY a "/own"> ?><!ENTITY a "//evil.test/">',
        '<!NOTATION n PUBLIC \'<!ENTITY a "/own">\'><!ENTITY a "//evil.test/">',
        "<!ENTITY a '//evil.test/'><!ENTITY a '/own'>",
        '<!ENTITY b "//evil.test/"><!ENTITY a "&#38;b;">',
        '<!ENTITY a "&#x26;b;"><!ENTITY b "//evil.test/">',
        "".join(f'<!ENTITY {"a" * n} "&{"a" * (n + 1)};">' for n in range(1, 60))
        + f'<!ENTITY {"a" * 60} "//evil.test/">',
    ],
)
def test_an_entity_is_what_a_parser_makes_of_it(subset: str) -> None:
    shown = gated(f'<!DOCTYPE x [{subset}]><x><link rel="preconnect" href="&a;"/></x>')
    assert shown.endswith("]><x><link/></x>")


def test_an_entity_of_the_sites_own_stays() -> None:
    document = '<!DOCTYPE x [<!-- a --><!ENTITY a "/own">]><x><img src="&a;"/>&a;</x>'
    assert gated(document) == document


def test_an_open_vendor_stays() -> None:
    document = '<x><link rel="preconnect" href="//pixel.test"/><img src="//evil.test/x"/></x>'
    assert gated(document, "pixel") == '<x><link rel="preconnect" href="//pixel.test"/><img/></x>'


def test_utf_16_comes_back_as_it_was() -> None:
    body = '<?xml version="1.0"?><p>\u0416<img src="//evil.test/x"/></p>'.encode("utf-16")
    shown = gated_xml(body, XHTML, URL, BOUNDARY, frozenset())
    assert shown == '<?xml version="1.0"?><p>\u0416<img/></p>'.encode("utf-16")


@pytest.mark.parametrize("body", [b"<p>\xff</p>", b'<?xml version="1.0" encoding="x-none"?><p/>'])
def test_what_cannot_be_read_is_told(body: bytes) -> None:
    with pytest.raises(UndecodableError):
        gated_xml(body, XHTML, URL, BOUNDARY, frozenset())


_PIECES = st.sampled_from(
    ["<p>", "</p>", "<p a='x'>", '<img src="//evil.test/x"/>',
     "<link rel='preconnect' href='//pixel.test'/>",
     "<!-- ", " -->", "<![CDATA[", "]]>", "<?a b?>", "x", "&amp;", "&lt;", ">", "<", "'", '"', " ",
     "<script>", "</script>", "<style>", "</style>", "<q b='//evil.test'/>", "<b/>", "\u00e9"]
)  # fmt: skip


@pytest.mark.slow
@settings(max_examples=1500, deadline=None)
@given(st.lists(_PIECES, max_size=10).map("".join), st.booleans())
def test_whatever_a_parser_reads_asks_no_one_else(inside: str, is_whole: bool) -> None:
    document = f"<html>{inside}</html>" if is_whole else f"<html>{inside}"
    shown = gated(document)
    asked: list[str] = []

    def started(name: str, attributes: dict[str, str]) -> None:
        asked.extend(attributes[n] for n in ("src", "href") if n in attributes)

    parser = expat.ParserCreate()
    parser.StartElementHandler = started
    try:
        parser.Parse(shown, True)
        well_formed = True
    except expat.ExpatError:
        well_formed = False
    assert asked == []
    everything = gated_xml(document.encode(), XHTML, URL, BOUNDARY, EVERYONE).decode()
    assert document.startswith(everything)
    if well_formed:
        assert everything == document
