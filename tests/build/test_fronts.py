"""examples/fronts: those that Debian has, with real traffic; the others as far as they are read."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import re
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import pytest
import yaml
from aiohttp.abc import AbstractResolver, ResolveResult

from tests.support.certificates import Issued, issue
from tests.support.fronts import EXAMPLES, FRONTS, started
from tests.support.processes import LocalOrigin, Process, running
from tests.support.tls_client import client_context
from tests.support.waiting import PATIENCE

HOST = "www.example.com"
VISITOR = "127.0.0.2"
"""Whence the tests connect: another address than the front's, which is a trusted proxy."""
RELEASE = threading.Event()
UPLOAD = b"0123456789abcdef" * (5 * 65536)


class Origin(LocalOrigin):
    """A site with pages, a WebSocket, an event stream, uploads, and what it knows of a visitor."""

    def do_GET(self) -> None:  # noqa: N802
        match self.path:
            case "/who":
                names = ("X-Forwarded-For", "X-Forwarded-Proto", "X-Forwarded-Host")
                self._say("|".join(self.headers.get(name, "") for name in names))
            case "/events":
                self._events()
            case "/socket":
                self._echo()
            case _:
                super().do_GET()

    def do_POST(self) -> None:  # noqa: N802
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self._say(hashlib.sha256(body).hexdigest())

    def _say(self, text: str) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/plain")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text.encode())

    def _events(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(b"data: first\n\n")
        self.wfile.flush()
        RELEASE.wait(PATIENCE)
        self.wfile.write(b"data: second\n\n")

    def _echo(self) -> None:
        """RFC 6455: one short text frame, sent back."""
        key = self.headers["Sec-WebSocket-Key"] + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
        accept = base64.b64encode(hashlib.sha1(key.encode()).digest()).decode()
        self.send_response(101)
        self.send_header("Upgrade", "websocket")
        self.send_header("Connection", "Upgrade")
        self.send_header("Sec-WebSocket-Accept", accept)
        self.end_headers()
        head = self.rfile.read(2)
        mask, length = self.rfile.read(4), head[1] & 0x7F
        text = bytes(b ^ mask[i % 4] for i, b in enumerate(self.rfile.read(length)))
        self.wfile.write(bytes((head[0], length)) + text)
        self.wfile.flush()
        self.close_connection = True


@dataclass(frozen=True)
class Served:
    folder: Path
    process: Process
    port: int
    admin: int
    certificate: Issued


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("fronts")
    folder.parent.chmod(0o755)
    folder.chmod(0o755)
    with running(folder, workers=1, origin=Origin) as (process, _, text, port):
        admin = re.search(r'admin_listen = "127.0.0.1:(\d+)"', text)
        assert admin
        yield Served(folder, process, port, int(admin[1]), issue(HOST))
        assert process.stop() == 0
        assert "Traceback" not in process.log


class _Here(AbstractResolver):
    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        return [
            ResolveResult(
                hostname=host, host="127.0.0.1", port=port, family=socket.AF_INET, proto=0, flags=0
            )
        ]

    async def close(self) -> None:
        pass


def visitor() -> aiohttp.ClientSession:
    context = client_context()
    context.set_alpn_protocols(["http/1.1"])
    connector = aiohttp.TCPConnector(
        ssl=context, resolver=_Here(), local_addr=(VISITOR, 0), family=socket.AF_INET
    )
    # What a visitor claims to be, which the front must not pass on.
    claims = {
        "X-Forwarded-For": "198.51.100.9", "X-Forwarded-Proto": "http",
        "X-Forwarded-Host": "evil.example",
    }  # fmt: skip
    return aiohttp.ClientSession(
        connector=connector, headers=claims, timeout=aiohttp.ClientTimeout(PATIENCE)
    )


@pytest.mark.slow
@pytest.mark.parametrize("name", FRONTS)
async def test_in_front(name: str, served: Served) -> None:
    RELEASE.clear()
    with started(
        name, served.folder / name, served.certificate, served.port, served.admin
    ) as front:
        base = f"https://{HOST}:{front.tls}"
        async with visitor() as session:
            await _is_up(session, f"{base}/who")
            async with session.get(f"{base}/who") as reply:
                assert await reply.text() == f"{VISITOR}, 127.0.0.1|https|{HOST}:{front.tls}"
            async with session.get(f"{base}/") as reply:
                assert reply.status == 200
                assert 'id="yc"' in await reply.text()
            async with session.post(
                f"{base}/.consent/choice",
                data={"action": "accept_all"},
                headers={"Sec-Fetch-Site": "same-origin"},
                allow_redirects=False,
            ) as reply:
                assert reply.status == 303, await reply.text()
                cookie = reply.headers["Set-Cookie"]
                assert cookie.startswith("__Host-consent=")
                assert "; Secure" in cookie
            async with session.ws_connect(f"{base}/socket") as ws:
                await ws.send_str("hello")
                assert await ws.receive_str(timeout=PATIENCE) == "hello"
            async with session.get(f"{base}/events") as reply:
                assert await reply.content.readline() == b"data: first\n"
                RELEASE.set()  # the second one is made only now
                assert b"data: second" in await reply.content.read()
            async with session.post(f"{base}/upload", data=UPLOAD) as reply:
                assert await reply.text() == hashlib.sha256(UPLOAD).hexdigest()
            async with session.get(
                f"http://{HOST}:{front.plain}/x?y=1", allow_redirects=False
            ) as reply:
                assert reply.status in {301, 308}
                assert re.fullmatch(rf"https://{HOST}(:\d+)?/x\?y=1", reply.headers["Location"])


async def _is_up(session: aiohttp.ClientSession, url: str) -> None:
    """A front may listen before it knows that the proxy is up."""
    async with asyncio.timeout(PATIENCE):
        while True:
            async with session.get(url) as reply:
                if reply.status != 503:
                    return
            await asyncio.sleep(0.1)


@pytest.mark.parametrize("file", ["nginx.conf", "Caddyfile"])
def test_the_guide_shows_the_same_file(file: str) -> None:
    guide = (EXAMPLES.parents[1] / "docs/install.md").read_text()
    assert f" {file}\n{(EXAMPLES / file).read_text()}```" in guide


def test_traefik_and_envoy_lead_to_the_proxy() -> None:
    traefik = yaml.safe_load((EXAMPLES / "traefik.yaml").read_text())
    (service,) = traefik["http"]["services"].values()
    assert service["loadBalancer"]["servers"] == [{"url": "http://127.0.0.1:8080"}]
    assert [r["service"] for r in traefik["http"]["routers"].values()] == ["consent-proxy"]
    envoy = yaml.safe_load((EXAMPLES / "envoy.yaml").read_text())
    https, _ = envoy["static_resources"]["listeners"]
    (http_filter,) = https["filter_chains"][0]["filters"]
    manager = http_filter["typed_config"]
    assert (manager["use_remote_address"], manager["xff_num_trusted_hops"]) == (True, 0)
    route = manager["route_config"]
    assert "x-forwarded-host" in route["request_headers_to_remove"]
    (cluster,) = envoy["static_resources"]["clusters"]
    assert route["virtual_hosts"][0]["routes"][0]["route"]["cluster"] == cluster["name"]


def test_each_file_is_listed() -> None:
    readme = (EXAMPLES / "README.md").read_text()
    listed = set(re.findall(r"\]\(([^/)]+)\)", readme))
    assert {path.name for path in EXAMPLES.iterdir()} == {"README.md", *listed}
