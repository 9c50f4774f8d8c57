"""Charsets: what browsers would read is what is gated, and the rest stays byte for byte."""

from __future__ import annotations

import codecs

import pytest

from proxy.html import UndecodableError, read_source, render
from proxy.html.charset import charset_of
from tests.html.pipeline import closed, compiled

_HTML = "text/html"
_PAGE = (
    'a<script src="//pixel.test/a.js"></script>{x}<p title="{x}" style="b:url(//pixel.test/{x})">'
)
_GATED = "<script type=application/consent-closed src=data:, ></script>"
_CLOSED = f'a{_GATED}{{x}}<p title="{{x}}" style="b:url(data:,)">'


@pytest.mark.parametrize(
    ("codec", "label", "letters"),
    [
        ("utf-8", "utf-8", "é日本"),
        ("utf-16-le", "utf-16", "é日本"),
        ("utf-16-be", "utf-16be", "é日本"),
        ("iso2022_jp", "iso-2022-jp", "日本語"),
        ("cp932", "shift_jis", "表ソ日本ｱ"),
        ("euc_jp", "euc-jp", "日本"),
        ("gb18030", "gb18030", "中文\U0001f600"),
        ("gb18030", "gb2312", "中文"),
        ("big5", "big5", "功許"),
        ("cp949", "euc-kr", "한국"),
        ("cp1252", "iso-8859-1", "é€“”"),
        ("cp1251", "windows-1251", "Привет"),
    ],
)
def test_round_trip(codec: str, label: str, letters: str) -> None:
    body = _PAGE.format(x=letters).encode(codec)
    content_type = f"text/html; charset={label}"
    assert render(compiled(body, content_type), frozenset(), everything=True) == body
    assert closed(body, content_type).decode(codec) == _CLOSED.format(x=letters)


@pytest.mark.parametrize(
    ("mark", "codec"),
    [
        (codecs.BOM_UTF8, "utf-8"),
        (codecs.BOM_UTF16_LE, "utf-16-le"),
        (codecs.BOM_UTF16_BE, "utf-16-be"),
    ],
)
def test_a_mark_wins_over_the_header(mark: bytes, codec: str) -> None:
    body = mark + _PAGE.format(x="é").encode(codec)
    found = closed(body, "text/html; charset=shift_jis")
    assert found == mark + _CLOSED.format(x="é").encode(codec)


@pytest.mark.parametrize("codec", ["utf-16-le", "utf-16-be"])
def test_utf_16_without_a_mark(codec: str) -> None:
    body = ('<?xml version="1.0"?>' + _PAGE.format(x="é")).encode(codec)
    assert b"pixel" not in closed(body, _HTML).replace(b"\0", b"")


@pytest.mark.parametrize(
    ("head", "content_type", "label"),
    [
        (b"", "text/html; charset=UTF-8", "utf-8"),
        (b"", 'text/html; a=b; Charset = "koi8-r"', "koi8-r"),
        (b"<meta charset=koi8-r>", _HTML, "koi8-r"),
        (b"<META a b='c' CharSet = 'KOI8-R' />", _HTML, "koi8-r"),
        (b"<meta http-equiv=content-type content='text/html; charset=koi8-r'>", _HTML, "koi8-r"),
        (b"<meta content='text/html; charset=koi8-r' http-equiv=Content-Type>", _HTML, "koi8-r"),
        (b"<meta name=x content='text/html; charset=koi8-r'>", _HTML, ""),
        (b"<!-- <meta charset=big5> --><meta charset=koi8-r>", _HTML, "koi8-r"),
        (b"<p title='<meta charset=big5>'><meta charset=koi8-r>", _HTML, "koi8-r"),
        (b"</p a='<meta charset=big5>'><?x><!y><meta charset=koi8-r>", _HTML, "koi8-r"),
        (b"<meta charset=none-such><meta charset=koi8-r>", _HTML, "koi8-r"),
        (b"<meta charset=utf-16le>", _HTML, "utf-8"),
        (b"<meta charset=koi8-r>", "text/html; charset=none-such", "koi8-r"),
        (b"<meta charset=koi8-r>", "text/html; charset=cp037", "koi8-r"),
        (b" " * 1100 + b"<meta charset=koi8-r>", _HTML, ""),
        (b"<!-- <meta charset=koi8-r>", _HTML, ""),
        (b"<meta", _HTML, ""),
        (b"<", _HTML, ""),
    ],
)
def test_label(head: bytes, content_type: str, label: str) -> None:
    assert charset_of(head, content_type)[0] == label


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (b"x", "text/html; charset=iso-2022-kr"),
        (b"<meta charset=hz-gb-2312>", _HTML),
        (b"\x00\xd8", "text/html; charset=utf-16le"),
        (b"a", "text/html; charset=utf-16le"),
    ],
)
def test_refused(body: bytes, content_type: str) -> None:
    with pytest.raises(UndecodableError):
        read_source(body, content_type)


@pytest.mark.parametrize(
    ("body", "label"),
    [
        (b"<a title='\x1b$B4A;z\x1b(B'>", "iso-2022-jp"),
        (b"<a title='\x1b$B'><script src=//pixel.test/a></script>\x1b(B'>", "utf-8"),
        (b"<a title='\x1b$B\xe9'>", "windows-1252"),
    ],
)
def test_what_browsers_would_guess_is_named(body: bytes, label: str) -> None:
    assert read_source(body, _HTML).label == label


def test_escape_sequences_under_a_named_charset() -> None:
    body = b"a\x1b$B<script src=//pixel.test/a></script>"
    assert closed(body, "text/html; charset=utf-8") == b"a\x1b$B" + _GATED.encode()


def test_invalid_bytes_stay() -> None:
    body = b"\xff\xfd<img title='\xc3(' src='//pixel.test/\xe9'>\xe2\x82"
    assert closed(body) == b"\xff\xfd<img title='\xc3(' src=\"\">\xe2\x82"


@pytest.mark.parametrize(
    "host",
    [
        "pixel.test/\xe9",
        "pixel.test/&eacute;\u00e9",
        "nobody\u00e9.test/",
        "www.example.com&eacute;\u00e9/",
    ],
)
def test_hosts_beyond_ascii_are_no_ones(host: str) -> None:
    assert closed(f'<script src="//{host}"></script>'.encode()) == _GATED.encode()


def test_references_and_raw_bytes_in_one_value() -> None:
    body = "<iframe srcdoc='é&eacute;&#x1F600;<img src=//pixel.test/a>'></iframe>"
    wanted = '<iframe srcdoc="&#233;&#233;&#128512;&lt;img src=&quot;&quot;&gt;"></iframe>'
    assert closed(body.encode()).decode() == wanted
    japanese = body.replace("é", "日")
    found = closed(japanese.encode("iso2022_jp"), "text/html; charset=iso-2022-jp")
    assert found.decode("ascii") == wanted.replace("&#233;", "&#26085;", 1)


def test_half_a_character_is_no_escape() -> None:
    body = "<style>\\75 rl(x);a{b:'表'}c{d:url(//pixel.test/x)}e{f:'表'}</style>".encode("cp932")
    assert b"pixel" not in closed(body, "text/html; charset=shift_jis")


@pytest.mark.parametrize("wrapped", ["<style>a{{{0}}}</style>", '<p style="{0}">'])
def test_a_line_break_that_css_joins(wrapped: str) -> None:
    body = wrapped.format("b:url('//www.example.com\\\r\n.pixel.test/')").encode()
    assert b"pixel" not in closed(body)


def test_what_only_browsers_can_read_is_sent_as_far_as_it_was_read() -> None:
    source = read_source(b"<p>\xc3\xa9</p>", "text/html; charset=iso-2022-jp")
    assert (source.label, source.wire) == ("utf-8", "")
    assert source.body.startswith(b"<p>") and source.body.endswith(b"</p>")


def test_a_charset_that_no_browser_knows_is_none() -> None:
    assert read_source(b"+ADw-p", "text/html; charset=utf-7").label == ""


def test_a_late_meta_counts_where_tags_may_not_look_like_tags() -> None:
    late = b"<title>" + b"x" * 1100 + b'</title><meta charset=iso-2022-jp>\x1b$B$"\x1b(B'
    assert read_source(late, "text/html").label in {"iso-2022-jp", "utf-8"}
