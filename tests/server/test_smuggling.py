"""Nothing that two servers could read differently reaches the origin."""

from __future__ import annotations

import pytest
from yarl import URL

from tests.support.forwarding import proxy
from tests.support.smuggling import Recorder, ambiguity, cases, through

pytestmark = pytest.mark.slow


async def test_what_reaches_the_origin_can_be_read_in_one_way() -> None:
    """Beside nginx, HAProxy and Caddy: `python -m tests.support.smuggling`."""
    async with (
        Recorder().run() as recorder,
        proxy(URL(f"http://127.0.0.1:{recorder.port}")) as front,
    ):
        statuses = await through(front.port)
    assert [(why, one) for one in recorder.connections if (why := ambiguity(one))] == []
    assert sum(statuses.values()) == len(list(cases()))
    assert not {status for status in statuses if status >= "500"} - {"501", "505"}
    # That it was looked at what passes at all.
    assert len(recorder.connections) > 20
    assert any(one.startswith(b"GET /smuggled ") for one in recorder.connections)


HEAD = b"POST /a HTTP/1.1\r\nHost: a\r\n"
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"


@pytest.mark.parametrize(
    ("sent", "why"),
    [
        (b"GET /a HTTP/1.1\r\nHost: a\r\n\r\n", ""),
        (HEAD + b"Content-Length: 2\r\n\r\nab", ""),
        (HEAD + b"Content-Length: 2\r\n\r\na", ""),
        (CHUNKED + b"5;a=b\r\nhello\r\n0\r\nX: y\r\n\r\n", ""),
        (CHUNKED + b"5\r\nhel", ""),
        (CHUNKED + b"5\r\nhello\r\n", ""),
        (HEAD + b"Content-Length: 2\r\n\r\nabc", "behind the body"),
        (b"GET /a HTTP/1.1\r\nHost: a\r\n\r\nGET /b", "behind the body"),
        (CHUNKED + b"0\r\n\r\nGET /b HTTP/1.1\r\n\r\n", "behind the body"),
        (CHUNKED + b"0x5\r\nhello\r\n0\r\n\r\n", "chunk"),
        (CHUNKED + b"5\nhello\r\n0\r\n\r\n", "chunk"),
        (CHUNKED + b"5\r\nhello!\r\n0\r\n\r\n", "chunk"),
        (CHUNKED + b"0\r\nX : y\r\n\r\n", "trailer"),
        (HEAD + b"Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", "length and coding"),
        (HEAD + b"Content-Length: 1\r\nTransfer_Encoding: chunked\r\n\r\n", "length and coding"),
        (HEAD + b"Content-Length: 1\r\nContent-Length: 1\r\n\r\n", "length"),
        (HEAD + b"Content-Length: +1\r\n\r\n", "length"),
        (HEAD + b"Transfer-Encoding: chunked,\r\n\r\n", "coding"),
        (b"POST /a HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", "coding of HTTP/1.0"),
        (b"GET /a HTTP/1.1\r\n\r\n", "Host"),
        (HEAD + b"X : y\r\n\r\n", "field"),
        (HEAD + b"X: a\x00\r\n\r\n", "field"),
        (HEAD + b"X: a\nb: c\r\n\r\n", "field"),
        (b"GET  /a HTTP/1.1\r\nHost: a\r\n\r\n", "request line"),
        (b"GET /a HTTP/1.1\nHost: a\n\n", "head"),
    ],
)
def test_what_is_ambiguous(sent: bytes, why: str) -> None:
    assert ambiguity(sent) == why
