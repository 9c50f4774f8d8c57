"""The operator's listener: what each address answers, and that no web page can purge."""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientSession, UnixConnector, web
from aiohttp.test_utils import TestClient
from pytest_aiohttp import AiohttpClient, AiohttpRawServer

from consent_rules.config.load import load_config
from consent_rules.receipts.checkpoints import read_checkpoint
from consent_rules.receipts.merkle import leaf_hash, root_of
from proxy.observability.admin import admin_host_names, is_admin_host, make_admin
from proxy.observability.metrics import Metrics
from proxy.receipts.place import StorePlace
from proxy.receipts.recorder import Recorder
from tests.support.receipt_logs import NOTICE, ORIGIN, receipt
from tests.support.site import HOST, PAGE, Proxied, config_text, proxied, reply

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
        ("POST", "/healthz", 404, "here: /healthz"),
        ("GET", "/config", 200, '"taken": true'),
        ("GET", "/metrics", 200, "# HELP consent_proxy_"),
        ("DELETE", "/metrics", 404, "here: /healthz"),
        ("GET", "/", 404, "here: /healthz, /readyz, /config, /metrics, POST /purge\n"),
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


async def test_what_it_says_is_there_is_there(
    tmp_path: Path,
    site: Proxied,
    aiohttp_raw_server: AiohttpRawServer,
    aiohttp_client: AiohttpClient,
) -> None:
    async def dashboard(_: Any) -> web.Response:
        return web.Response(text="dashboard")

    recorder = Recorder(StorePlace(tmp_path / "receipts.db", tmp_path / "receipts.pem", ORIGIN))
    try:
        handler = make_admin(
            lambda: site.running.cache,
            Metrics(),
            lambda: TAKEN,
            receipts=lambda: recorder,
            dashboard=dashboard,
        )
        admin: TestClient[Any, Any] = await aiohttp_client(await aiohttp_raw_server(handler))
        for path in ("/nothing", "/log"):
            async with admin.get(path) as answer:
                assert answer.status == 404
                said = (await answer.text()).strip().removeprefix("here: ").split(", ")
        assert {"/healthz", "/log/checkpoint", "/dashboard/"} < set(said)
        for one in said:
            method, _, path = one.rpartition(" ")
            async with admin.request(method or "GET", path) as answer:
                assert answer.status != 404, one
    finally:
        await recorder.close()


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


# --- Whose name it is asked by: a page could point a name of its own at it (DNS rebinding)


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("127.0.0.1", 200),
        ("127.0.0.1:8081", 200),
        ("10.1.2.3:8081", 200),
        ("[::1]:8081", 200),
        ("localhost:8081", 200),
        ("LOCALHOST.", 200),
        ("consent-proxy:8081", 200),
        ("metrics.example.com", 200),
        ("Metrics.Example.COM.:8081", 200),
        ("admin.example.com:8081", 200),
        ("evil.example", 421),
        ("evil.example:8081", 421),
        ("metrics.example.com.evil.example", 421),
        ("127.0.0.1.evil.example", 421),
        ("1.2.3.4.5", 421),
        ("a" * 2000 + ".example", 421),
        ("[::1", 421),
        ("a b", 421),
    ],
)
@pytest.mark.parametrize(
    ("method", "path"), [("GET", "/config"), ("GET", "/metrics"), ("POST", "/purge?url=*")]
)
async def test_only_names_that_are_its_own(
    host: str,
    status: int,
    method: str,
    path: str,
    site: Proxied,
    aiohttp_raw_server: AiohttpRawServer,
    aiohttp_client: AiohttpClient,
) -> None:
    names = frozenset({"metrics.example.com", "admin.example.com"})
    handler = make_admin(lambda: site.running.cache, Metrics(), lambda: TAKEN, lambda: names)
    admin: TestClient[Any, Any] = await aiohttp_client(await aiohttp_raw_server(handler))
    await site.ask("/")
    async with admin.request(method, path, headers={"Host": host}) as answer:
        assert answer.status == status
        text = await answer.text()
    if status == 421:
        assert "admin_hosts" in text
        assert "taken" not in text
        assert len(site.running.cache.store) == 1  # type: ignore[union-attr]


def test_a_client_without_a_host_is_no_browser() -> None:
    assert is_admin_host("", frozenset())


async def test_a_unix_socket_goes_by_any_name(site: Proxied, tmp_path: Path) -> None:
    handler = make_admin(lambda: site.running.cache, Metrics(), lambda: TAKEN)
    runner = web.ServerRunner(web.Server(handler))
    await runner.setup()
    try:
        await web.UnixSite(runner, str(tmp_path / "s")).start()
        connector = UnixConnector(str(tmp_path / "s"))
        async with (
            ClientSession(connector=connector) as session,
            session.get("http://admin.example/config") as answer,
        ):
            assert answer.status == 200
    finally:
        await runner.cleanup()


@pytest.mark.parametrize(
    ("listen", "hosts", "names"),
    [
        ("127.0.0.1:8081", "", {"127.0.0.1"}),
        ("[::1]:8081", "", {"::1"}),
        ("admin.internal:8081", 'admin_hosts = ["Metrics.Example.com"]',
         {"admin.internal", "metrics.example.com"}),
    ],
)  # fmt: skip
def test_its_own_names(listen: str, hosts: str, names: set[str]) -> None:
    text = config_text(1).replace("[proxy]\n", f'[proxy]\nadmin_listen = "{listen}"\n{hosts}\n', 1)
    config = load_config(text, "c.toml", today=datetime.date(2026, 1, 1)).config
    assert admin_host_names(config.proxy.admin_listen, config.proxy.admin_hosts) == names


async def test_the_log_of_receipts(
    tmp_path: Path, aiohttp_raw_server: AiohttpRawServer, aiohttp_client: AiohttpClient
) -> None:
    """Tiles and entries, from which anybody computes the root that the checkpoint signs."""
    place = StorePlace(tmp_path / "receipts.db", tmp_path / "receipts.pem", ORIGIN)
    recorder = Recorder(place)
    made = [(receipt(number), NOTICE) for number in range(260)]
    await recorder.call(lambda store: store.append(made))
    handler = make_admin(lambda: None, Metrics(), receipts=lambda: recorder)
    client: TestClient[Any, Any] = await aiohttp_client(await aiohttp_raw_server(handler))

    async def get(path: str) -> tuple[int, bytes]:
        async with client.get(f"/log/{path}") as answer:
            return answer.status, await answer.read()

    checkpoint = read_checkpoint((await get("checkpoint"))[1].decode())
    assert checkpoint.size == 260
    full, rest = (await get("tile/0/000"))[1], (await get("tile/0/001.p/4"))[1]
    hashes = [data[i : i + 32] for data in (full, rest) for i in range(0, len(data), 32)]
    assert root_of(hashes) == checkpoint.root
    assert (await get("tile/1/000.p/1"))[1] == root_of(hashes[:256])
    bundle = (await get("tile/entries/001.p/4"))[1]
    entries = []
    while bundle:
        size = int.from_bytes(bundle[:2])
        entries.append(bundle[2 : 2 + size])
        bundle = bundle[2 + size :]
    assert [leaf_hash(one) for one in entries] == hashes[256:]
    for missing in ("tile/0/001", "tile/0/001.p/5", "tile/2/000.p/1", "tile/0/1", "x", ""):
        assert (await get(missing))[0] == 404
    await recorder.close()


async def test_without_receipts_no_log(admin: TestClient[Any, Any]) -> None:
    for path in ("/log/checkpoint", "/log/tile/0/000"):
        async with admin.get(path) as answer:
            assert answer.status == 404
