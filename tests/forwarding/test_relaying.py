"""What goes through must come out as it went in."""

from __future__ import annotations

import pytest

from tests.forwarding.harness import (
    answers,
    body_of,
    exchange,
    get,
    header_values,
    ok,
    origin,
    proxy,
    status_of,
    unchunk,
)


async def test_plain() -> None:
    async with origin(answers(ok())) as upstream, proxy(upstream.url) as front:
        response = await exchange(front.port, get())
    assert status_of(response) == 200
    assert body_of(response) == b"hello"
