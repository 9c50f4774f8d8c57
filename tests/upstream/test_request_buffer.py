"""Bytes of a request's body that wait in a file."""

from __future__ import annotations

import tracemalloc

from proxy.upstream.request_buffer import IN_MEMORY, DiskBudget, RequestBuffer

BODY = bytes(range(256)) * 1024  # four times what is kept in memory


async def _filled(budget: DiskBudget) -> RequestBuffer:
    buffer = RequestBuffer(budget)
    for at in range(0, len(BODY), 10_000):
        await buffer.add(BODY[at : at + 10_000])
    return buffer


async def test_a_body_comes_back_as_it_was_and_leaves_no_disk_taken() -> None:
    budget = DiskBudget()
    buffer = await _filled(budget)
    assert budget.used >= len(BODY) - IN_MEMORY
    buffer.rereadable = True
    for _ in range(2):
        assert b"".join([chunk async for chunk in buffer.read()]) == BODY
    buffer.forget()
    assert budget.used == 0


async def test_other_threads_allocate_nothing_that_is_kept() -> None:
    """Else glibc has as many heaps as there are threads, each as large as it ever had to be."""
    buffer = await _filled(DiskBudget())
    tracemalloc.start(40)
    try:
        chunks = [chunk async for chunk in buffer.read()]
        found = tracemalloc.take_snapshot().traces
    finally:
        tracemalloc.stop()
    assert b"".join(chunks) == BODY
    elsewhere = [
        one
        for one in found
        if one.size > 1024 and any("concurrent/futures" in line.filename for line in one.traceback)
    ]
    assert not elsewhere
