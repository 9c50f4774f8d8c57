"""A visitor over TLS, by hand: which certificate a name gets, and raw requests."""

from __future__ import annotations

import contextlib
import socket
import ssl
from collections.abc import Iterator

from cryptography import x509

from tests.support.waiting import PATIENCE


def client_context(ciphers: str = "") -> ssl.SSLContext:
    """Of a client that takes any certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.set_alpn_protocols(["h2", "http/1.1"])
    if ciphers:
        context.set_ciphers(ciphers)
    return context


@contextlib.contextmanager
def connected(
    port: int,
    name: str | None = "www.example.com",
    before: bytes = b"",
    context: ssl.SSLContext | None = None,
) -> Iterator[ssl.SSLSocket]:
    """A connection after its handshake. `before` is sent ahead of TLS."""
    plain = socket.create_connection(("127.0.0.1", port), PATIENCE)
    with plain:
        plain.sendall(before)
        client = context or client_context()
        with client.wrap_socket(plain, server_hostname=name) as secured:
            yield secured


def names_of(secured: ssl.SSLSocket) -> list[str]:
    """The DNS names of the server's certificate."""
    certificate = x509.load_der_x509_certificate(secured.getpeercert(binary_form=True) or b"")
    found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return found.get_values_for_type(x509.DNSName)


def exchange(connection: socket.socket, request: bytes) -> tuple[bytes, bytes]:
    """Head and body of one response with a Content-Length or none; the connection stays open."""
    connection.sendall(request)
    found = b""
    while b"\r\n\r\n" not in found:
        more = connection.recv(65536)
        assert more, found
        found += more
    head, _, body = found.partition(b"\r\n\r\n")
    for line in head.lower().split(b"\r\n"):
        if line.startswith(b"content-length:"):
            while len(body) < int(line.partition(b":")[2]):
                body += connection.recv(65536)
    return head, body
