"""Requests under way of each client address, so that one cannot take all places."""

from __future__ import annotations

from ipaddress import IPv6Address

from proxy.http.addresses import parse_address

_IPV6_HOST_BITS = 64


class ClientRequests:
    """Counts of requests under way. An IPv6 client is its /64: all of it is its own."""

    def __init__(self) -> None:
        self._in_flight: dict[int | str, int] = {}

    def enter(self, address: str, most: int) -> int | str | None:
        """Count a request: what to `leave` with, or None where the client has `most` already."""
        client = _client(address)
        count = self._in_flight.get(client, 0)
        if count >= most:
            return None
        self._in_flight[client] = count + 1
        return client

    def leave(self, client: int | str) -> None:
        count = self._in_flight[client] - 1
        if count:
            self._in_flight[client] = count
        else:
            del self._in_flight[client]


def _client(address: str) -> int | str:
    parsed = parse_address(address)
    return int(parsed) >> _IPV6_HOST_BITS if isinstance(parsed, IPv6Address) else address
