"""The operator's listener: what each address answers, and that no web page can purge."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from aiohttp.test_utils import TestClient
from pytest_aiohttp import AiohttpClient, AiohttpRawServer

from proxy.observability.admin import make_admin
from proxy.observability.metrics import Metrics
from tests.app.site import HOST, PAGE, Proxied, proxied, reply

TAKEN = {"taken": True, "path": "consent-proxy.toml"}
REFUSED = {"taken": False, "faults": ["line 3: no such key"]}
NO_STORE = "no-store"


@pytest.fixture
async def site(tmp_path: Path) -> Any:
    kept = reply(PAGE, "Cache-Control: public, max-age=600")
    async with proxied(tmp_path, {"": kept, "blog": kept}) as running:
        yield running


@pytest.fixture
async def admin(
    site: Proxied, aiohttp_raw_server: AiohttpRawServer, aiohttp_client: AiohttpClient
) -> TestClient[Any, Any]:
    handler = make_admin(lambda: site.running.cache, Metrics(), lambda: TAKEN)
    return await aiohttp_client(await aiohttp_raw_server(handler))


@pytest.mark.parametrize(
    ("method", "path", "status", "says"),
    [
        ("GET", "/health", 200, "ok\n"),
        ("GET", "/healthz", 200, "ok\n"),
        ("GET", "/readyz", 200, "ok\n"),
        ("HEAD", "/healthz", 200, ""),
        ("POST", "/healthz", 404, "here: /health"),
        ("GET", "/config", 200, '"taken": true'),
        ("GET", "/metrics", 200, "# HELP consent_proxy_"),
        ("DELETE", "/metrics", 404, "here: /health"),
        ("GET", "/", 404, "here: /health, /config, /metrics, /purge"),
        ("GET", "/purge", 405, "purging is a POST"),
        ("POST", "/purge", 400, "name a URL with its host"),
        ("POST", "/purge?url=/page", 400, "name a URL with its host"),
        ("POST", f"/purge?url=http://{HOST}/none", 200, '"entries": 0'),
    ],
)
async def test_what_it_answers(
    method: str, path: str, status: int, says: str, admin: TestClient[Any, Any]
) -> None:
    async with admin.request(method, path) as answer:
        assert answer.status == status
        assert says in await answer.text()


@pytest.mark.parametrize("path", ["/healthz", "/config", "/metrics"])
async def test_nothing_of_it_is_kept(path: str, admin: TestClient[Any, Any]) -> None:
    async with admin.get(path) as answer:
        assert answer.headers["Cache-Control"] == NO_STORE


async def test_a_refused_config_does_not_take_the_proxy_out_of_service(
    site: Proxied, aiohttp_raw_server: AiohttpRawServer, aiohttp_client: AiohttpClient
) -> None:
    handler = make_admin(lambda: site.running.cache, Metrics(), lambda: REFUSED)
    admin: TestClient[Any, Any] = await aiohttp_client(await aiohttp_raw_server(handler))
    async with admin.get("/readyz") as answer:
        assert answer.status == 200
        assert "/config" in await answer.text()
    async with admin.get("/config") as answer:
        assert await answer.json() == REFUSED


@pytest.mark.parametrize(
    ("url", "entries"),
    [
        (f"http://{HOST}/blog", 1),
        (f"{HOST}/blog", 1),
        (HOST, 1),
        (f"{HOST}/*", 2),
        ("*", 2),
        (f"{HOST}/blo", 0),
        ("other.example/*", 0),
    ],
)
async def test_purge_takes_what_the_url_names(
    url: str, entries: int, site: Proxied, admin: TestClient[Any, Any]
) -> None:
    for path in ("/", "/blog"):
        await site.ask(path)
    async with admin.post("/purge", params={"url": url}) as answer:
        assert answer.status == 200
        assert (await answer.json())["entries"] == entries


@pytest.mark.parametrize(
    "headers", [{"Origin": "https://evil.example"}, {"Sec-Fetch-Site": "cross-site"}]
)
async def test_no_web_page_purges(
    headers: dict[str, str], site: Proxied, admin: TestClient[Any, Any]
) -> None:
    await site.ask("/")
    async with admin.post("/purge", params={"url": "*"}, headers=headers) as answer:
        assert answer.status == 403
    async with admin.post("/purge", params={"url": "*"}) as answer:
        assert (await answer.json())["entries"] == 1
