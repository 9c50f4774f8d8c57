"""What may be sent again, and how often."""

from __future__ import annotations

import errno
from collections.abc import AsyncIterator

import aiohttp
import pytest
from aiohttp.client_reqrep import ConnectionKey
from hypothesis import given
from hypothesis import strategies as st
from multidict import CIMultiDict

from proxy.upstream.exchange import MalformedResponseError, UnansweredError, UpstreamRequest
from proxy.upstream.retries import (
    A_SECOND,
    AT_ONCE,
    RetryBudget,
    is_fault_of_server,
    may_send_again,
)
from proxy.upstream.server import server_at
from proxy.upstream.slots import BusyError

KEY = ConnectionKey("10.0.0.1", 80, False, True, None, None, None)
REFUSED = aiohttp.ClientConnectorError(KEY, ConnectionRefusedError(errno.ECONNREFUSED, "refused"))
NO_PORT = aiohttp.ClientConnectorError(KEY, OSError(errno.EADDRNOTAVAIL, "no port"))


async def _body() -> AsyncIterator[bytes]:
    yield b"x"


def sent(
    method: str, *, body: bool = False, repeats: bool = False, interim: bool = False
) -> UpstreamRequest:
    return UpstreamRequest(
        method, server_at("http://10.0.0.1"), "/", CIMultiDict(),
        body=_body() if body else None, body_repeats=repeats, had_interim=interim,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("request_", "error", "again"),
    [
        (sent("GET"), REFUSED, True),
        (sent("POST", body=True), REFUSED, True),
        (sent("POST", body=True), aiohttp.ConnectionTimeoutError(), True),
        (sent("GET"), UnansweredError(), True),
        (sent("DELETE"), MalformedResponseError(), True),
        (sent("PUT", body=True, repeats=True), UnansweredError(), True),
        (sent("PUT", body=True), UnansweredError(), False),
        (sent("POST"), UnansweredError(), False),
        (sent("PATCH", body=True, repeats=True), UnansweredError(), False),
        (sent("PROPFIND"), UnansweredError(), False),
        (sent("GET", interim=True), UnansweredError(), False),
        (sent("GET"), aiohttp.ServerTimeoutError(), False),
        (sent("GET"), BusyError(), False),
        (sent("GET"), ValueError(), False),
        (sent("GET"), None, False),
    ],
)
def test_sent_again(request_: UpstreamRequest, error: Exception | None, again: bool) -> None:
    assert may_send_again(request_, error, repeated=False) is again


def test_what_may_have_been_seen_twice_is_not_sent_a_third_time() -> None:
    assert not may_send_again(sent("GET"), UnansweredError(), repeated=True)
    assert may_send_again(sent("GET"), REFUSED, repeated=True)


@pytest.mark.parametrize(
    ("error", "fault"),
    [
        (REFUSED, True),
        (NO_PORT, False),
        (UnansweredError(), True),
        (MalformedResponseError(), True),
        (aiohttp.ServerTimeoutError(), True),
        (TimeoutError(), True),
        (BusyError(), False),
        (ValueError(), False),
        (None, False),
    ],
)
def test_whose_fault(error: Exception | None, fault: bool) -> None:
    assert is_fault_of_server(error) is fault


@given(
    st.floats(0.01, 1),
    st.lists(st.tuples(st.integers(0, 20), st.integers(0, 20), st.floats(0, 5)), max_size=60),
)
def test_retries_stay_within_the_budget(share: float, steps: list[tuple[int, int, float]]) -> None:
    budget, now, requests, retries = RetryBudget(share), 0.0, 0, 0
    for asked, failed, seconds in steps:
        now += seconds
        for _ in range(asked):
            budget.deposit()
        requests += asked
        retries += sum(budget.withdraw(now) for _ in range(failed))
        assert retries <= AT_ONCE + now * A_SECOND + requests * share + 1e-6


def test_no_budget() -> None:
    budget = RetryBudget(0)
    budget.deposit()
    assert not budget.withdraw(1e6)


def test_a_site_with_few_visitors_has_retries() -> None:
    budget = RetryBudget(0.2)
    assert [budget.withdraw(0) for _ in range(12)] == [True] * 10 + [False] * 2
    assert budget.withdraw(2)
