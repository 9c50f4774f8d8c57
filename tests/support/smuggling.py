"""Requests that two servers in a row could read differently, and what of them reaches an origin.

    python -m tests.support.smuggling

sends them through nginx, Caddy and HAProxy as well, and prints what each lets through that
an origin may read in two ways. The figures of docs/http.md are from there.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import subprocess
import tempfile
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from yarl import URL

from tests.support.forwarding import proxy
from tests.support.fronts import front_program
from tests.support.guarded import guarded
from tests.support.nginx import nginx_program
from tests.support.ports import free_ports
from tests.support.waiting import PATIENCE

HOST = b"Host: a.example\r\n"
SMUGGLED = b"GET /smuggled HTTP/1.1\r\nHost: a.example\r\n\r\n"
_QUIET = 0.25
"""Seconds without a byte after which the origin has got all that there is of a request."""
_ANSWER = 6.0


def _post(*fields: bytes, body: bytes = SMUGGLED) -> bytes:
    return (
        b"POST /a HTTP/1.1\r\n" + HOST + b"".join(one + b"\r\n" for one in fields) + b"\r\n" + body
    )


def _chunked(body: bytes) -> bytes:
    return _post(b"Transfer-Encoding: chunked", body=body)


_LENGTHS = (
    b"+5", b"-0", b"0x5", b"5, 5", b"5,5", b"5 5", b"5\x0b", b"5\xa0", b"\xef\xbc\x95", b"5;",
    b"5.0",
    b"1e1", b"", b'"5"', b"0_5", b"99999999999999999999", b"5\r\n 5", b"\r\n 5",
)  # fmt: skip
_CODINGS = (
    b"\x0bchunked", b"chunked\x0b", b"chunked\x00", b"\xa0chunked", b'"chunked"', b"chunked;q=1",
    b"x, chunked", b"chunked, chunked", b"chunked,", b",chunked", b"identity", b"xchunked",
    b"chunk",
    b"gzip, chunked", b"chunked, gzip", b"chunked, identity", b"identity, chunked", b"\r\n chunked",
    b"x\r\n chunked", b"", b"chunked chunked", b"chunked\tx", b"CHUNKED, x", b"chunked\r\nX: y",
)  # fmt: skip
_NAMES = (
    b"Transfer-Encoding :", b"Transfer-Encoding\t:", b" Transfer-Encoding:",
    b"\tTransfer-Encoding:",
    b"Transfer\tEncoding:", b"Transfer Encoding:", b"Transfer-Encoding\x00:",
    b"Transfer-Encoding\x0b:",
    b"Transfer_Encoding:", b"Transfer-Enc\xf6ding:", b"X: y\nTransfer-Encoding:",
    b"X: y\rTransfer-Encoding:", b"X: y\r\rTransfer-Encoding:", b"X\r\nTransfer-Encoding:",
    b":", b"(X):",
    b"X Y:", b"\x7fX:", b"X[0]:",
)  # fmt: skip
_SIZES = (
    b"0x5", b" 5", b"5 ", b"5\t", b"+5", b"-5", b"5_0", b"05", b"5;", b"5;a=b", b"5;a=\x00",
    b"5;\n",
    b"5;a=b\n", b"5\x0b", b"5\xa0", b"fffffffffffffffff", b"10000000000000005", b"", b"g", b"5 ;a",
)  # fmt: skip
_LINES = (
    b"GET  /a HTTP/1.1", b"GET /a  HTTP/1.1", b"GET\t/a\tHTTP/1.1", b" GET /a HTTP/1.1",
    b"GET /a HTTP/1.1 ",
    b"GET /a HTTP/1.1\x00", b"GET /a b HTTP/1.1", b"GET /a\x0bb HTTP/1.1", b"GET /a\x00 HTTP/1.1",
    b"GET /a HTTP/1.10", b"GET /a HTTP/01.1", b"GET /a http/1.1", b"GET /a HTTP/1.1\r",
    b"G\x01T /a HTTP/1.1",
    b"GET /a HTTP/1", b"GET /a HTTP/1.1 x", b"GET a HTTP/1.1", b"GET //b.example/a HTTP/1.1",
    b"GET http://b.example/a HTTP/1.1", b"GET http:/a HTTP/1.1", b"GET /a#b HTTP/1.1",
    b"GET /\x7f HTTP/1.1",
    b"GET /a?\x01 HTTP/1.1", b"get /a HTTP/1.1", b"GET /a HTTP/1.2", b"GET /a HTTP/0.9",
)  # fmt: skip
_HEADS = {
    "bare LF": b"GET /a HTTP/1.1\nHost: a.example\n\n",
    "bare LF in the end": b"GET /a HTTP/1.1\r\n" + HOST + b"\n",
    "bare LF after a field": b"GET /a HTTP/1.1\r\nHost: a.example\nX: y\r\n\r\n",
    "CR only": b"GET /a HTTP/1.1\rHost: a.example\r\r",
    "CR CR LF": b"GET /a HTTP/1.1\r\nHost: a.example\r\r\n\r\n",
    "CR in a value": b"GET /a HTTP/1.1\r\n" + HOST + b"X: a\rb\r\n\r\n",
    "NUL in a value": b"GET /a HTTP/1.1\r\n" + HOST + b"X: a\x00b\r\n\r\n",
    "control in a value": b"GET /a HTTP/1.1\r\n" + HOST + b"X: a\x08b\r\n\r\n",
    "folded": b"GET /a HTTP/1.1\r\n" + HOST + b"X: a\r\n b\r\n\r\n",
    "folded first": b"GET /a HTTP/1.1\r\n X: a\r\n" + HOST + b"\r\n",
    "a line without a colon": b"GET /a HTTP/1.1\r\n" + HOST + b"nonsense\r\n\r\n",
    "no Host": b"GET /a HTTP/1.1\r\n\r\n",
    "two Hosts": b"GET /a HTTP/1.1\r\n" + HOST + b"Host: b.example\r\n\r\n",
    "the same Host twice": b"GET /a HTTP/1.1\r\n" + HOST * 2 + b"\r\n",
    "Host in a list": b"GET /a HTTP/1.1\r\nHost: a.example, b.example\r\n\r\n",
    "Host with a user": b"GET /a HTTP/1.1\r\nHost: x@a.example\r\n\r\n",
    "Host with a path": b"GET /a HTTP/1.1\r\nHost: a.example/x\r\n\r\n",
    "Host with a blank": b"GET /a HTTP/1.1\r\nHost: a.example b\r\n\r\n",
    "Host nominated": b"GET /a HTTP/1.1\r\n" + HOST + b"Connection: Host\r\n\r\n",
    "length nominated": _post(b"Content-Length: 5", b"Connection: Content-Length", body=b"hello"),
    "coding nominated": _post(
        b"Transfer-Encoding: chunked", b"Connection: Transfer-Encoding", body=b"0\r\n\r\n"
    ),
    "GET with a body": b"GET /a HTTP/1.1\r\n" + HOST + b"Content-Length: 5\r\n\r\nhello",
    "HEAD with a body": b"HEAD /a HTTP/1.1\r\n" + HOST + b"Content-Length: 5\r\n\r\nhello",
    "h2c": b"GET /a HTTP/1.1\r\n" + HOST
           + b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n"
           b"HTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA\r\n\r\n",
    "WebSocket with a body": b"GET /a HTTP/1.1\r\n" + HOST
           + b"Connection: Upgrade\r\nUpgrade: websocket\r\n"
           b"Content-Length: 47\r\n\r\n" + SMUGGLED,
    "expects 100": _post(b"Content-Length: 5", b"Expect: 100-continue", body=b"hello"),
    "expects something": _post(b"Content-Length: 5", b"Expect: 100-continue, x", body=b"hello"),
    "two lengths": _post(b"Content-Length: 5", b"Content-Length: 6", body=b"hello!"),
    "two equal lengths": _post(b"Content-Length: 5", b"Content-Length: 5", body=b"hello"),
    "Content_Length": _post(b"Content_Length: 5", body=b""),
    "length and coding": _post(b"Content-Length: 4", b"Transfer-Encoding: chunked",
                               body=b"0\r\n\r\n" + SMUGGLED),
    "coding and length": _post(b"Transfer-Encoding: chunked", b"Content-Length: 4",
                               body=b"0\r\n\r\n" + SMUGGLED),
    "coding twice": _post(b"Transfer-Encoding: chunked", b"Transfer-Encoding: chunked",
                          body=b"0\r\n\r\n"),
    "coding, then none": _post(b"Transfer-Encoding: chunked", b"Transfer-Encoding: identity",
                               body=b"0\r\n\r\n"),
    "coding in HTTP/1.0": b"POST /a HTTP/1.0\r\n" + HOST
                          + b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "both in HTTP/1.0": b"POST /a HTTP/1.0\r\n" + HOST + b"Content-Length: 5\r\n"
                        b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "no CRLF after a chunk": _chunked(b"5\r\nhello0\r\n\r\n"),
    "more than a chunk": _chunked(b"5\r\nhello!\r\n0\r\n\r\n"),
    "LF after a chunk": _chunked(b"5\r\nhello\n0\r\n\r\n"),
    "LF after a size": _chunked(b"5\nhello\r\n0\r\n\r\n"),
    "LF at the end": _chunked(b"5\r\nhello\r\n0\n\n"),
    "00": _chunked(b"5\r\nhello\r\n00\r\n\r\n"),
    "a trailer": _chunked(b"0\r\nX: y\r\n\r\n"),
    "a trailer that frames": _chunked(b"0\r\nContent-Length: 5\r\nTransfer-Encoding: x\r\n\r\n"),
    "a trailer with a blank": _chunked(b"0\r\nX : y\r\n\r\n"),
    "a trailer with LF": _chunked(b"0\r\nX: y\n\r\n"),
    "a folded trailer": _chunked(b"0\r\nX: y\r\n z\r\n\r\n"),
}  # fmt: skip


def cases() -> Iterator[tuple[str, bytes]]:
    """What they are about, and their bytes, a request of its own behind each."""
    for name, request in _HEADS.items():
        yield name, request + SMUGGLED
    for line in _LINES:
        yield repr(line)[2:-1], line + b"\r\n" + HOST + b"\r\n" + SMUGGLED
    for length in _LENGTHS:
        yield f"length {length!r}", _post(b"Content-Length: " + length, body=b"hello" + SMUGGLED)
    for coding in _CODINGS:
        field = b"Transfer-Encoding: " + coding
        yield f"coding {coding!r}", _post(field, body=b"0\r\n\r\n" + SMUGGLED)
        with_length = _post(field, b"Content-Length: 5", body=b"0\r\n\r\n" + SMUGGLED)
        yield f"coding {coding!r} and a length", with_length
    for field in _NAMES:
        with_length = _post(field + b" chunked", b"Content-Length: 5", body=b"0\r\n\r\n" + SMUGGLED)
        yield f"field {field!r} and a length", with_length
    for size in _SIZES:
        yield f"size {size!r}", _chunked(size + b"\r\nhello\r\n0\r\n\r\n" + SMUGGLED)


_LINE = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+ [!-\xff]+ HTTP/1\.[01]")
_FIELD = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([^\x00-\x08\x0a-\x1f\x7f]*)")
_CHUNK = re.compile(rb"([0-9A-Fa-f]{1,15})(?:;[^\x00-\x08\x0a-\x1f\x7f]*)?\r\n")


def ambiguity(sent: bytes) -> str:
    """Why two servers could read the bytes of one connection differently; "" where they are one
    request of RFC 9112 without a liberty, or a beginning of one.
    """
    head, end, body = sent.partition(b"\r\n\r\n")
    if not end:
        return "" if _is_clean(sent) else "head"
    line, *lines = head.split(b"\r\n")
    if not _LINE.fullmatch(line):
        return "request line"
    fields: dict[bytes, list[bytes]] = {}
    for one in lines:
        found = _FIELD.fullmatch(one)
        if found is None:
            return "field"
        fields.setdefault(found[1].lower().replace(b"_", b"-"), []).append(found[2].strip(b" \t"))
    if len(fields.get(b"host", ())) != 1 and not (line.endswith(b"1.0") and b"host" not in fields):
        return "Host"
    lengths, codings = fields.get(b"content-length", []), fields.get(b"transfer-encoding", [])
    if lengths and codings:
        return "length and coding"
    if len(lengths) > 1 or not all(re.fullmatch(rb"\d{1,18}", one) for one in lengths):
        return "length"
    if len(codings) > 1 or not all(one.lower() == b"chunked" for one in codings):
        return "coding"
    if codings:
        return "coding of HTTP/1.0" if line.endswith(b"1.0") else _ambiguous_chunks(body)
    return "behind the body" if len(body) > (int(lengths[0]) if lengths else 0) else ""


def _is_clean(head: bytes) -> bool:
    return not re.search(rb"[^\r]\n|\r(?!\n|\Z)|\x00", head)


def _ambiguous_chunks(body: bytes) -> str:
    while body:
        found = _CHUNK.match(body)
        if found is None:
            return "" if re.fullmatch(rb"[0-9A-Fa-f]{1,15}\r?", body) else "chunk"
        size, body = int(found[1], 16), body[found.end() :]
        if not size:
            return _ambiguous_trailers(body)
        if body[size : size + 2] not in (b"\r\n", b"\r", b""):
            return "chunk"
        body = body[size + 2 :]
    return ""


def _ambiguous_trailers(rest: bytes) -> str:
    if rest.startswith(b"\r\n"):
        return "behind the body" if rest[2:] else ""
    trailers, end, behind = rest.partition(b"\r\n\r\n")
    lines = trailers.split(b"\r\n")
    if not end:
        lines.pop()  # the beginning of one
    if not all(map(_FIELD.fullmatch, lines)):
        return "trailer"
    return "behind the body" if behind else ""


@dataclass
class Recorder:
    """An origin that answers whatever it gets, once a connection, and keeps the bytes."""

    port: int = 0
    connections: list[bytes] = field(default_factory=list)

    @contextlib.asynccontextmanager
    async def run(self) -> AsyncIterator[Recorder]:
        async def take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            got = b""
            with contextlib.suppress(TimeoutError, ConnectionError):
                while data := await asyncio.wait_for(
                    reader.read(65536), _QUIET if got else PATIENCE
                ):
                    got += data
            self.connections.append(got)
            with contextlib.suppress(ConnectionError):
                writer.write(
                    b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n"
                    b"Connection: close\r\n\r\nok"
                )
                await writer.drain()
            writer.close()

        server = await asyncio.start_server(take, "127.0.0.1", 0, backlog=512)
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield self
        finally:
            server.close()


async def send(port: int, request: bytes) -> bytes:
    """What comes back, until nothing more does: a second request is answered after the first."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    got = b""
    try:
        writer.write(request)
        with contextlib.suppress(TimeoutError, ConnectionError):
            while data := await asyncio.wait_for(
                reader.read(65536), _QUIET * 3 if got else _ANSWER
            ):
                got += data
        return got
    finally:
        writer.close()


async def through(port: int) -> Counter[str]:
    """Send each case to a server at `port`; the statuses of the first responses, "" for none."""
    some = asyncio.Semaphore(30)

    async def one(request: bytes) -> str:
        async with some:
            answer = await send(port, request)
        return answer[9:12].decode("latin-1") if answer.startswith(b"HTTP/") else ""

    return Counter(await asyncio.gather(*(one(request) for _, request in cases())))


_PEERS = {
    "nginx": "worker_processes 1; daemon off; pid {folder}/pid; error_log {folder}/log;\n"
             "events {{}}\nhttp {{ access_log off; {temporary}\n"
             "server {{ listen 127.0.0.1:{port}; location / {{ proxy_pass http://127.0.0.1:{origin};"
             ' proxy_http_version 1.1; proxy_set_header Connection "";'
             " proxy_set_header Host $host; }} }} }}",
    "haproxy": "defaults\n  mode http\n  timeout connect 5s\n  timeout client 5s\n"
               "  timeout server 5s\n"
               "frontend f\n  bind 127.0.0.1:{port}\n  default_backend b\n"
               "backend b\n  server s 127.0.0.1:{origin}\n",
    "caddy": "{{\n admin off\n auto_https off\n}}\nhttp://:{port} {{\n bind 127.0.0.1\n"
             " reverse_proxy 127.0.0.1:{origin}\n}}\n",
}  # fmt: skip


@contextlib.asynccontextmanager
async def _peer(name: str, origin: int) -> AsyncIterator[int]:
    (port,) = free_ports(1)
    with tempfile.TemporaryDirectory() as text:
        folder = Path(text)
        folder.chmod(0o755)  # noqa: ASYNC240
        temporary = "".join(
            f"{kind}_temp_path {folder}/{kind};"
            for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        )
        config = folder / "config"
        config.write_text(
            _PEERS[name].format(folder=folder, port=port, origin=origin, temporary=temporary)
        )
        command = {
            "nginx": lambda: [nginx_program(), "-c", str(config), "-p", text],
            "haproxy": lambda: [front_program("haproxy"), "-f", str(config), "-db"],
            "caddy": lambda: [front_program("caddy"), "run", "--config", str(config), "--adapter",
                              "caddyfile"],
        }[name]()  # fmt: skip
        quiet = subprocess.DEVNULL
        process = subprocess.Popen(command, stdout=quiet, stderr=quiet)  # noqa: ASYNC220
        with guarded(process):
            try:
                for _ in range(100):
                    await asyncio.sleep(0.1)
                    with contextlib.suppress(OSError):
                        (await asyncio.open_connection("127.0.0.1", port))[1].close()
                        break
                yield port
            finally:
                process.terminate()
                process.wait(PATIENCE)


async def _compare() -> None:
    for name in ("consent-proxy", *_PEERS):
        async with Recorder().run() as recorder:
            if name == "consent-proxy":
                async with proxy(URL(f"http://127.0.0.1:{recorder.port}")) as front:
                    statuses = await through(front.port)
            else:
                async with _peer(name, recorder.port) as port:
                    statuses = await through(port)
        found = [(why, one) for one in recorder.connections if (why := ambiguity(one))]
        kinds = Counter(why for why, _ in found)
        total, reached = sum(statuses.values()), len(recorder.connections)
        print(f"{name}: {total} requests, {dict(statuses)}; {reached} reached the origin,")
        print(f"  {len(found)} of them ambiguous: {dict(kinds)}")
        for why, one in found:
            print(f"    {why}: {one[:160]!r}")


if __name__ == "__main__":
    asyncio.run(_compare())
