"""TLS to an upstream: own authority, client certificate, another name, and wrong files."""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import os
import ssl
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from consent_rules.config.load import ConfigError, format_problem
from consent_rules.config.models import UpstreamTls
from proxy.config.file import read_config
from proxy.upstream.tls import UpstreamTlsError, default_tls, upstream_tls
from tests.support.certificates import Authority
from tests.support.forwarding import ok
from tests.support.guarded import guarded
from tests.support.ports import free_ports
from tests.support.processes import Process, ask
from tests.support.site import config_text, in_front_of

pytestmark = pytest.mark.slow


@contextlib.asynccontextmanager
async def tls_origin(
    authority: Authority, *names: str, asks: bool = False
) -> AsyncIterator[tuple[int, list[str]]]:
    """An origin with a certificate for these names, which asks for one of its visitor where `asks`.
    Its port, and the names that it was asked for (SNI).
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*authority.issue("origin", *names))
    if asks:
        context.load_verify_locations(authority.file)
        context.verify_mode = ssl.CERT_REQUIRED
    asked: list[str] = []
    context.sni_callback = lambda _, name, __: asked.append(name or "")

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, OSError):
            await reader.readuntil(b"\r\n\r\n")
            writer.write(ok(b"secret", b"Content-Type: text/plain", b"Connection: close"))
        writer.close()

    async with await asyncio.start_server(connected, "127.0.0.1", 0, ssl=context) as server:
        yield server.sockets[0].getsockname()[1], asked


def over_tls(table: str) -> Callable[[str], str]:
    def edit(text: str) -> str:
        text = text.replace('"http://127.0.0.1', '"https://127.0.0.1')
        return f"{text}\n[site.upstream_tls]\n{table}\n" if table else text

    return edit


CASES = {
    "own authority": ('ca = "ca.pem"', ("127.0.0.1",), False, ""),
    "another name": (
        'ca = "ca.pem"\nserver_name = "app.internal"', ("app.internal",), False, "",
    ),
    "client certificate": (
        'ca = "ca.pem"\ncertificate = "proxy.pem"\nkey = "proxy.key"', ("127.0.0.1",), True, "",
    ),
    "system's authorities": ("", ("127.0.0.1",), False, "is not valid for its name"),
    "certificate of another name": (
        'ca = "ca.pem"\nserver_name = "app.internal"', ("b.internal",), False,
        "name the upstream as it is certified",
    ),
    "no client certificate": ('ca = "ca.pem"', ("127.0.0.1",), True, "asks for a certificate"),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
async def test_verified(case: str, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    table, names, asks, reason = CASES[case]
    authority = Authority(tmp_path)
    authority.issue("proxy")
    async with (
        tls_origin(authority, *names, asks=asks) as (port, asked),
        in_front_of(port, tmp_path, change=over_tls(table)) as site,
    ):
        answer = await site.ask("/")
        if "server_name" in table:
            assert asked == ["app.internal"]
    if reason:
        assert answer.status == 502
        assert reason in caplog.text
    else:
        assert (answer.status, answer.body) == (200, b"secret")


@pytest.mark.parametrize("known", [True, False])
async def test_a_started_proxy_trusts_the_systems_authorities(
    known: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It imports aiohttp without them."""
    authority = Authority(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.file) if known else os.devnull)
    port, admin = free_ports(2)
    async with tls_origin(authority, "127.0.0.1") as (upstream, _):
        listen = f'listen = "127.0.0.1:{port}"\nadmin_listen = "127.0.0.1:{admin}"\nworkers = 1'
        text = config_text(upstream).replace('listen = "127.0.0.1:0"', listen)
        config = tmp_path / "c.toml"
        config.write_text(over_tls("")(text))
        process = Process(config)
        with guarded(process.process):
            await asyncio.to_thread(process.wait_for, "listening on")
            status, body, _ = await asyncio.to_thread(ask, port)
            process.stop()
    assert status == (200 if known else 502), process.log
    assert known == (body == b"secret")


async def test_upstreams_share_the_systems_authorities(tmp_path: Path) -> None:
    """They are a megabyte, and 10 ms to read: not of each pool, and only where they are used."""
    default_tls.cache_clear()
    authority = Authority(tmp_path)
    async with tls_origin(authority, "127.0.0.1") as (port, _):
        for change, made in ((str, 0), (over_tls('ca = "ca.pem"'), 0), (over_tls(""), 1)):
            async with in_front_of(port, tmp_path, change=change) as site:
                await site.ask("/")
            assert default_tls.cache_info().currsize == made
            assert default_tls.cache_info().misses == made


def _encrypted(folder: Path) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    protection = serialization.BestAvailableEncryption(b"pass")
    form = serialization.PrivateFormat.PKCS8
    (folder / "a.key").write_bytes(key.private_bytes(serialization.Encoding.PEM, form, protection))


def _of_another(folder: Path) -> None:
    Authority(folder).issue("other")[1].rename(folder / "a.key")


def _damaged(name: str) -> Callable[[Path], None]:
    def damage(folder: Path) -> None:
        lines = (folder / name).read_text().splitlines()
        (folder / name).write_text("\n".join([lines[0], "AAAA", *lines[2:]]))

    return damage


def _replaced(name: str, text: str) -> Callable[[Path], None]:
    def replace(folder: Path) -> None:
        (folder / name).write_text(text)

    return replace


def _gone(name: str) -> Callable[[Path], None]:
    return lambda folder: (folder / name).unlink()


WRONG = {
    "no ca": (_gone("ca.pem"), "ca", "cannot be read: No such file or directory"),
    "ca without a certificate": (_replaced("ca.pem", "hello"), "ca", "no certificate in it"),
    "damaged ca": (_damaged("ca.pem"), "ca", "a certificate in it is damaged"),
    "no certificate": (_gone("a.pem"), "certificate", "cannot be read"),
    "certificate of no kind": (_replaced("a.pem", "x"), "certificate", "no certificate in it"),
    "no key": (_gone("a.key"), "key", "cannot be read"),
    "key of no kind": (_replaced("a.key", "x"), "key", "there is no private key in it"),
    "damaged key": (_damaged("a.key"), "key", "is damaged"),
    "key of another": (_of_another, "key", "this is not the key of the certificate"),
    "encrypted key": (_encrypted, "key", "the key is encrypted"),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_is_wrong_with_a_file_is_said(case: str, tmp_path: Path) -> None:
    change, key, message = WRONG[case]
    Authority(tmp_path).issue("a")
    table = UpstreamTls(ca="ca.pem", certificate="a.pem", key="a.key")
    assert upstream_tls(table, tmp_path) is not None
    change(tmp_path)
    with pytest.raises(UpstreamTlsError) as raised:
        upstream_tls(table, tmp_path)
    assert raised.value.key == key
    assert message in str(raised.value)
    assert str(tmp_path) in str(raised.value)


TODAY = datetime.date(2026, 12, 1)
CONFIG = """[policy]
controller = "Acme"
version = "1"
url = "/privacy"
[[site]]
name = "www"
hosts = ["www.example.com"]
upstream = "https://127.0.0.1:9000"
audience = "marketing"
[site.upstream_tls]
ca = "ca.pem"
certificate = "a.pem"
key = "a.key"
"""


def test_check_names_the_line(tmp_path: Path) -> None:
    _, key = Authority(tmp_path).issue("a")
    file = tmp_path / "c.toml"
    file.write_text(CONFIG)
    key.chmod(0o640)
    loaded, _ = read_config(file, today=TODAY)
    (warning,) = loaded.problems
    assert (warning.severity, warning.line) == ("warning", 13)
    assert f"chmod 600 {key}" in warning.message
    assert "mode 0640" in warning.message
    key.chmod(0o600)
    loaded, _ = read_config(file, today=TODAY)
    assert loaded.problems == ()
    (tmp_path / "ca.pem").write_text("nothing")
    with pytest.raises(ConfigError) as raised:
        read_config(file, today=TODAY)
    (problem,) = raised.value.problems
    assert format_problem(problem, "c.toml").startswith("c.toml:11: ca: ")
