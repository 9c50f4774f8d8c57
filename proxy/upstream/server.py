"""One server of an upstream: where it is, and how TLS to it is set up."""

from __future__ import annotations

import ssl
from dataclasses import dataclass

from yarl import URL

_SOCKET = "unix:"
_OF_A_SOCKET = URL("http://localhost")
"""The authority of a server on a Unix socket, which has none: nginx's."""


@dataclass(frozen=True, slots=True, eq=False, weakref_slot=True)
class Server:
    """`name` is its address as the config writes it: in messages, and the key of its bounds.

    `url` is scheme, host and port. `socket` is the path of a Unix socket, "" for TCP. `tls` and
    `tls_name` (sent as SNI, and verified) are None and "" where nothing is configured.
    """

    name: str
    url: URL
    socket: str = ""
    tls: ssl.SSLContext | None = None
    tls_name: str = ""

    def __str__(self) -> str:
        return self.name

    @property
    def authority(self) -> str:
        """What its own Host field would be: without the scheme's default port."""
        return self.url.host_port_subcomponent or ""


def server_at(name: str, tls: ssl.SSLContext | None = None, tls_name: str = "") -> Server:
    """The server at `http(s)://host[:port]` or `unix:/path`."""
    if name.startswith(_SOCKET):
        return Server(name, _OF_A_SOCKET, socket=name.removeprefix(_SOCKET))
    url = URL(name)
    if url.scheme != "https":
        return Server(name, url)
    return Server(name, url, tls=tls, tls_name=tls_name)
