"""The cache inside the whole proxy: one kept answer, each visitor's own page."""

from __future__ import annotations

import asyncio
import datetime
import gzip
import http.client
import socket
import threading
import time
import zlib
from http.server import ThreadingHTTPServer
from pathlib import Path

import pytest
from typer.testing import CliRunner

import proxy.responses.page_reader
from consent_rules.config.load import load_config
from proxy.cli.app import app
from proxy.runtime import build_runtime
from tests.support.forwarding import Visit
from tests.support.guarded import guarded
from tests.support.ports import free_ports
from tests.support.processes import LocalOrigin, Process
from tests.support.site import BANNER, HOST, PAGE, Proxied, config_text, proxied, reply
from tests.support.waiting import PATIENCE

pytestmark = pytest.mark.slow

FRESH = "Cache-Control: public, max-age=600"
SIGNED_IN = "session=abc"
TELLS = "[proxy]\ncache_status = true"


def telling(text: str) -> str:
    return text.replace("[proxy]", TELLS, 1)


def lines(site: Proxied) -> list[str]:
    return [exchange.line.split()[1].decode() for exchange in site.asked]


async def test_one_answer_of_the_origin_and_each_visitor_their_own_page(tmp_path: Path) -> None:
    async with proxied(tmp_path, {"": reply(PAGE, FRESH)}) as site:
        analytics = site.cookie("analytics")
        everything = site.cookie("analytics", "advertising", "social", "session_replay")
        for _ in range(2):
            undecided = await site.ask()
            assert undecided.shows() == set() and BANNER in undecided.text
            some = await site.ask(cookie=analytics)
            assert some.shows() == {"google-analytics"} and BANNER not in some.text
            full = await site.ask(cookie=everything)
            assert "?" not in full.shows() and len(full.shows()) >= 3
            framed = await site.ask(
                "/", f"Referer: http://{HOST}/", cookie=everything, dest="iframe"
            )
            assert framed.shows() == full.shows()
            gpc = await site.ask("/", "Sec-GPC: 1")
            assert gpc.shows() == set()
        assert lines(site) == ["/", "/"]  # an origin may obey the signal, too
        for answer in (undecided, some, full):
            assert answer.one("Cache-Control") == "private, no-cache"
            assert not answer.all("Age")


async def test_a_fresh_page_is_neither_hashed_nor_compiled_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with proxied(tmp_path, {"": reply(PAGE, FRESH)}) as site:
        first = await site.ask()

        async def never(*_: object) -> None:
            raise AssertionError("compiled again")

        monkeypatch.setattr(proxy.responses.page_reader, "_compiled", never)
        site.running.pages.clear()
        again = await site.ask()
        assert again.text == first.text
        assert again.one("ETag") == first.one("ETag")
        assert (await site.ask("/", f"If-None-Match: {first.one('ETag')}")).status == 304
        head = await site.ask(method="HEAD")
        assert (head.status, head.body) == (200, b"")
        assert head.one("ETag") == first.one("ETag")
        assert lines(site) == ["/"]


@pytest.mark.parametrize(
    ("path", "headers", "cookie", "body"),
    [
        ("/patients/1", [FRESH], "", PAGE),
        ("/", [FRESH], SIGNED_IN, PAGE),
        ("/", [FRESH, "X-Page-Audience: patient"], "", PAGE),
        (
            "/",
            [FRESH],
            "",
            PAGE.replace(b"<title>", b'<meta name="page-audience" content="patient"><title>'),
        ),
        ("/", [FRESH], "cart=1", PAGE),
        ("/", [FRESH, "Set-Cookie: s=1"], "", PAGE),
        ("/", ["Cache-Control: private, max-age=600"], "", PAGE),
    ],
    ids=["path", "signed in", "header", "meta", "own cookie", "sets a cookie", "private"],
)
async def test_pages_of_one_visitor_are_not_kept(
    tmp_path: Path, path: str, headers: list[str], cookie: str, body: bytes
) -> None:
    async with proxied(tmp_path, {path[1:]: reply(body, *headers)}) as site:
        await site.ask(path, cookie=cookie)
        assert site.running.cache is not None
        assert len(site.running.cache.store) == 0
        await site.ask(path, cookie=cookie)
        assert len(site.asked) == 2


async def test_a_kept_page_is_not_for_who_may_be_signed_in(tmp_path: Path) -> None:
    async with proxied(tmp_path, {"": reply(PAGE, FRESH)}) as site:
        await site.ask()
        for cookie in (SIGNED_IN, "cart=1"):
            await site.ask(cookie=cookie)
            await site.ask(cookie=cookie, dest="")
        assert len(site.asked) == 5
        known = f"{site.cookie('analytics')}; _ga=GA1.1.1; _fbp=fb.1"
        await site.ask(cookie=known)
        assert len(site.asked) == 5


async def test_cache_with_cookies(tmp_path: Path) -> None:
    def change(text: str) -> str:
        return text.replace("[proxy]", "[proxy]\ncache_with_cookies = true", 1)

    async with proxied(tmp_path, {"": reply(PAGE, FRESH)}, change=change) as site:
        await site.ask(cookie="cart=1")
        await site.ask(cookie="cart=2")
        await site.ask()
        assert len(site.asked) == 1
        await site.ask(cookie=SIGNED_IN)  # a patient all the same
        assert len(site.asked) == 2


async def test_no_cache_at_all(tmp_path: Path) -> None:
    def change(text: str) -> str:
        return text.replace("[proxy]", "[proxy]\ncache_bytes = 0", 1)

    async with proxied(tmp_path, {"": reply(PAGE, FRESH)}, change=change) as site:
        await site.ask()
        await site.ask()
        assert len(site.asked) == 2


async def test_a_page_is_asked_about_and_kept(tmp_path: Path) -> None:
    async def origin(visit: Visit) -> None:
        if visit.origin.exchanges[-1].values(b"if-none-match") == [b'"v1"']:
            await visit.send(reply(b"", 'ETag: "v1"', status="304 Not Modified"))
        else:
            await visit.send(reply(PAGE, 'ETag: "v1"'))

    async with proxied(tmp_path, {"": origin}, change=telling) as site:
        first = await site.ask()
        second = await site.ask()
        assert second.text == first.text
        assert "fwd-status=304" in second.one("Cache-Status")
        assert [e.values(b"if-none-match") for e in site.asked] == [[], [b'"v1"']]


async def test_files_are_kept_with_their_headers_held_to_each_decision(tmp_path: Path) -> None:
    link = "Link: <https://www.google-analytics.com/x.js>; rel=preload"
    style = reply(b"a{}" * 400, FRESH, link, "Content-Type: text/css", html=False)
    async with proxied(tmp_path, {"a.css": style}) as site:
        closed = await site.ask("/a.css", dest="style")
        opened = await site.ask("/a.css", dest="style", cookie=site.cookie("analytics"))
        part = await site.ask("/a.css", "Range: bytes=0-2", dest="style", cookie="cart=1")
        assert closed.one("Link") == "" and opened.one("Link") != ""
        assert (part.status, part.body, part.one("Link")) == (206, b"a{}", "")
        assert opened.one("Age") == "0"
        assert len(site.asked) == 1


async def test_part_of_a_document_that_is_kept_lets_nobody_act(tmp_path: Path) -> None:
    image = reply(b"<svg/>" * 10, FRESH, "Content-Type: image/svg+xml", html=False)
    async with proxied(tmp_path, {"a.svg": image}) as site:
        everything = site.cookie("analytics", "advertising", "social", "session_replay")
        whole = await site.ask("/a.svg", cookie=everything)
        part = await site.ask("/a.svg", "Range: bytes=0-5", cookie=everything, dest="")
        assert part.status == 206 and len(site.asked) == 1
        assert "facebook" in whole.policy and "facebook" not in part.policy


@pytest.mark.parametrize("kind", ["image/svg+xml", "application/xhtml+xml"])
@pytest.mark.parametrize("is_whole", [True, False], ids=["whole", "cut off"])
async def test_a_document_in_xml_whose_body_comes_behind_its_head(
    tmp_path: Path, kind: str, is_whole: bool
) -> None:
    document = b'<x><link rel="preconnect" href="https://pixel.example/"/><y/></x>'
    head, _, body = reply(document, FRESH, f"Content-Type: {kind}", html=False).partition(
        b"\r\n\r\n"
    )

    async def slowly(visit: Visit) -> None:
        await visit.send(head + b"\r\n\r\n")
        await asyncio.sleep(0.2)
        await visit.send(body if is_whole else body[:-3])
        if not is_whole:
            visit.writer.transport.abort()

    async with proxied(tmp_path, {"a": slowly}) as site:
        if not is_whole:
            with pytest.raises(ConnectionError):
                await site.ask("/a")
            return
        for _ in range(2):
            answer = await site.ask("/a")
            assert answer.status == 200 and answer.body == b"<x><link/><y/></x>"
        assert len(site.asked) == 1


def _in_chunks(body: bytes, size: int) -> list[bytes]:
    parts = [body[at : at + size] for at in range(0, len(body), size)]
    return [b"%x\r\n%b\r\n" % (len(part), part) for part in parts] + [b"0\r\n\r\n"]


@pytest.mark.parametrize("caching", [FRESH, "Cache-Control: no-store", "ETag: x"])
@pytest.mark.parametrize("coding", ["", "gzip", "deflate"])
@pytest.mark.parametrize("framing", ["length", "chunked", "end of connection"])
async def test_a_document_in_xml_in_many_packets(
    tmp_path: Path, caching: str, coding: str, framing: str
) -> None:
    document = b'<x><link rel="preconnect" href="https://pixel.example/"/>%b</x>' % (b"<y/>" * 300)
    packed = {"": document, "gzip": gzip.compress(document), "deflate": zlib.compress(document)}
    body = packed[coding]
    headers = [caching, "Content-Type: application/xhtml+xml"]
    headers += [f"Content-Encoding: {coding}"] if coding else []
    match framing:
        case "length":
            parts, headers = [body[:7], body[7:40], body[40:]], [
                *headers, f"Content-Length: {len(body)}",
            ]  # fmt: skip
        case "chunked":
            parts, headers = _in_chunks(body, 11), [*headers, "Transfer-Encoding: chunked"]
        case _:
            parts = [body[:1], body[1:50], body[50:]]
    head = "\r\n".join(["HTTP/1.1 200 OK", *headers, "", ""]).encode()

    async def slowly(visit: Visit) -> None:
        for part in (head[:20], head[20:], *parts):
            await visit.send(part)
            await asyncio.sleep(0.002)
        if framing == "end of connection":
            visit.writer.close()

    async with proxied(tmp_path, {"a": slowly}) as site:
        for _ in range(2):
            answer = await site.ask("/a", "Accept-Encoding: gzip, deflate")
            assert answer.status == 200
            assert answer.text == b"<x><link/>%b</x>" % (b"<y/>" * 300)
        assert len(site.asked) == (1 if caching == FRESH else 2)


async def test_redirects_to_the_closed_are_kept_and_stopped(tmp_path: Path) -> None:
    there = "Location: https://www.google-analytics.com/collect"
    pages = {"r": reply(b"", FRESH, there, status="302 Found", html=False)}
    async with proxied(tmp_path, pages) as site:
        for _ in range(2):
            assert (await site.ask("/r", dest="image")).status == 204
        opened = await site.ask("/r", dest="image", cookie=site.cookie("analytics"))
        assert opened.status == 302


async def test_hosts_and_schemes_are_kept_apart(tmp_path: Path) -> None:
    async with proxied(tmp_path, {"": reply(PAGE, FRESH)}) as site:
        await site.ask()
        await site.ask(host="localhost")
        await site.ask("/", "X-Forwarded-Proto: https")
        await site.ask("/", "X-Forwarded-Host: localhost")
        assert len(site.asked) == 4


async def test_a_coded_page_serves_those_who_cannot_undo_it(tmp_path: Path) -> None:
    page = reply(gzip.compress(PAGE), FRESH, "Content-Encoding: gzip", "Vary: Accept-Encoding")
    async with proxied(tmp_path, {"": page}) as site:
        zipped = await site.ask("/", "Accept-Encoding: gzip")
        plain = await site.ask("/")
        assert zipped.text == plain.body
        assert len(site.asked) == 1


async def test_many_at_once_ask_for_a_page_once(tmp_path: Path) -> None:
    async def origin(visit: Visit) -> None:
        await asyncio.sleep(0.2)
        await visit.send(reply(PAGE, FRESH))

    async with proxied(tmp_path, {"": origin}) as site:
        cookies = ["", site.cookie("analytics"), site.cookie("advertising"), site.cookie()]
        answers = await asyncio.gather(*(site.ask(cookie=cookies[n % 4]) for n in range(40)))
        assert len(site.asked) == 1
        expected: list[set[str]] = [set(), {"google-analytics"}, {"meta-pixel"}, set()]
        for number, answer in enumerate(answers):
            assert answer.shows() == expected[number % 4]
            assert (BANNER in answer.text) is (number % 4 == 0)


async def test_a_reload_keeps_what_is_kept_unless_the_sites_change(tmp_path: Path) -> None:
    async with proxied(tmp_path, {"": reply(PAGE, FRESH)}) as site:
        await site.ask()
        now = datetime.datetime.now(datetime.UTC)
        same = build_runtime(site.config, tmp_path, lambda: site.running.keys, site.running)
        assert same.cache is site.running.cache
        port = site.config.sites[0].upstream[0].rpartition(":")[2].rstrip("/")
        text = config_text(int(port)).replace("/patients/*", "/people/*")
        other = build_runtime(
            load_config(text, "c.toml", today=now.date()).config,
            tmp_path,
            lambda: site.running.keys,
            site.running,
        )
        assert other.cache is not None and len(other.cache.store) == 0
        assert other.invalidations is site.running.invalidations


async def test_a_page_is_compiled_anew_after_a_reload(tmp_path: Path) -> None:
    async with proxied(tmp_path, {"": reply(PAGE, FRESH)}) as site:
        await site.ask()
        now = datetime.datetime.now(datetime.UTC)
        port = site.config.sites[0].upstream[0].rpartition(":")[2].rstrip("/")
        vendor = (
            '[[vendor]]\nid="nn"\nname="N"\ncategory="analytics"\nhosts=["nobody-knows.example"]'
        )
        text = config_text(int(port), ("nn",), more=vendor)
        config = load_config(text, "c.toml", today=now.date()).config
        running = build_runtime(config, tmp_path, lambda: site.running.keys, site.running)
        cookie = site.cookie("analytics")
        assert (await site.ask(cookie=cookie)).shows() == {"google-analytics"}
        # The handler asks for the configuration in force at each request.
        for name in running.__slots__:
            object.__setattr__(site.running, name, getattr(running, name))
        assert (await site.ask(cookie=cookie)).shows() == {"?"}
        assert len(site.asked) == 1


def test_purge_reaches_all_workers(tmp_path: Path) -> None:
    asked: list[str] = []

    class Origin(LocalOrigin):
        def do_GET(self) -> None:  # noqa: N802 - the name is the base class's
            asked.append(self.path)
            self.send_response(200)
            self.send_header("Cache-Control", "max-age=600")
            self.send_header("Content-Type", "text/plain")
            self.send_header("Content-Length", "2")
            self.end_headers()
            self.wfile.write(b"hi")

    server = ThreadingHTTPServer(("127.0.0.1", 0), Origin)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    port, admin = free_ports(2)
    config = tmp_path / "c.toml"
    text = config_text(server.server_address[1])
    text = text.replace('listen = "127.0.0.1:0"', f'listen = "127.0.0.1:{port}"\nworkers = 2', 1)
    config.write_text(text.replace("workers", f'admin_listen = "127.0.0.1:{admin}"\nworkers', 1))

    def fetch(path: str, times: int) -> None:
        for _ in range(times):
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
            connection.request("GET", path, headers={"Host": "www.example.com"})
            assert connection.getresponse().read() == b"hi"
            connection.close()

    def fill() -> int:
        before = len(asked)
        for path in ("/a", "/b/1", "/b/2"):
            fetch(path, 12)
        return len(asked) - before

    process = Process(config)
    with guarded(process.process):
        try:
            process.wait_for("listening")
            _until_answering(port)
            fill()
            both = fill()
            assert both <= 2  # each of two workers has nearly surely seen everything
            runner = CliRunner()
            purged = runner.invoke(
                app, ["purge", "http://www.example.com/b/*", "--config", str(config)]
            )
            assert purged.exit_code == 0, purged.output
            assert "purged in all workers" in purged.output
            before = len(asked)
            fill()
            assert set(asked[before:]) == {"/b/1", "/b/2"}
            assert len(asked) - before >= 4  # both workers asked again
            wrong = runner.invoke(app, ["purge", "/b", "--config", str(config)])
            assert wrong.exit_code == 1 and "name a URL with its host" in wrong.output
        finally:
            process.process.terminate()
            process.process.wait(20)
            server.shutdown()


def _until_answering(port: int) -> None:
    end = time.monotonic() + PATIENCE
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            if time.monotonic() > end:
                raise
            time.sleep(0.1)
        else:
            return
