"""The demo with the vendors' true names: what the catalogue knows must do without any help.

Chromium is told to look for each name on this machine, where the stubs answer over TLS.
"""

from __future__ import annotations

import datetime
import ssl
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from e2e.site import RunningDemo, in_thread
from examples.demo.running import Ports, config_text, consent_proxy, origin
from examples.demo.vendors import HOSTS, real_addresses, vendor_stubs
from tests.support.guarded import guarded
from tests.support.ports import free_ports


def resolver_rules(port: int) -> str:
    """The flag that leads every vendor's name to the stubs."""
    names = ", ".join(f"MAP {host.real} 127.0.0.1:{port}" for host in HOSTS)
    return f"--host-resolver-rules={names}"


def _certificate(folder: Path) -> ssl.SSLContext:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "stubs")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.DNSName(host.real) for host in HOSTS]), critical=False
        )
        .sign(key, hashes.SHA256())
    )
    file = folder / "stubs.pem"
    file.write_bytes(
        key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        + certificate.public_bytes(Encoding.PEM)
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file)
    return context


@asynccontextmanager
async def _servers(running: RunningDemo) -> AsyncIterator[None]:
    at, ports = real_addresses(), running.ports
    tls = _certificate(running.state)
    config = running.state / "consent-proxy.toml"
    # The tables of vendors say where the stubs of the demo are; here the catalogue must do.
    text = config_text(ports, running.state).partition("[[vendor]]")[0]
    config.write_text(text, encoding="utf-8")
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(vendor_stubs(ports.vendors, running.ledger, at, tls))
        await stack.enter_async_context(origin(ports.origin, at))
        process = await stack.enter_async_context(consent_proxy(config, ports.proxy))
        stack.enter_context(guarded(process))
        yield


@contextmanager
def demo_with_real_names() -> Iterator[RunningDemo]:
    """The demo on free ports, its pages with the vendors' own addresses."""
    with tempfile.TemporaryDirectory(prefix="consent-e2e-") as folder:
        running = RunningDemo(Ports(*free_ports(4)), Path(folder))
        with in_thread(_servers(running)):
            yield running
