"""A connection that one visitor has signed in on carries no other visitor's request."""

from __future__ import annotations

import pytest

from tests.support.forwarding import Visit, body_of, exchange, get, origin, proxy

# NTLM and Negotiate authenticate the connection, not the request (RFC 4559, 6): IIS answers
# whatever follows on it in the name of whoever signed in.
OF_CONNECTION = [
    b"NTLM TlRMTVNTUAADAAAA",
    b"ntlm TlRMTVNTUAADAAAA",
    b"Negotiate oYIBfg==",
    b"Kerberos YII=",
    b"PKU2U abc",
    b"Made-Up abc",
]
OF_REQUEST = [
    b"Basic YTpi",
    b"bearer x.y.z",
    b'Digest username="a"',
    b"AWS4-HMAC-SHA256 x",
    b"Token a",
]


async def signs_in_connections(visit: Visit) -> None:
    """As IIS does, for any scheme."""
    who = b"nobody"
    while True:
        asked = await visit.request()
        if asked.values(b"authorization"):
            who = b"%d anna" % visit.number
        await visit.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(who), who))


@pytest.mark.parametrize("credentials", OF_CONNECTION)
async def test_nobody_asks_in_anothers_name(credentials: bytes) -> None:
    async with origin(signs_in_connections) as upstream, proxy(upstream.url) as front:
        assert body_of(await exchange(front.port, get(b"/"))) == b"nobody"
        signed_in = get(b"/me", b"Authorization: " + credentials)
        assert b"anna" in body_of(await exchange(front.port, signed_in))
        for _ in range(3):
            assert body_of(await exchange(front.port, get(b"/me"))) == b"nobody"


@pytest.mark.parametrize("credentials", OF_REQUEST)
async def test_connections_of_ordinary_credentials_are_kept(credentials: bytes) -> None:
    async with origin(signs_in_connections) as upstream, proxy(upstream.url) as front:
        for _ in range(3):
            await exchange(front.port, get(b"/me", b"Authorization: " + credentials))
        assert upstream.connections == 1
