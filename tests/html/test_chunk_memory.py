"""Chunks are sent again while the bytes are the same, and compiled from the first difference on."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from proxy.html.chunk_memory import ChunkMemory, KnownChunk, RememberingCompiler
from proxy.html.incremental import CompiledChunk, IncrementalCompiler
from tests.html.pipeline import BOUNDARY, URL, UTF8
from tests.html.test_incremental import assert_asks_no_one, closed, long_page

pytestmark = pytest.mark.slow

_LIMIT = 1_000_000
_PIXEL = b"<img src=//pixel.test/x width=1 height=1>"
_START = b"<!doctype html><title>x</title><body>x<!--" + b"x" * 1445 + b"-->"
_BODY = _START + b"".join(b"<p>Words %d %b\n" % (n, _PIXEL) for n in range(200)) + b"</body></html>"


class Counted(IncrementalCompiler):
    """Counts the bytes that it was given, itself and those that go on from its state."""

    given: list[int]

    def add(self, data: bytes) -> None:
        self.given.append(len(data))
        super().add(data)


def compiler(content_type: str = UTF8) -> Counted:
    made = Counted(content_type, URL, BOUNDARY, _LIMIT)
    made.given = []
    return made


def streamed(
    remembering: RememberingCompiler, body: bytes, cuts: list[int], *, overdue: bool = False
) -> list[CompiledChunk]:
    """The chunks of a body that arrives in parts; `overdue`: each was long in coming."""
    found: list[CompiledChunk] = []
    at = 0
    for cut in (*sorted(min(cut, len(body)) for cut in cuts), len(body)):
        remembering.add(body[at:cut])
        at = cut
        last = False
        while not last:
            remembering.replays(last=False, overdue=overdue)
            chunk = remembering.take()
            found += [chunk] if chunk is not None else []
            last = not remembering.has_known
    while not remembering.at_end:
        remembering.replays(last=True, overdue=overdue)
        chunk = remembering.take(last=True)
        assert chunk is not None
        found.append(chunk)
    return found


def recorded(body: bytes, cuts: list[int]) -> tuple[KnownChunk, ...]:
    first = RememberingCompiler(compiler(), (), 10 * len(body) + 10**6)
    streamed(first, body, cuts)
    return first.page or ()


_CUTS = [3000, 5000, 9000]


@pytest.mark.parametrize("cuts", [[], [1], [2999, 3001], list(range(0, len(_BODY), 700))])
def test_the_same_bytes_are_not_compiled_again(cuts: list[int]) -> None:
    known = recorded(_BODY, _CUTS)
    assert len(known) > 3
    counted = compiler()
    again = RememberingCompiler(counted, known, _LIMIT)
    assert streamed(again, _BODY, cuts) == [one.chunk for one in known]
    assert counted.given == []
    assert again.page is None  # known already


def test_what_differs_is_compiled_from_there_on() -> None:
    known = recorded(_BODY, _CUTS)
    other = _BODY.replace(b"Words 150 ", b"<script src=//new.test/x></script>")
    counted = compiler()
    again = RememberingCompiler(counted, known, _LIMIT)
    chunks = streamed(again, other, [])
    assert b"".join(one.page.body for one in chunks) == other
    assert b"new.test" not in closed(chunks)
    assert b"pixel.test" not in closed(chunks)
    same = [one.chunk for one in known if chunks.count(one.chunk)]
    assert len(same) >= 2
    assert again.page is not None
    assert streamed(RememberingCompiler(compiler(), again.page), other, []) == chunks


@pytest.mark.parametrize(
    "other",
    [
        _START + b"<p>Words",
        _BODY[:-7],
        _BODY + b"<p>" + _PIXEL,
        _BODY.replace(b"<title>", b"<title>y"),
    ],
    ids=["much shorter", "shorter", "longer", "another beginning"],
)
def test_other_ends_and_beginnings(other: bytes) -> None:
    chunks = streamed(RememberingCompiler(compiler(), recorded(_BODY, _CUTS)), other, [4000])
    assert b"".join(one.page.body for one in chunks) == other
    assert b"pixel.test" not in closed(chunks)
    assert [one.page.foot_at is not None for one in chunks][:-1].count(True) == 0
    assert chunks[-1].page.foot_at is not None


def test_what_is_overdue_is_not_waited_for() -> None:
    again = RememberingCompiler(compiler(), recorded(_BODY, [len(_BODY) - 100]))
    again.add(_BODY[:6000])
    assert again.replays(last=False, overdue=False)
    assert again.take() is None
    assert not again.replays(last=False, overdue=True)
    chunk = again.take()
    assert chunk is not None
    assert _BODY.startswith(chunk.page.body)


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("text/html", _BODY),  # how it is read was guessed from bytes behind the first chunk
        ("text/html; charset=utf-16le", _BODY.decode().encode("utf-16le")),
        (UTF8, _BODY[:3000] + b"<svg><text>" + b"x<tspan>y</tspan>" * 100_000),  # ends as text only
    ],
    ids=["no charset", "transcoded", "text only"],
)
def test_what_does_not_follow_from_its_bytes_is_not_kept(content_type: str, body: bytes) -> None:
    first = RememberingCompiler(compiler(content_type), (), 10**9)
    streamed(first, body, [*range(0, len(body), 50_000), 3000])
    assert first.at_end
    assert first.page is None


def test_one_of_many_records_and_memory_is_bounded() -> None:
    memory = ChunkMemory(4 * 200_000)
    first = memory.compiler("/", compiler())
    second = memory.compiler("/", compiler())
    large = memory.compiler("/large", compiler())
    for one in (first, second):
        streamed(one, _BODY, _CUTS)
        memory.keep("/", one)
    streamed(large, _BODY * 20, list(range(0, 20 * len(_BODY), 5000)))
    memory.keep("/large", large)
    assert first.page is not None
    assert second.page is None
    assert large.page is None
    counted = compiler()
    streamed(memory.compiler("/", counted), _BODY, [])
    assert counted.given == []


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(long_page(), st.lists(st.integers(1400, 4000), max_size=5), st.data())
def test_a_page_that_changed_anywhere_asks_no_one(
    body: bytes, cuts: list[int], data: st.DataObject
) -> None:
    known = recorded(body, cuts)
    at = data.draw(st.integers(0, len(body)))
    put = data.draw(st.sampled_from((b"", b"<", b"-->", b"</body>", b"<script>", _PIXEL, b"x" * 9)))
    until = data.draw(st.integers(at, len(body)))
    other = body[:at] + put + body[until:]
    again = streamed(RememberingCompiler(compiler(), known), other, cuts)
    fresh = streamed(RememberingCompiler(compiler()), other, cuts)
    assume(not any(one.stripped for one in (*again, *fresh)))
    assert b"".join(one.page.body for one in again) == other
    assert_asks_no_one(other, again)
