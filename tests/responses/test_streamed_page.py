"""Pages that are large or come slowly, on their way to a visitor while they still come."""

from __future__ import annotations

import asyncio
import gzip
import re
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import brotli
import pytest
import zstandard

from proxy.html import Page
from proxy.html.blocks import compile_by_blocks
from proxy.html.incremental import CompiledChunk, IncrementalCompiler
from proxy.html.turns import SMALL_BYTES
from proxy.http.content_coding import CodingError, decoded
from proxy.http.content_coding_stream import StreamDecoder, StreamEncoder
from proxy.responses import page_reader
from proxy.responses import streamed_page as streamed_page_module
from tests.support.forwarding import Visit
from tests.support.policies import locked
from tests.support.site import BANNER, HOST, HOSTS, PAGE, Reply, parse, proxied, reply
from tests.support.slow_page import REST, START, Slow, visiting
from tests.support.waiting import PATIENCE

pytestmark = pytest.mark.slow
LINK = b'id="yc-l"'


def closes(text: bytes) -> bool:
    return not any(host in text for host in (*HOSTS.values(), b"facebook.com", b"fbq("))


async def test_what_has_come_is_shown_before_the_rest_is_here(tmp_path: Path) -> None:
    slow = Slow()
    async with proxied(tmp_path, {"page": slow}) as site:
        async with visiting(site, "/page") as reader:
            first = await reader.readuntil(b"<p>first</p>")
            assert BANNER in first
            assert b'<script src="/site.js"></script>' in first
            assert closes(first)
            slow.go_on.set()
            rest = await reader.read()
        answer = parse(first + rest)
        assert closes(answer.text)
        assert answer.text.index(LINK) > answer.text.index(b"<p>last</p>")
        assert (answer.text.count(BANNER), answer.text.count(LINK)) == (1, 1)
        assert answer.one("Transfer-Encoding") == "chunked"
        for name in ("Content-Length", "ETag", "Last-Modified"):
            assert answer.all(name) == []
        assert answer.one("Cache-Control") == "private, no-cache"
        again = await site.ask("/page")  # all of it comes at once now
        assert again.one("ETag")
        assert _shown(again.text) == _shown(answer.text)
        assert again.policy == answer.policy


def _shown(text: bytes) -> list[bytes]:
    """The origin's part of a page: what is ours differs in its place and in its paths."""
    text = re.sub(
        rb"(?s)<section id=\"yc\".*?</section>|<section id=\"yc-l\".*?</section>", b"", text
    )
    text = re.sub(rb"(?s)<form id=\"yc-o\".*?</form>|<style>.*?</style>", b"", text)
    text = re.sub(rb"(?s)<script[^>]*>[^<]*</script>", b"", text)
    return text.replace(b"//" + HOST.encode(), b"").split()


@pytest.mark.parametrize("accept", ["gzip", "br", "zstd"])
async def test_each_chunk_can_be_read_at_once(tmp_path: Path, accept: str) -> None:
    undo = StreamDecoder(accept)
    slow = Slow()
    async with proxied(tmp_path, {"page": slow}) as site:
        async with visiting(site, "/page", f"Accept-Encoding: {accept}", version="1.0") as reader:
            head = await reader.readuntil(b"\r\n\r\n")
            assert f"Content-Encoding: {accept}".encode() in head
            shown = b""
            while b"<p>first</p>" not in shown:
                shown += b"".join(undo.feed(await reader.read(65536)))
            assert BANNER in shown
            slow.go_on.set()
            shown += b"".join(undo.feed(await reader.read()))
            undo.end()
        assert shown.rstrip().endswith(b"</html>")
        assert closes(shown)


async def test_a_visitor_of_http_1_0(tmp_path: Path) -> None:
    slow = Slow()
    async with (
        proxied(tmp_path, {"page": slow}) as site,
        visiting(site, "/page", version="1.0") as reader,
    ):
        first = await reader.readuntil(b"<p>first</p>")
        slow.go_on.set()
        answer = parse(first + await reader.read())
    assert answer.one("Transfer-Encoding") == ""
    assert answer.body.endswith(b"</html>")
    assert closes(answer.body)


async def test_what_a_visitor_allowed_is_open(tmp_path: Path) -> None:
    slow = Slow()
    async with proxied(tmp_path, {"page": slow}) as site:
        cookie = f"Cookie: {site.cookie('advertising')}"
        async with visiting(site, "/page", cookie) as reader:
            first = await reader.readuntil(b"<p>first</p>")
            slow.go_on.set()
            text = parse(first + await reader.read()).text
    assert b"connect.facebook.net" in text
    assert b"www.facebook.com/tr" in text
    assert b"fbq('init','1')" in text
    assert b"google-analytics" not in text
    assert BANNER not in text
    assert LINK in text


async def test_the_declaration_stands_in_a_later_piece(tmp_path: Path) -> None:
    slow = Slow(rest=b"<div data-consent-declaration></div>" + REST)
    async with proxied(tmp_path, {"page": slow}) as site:
        async with visiting(site, "/page", version="1.0") as reader:
            await reader.readuntil(b"<p>first</p>")
            slow.go_on.set()
            rest = await reader.read()
        part = rest.partition(b"<div data-consent-declaration>")[2]
        assert b"Hotjar" in part.partition(b"<p>second</p>")[0]


async def test_a_mark_in_the_head_counts_for_all(tmp_path: Path) -> None:
    mark = b'<meta name="page-audience" content="patient">'
    slow = Slow(START.replace(b"<title>", mark + b"<title>"))
    async with proxied(tmp_path, {"page": slow}) as site:
        cookie = f"Cookie: {site.cookie('advertising', 'analytics')}"
        async with visiting(site, "/page", cookie) as reader:
            first = await reader.readuntil(b"<p>first</p>")
            slow.go_on.set()
            answer = parse(first + await reader.read())
    assert closes(answer.text)
    assert locked(answer.policy)
    assert answer.one("Referrer-Policy") == "no-referrer"


async def test_a_mark_that_comes_late(tmp_path: Path) -> None:
    slow = Slow(rest=b'<meta name="page-audience" content="patient">' + REST)
    async with proxied(tmp_path, {"page": slow}) as site:
        cookie = site.cookie("advertising", "analytics")
        async with visiting(site, "/page", f"Cookie: {cookie}") as reader:
            first = await reader.readuntil(b"<p>first</p>")
            slow.go_on.set()
            rest = await reader.read()
        assert not closes(first)
        assert closes(rest)
        # The next one is read as a whole before it is sent.
        slow.go_on.clear()
        asking = asyncio.create_task(site.ask("/page", cookie=cookie))
        await asyncio.sleep(0.4)  # longer than a page is waited for
        assert not asking.done()
        slow.go_on.set()
        answer = await asking
        assert closes(answer.text)
        assert locked(answer.policy)


async def test_a_patient_page_in_a_frame_that_comes_late(tmp_path: Path) -> None:
    rest = b"<p>second</p><iframe src=/patients/pay></iframe>" + REST
    slow = Slow(rest=rest)
    async with proxied(tmp_path, {"page": slow}) as site:
        cookie = site.cookie("advertising")
        async with visiting(site, "/page", f"Cookie: {cookie}", version="1.0") as reader:
            await reader.readuntil(b"<p>first</p>")
            slow.go_on.set()
            shown = await reader.read()
        assert b"<p>second</p>" in shown
        assert b"patients/pay" not in shown
        assert closes(shown)
        answer = await site.ask("/page", cookie=cookie)
        assert b"patients/pay" in answer.text
        assert locked(answer.policy)


async def test_nothing_is_closed_in_observe_mode(tmp_path: Path) -> None:
    slow = Slow()
    async with (
        proxied(tmp_path, {"page": slow}, mode="observe") as site,
        visiting(site, "/page", version="1.0") as reader,
    ):
        first = await reader.readuntil(b"<p>first</p>")
        slow.go_on.set()
        text = parse(first + await reader.read()).body
    assert text.endswith(REST)
    assert b"connect.facebook.net" in text


# --- The shared cache

KEPT = ("Cache-Control: max-age=60", f"Content-Length: {len(START) + len(REST)}")


async def test_all_who_ask_while_it_comes_share_it_and_then_it_is_kept(tmp_path: Path) -> None:
    slow = Slow(START, REST, *KEPT)
    async with proxied(tmp_path, {"page": slow}) as site:
        async with visiting(site, "/page") as one, visiting(site, "/page") as other:
            firsts = [await reader.readuntil(b"<p>first</p>") for reader in (one, other)]
            slow.go_on.set()
            texts = [
                parse(f + await r.read()).text for f, r in zip(firsts, (one, other), strict=True)
            ]
        assert texts[0] == texts[1]
        assert closes(texts[0])
        answer = await site.ask("/page")
        assert answer.one("ETag")
        assert _shown(answer.text) == _shown(texts[0])
        allowed = await site.ask("/page", cookie=site.cookie("advertising"))
        assert b"www.facebook.com/tr" in allowed.text
        assert len(site.asked) == 1


async def test_a_page_that_is_marked_late_is_not_kept(tmp_path: Path) -> None:
    rest = b'<meta name="page-audience" content="patient">' + REST
    headers = ("Cache-Control: max-age=60", f"Content-Length: {len(START) + len(rest)}")
    slow = Slow(START, rest, *headers)
    async with proxied(tmp_path, {"page": slow}) as site:
        async with visiting(site, "/page") as reader:
            await reader.readuntil(b"<p>first</p>")
            slow.go_on.set()
            await reader.read()
        for asked in (2, 3):
            assert locked((await site.ask("/page")).policy)
            assert len(site.asked) == asked


async def test_a_page_that_breaks_off_is_not_kept(tmp_path: Path) -> None:
    async def breaks(visit: Visit) -> None:
        await slow(visit)
        visit.writer.close()

    length = f"Content-Length: {len(START) + len(REST) + 1}"
    slow = Slow(START, REST, "Cache-Control: max-age=60", length)
    async with proxied(tmp_path, {"page": breaks}) as site:
        async with visiting(site, "/page") as reader:
            await reader.readuntil(b"<p>first</p>")
            slow.go_on.set()
            with pytest.raises(ConnectionResetError):
                await reader.read()
        assert (await site.ask("/page")).status == 502


# --- Size


def large(size: int) -> bytes:
    part = b'<p>words</p><img src="https://www.facebook.com/tr?x" width="1" height="1">\n'
    return START + part * (size // len(part)) + REST


@pytest.mark.parametrize(
    ("size", "early", "streamed"),
    [(90_000, 50_000, True), (90_000, 120_000, False), (150_000, 0, False), (250_000, 0, True),
     (600_000, 50_000, True)],
)  # fmt: skip
async def test_large_pages_are_gated(tmp_path: Path, size: int, early: int, streamed: bool) -> None:
    body = large(size)

    def change(text: str) -> str:
        return text.replace("max_page_bytes", f"stream_page_bytes = {early}\nmax_page_bytes")

    async with proxied(tmp_path, {"page": reply(body)}, change=change) as site:
        answer = await site.ask("/page")
    assert (answer.one("ETag") == "") is streamed
    assert closes(answer.text)
    assert answer.text.count(b"<p>words</p>") == body.count(b"<p>words</p>")
    assert b"<p>last</p>" in answer.text
    assert BANNER in answer.text
    assert LINK in answer.text


@pytest.fixture
def compiled_bytes(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The bytes of each chunk that is compiled, while no pause of this machine's cuts a chunk."""
    found: list[int] = []
    take = IncrementalCompiler.take

    def counted(self: IncrementalCompiler, *, last: bool = False) -> CompiledChunk | None:
        chunk = take(self, last=last)
        found.extend([len(chunk.page.body)] if chunk is not None else [])
        return chunk

    monkeypatch.setattr(IncrementalCompiler, "take", counted)
    monkeypatch.setattr(streamed_page_module, "_FLUSH_SECONDS", PATIENCE)
    return found


@pytest.mark.parametrize("coding", ["", "gzip"])
async def test_a_page_that_nobody_may_store_is_compiled_once(
    tmp_path: Path, compiled_bytes: list[int], coding: str
) -> None:
    """It has no validator, and other header fields each time: it is known by its bytes."""
    part = (
        b"<p>" + b"words " * 500 + b'<img src="https://www.facebook.com/tr?x" width="1" height="1">'
    )
    plain = START + part * 300 + REST
    sent = 0

    async def send(visit: Visit) -> None:
        nonlocal sent
        sent += 1
        fields = ("Cache-Control: no-store", f"X-Served: {sent}", f"Set-Cookie: visit={sent}")
        body = gzip.compress(plain, mtime=sent) if coding else plain
        coded = (f"Content-Encoding: {coding}",) if coding else ()
        await visit.send(reply(body, *fields, *coded))

    async with proxied(tmp_path, {"page": send}) as site:
        first = await site.ask("/page")
        assert sum(compiled_bytes) == len(plain)
        compiled_bytes.clear()
        again = await site.ask("/page")
        allowed = await site.ask("/page", cookie=site.cookie("advertising"))
        assert compiled_bytes == []
        assert again.text == first.text
        assert closes(again.text)
        assert b"www.facebook.com/tr" in allowed.text
        assert BANNER not in allowed.text
        assert (first.one("X-Served"), again.one("X-Served")) == ("1", "2")
        # Another end: what is before it is still known.
        plain = plain.replace(b"<p>last</p>", b"<img src=https://connect.facebook.net/new>")
        changed = await site.ask("/page")
        assert 0 < sum(compiled_bytes) < len(plain) / 2
        assert closes(changed.text)
        assert sent == 4


async def test_an_element_larger_than_all_that_is_held(tmp_path: Path) -> None:
    huge = START + b"<svg><text>" + b"word <tspan>x</tspan> " * 60_000 + b"</text></svg>" + REST
    async with proxied(tmp_path, {"page": reply(huge)}) as site:
        answer = await site.ask("/page")
    assert closes(answer.text)
    assert BANNER in answer.text
    assert answer.text.count(b"word x ") > 50_000
    assert b"<p>last</p>" in answer.text


async def test_a_page_without_a_place_to_begin(tmp_path: Path) -> None:
    huge = b"<!doctype html><title>" + b"x" * 900_000 + b"</title><p>text" + REST
    async with proxied(tmp_path, {"page": reply(huge)}) as site:
        answer = await site.ask("/page", cookie=site.cookie("advertising"))
    assert locked(answer.policy)
    assert closes(answer.text)
    assert b"<p>text" in answer.text


CODINGS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": lambda body: gzip.compress(body[:9000]) + gzip.compress(body[9000:]),
    "deflate": zlib.compress,
    "deflate ": lambda body: zlib.compress(body, wbits=-15),
    "br": brotli.compress,
    "zstd": lambda body: zstandard.compress(body[:9000]) + zstandard.compress(body[9000:]),
    "gzip, br": lambda body: brotli.compress(gzip.compress(body)),
}


@pytest.mark.parametrize("coding", CODINGS)
async def test_coded_pages_are_gated(tmp_path: Path, coding: str) -> None:
    plain = large(600_000)
    page = reply(CODINGS[coding](plain), f"Content-Encoding: {coding}")
    async with proxied(tmp_path, {"page": page}) as site:
        answer = await site.ask("/page", "Accept-Encoding: gzip")
    assert closes(answer.text)
    assert answer.text.count(b"<p>words</p>") == plain.count(b"<p>words</p>")


@pytest.mark.parametrize("coding", CODINGS)
def test_codings_are_undone_whatever_the_chunks(coding: str) -> None:
    plain = large(20_000) + bytes(2_000_000)
    body = CODINGS[coding](plain)
    for size in (1, 7, 1000, len(body)):
        undo = StreamDecoder(coding)
        parts = [p for part in _chunks(body, size) for p in undo.feed(part)]
        undo.end()
        assert b"".join(parts) == plain
        assert max(map(len, parts)) < 12_000_000
    undo = StreamDecoder(coding)
    with pytest.raises(CodingError):
        for part in _chunks(body[:-3], 500):
            list(undo.feed(part))
        undo.end()


@pytest.mark.parametrize("coding", ["gzip", "br", "zstd", ""])
def test_codings_are_done_chunk_by_chunk(coding: str) -> None:
    plain = large(50_000)
    do, undo = StreamEncoder(coding), StreamDecoder(coding)
    coded = b""
    for part in _chunks(plain, 3000):
        chunk = do.chunk(part)
        coded += chunk
        assert b"".join(undo.feed(chunk)) == part
    coded += do.end()
    assert decoded(coded, coding, len(plain)) == plain


def _chunks(body: bytes, size: int) -> Iterator[bytes]:
    return (body[at : at + size] for at in range(0, len(body), size))


# --- Faults


async def test_a_page_that_breaks_off_while_it_is_sent(tmp_path: Path) -> None:
    async def breaks(visit: Visit) -> None:
        await slow(visit)
        visit.writer.close()

    length = f"Content-Length: {len(START) + len(REST) + 1}"
    slow = Slow(START, REST, length)
    coded = gzip.compress(large(500_000))
    cut = reply(coded[:-20], "Content-Encoding: gzip")
    async with proxied(tmp_path, {"page": breaks, "coded": cut}) as site:
        for version in ("1.0", "1.1"):
            slow.go_on.clear()
            async with visiting(site, "/page", version=version) as reader:
                await reader.readuntil(b"<p>first</p>")
                slow.go_on.set()
                with pytest.raises(ConnectionResetError):
                    await reader.read()
        async with visiting(site, "/coded") as reader:
            with pytest.raises(ConnectionResetError):
                await reader.read()


ENDLESS = ("Cache-Control: no-store", "Transfer-Encoding: chunked")


def _chunk(data: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(data), data)


async def test_a_visitor_who_leaves_ends_it(tmp_path: Path) -> None:
    lost = asyncio.Event()

    async def endless(visit: Visit) -> None:
        try:
            await visit.send(reply(b"", *ENDLESS) + _chunk(START))
            while True:
                await visit.send(_chunk(b"<p>more</p>" * 5000))
        except ConnectionError:
            lost.set()
            raise

    async with proxied(tmp_path, {"page": endless}) as site:
        async with visiting(site, "/page") as reader:
            await reader.readuntil(b"<p>more</p>")
        async with asyncio.timeout(PATIENCE):
            await lost.wait()


async def test_a_slow_visitor_slows_the_origin(tmp_path: Path) -> None:
    sent = 0

    async def endless(visit: Visit) -> None:
        nonlocal sent
        await visit.send(reply(b"", *ENDLESS) + _chunk(START))
        while True:
            await visit.send(_chunk(b"<p>more words of it</p>" * 5000))
            sent += 115_000

    async with proxied(tmp_path, {"page": endless}) as site, visiting(site, "/page") as reader:
        await reader.readuntil(b"<p>more")
        before = -1
        while sent != before:  # until nobody takes any more
            before = sent
            await asyncio.sleep(0.3)
        assert sent < 40_000_000


async def test_head_asks_for_no_page(tmp_path: Path) -> None:
    async with proxied(tmp_path, {"page": reply(large(600_000))}) as site:
        answer = await site.ask("/page", method="HEAD")
    assert answer.status == 200
    assert answer.body == b""


@pytest.mark.parametrize("size", [60_000, 400_000])
async def test_large_pages_leave_others_their_turns(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    """One is compiled in each turn of the event loop, however many wait: whoever asks for something
    small waits for one in each of his turns, not for all.
    """
    turn = 0
    compiled: list[int] = []
    chunk, whole = IncrementalCompiler.take, compile_by_blocks

    def take(self: IncrementalCompiler, *, last: bool = False) -> CompiledChunk | None:
        compiled.extend([turn] if self.held > SMALL_BYTES else [])
        return chunk(self, last=last)

    def compiling(*arguments: object) -> Page:
        compiled.append(turn)
        return whole(*arguments)  # type: ignore[arg-type]

    async def count() -> None:
        nonlocal turn
        while True:
            turn += 1
            await asyncio.sleep(0)

    monkeypatch.setattr(IncrementalCompiler, "take", take)
    monkeypatch.setattr(page_reader, "compile_by_blocks", compiling)
    filler = b"<p>Some text, and <a href=/a>a link</a>.</p>\n"
    page = PAGE.replace(b"<p>Fin", filler * (size // len(filler)) + b"<p>Fin")
    # Another body each: what is equal is compiled once.
    pages: dict[str, Reply] = {
        f"page-{n}": reply(page.replace(b"<p>Some", b"<p id=n%d>Some" % n)) for n in range(6)
    }
    async with proxied(tmp_path, pages) as site:
        counting = asyncio.create_task(count())
        answers = await asyncio.gather(*(site.ask(f"/{name}") for name in pages))
        counting.cancel()
    assert all(closes(answer.text) for answer in answers)
    assert len(compiled) >= len(pages)
    assert max(Counter(compiled).values()) == 1
