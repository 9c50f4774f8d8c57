"""Answers to a handshake are held to the decision like any other: a 101, a page, an error."""

from __future__ import annotations

import asyncio
import contextlib
import getpass
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.support.forwarding import Visit
from tests.support.guarded import guarded
from tests.support.handshake import HANDSHAKE
from tests.support.nginx import nginx_program
from tests.support.ports import free_port
from tests.support.site import HOST, PAGE, Proxied, Reply, parse, proxied, reply

GA = "https://www.google-analytics.com/a.js"
THEIRS = (
    "Set-Cookie: _ga=1; Path=/",
    "Set-Cookie: mine=1",
    f"Link: <{GA}>; rel=preload; as=script",
    "Link: <https://nobody-knows.example>; rel=preconnect",
    'NEL: {"report_to":"a","max_age":1}',
)


async def switches(visit: Visit) -> None:
    lines = [
        "HTTP/1.1 101 Switching Protocols",
        "Connection: Upgrade",
        "Upgrade: websocket",
        "Sec-WebSocket-Accept: x",
        *THEIRS,
    ]
    await visit.send("\r\n".join(lines).encode() + b"\r\n\r\n")
    await visit.reader.read()


async def upgrade_request(
    site: Proxied, path: str, *headers: str, cookie: str = "", line: str = "GET {} HTTP/1.1"
) -> bytes:
    """What comes back on a connection that is closed once the head is here."""
    lines = [line.format(path), f"Host: {HOST}", *(headers or HANDSHAKE)]
    if cookie:
        lines.append(f"Cookie: {cookie}")
    reader, writer = await asyncio.open_connection("127.0.0.1", site.port, limit=1 << 22)
    try:
        writer.write("\r\n".join(lines).encode() + b"\r\n\r\n")
        async with asyncio.timeout(10):
            head = await reader.readuntil(b"\r\n\r\n")
            length = head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0]
            return head + await reader.readexactly(int(length or 0))
    finally:
        writer.close()


async def test_a_101_is_held_to_the_decision(tmp_path: Path) -> None:
    pages: dict[str, Reply] = {"chat": switches, "patients/chat": switches}
    async with proxied(tmp_path, pages) as site:
        answer = parse(await upgrade_request(site, "/chat"))
        assert answer.status == 101
        assert answer.one("Sec-WebSocket-Accept") == "x"
        assert (answer.one("Connection"), answer.one("Upgrade")) == ("Upgrade", "websocket")
        assert answer.all("Set-Cookie") == ["mine=1"]
        assert answer.all("Link") == answer.all("NEL") == []

        cookie = site.cookie("analytics")
        answer = parse(await upgrade_request(site, "/chat", cookie=cookie))
        assert answer.all("Set-Cookie") == ["_ga=1; Path=/", "mine=1"]
        assert answer.all("Link") == [f"<{GA}>; rel=preload; as=script"]
        answer = parse(await upgrade_request(site, "/patients/chat", cookie=cookie))
        assert answer.all("Set-Cookie") == ["mine=1"]
        assert answer.all("Link") == []


@pytest.mark.parametrize("path", ["/", "/patients/pay"])
async def test_a_page_for_a_handshake_is_gated(tmp_path: Path, path: str) -> None:
    page = reply(PAGE, "Cache-Control: public, max-age=600", *THEIRS)
    async with proxied(tmp_path, {"": page, "patients/pay": page}) as site:
        answer = parse(await upgrade_request(site, path))
        plain = await site.ask(path, dest="")
        assert answer.status == 200
        assert answer.shows() == set()
        assert answer.text == plain.text
        assert answer.policy == plain.policy
        assert answer.one("Cache-Control") == "private, no-cache"
        assert answer.all("Set-Cookie") == ["mine=1"]
        assert answer.all("Link") == []


ODD = {
    "GET": ("GET {} HTTP/1.1", *HANDSHAKE),
    "POST": ("POST {} HTTP/1.1", "Content-Length: 0", *HANDSHAKE),
    "HTTP/1.0": ("GET {} HTTP/1.0", *HANDSHAKE),
    "a body": ("GET {} HTTP/1.1", "Content-Length: 0", *HANDSHAKE),
    "another protocol": ("GET {} HTTP/1.1", "Connection: Upgrade", "Upgrade: foo-websocket/1"),
    "no Connection": ("GET {} HTTP/1.1", "Upgrade: websocket"),
}


@pytest.mark.parametrize("case", ODD)
async def test_an_error_for_a_handshake_has_a_policy(tmp_path: Path, case: str) -> None:
    error = reply(PAGE, *THEIRS, status="403 Forbidden")
    async with proxied(tmp_path, {"chat": error}) as site:
        line, *headers = ODD[case]
        answer = parse(await upgrade_request(site, "/chat", *headers, line=line))
        assert answer.status == 403
        assert answer.shows() == set()
        assert answer.all("Content-Security-Policy")
        assert answer.all("Set-Cookie") == ["mine=1"]


NGINX = """
daemon off; user {user}; pid {folder}/nginx.pid; error_log {folder}/error.log;
events {{}}
http {{
  access_log off; client_body_temp_path {folder}/b; proxy_temp_path {folder}/p;
  fastcgi_temp_path {folder}/f; uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;
  proxy_cache_path {folder}/cache keys_zone=c:1m;
  server {{
    listen 127.0.0.1:{port};
    location / {{
      proxy_pass http://127.0.0.1:{proxy};
      proxy_http_version 1.1;
      proxy_set_header Host $host;
      proxy_set_header Upgrade $http_upgrade;
      proxy_set_header Connection $http_connection;
      proxy_cache c;
      proxy_cache_key $host$request_uri;
      proxy_cache_valid any 0;
      add_header X-Cache $upstream_cache_status always;
    }}
  }}
}}
"""


@contextlib.asynccontextmanager
async def caching_nginx(folder: Path, behind: int) -> AsyncIterator[int]:
    """A real nginx with a shared cache and the usual lines for WebSockets; its port."""
    port = free_port()
    config = folder / "nginx.conf"
    config.write_text(NGINX.format(folder=folder, port=port, proxy=behind, user=getpass.getuser()))
    process = await asyncio.create_subprocess_exec(
        nginx_program(), "-p", str(folder), "-c", str(config), stderr=sys.stderr
    )
    with guarded(process):
        try:
            async with asyncio.timeout(20):
                while True:
                    assert process.returncode is None, (folder / "error.log").read_text()
                    with contextlib.suppress(OSError):
                        _, writer = await asyncio.open_connection("127.0.0.1", port)
                        writer.close()
                        break
                    await asyncio.sleep(0.05)
            yield port
        finally:
            process.terminate()
            await process.wait()


@pytest.mark.slow
@pytest.mark.parametrize("case", ODD)
async def test_no_handshake_leaves_an_ungated_page_in_a_cache_in_front(
    tmp_path: Path, case: str
) -> None:
    """The page may be cached for all by the origin's word: whoever asks first, and however."""
    page = reply(PAGE, "Cache-Control: public, max-age=600")
    async with (
        proxied(tmp_path, {"patients/pay": page}) as site,
        caching_nginx(tmp_path, site.port) as port,
    ):
        front = Proxied(port, site.running, site.config, site.pages)
        line, *headers = ODD[case]
        first = parse(await upgrade_request(front, "/patients/pay", *headers, line=line))
        assert first.status == 200 and first.shows() == set()
        for cookie in ("", site.cookie("analytics", "advertising", "social")):
            later = await front.ask("/patients/pay", cookie=cookie)
            assert later.status == 200
            assert later.shows() == set()
            assert "google" not in later.policy
            assert later.one("X-Cache") in {"MISS", "BYPASS"}
