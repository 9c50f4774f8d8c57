"""Content-Type fields that engines read differently are sent as one that all read alike."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from multidict import CIMultiDict

from proxy.http.media_types import media_type, send_one_type

NOSNIFF = "X-Content-Type-Options"


@pytest.mark.parametrize(
    ("given", "sent"),
    [
        # One that is plain is left as it is, whatever its parameters hold.
        (["text/html"], ["text/html"]),
        (["TEXT/HTML ;charset=UTF-8"], ["TEXT/HTML ;charset=UTF-8"]),
        (['multipart/x; boundary="a,b"'], ['multipart/x; boundary="a,b"']),
        (['text/html; x="a, text/plain"'], ['text/html; x="a, text/plain"']),
        (['text/html; x="a\\", text/plain"'], ['text/html; x="a\\", text/plain"']),
        ([""], [""]),
        ([], []),
        # Of several the last one that is one counts (Fetch Standard, "extract a MIME type").
        (["text/html, text/plain"], ["text/plain"]),
        (["text/plain, text/html"], ["text/html"]),
        (["text/plain", "text/html"], ["text/html"]),
        (["text/html", "text/html"], ["text/html"]),
        (["text/html, */*"], ["text/html"]),
        (["text/html, nonsense"], ["text/html"]),
        (["text/html,"], ["text/html"]),
        ([",text/html"], ["text/html"]),
        (["text/html, charset=utf-8"], ["text/html"]),
        # The charset of an earlier one of the same type stays.
        (["text/html; charset=gbk, text/html"], ["text/html; charset=gbk"]),
        (["text/html; charset=gbk, text/html;charset=big5"], ["text/html; charset=big5"]),
        (["text/html; charset=gbk, text/plain"], ["text/plain"]),
        (["text/html; charset=gbk, x/y, text/html"], ["text/html"]),
        # A quote that nothing ends: where the value ends is read differently.
        (['text/plain; x="a, text/html'], ["text/plain"]),
        (['text/html; x="a, text/plain'], ["text/html"]),
        # None that is one: browsers look at the bytes.
        (["nonsense, more"], []),
    ],
)
def test_one_type_is_sent(given: list[str], sent: list[str]) -> None:
    headers = CIMultiDict([("X-A", "1"), *(("Content-Type", value) for value in given)])
    send_one_type(headers)
    assert headers.getall("Content-Type", []) == sent
    is_changed = given != sent and bool(sent)
    assert headers.getall(NOSNIFF, []) == (["nosniff"] if is_changed else [])


def test_nosniff_is_said_once() -> None:
    headers = CIMultiDict([("Content-Type", "text/html, text/plain"), (NOSNIFF, "nosniff")])
    send_one_type(headers)
    assert headers.getall(NOSNIFF) == ["nosniff"]


@given(st.lists(st.text(alphabet='text/hmlpain,;=*" \\cs', max_size=30), max_size=3))
def test_what_is_sent_is_read_alike_by_all(values: list[str]) -> None:
    headers = CIMultiDict(("Content-Type", value) for value in values)
    send_one_type(headers)
    sent = headers.getall("Content-Type", [])
    assert len(sent) <= 1
    kind = media_type(headers)
    for value in sent:
        # Those that take the first of several read what those do that take the last.
        assert media_type(CIMultiDict({"Content-Type": value.split(";")[0]})) == kind
    again = headers.copy()
    send_one_type(again)
    assert again == headers
