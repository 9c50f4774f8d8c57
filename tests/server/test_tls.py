"""TLS by the product as a process: certificates by name, renewed while it runs, redirects."""

from __future__ import annotations

import re
import signal
import socket
import ssl
import time
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.certificates import issue
from tests.support.ports import free_ports
from tests.support.processes import LocalOrigin, Process, ask, running
from tests.support.site import PAGE
from tests.support.tls_client import client_context, connected, exchange, names_of
from tests.support.waiting import PATIENCE

pytestmark = pytest.mark.slow

GET = b"GET / HTTP/1.1\r\nHost: www.example.com\r\n\r\n"
CHOICE = (
    b"POST /.consent/choice HTTP/1.1\r\nHost: www.example.com\r\nSec-Fetch-Site: same-origin\r\n"
    b"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 17\r\n\r\n"
    b"action=accept_all"
)


class Origin(LocalOrigin):
    """Says what it was told of the scheme; /slow sends its body in two halves."""

    def do_GET(self) -> None:  # noqa: N802
        if self.path != "/slow":
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.send_header("X-Saw", self.headers.get("X-Forwarded-Proto", ""))
            self.send_header("Content-Length", str(len(PAGE)))
            self.end_headers()
            self.wfile.write(PAGE)
            return
        self.send_response(200)
        self.send_header("Content-Type", "text/plain")
        self.send_header("Content-Length", "10")
        self.end_headers()
        self.wfile.write(b"first")
        self.wfile.flush()
        while not (FOLDER[0] / "go").exists():
            time.sleep(0.02)
        self.wfile.write(b"later")


FOLDER: list[Path] = []


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Process, Path, int, int]]:
    """The process, its folder, its port and that of its redirects."""
    folder = tmp_path_factory.mktemp("tls")
    FOLDER[:] = [folder]
    issue("www.example.com").write(folder, "www")
    issue("other.example.com").write(folder, "other")
    challenges = folder / "acme/.well-known/acme-challenge"
    challenges.mkdir(parents=True)
    (challenges / "token_1").write_text("token_1.thumbprint")
    (challenges / "link").symlink_to(folder / "www.key")
    (plain,) = free_ports(1)
    more = f"""
[tls]
hsts = "max-age=31536000"
redirect_listen = "127.0.0.1:{plain}"
https_port = 8443
acme_challenge = "acme"
[[tls.certificate]]
file = "www.pem"
key = "www.key"
[[tls.certificate]]
file = "other.pem"
key = "other.key"
"""
    with running(folder, workers=1, more=more, origin=Origin) as (process, _, text, port):
        yield process, folder, port, plain
        admin = re.search(r'admin_listen = "127.0.0.1:(\d+)"', text)
        assert admin
        metrics = ask(int(admin[1]), "/metrics", Host="127.0.0.1")[1]
        found = re.search(rb"tls_certificate_expiry_timestamp_seconds\{\S+\} (\S+)", metrics)
        assert found
        assert 80 * 86400 < float(found[1]) - time.time() < 91 * 86400
        assert process.stop() == 0
        assert "Traceback" not in process.log


@pytest.mark.parametrize(
    ("name", "gets"),
    [
        ("www.example.com", "www"),
        ("other.example.com", "other"),
        ("x.example", "www"),
        (None, "www"),
    ],
)
def test_the_certificate_is_that_of_the_name(
    served: tuple[Process, Path, int, int], name: str | None, gets: str
) -> None:
    with connected(served[2], name) as visitor:
        assert names_of(visitor) == [f"{gets}.example.com"]
        assert visitor.selected_alpn_protocol() == "http/1.1"
        assert visitor.version() == "TLSv1.3"


@pytest.mark.parametrize(
    ("ciphers", "newest", "goes"),
    [
        ("ALL:@SECLEVEL=0", ssl.TLSVersion.TLSv1_2, True),
        ("ALL:@SECLEVEL=0", 0x0302, False),  # TLS 1.1
        ("ECDHE-ECDSA-CHACHA20-POLY1305", ssl.TLSVersion.TLSv1_2, True),
        ("ECDHE-ECDSA-AES128-SHA", ssl.TLSVersion.TLSv1_2, False),  # CBC
    ],
)
def test_versions_and_ciphers(
    served: tuple[Process, Path, int, int], ciphers: str, newest: int, goes: bool
) -> None:
    client = client_context(ciphers)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        client.minimum_version = ssl.TLSVersion.TLSv1
        client.maximum_version = ssl.TLSVersion(newest)
    if not goes:
        # uvloop closes without the alert that would say why.
        with pytest.raises((ssl.SSLError, ConnectionError)), connected(served[2], context=client):
            pass
        return
    with connected(served[2], context=client) as visitor:
        cipher = visitor.cipher()
        assert cipher is not None
        assert cipher[0].startswith("ECDHE-ECDSA-")


def test_a_site_knows_that_it_is_https(served: tuple[Process, Path, int, int]) -> None:
    with connected(served[2]) as visitor:
        for _ in range(3):  # forwarded, then from the cache and by the fast path
            head, body = exchange(visitor, GET)
            assert head.startswith(b"HTTP/1.1 200")
            assert b"X-Saw: https" in head
            assert head.count(b"Strict-Transport-Security: max-age=31536000") == 1
            assert b'id="yc"' in body
        head, _ = exchange(visitor, CHOICE)
        cookie = re.search(rb"Set-Cookie: (__Host-consent=[^\r]*)", head)
        assert cookie
        assert b"; Secure" in cookie[1]
        assert b"Strict-Transport-Security" in head
        head, _ = exchange(visitor, GET.replace(b"www.", b"unknown."))
        assert head.startswith(b"HTTP/1.1 421")
        assert b"Strict-Transport-Security" in head


REDIRECTS = [
    ("GET", "www.example.com", "/a?b=%20c", 301, "https://www.example.com:8443/a?b=%20c"),
    ("HEAD", "WWW.Example.com:80", "/", 301, "https://www.example.com:8443/"),
    ("POST", "www.example.com", "/form?x", 308, "https://www.example.com:8443/form?x"),
    ("GET", "www.example.com", "//evil.example/", 301, "https://www.example.com:8443//evil.example/"),
    ("GET", "www.example.com", "http://www.example.com/x", 301, "https://www.example.com:8443/x"),
    ("GET", "evil.example", "/", 421, None),
    ("GET", "www.example.com@evil.example", "/", 400, None),
    ("GET", "www.example.com", "/.well-known/acme-challenge/token_1", 200, None),
    ("GET", "www.example.com", "/.well-known/acme-challenge/link", 404, None),
    ("GET", "www.example.com", "/.well-known/acme-challenge/../../../www.key", 404, None),
    ("GET", "www.example.com", "/.well-known/acme-challenge/%2e%2e", 404, None),
]  # fmt: skip


@pytest.mark.parametrize(("method", "host", "target", "status", "location"), REDIRECTS)
def test_plain_http_is_redirected(
    served: tuple[Process, Path, int, int],
    method: str, host: str, target: str, status: int, location: str | None,
) -> None:  # fmt: skip
    with socket.create_connection(("127.0.0.1", served[3]), PATIENCE) as visitor:
        request = f"{method} {target} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"
        visitor.sendall(request.encode())
        answer = b"".join(iter(lambda: visitor.recv(65536), b"")).decode()
    head, _, body = answer.partition("\r\n\r\n")
    assert int(head.split()[1]) == status
    found = re.search(r"^Location: (.*)$", head, re.M)
    assert (found[1].strip() if found else None) == location
    assert "Strict-Transport-Security" not in head  # RFC 6797, 7.2
    if status == 200:
        assert body == "token_1.thumbprint"


def test_a_renewed_certificate_counts_from_the_next_handshake(
    served: tuple[Process, Path, int, int],
) -> None:
    process, folder, port, _ = served

    def wait_for_names(*names: str) -> None:
        end = time.monotonic() + PATIENCE
        while True:
            with connected(port) as visitor:
                if names_of(visitor) == list(names):
                    return
            assert time.monotonic() < end, process.log
            time.sleep(0.05)

    with connected(port) as open_one, connected(port) as slow:
        exchange(open_one, GET)
        slow.sendall(GET.replace(b"/ ", b"/slow ", 1))
        assert slow.recv(65536).startswith(b"HTTP/1.1 200")

        # Only half of a renewal is there: the old pair stays.
        new = issue("www.example.com", "new.example.com")
        (folder / "www.pem").write_bytes(new.certificate)
        process.wait_for("was only one of the two files replaced?")
        wait_for_names("www.example.com")
        (folder / "www.key").write_bytes(new.key)
        wait_for_names("www.example.com", "new.example.com")

        # So does it where what is new has expired already, also on SIGHUP.
        issue("www.example.com", days=-0.5).write(folder, "www")
        process.wait_for("the certificate expired on")
        process.process.send_signal(signal.SIGHUP)
        process.wait_for("the certificate expired on", 2)
        wait_for_names("www.example.com", "new.example.com")
        new.write(folder, "www")

        # No connection was dropped.
        head, _ = exchange(open_one, GET)
        assert head.startswith(b"HTTP/1.1 200")
        (folder / "go").touch()
        received = b""
        while not received.endswith(b"later"):
            received += slow.recv(65536)


def test_what_is_no_handshake_is_closed(served: tuple[Process, Path, int, int]) -> None:
    with socket.create_connection(("127.0.0.1", served[2]), PATIENCE) as visitor:
        visitor.sendall(GET)
        assert not visitor.recv(65536).startswith(b"HTTP")


def test_min_version_of_the_config_is_in_force(tmp_path: Path) -> None:
    issue("www.example.com").write(tmp_path, "www")
    more = '[tls]\nmin_version = "1.3"\n[[tls.certificate]]\nfile = "www.pem"\nkey = "www.key"\n'
    older = client_context()
    older.maximum_version = ssl.TLSVersion.TLSv1_2
    with running(tmp_path, workers=1, more=more, origin=Origin) as (_, _, _, port):
        with pytest.raises((ssl.SSLError, ConnectionError)), connected(port, context=older):
            pass
        with connected(port) as visitor:
            assert visitor.version() == "TLSv1.3"
