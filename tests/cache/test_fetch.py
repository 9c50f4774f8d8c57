"""Requests through the cache, over real sockets."""

from __future__ import annotations

import asyncio
import contextlib
import os
from typing import Any

import pytest
from aiohttp import web

import proxy.responses.page_reader
from proxy.html import Page
from proxy.html.blocks import compile_by_blocks
from tests.support.cache_bench import Answer, bench, says, until
from tests.support.forwarding import client
from tests.support.waiting import PATIENCE


async def test_a_second_visitor_asks_nobody() -> None:
    async with bench(says(Cache_Control="max-age=60", X_A="1")) as b:
        first = await b.get("/a")
        second = await b.get("/a")
        assert first[2] == second[2] == b"hello"
        assert len(b.origin.asked) == 1
        assert second[1]["Age"] == "0" and second[1]["X-A"] == "1"
        assert second[1]["Date"] == first[1]["Date"]
        assert "hit" in second[1]["Cache-Status"]
        assert "fwd=miss" in first[1]["Cache-Status"] and "stored" in first[1]["Cache-Status"]


async def test_other_urls_hosts_and_queries_are_others() -> None:
    async with bench(says(Cache_Control="max-age=60")) as b:
        for path in ("/a", "/a?x", "/A", "//a"):
            await b.get(path)
        await b.get("/a", Host="other.example")
        assert len(b.origin.asked) == 5


async def test_age_grows_and_then_the_upstream_is_asked() -> None:
    async with bench(says(Cache_Control="max-age=60")) as b:
        await b.get()
        b.later(30)
        assert int((await b.get())[1]["Age"]) >= 30
        b.later(31)
        await b.get()
        assert len(b.origin.asked) == 2


async def test_a_stale_answer_is_validated_and_lives_on() -> None:
    async with bench(says(Cache_Control="max-age=60", ETag='"a"', X_New="1")) as b:
        await b.get()
        b.later(61)
        status, headers, body = await b.get()
        assert (status, body) == (200, b"hello")
        assert b.origin.asked[1]["If-None-Match"] == '"a"'
        assert headers["Age"] == "0"
        await b.get()
        assert len(b.origin.asked) == 2


async def test_a_validated_answer_takes_the_new_fields() -> None:
    async def answer(request: web.Request) -> web.StreamResponse:
        if "If-None-Match" in request.headers:
            fields = {"ETag": '"a"', "X-Say": "new", "Set-Cookie": "s=1"}
            return web.Response(
                status=304, headers={**fields, "Cache-Control": "public, max-age=99"}
            )
        fields = {"ETag": '"a"', "X-Say": "old", "X-Stay": "1", "Cache-Control": "max-age=1"}
        return web.Response(body=b"hello", headers=fields)

    async with bench(answer) as b:
        await b.get()
        b.later(2)
        validated = (await b.get())[1]
        kept = (await b.get())[1]
        assert validated["X-Say"] == kept["X-Say"] == "new"
        assert kept["X-Stay"] == "1"
        # The cookie is for the one who asked.
        assert validated["Set-Cookie"] == "s=1"
        assert "Set-Cookie" not in kept
        b.later(50)
        await b.get()
        assert len(b.origin.asked) == 2


async def test_a_validation_that_turns_private_ends_it() -> None:
    async def answer(request: web.Request) -> web.StreamResponse:
        if "If-None-Match" in request.headers:
            return web.Response(status=304, headers={"Cache-Control": "private"})
        return web.Response(body=b"hello", headers={"ETag": '"a"', "Cache-Control": "max-age=1"})

    async with bench(answer) as b:
        await b.get()
        b.later(2)
        assert (await b.get())[2] == b"hello"
        assert len(b.cache.store) == 0


async def test_set_cookie_reaches_one_visitor_only() -> None:
    async with bench(says(Cache_Control="public, max-age=60", Set_Cookie="lb=1")) as b:
        assert "Set-Cookie" in (await b.get())[1]
        assert "Set-Cookie" not in (await b.get())[1]
    async with bench(says(Cache_Control="max-age=60", Set_Cookie="s=1")) as b:
        await b.get()
        await b.get()
        assert len(b.origin.asked) == 2


async def test_ranges_and_conditions_from_what_is_kept() -> None:
    body = b"0123456789"
    async with bench(says(body, Cache_Control="max-age=60", ETag='"a"')) as b:
        await b.get()
        status, headers, part = await b.get(Range="bytes=2-4")
        assert (status, part, headers["Content-Range"]) == (206, b"234", "bytes 2-4/10")
        status, headers, part = await b.get(Range="bytes=20-")
        assert (status, part, headers["Content-Range"]) == (416, b"", "bytes */10")
        assert (await b.get(Range="bytes=0-0,2-2"))[::2] == (200, body)
        status, headers, part = await b.get(If_None_Match='W/"a"')
        assert (status, part, headers["ETag"]) == (304, b"", '"a"')
        assert "Content-Type" not in headers
        status, headers, part = await b.get(method="HEAD")
        assert (status, part, headers["Content-Length"]) == (200, b"", "10")
        assert len(b.origin.asked) == 1


async def test_a_range_of_what_is_not_here_goes_to_the_upstream() -> None:
    async def answer(request: web.Request) -> web.StreamResponse:
        assert request.headers["Range"] == "bytes=0-1"
        headers = {"Cache-Control": "max-age=60", "Content-Range": "bytes 0-1/5"}
        return web.Response(status=206, body=b"he", headers=headers)

    async with bench(answer) as b:
        assert (await b.get(Range="bytes=0-1"))[::2] == (206, b"he")
        assert (await b.get(Range="bytes=0-1"))[::2] == (206, b"he")
        assert len(b.origin.asked) == 2 and len(b.cache.store) == 0


async def test_only_if_cached() -> None:
    async with bench(says(Cache_Control="max-age=60")) as b:
        assert (await b.get(Cache_Control="only-if-cached"))[0] == 504
        assert not b.origin.asked
        await b.get()
        assert (await b.get(Cache_Control="only-if-cached"))[0] == 200


@pytest.mark.parametrize(
    "name", ["X-HTTP-Method-Override", "If-Match", "If-Unmodified-Since", "X-Method-Override"]
)
async def test_requests_that_are_not_what_they_seem_pass_by(name: str) -> None:
    async with bench(says(Cache_Control="max-age=60")) as b:
        await b.get(**{name: "POST"})
        assert len(b.cache.store) == 0
        await b.get()
        await b.get(**{name: "POST"})
        assert len(b.origin.asked) == 3


async def test_a_get_with_a_body_passes_by() -> None:
    async with bench(says(Cache_Control="max-age=60")) as b:
        async with b.session.get(b.base, data=b"x") as response:
            await response.read()
        assert len(b.cache.store) == 0


async def test_unsafe_methods_invalidate() -> None:
    async with bench(says(Cache_Control="max-age=60", Location="/b")) as b:
        for path in ("/a", "/b", "/c"):
            await b.get(path)
        await b.get("/a", method="POST")
        for path in ("/a", "/b", "/c"):
            await b.get(path)
        assert b.origin.lines[3:] == ["POST /a", "GET /a", "GET /b"]


async def test_a_failed_unsafe_method_invalidates_nothing() -> None:
    async def answer(request: web.Request) -> web.StreamResponse:
        status = 200 if request.method == "GET" else 500
        return web.Response(status=status, body=b"x", headers={"Cache-Control": "max-age=60"})

    async with bench(answer) as b:
        await b.get()
        await b.get(method="DELETE")
        await b.get()
        assert b.origin.lines == ["GET /", "DELETE /"]


async def test_an_answer_under_way_is_not_kept_past_an_invalidation() -> None:
    go = asyncio.Event()

    async def answer(request: web.Request) -> web.StreamResponse:
        if request.method == "GET":
            await go.wait()
        return web.Response(body=b"old", headers={"Cache-Control": "max-age=60"})

    async with bench(answer) as b:
        reading = asyncio.create_task(b.get())
        await until(lambda: len(b.origin.lines) == 1)
        await b.get(method="POST")
        go.set()
        await reading
        assert len(b.cache.store) == 0


async def test_head_tells_of_changes() -> None:
    fields = {"ETag": '"a"', "Cache-Control": "max-age=60"}

    async def answer(request: web.Request) -> web.StreamResponse:
        return web.Response(body=b"hello", headers=dict(fields))

    async with bench(answer) as b:
        await b.get()
        b.later(61)
        await b.get(method="HEAD")
        await b.get()
        assert b.origin.lines == ["GET /", "HEAD /"]  # the same: fresh again
        b.later(61)
        fields["ETag"] = '"b"'
        await b.get(method="HEAD")
        assert len(b.cache.store) == 0


async def test_stale_while_revalidate_waits_for_nobody() -> None:
    count = 0
    go = asyncio.Event()

    async def answer(request: web.Request) -> web.StreamResponse:
        nonlocal count
        count += 1
        body = b"%d" % count
        if count > 1:
            await go.wait()
        cache = "max-age=1, stale-while-revalidate=60"
        return web.Response(body=body, headers={"Cache-Control": cache})

    async with bench(answer) as b:
        await b.get()
        b.later(2)
        answers = await asyncio.wait_for(asyncio.gather(*(b.get() for _ in range(10))), PATIENCE)
        assert [body for _, _, body in answers] == [b"1"] * 10
        go.set()
        await until(lambda: not len(b.cache.flights))
        assert count == 2
        assert (await b.get())[2] == b"2"


async def test_stale_if_error() -> None:
    failing = False

    async def answer(request: web.Request) -> web.StreamResponse:
        if failing:
            return web.Response(status=503, body=b"down")
        headers = {"Cache-Control": "max-age=1, stale-if-error=60"}
        return web.Response(body=b"good", headers=headers)

    async with bench(answer) as b:
        await b.get()
        b.later(2)
        failing = True
        assert (await b.get())[::2] == (200, b"good")
        b.later(100)
        assert (await b.get())[::2] == (503, b"down")


@pytest.mark.parametrize(
    ("cache_control", "status"),
    [("max-age=1", 200), ("max-age=1, must-revalidate", 502), ("s-maxage=1", 502)],
)
async def test_an_upstream_that_is_gone(cache_control: str, status: int) -> None:
    async with bench(says(Cache_Control=cache_control)) as b:
        await b.get()
        b.later(2)
        b.origin.down = True
        assert (await b.get())[0] == status


async def test_many_ask_at_once_and_one_asks_the_upstream() -> None:
    body = os.urandom(100_000)
    async with bench(says(body, pause=0.1, Cache_Control="max-age=60")) as b:
        answers = await asyncio.gather(*(b.get() for _ in range(50)))
        assert {a[0] for a in answers} == {200}
        assert all(a[2] == body for a in answers)
        assert len(b.origin.asked) == 1


async def test_what_cannot_be_kept_is_waited_for_once() -> None:
    together = asyncio.Event()
    at_once = 0

    async def answer(request: web.Request) -> web.StreamResponse:
        nonlocal at_once
        if request.path == "/all":
            at_once += 1
            if at_once == 20:
                together.set()
            await together.wait()
        return web.Response(body=b"hello", headers={"Cache-Control": "no-store"})

    async with bench(answer) as b:
        answers = await asyncio.gather(*(b.get() for _ in range(20)))
        assert all(a[2] == b"hello" for a in answers)
        assert len(b.origin.asked) == 20
        # From the second time on nobody waits for another: the origin sees all of them at once.
        together.set()
        await b.get("/all")
        together.clear()
        at_once = 0
        await asyncio.wait_for(asyncio.gather(*(b.get("/all") for _ in range(20))), PATIENCE)


async def test_what_could_not_be_kept_is_noticed_when_it_can() -> None:
    cache = "no-store"

    async def answer(request: web.Request) -> web.StreamResponse:
        return web.Response(body=b"x", headers={"Cache-Control": cache})

    async with bench(answer) as b:
        await b.get()
        cache = "max-age=60"
        await b.get()
        await b.get()
        await b.get()
        assert len(b.origin.asked) == 3


async def test_those_who_wait_for_another_variant_ask_for_their_own() -> None:
    async def answer(request: web.Request) -> web.StreamResponse:
        await asyncio.sleep(0.1)
        headers = {"Cache-Control": "max-age=60", "Vary": "X-Kind"}
        return web.Response(text=request.headers["X-Kind"], headers=headers)

    async with bench(answer) as b:
        kinds = [str(n % 3) for n in range(12)]
        answers = await asyncio.gather(*(b.get(X_Kind=kind) for kind in kinds))
        assert [a[2].decode() for a in answers] == kinds
        before = len(b.origin.asked)
        again = await asyncio.gather(*(b.get(X_Kind=kind) for kind in kinds))
        assert [a[2].decode() for a in again] == kinds
        assert len(b.origin.asked) == before


async def test_the_first_visitor_leaves_and_the_others_are_served() -> None:
    async with bench(says(b"x" * 1000, pause=0.3, Cache_Control="max-age=60")) as b:
        async with client(b.port) as first:
            await first.send(b"GET / HTTP/1.1\r\nHost: %s\r\n\r\n" % b.base[7:].encode())
            await until(lambda: len(b.origin.asked) == 1)
            others = [asyncio.create_task(b.get()) for _ in range(5)]
            await asyncio.sleep(0.05)
        answers = await asyncio.gather(*others)
        assert all(a[2] == b"x" * 1000 for a in answers)
        assert len(b.origin.asked) == 1


async def test_one_who_waits_leaves_and_nothing_happens() -> None:
    async with bench(says(pause=0.3, Cache_Control="max-age=60")) as b:
        first = asyncio.create_task(b.get())
        await until(lambda: len(b.origin.asked) == 1)
        second = asyncio.create_task(b.get())
        await asyncio.sleep(0.05)
        second.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await second
        assert (await first)[2] == b"hello"
        assert (await b.get())[2] == b"hello"
        assert len(b.origin.asked) == 1


async def test_an_error_is_shared_by_those_who_waited() -> None:
    async with bench(says(pause=0.1, Cache_Control="max-age=60")) as b:
        b.origin.down = True
        answers = await asyncio.gather(*(b.get() for _ in range(10)))
        assert {a[0] for a in answers} == {502}
        assert len(b.origin.asked) < 10


def slowly(*chunks: bytes, length: bool = True, breaks: bool = False, gap: float = 0.1) -> Answer:
    async def answer(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Cache-Control": "max-age=60"})
        if length:
            response.content_length = sum(map(len, chunks))
        await response.prepare(request)
        for number, chunk in enumerate(chunks):
            if number:
                await asyncio.sleep(gap)
            if breaks and number == len(chunks) - 1:
                assert request.transport is not None
                request.transport.abort()
                return response
            await response.write(chunk)
        await response.write_eof()
        return response

    return answer


@pytest.mark.parametrize("length", [True, False])
async def test_a_body_streams_while_it_is_kept(length: bool) -> None:
    go = asyncio.Event()

    async def answer(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Cache-Control": "max-age=60"})
        if length:
            response.content_length = 2000
        await response.prepare(request)
        await response.write(b"a" * 1000)
        await go.wait()
        await response.write(b"b" * 1000)
        await response.write_eof()
        return response

    async with bench(answer) as b:
        async with b.session.get(b.base) as response:
            async with asyncio.timeout(PATIENCE):
                first = await response.content.readexactly(1000)
            go.set()
            rest = await response.content.read()
        assert first + rest == b"a" * 1000 + b"b" * 1000
        await until(lambda: len(b.cache.store) == 1)
        assert (await b.get())[2] == first + rest
        assert len(b.origin.asked) == 1
        assert b.cache.store.in_flight == 0


@pytest.mark.parametrize("length", [True, False])
async def test_those_who_come_later_get_the_whole_body(length: bool) -> None:
    body = b"a" * 1000 + b"b" * 1000 + b"c" * 1000
    async with bench(slowly(body[:1000], body[1000:2000], body[2000:], length=length)) as b:
        first = asyncio.create_task(b.get())
        await asyncio.sleep(0.15)
        later = await asyncio.gather(*(b.get() for _ in range(5)))
        assert all(a[2] == body for a in later)
        assert (await first)[2] == body
        assert len(b.origin.asked) == 1


@pytest.mark.parametrize("length", [True, False])
async def test_a_body_that_breaks_off_is_not_kept(length: bool) -> None:
    async with bench(slowly(b"a" * 1000, b"b" * 1000, length=length, breaks=True)) as b:
        with pytest.raises(Exception, match=r"payload|reset|closed|Disconnected|not completed"):
            await b.get()
        await until(lambda: not len(b.cache.flights))
        assert len(b.cache.store) == 0
        assert b.cache.store.in_flight == 0


async def test_a_slow_visitor_does_not_slow_the_others() -> None:
    body = os.urandom(200_000)
    answer = slowly(body[:100_000], body[100_000:], gap=0.05)
    async with bench(answer) as b, client(b.port, receive_buffer=4096) as slow:
        await slow.send(b"GET / HTTP/1.1\r\nHost: %s\r\n\r\n" % b.base[7:].encode())
        await until(lambda: len(b.origin.asked) == 1)
        # `slow` reads nothing at all; it was the first.
        answers = await asyncio.wait_for(asyncio.gather(*(b.get() for _ in range(3))), PATIENCE)
        assert all(a[2] == body for a in answers)
        assert len(b.origin.asked) == 1


@pytest.mark.parametrize("length", [True, False])
async def test_a_large_body_passes_by_in_bounded_memory(length: bool) -> None:
    chunk = os.urandom(100_000)
    async with bench(slowly(*([chunk] * 20), length=length, gap=0)) as b:
        assert b.cache.store.largest < 2_000_000
        answers = await asyncio.gather(*(b.get() for _ in range(3)))
        assert all(a[2] == chunk * 20 for a in answers)
        assert len(b.cache.store) == 0 and b.cache.store.in_flight == 0


async def test_pages_are_compiled_once_and_stored_with_what_was_made_of_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    compiled: list[bytes] = []

    def counted(body: bytes, *rest: Any) -> Page:
        compiled.append(body)
        return compile_by_blocks(body, *rest)

    monkeypatch.setattr(proxy.responses.page_reader, "compile_by_blocks", counted)
    answer = says(b"<p>hi", Cache_Control="max-age=60", Content_Type="text/html")
    async with bench(answer) as b:
        await asyncio.gather(*(b.get() for _ in range(5)))
        assert compiled == [b"<p>hi"]
        (entry,) = b.cache.store._entries.values()
        assert entry.compiled is not None and entry.compiled.page.body == b"<p>hi"
        assert entry.is_page


async def test_pages_are_not_for_those_who_are_signed_in() -> None:
    answer = says(b"<p>hi", Cache_Control="public, max-age=60", Content_Type="text/html")
    async with bench(answer) as b:
        await b.get(Cookie="session=1")
        assert len(b.cache.store) == 0
        await b.get()
        await b.get(Cookie="session=1")
        assert len(b.origin.asked) == 3
        await b.get()
        assert len(b.origin.asked) == 3


async def test_files_are_for_those_who_are_signed_in_too() -> None:
    async with bench(says(Cache_Control="max-age=60", Content_Type="text/css")) as b:
        await b.get(Cookie="session=1")
        await b.get(Cookie="session=2")
        await b.get()
        assert len(b.origin.asked) == 1


async def test_vary_cookie_keeps_nothing_of_those_who_have_one() -> None:
    async with bench(says(Cache_Control="max-age=60", Vary="Cookie")) as b:
        await b.get(Cookie="a=1")
        assert len(b.cache.store) == 0
        await b.get()
        await b.get()
        await b.get(Cookie="a=1")
        assert len(b.origin.asked) == 3


async def test_what_the_origin_marks_as_a_patients_is_not_kept() -> None:
    async with bench(says(Cache_Control="max-age=60", X_Page_Audience="patient")) as b:
        await b.get()
        assert len(b.cache.store) == 0


async def test_a_refusal_of_the_origin_throws_out_what_was_kept() -> None:
    gone = False

    async def answer(request: web.Request) -> web.StreamResponse:
        if gone:
            return web.Response(status=404, headers={"Cache-Control": "no-store"})
        headers = {"Cache-Control": "max-age=1, stale-while-revalidate=100"}
        return web.Response(body=b"x", headers=headers)

    async with bench(answer) as b:
        await b.get()
        gone = True
        b.later(2)
        assert (await b.get())[0] == 200
        await until(lambda: not len(b.cache.flights))
        assert (await b.get())[0] == 404


async def test_no_cache_is_validated_for_each_visitor() -> None:
    async with bench(says(Cache_Control="no-cache", ETag='"a"')) as b:
        await b.get()
        answers = await asyncio.gather(*(b.get() for _ in range(5)))
        assert all(a[::2] == (200, b"hello") for a in answers)
        assert len(b.origin.asked) == 6
        assert (await b.get(If_None_Match='"a"'))[0] == 304


CSS: dict[str, Any] = {"Content_Type": "text/css"}


async def test_head_of_one_with_a_cookie_teaches_nobody() -> None:
    async def answer(request: web.Request) -> web.StreamResponse:
        fields = {"ETag": '"a"', "Cache-Control": "max-age=60", "Content-Type": "text/css"}
        if "Cookie" in request.headers:
            fields |= {"X-User": "alice", "ETag": '"a"' if request.path == "/same" else '"hers"'}
        return web.Response(body=b"hello", headers=fields)

    async with bench(answer) as b:
        for path in ("/same", "/other"):
            await b.get(path)
            b.later(61)
            await b.get(path, method="HEAD", Cookie="sid=alice")
            assert len(b.cache.store) >= 1
            assert "X-User" not in (await b.get(path))[1]


async def test_what_was_fetched_with_a_cookie_is_not_validated_for_others() -> None:
    fields = {"Cache-Control": "max-age=60", "ETag": '"alike"', "Content-Type": "image/png"}
    fields["Last-Modified"] = "Mon, 01 Jan 2024 00:00:00 GMT"

    async def answer(request: web.Request) -> web.StreamResponse:
        if "If-None-Match" in request.headers or "If-Modified-Since" in request.headers:
            return web.Response(status=304, headers=fields)
        return web.Response(text=request.headers.get("Cookie", "nobody"), headers=fields)

    async with bench(answer) as b:
        await b.get("/", Cookie="sid=alice")
        b.later(61)
        assert (await b.get("/"))[2] == b"nobody"
        b.later(61)
        # Nor is what nobody fetched validated by one with a cookie.
        assert (await b.get("/", Cookie="sid=bob"))[2] == b"sid=bob"
        assert not [asked for asked in b.origin.asked if "If-None-Match" in asked]


async def test_who_has_a_cookie_asks_alone() -> None:
    go = asyncio.Event()

    async def answer(request: web.Request) -> web.StreamResponse:
        await go.wait()
        headers = {"Cache-Control": "public, max-age=60", "Content-Type": "text/css"}
        return web.Response(text="a{}", headers=headers)

    async with bench(answer) as b:
        asking = [asyncio.create_task(b.get("/", Cookie=f"sid={n}")) for n in range(5)]
        asking.append(asyncio.create_task(b.get("/")))
        asking.append(asyncio.create_task(b.get("/", X_Api_Key="1")))
        await until(lambda: len(b.origin.asked) == 7)
        go.set()
        await asyncio.gather(*asking)


async def test_a_stale_file_is_refreshed_once_for_those_with_cookies() -> None:
    cache = "max-age=1, stale-while-revalidate=60"
    async with bench(says(Cache_Control=cache, pause=0.05, **CSS)) as b:
        await b.get("/", Cookie="sid=1")
        b.later(2)
        await asyncio.gather(*(b.get("/", Cookie=f"sid={n}") for n in range(5)))
        await until(lambda: not len(b.cache.flights))
        assert len(b.origin.asked) == 2


async def test_a_file_stands_in_for_those_with_cookies_while_the_origin_is_away() -> None:
    async with bench(says(Cache_Control="max-age=1", **CSS)) as b:
        await b.get("/")
        b.later(2)
        b.origin.down = True
        assert (await b.get("/", Cookie="sid=1"))[0] == 200
    async with bench(says(Last_Modified="Mon, 01 Jan 2024 00:00:00 GMT", **CSS)) as b:
        await b.get("/")
        b.later(4000)
        b.origin.down = True
        assert (await b.get("/"))[0] == 502  # a guessed lifetime lends nothing
        assert (await b.get("/", Cache_Control="max-stale"))[0] == 502


@pytest.mark.parametrize("path", ["/account/x.css", "/account;x.css", "/account%2Fx.css", "/x.css"])
async def test_an_ending_makes_nothing_cacheable(path: str) -> None:
    """Web cache deception: the response's own fields decide, and its type; never the URL."""
    cases: tuple[dict[str, Any], ...] = ({}, {"ETag": '"1"'}, {"Cache_Control": "max-age=60"})
    for fields in cases:
        kind = "text/html" if "Cache_Control" in fields else "application/json"
        async with bench(says(Content_Type=kind, **fields)) as b:
            await b.get(path, Cookie="sid=alice")
            assert len(b.cache.store) == 0


VALIDATOR = {"ETag": '"a"', "Cache-Control": "max-age=60"}


@pytest.mark.parametrize(
    "told",
    [
        {"Cache-Control": "private, max-age=60"},
        {"Cache-Control": "no-store"},
        {"Set-Cookie": "sid=1"},
        {"Vary": "Cookie"},
        {"Vary": "*"},
        {"X-Page-Audience": "patient"},
        {"X-Seen": "https://elsewhere.example/?name=alice"},
    ],
    ids=lambda told: " ".join(f"{n}: {v}" for n, v in told.items()),
)
@pytest.mark.parametrize("how", ["HEAD", "304"])
async def test_an_update_is_held_to_what_a_response_is_held_to(
    told: dict[str, str], how: str
) -> None:
    """A response to HEAD, or a 304, is made for the visitor who asked, like any other."""

    async def answer(request: web.Request) -> web.StreamResponse:
        validated = "If-None-Match" in request.headers
        if request.method == "HEAD" or validated:
            fields = VALIDATOR | {"X-New": "alice"} | told
            return web.Response(status=304 if validated else 200, headers=fields)
        return web.Response(body=b"hello", headers=VALIDATOR | {"Content-Type": "text/plain"})

    async with bench(answer) as b:
        await b.get()
        b.later(61)
        method = "HEAD" if how == "HEAD" else "GET"
        updated = await b.get(method=method, Referer="https://elsewhere.example/?name=alice")
        assert updated[1]["X-New"] == "alice"  # theirs
        _, headers, body = await b.get(Cache_Control="max-age=61")
        assert "X-New" not in headers and "X-Seen" not in headers
        assert body == b"hello"


@pytest.mark.parametrize("method", ["HEAD", "GET"])
@pytest.mark.parametrize("kinds", [("text/plain", "text/html"), ("text/html", "text/plain")])
async def test_an_update_makes_no_page_of_a_file(method: str, kinds: tuple[str, str]) -> None:
    before, after = kinds

    async def answer(request: web.Request) -> web.StreamResponse:
        validated = "If-None-Match" in request.headers
        kind = after if validated or request.method == "HEAD" else before
        fields = VALIDATOR | {"Content-Type": kind}
        body = b"" if validated else b"<!doctype html><title>x</title><p>hello"
        return web.Response(status=304 if validated else 200, headers=fields, body=body)

    async with bench(answer) as b:
        first = await b.get()
        b.later(61)
        updated = await b.get(method=method)
        if method == "GET":
            assert (updated[1]["Content-Type"], updated[2]) == (first[1]["Content-Type"], first[2])
        _, headers, body = await b.get(Cache_Control="max-age=61")
        assert (headers["Content-Type"], body) == (first[1]["Content-Type"], first[2])


async def test_head_makes_nothing_everybodys_that_was_fetched_with_a_cookie() -> None:
    fields = {"Cache-Control": "public, max-age=60", "ETag": '"alike"', "Content-Type": "image/png"}

    async def answer(request: web.Request) -> web.StreamResponse:
        if "If-None-Match" in request.headers:
            return web.Response(status=304, headers=fields)
        return web.Response(body=request.headers.get("Cookie", "sid=____").encode(), headers=fields)

    async with bench(answer) as b:
        await b.get(Cookie="sid=anna")
        b.later(61)
        await b.get(method="HEAD")
        b.later(61)
        assert (await b.get())[2] == b"sid=____"
