"""Who is one client, and how many requests it has under way."""

from __future__ import annotations

import pytest

from proxy.http.client_requests import ClientRequests


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("192.0.2.1", "192.0.2.1", True),
        ("192.0.2.1", "192.0.2.2", False),
        ("2001:db8:0:1::1", "2001:db8:0:1:ffff::2", True),
        ("2001:db8:0:1::1", "2001:db8:0:2::1", False),
        ("::ffff:192.0.2.1", "::ffff:192.0.2.2", False),
    ],
)
def test_clients(one: str, other: str, same: bool) -> None:
    clients = ClientRequests()
    first = clients.enter(one, 1)
    assert first is not None
    assert (clients.enter(other, 1) is None) is same
    clients.leave(first)
    assert clients.enter(one, 1) is not None
