"""The log names kinds of failures, never what a page or a header said."""

from __future__ import annotations

import logging
import re
from pathlib import Path

import pytest

from proxy.upstream.errors import failure_kind
from tests.app.site import HOST, Reply, proxied
from tests.forwarding.harness import Visit, get

SECRET = b"Patient Erika Mustermann owes 120 dollars. " * 20
PAGE = b"<!doctype html><p>" + SECRET


def head(*lines: bytes, status: bytes = b"200 OK") -> bytes:
    return b"\r\n".join([b"HTTP/1.1 " + status, *lines]) + b"\r\n\r\n"


HTML = b"Content-Type: text/html"
TEXT = b"Content-Type: text/plain"
CHUNKED = b"Transfer-Encoding: chunked"
# method, what the origin answers to it, and to the next request on the same connection
CASES: dict[str, tuple[bytes, bytes]] = {
    "length too small": (b"GET", head(HTML, b"Content-Length: 20") + PAGE),
    "length too small, closed": (
        b"GET", head(HTML, b"Content-Length: 20", b"Connection: close") + PAGE,
    ),
    "length too small, a file": (b"GET", head(TEXT, b"Content-Length: 20") + PAGE),
    "length too large": (b"GET", head(HTML, b"Content-Length: 9999") + PAGE),
    "length too large, a file": (b"GET", head(TEXT, b"Content-Length: 9999") + PAGE),
    "HEAD with a body": (b"HEAD", head(HTML, b"Content-Length: %d" % len(PAGE)) + PAGE),
    "HEAD with a body, closed": (
        b"HEAD", head(HTML, b"Content-Length: 5", b"Connection: close") + PAGE,
    ),
    "204 with a body": (b"GET", head(status=b"204 No Content") + PAGE),
    "304 with a body": (b"GET", head(status=b"304 Not Modified") + PAGE),
    "no chunks": (b"GET", head(HTML, CHUNKED) + PAGE),
    "no chunks, a file": (b"GET", head(TEXT, CHUNKED) + PAGE),
    "a chunk of another size": (b"GET", head(HTML, CHUNKED) + b"5\r\n" + PAGE),
    "no head": (b"GET", PAGE),
    "a header field without a name": (b"GET", head(HTML, b": " + SECRET)),
    "a bare line": (b"GET", head(HTML, SECRET)),
    "a control character": (b"GET", head(HTML, b"X-A: \x01" + SECRET)),
    "a header cut off": (b"GET", b"HTTP/1.1 200 OK\r\nSet-Cookie: " + SECRET),
    "a status line": (b"GET", b"HTTP/1.1 " + SECRET + b"\r\n\r\n"),
    "a long line": (b"GET", head(HTML, b"X-A: " + SECRET * 200)),
    "no gzip": (b"GET", head(HTML, b"Content-Encoding: gzip", b"Content-Length: 900") + PAGE),
    "no such charset": (
        b"GET", head(HTML + b"; charset=x-none", b"Content-Length: %d" % len(PAGE)) + PAGE,
    ),
    "no UTF-16": (
        b"GET", head(HTML + b"; charset=utf-16", b"Content-Length: %d" % (len(PAGE) | 1)) + PAGE,
    ),
    "no XML": (
        b"GET",
        head(b"Content-Type: application/xhtml+xml", b"Content-Length: %d" % len(PAGE)) + PAGE,
    ),
}  # fmt: skip


STAYS = {"length too small", "length too small, a file", "HEAD with a body", "204 with a body"}


@pytest.mark.parametrize("cached", [True, False], ids=["cache", "no cache"])
@pytest.mark.parametrize("case", CASES)
async def test_nothing_of_a_broken_answer_is_logged(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, case: str, cached: bool
) -> None:
    caplog.set_level(logging.DEBUG)
    method, answer = CASES[case]

    async def broken(visit: Visit) -> None:
        await visit.send(answer)
        if case not in STAYS:
            raise ConnectionResetError("an origin that hangs up")

    def change(text: str) -> str:
        return text if cached else text.replace("[proxy]\n", "[proxy]\ncache_bytes = 0\n", 1)

    pages: dict[str, Reply] = {"x": broken}
    async with proxied(tmp_path, pages, change=change) as site:
        for _ in range(2):  # what came too much is found on the next request
            try:
                await site.raw(get(b"/x", method=method).replace(b"www.example.com", HOST.encode()))
            except ConnectionError:
                continue
    assert "Mustermann" not in caplog.text
    assert "dollars" not in caplog.text


async def test_nothing_of_a_visitors_body_is_logged(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    request = get(b"/x", b"Transfer-Encoding: chunked", method=b"POST")
    async with proxied(tmp_path) as site:
        for body in (b"5\r\nabcde\r\n" + SECRET, b"3\r\n" + SECRET, SECRET):
            await site.raw(request + body)
    assert "Mustermann" not in caplog.text


def test_a_failure_is_named_by_its_kind() -> None:
    assert failure_kind(ValueError("Erika")) == "ValueError"
    assert failure_kind(OSError(111, "Connection refused")) == "Connection refused"
    assert failure_kind(ConnectionResetError("Erika")) == "ConnectionResetError"


def test_one_root_for_all_loggers() -> None:
    """`consent_proxy.<area>`: the area is the folder, or the file where there is none."""
    for path in sorted(Path("proxy").rglob("*.py")):
        area = path.parts[1].removesuffix(".py")
        for name in re.findall(r'getLogger\("(.*?)"\)', path.read_text("utf-8")):
            assert name in {f"consent_proxy.{area}", "watchfiles"}, path
