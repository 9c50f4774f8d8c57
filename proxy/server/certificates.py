"""Certificates of the visitors' listener: read from files, checked, chosen by name (SNI)."""

from __future__ import annotations

import contextlib
import datetime
import os
import ssl
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_pem_private_key,
)

_MAX_BYTES = 1 << 20
"""Of a file. A chain of four certificates is 8 KB."""


class CertificateFileError(Exception):
    """A certificate or its key cannot be used; the message says which file, why, and what to do."""


@dataclass(frozen=True, slots=True)
class Certificate:
    """A certificate with its intermediates and its key, both PEM. Times are seconds since 1970;
    `names` are DNS names, lower case, perhaps with a star for the first label, and IP addresses.
    """

    file: str
    chain: bytes = field(repr=False)
    key: bytes = field(repr=False)
    names: tuple[str, ...]
    starts: float
    expires: float

    def covers(self, host: str) -> bool:
        """Whether browsers accept it for a host (RFC 6125, 6.4.3)."""
        return host in self.names or f"*.{host.partition('.')[2]}" in self.names

    def covers_pattern(self, pattern: str) -> bool:
        """The same for the pattern of a site: "*.example.com" is that host and those below it."""
        if not pattern.startswith("*."):
            return self.covers(pattern)
        return pattern in self.names and self.covers(pattern[2:])

    def time_problem(self, now: float) -> str:
        """Why it does not hold at a time; "" where it does."""
        if now >= self.expires:
            return f"{self.file}: the certificate expired on {_day(self.expires)}"
        if now < self.starts:
            return f"{self.file}: the certificate counts from {_day(self.starts)} on only"
        return ""


def _day(at: float) -> str:
    return datetime.datetime.fromtimestamp(at, datetime.UTC).strftime("%Y-%m-%d %H:%M UTC")


def read_certificate(file: Path, key_file: Path) -> Certificate:
    """The certificate of a file, whose first one is the server's own, and the key of another (or of
    the same) file. Raises CertificateFileError.
    """
    chain, key_text = _read(file), _read(key_file)
    try:
        certificates = x509.load_pem_x509_certificates(chain)
    except ValueError:
        raise CertificateFileError(
            f"{file}: no certificate in PEM (-----BEGIN CERTIFICATE-----)"
        ) from None
    first = certificates[0]
    public = _public_of_key(key_file, key_text)
    if _spki(first) != public:
        if any(_spki(one) == public for one in certificates[1:]):
            raise CertificateFileError(
                f"{file}: the server's own certificate must come first, the intermediates after it"
            )
        raise CertificateFileError(
            f"{key_file}: not the key of the certificate in {file}; was only one of the two files "
            "replaced?"
        )
    certificate = Certificate(
        str(file),
        chain,
        key_text,
        _names(first),
        first.not_valid_before_utc.timestamp(),
        first.not_valid_after_utc.timestamp(),
    )
    _context(certificate)  # what OpenSSL refuses, such as a key that is too short
    return certificate


def _read(file: Path) -> bytes:
    try:
        with file.open("rb") as opened:
            return opened.read(_MAX_BYTES)
    except OSError as error:
        raise CertificateFileError(f"{file}: cannot be read: {error.strerror}") from None


def _public_of_key(file: Path, text: bytes) -> bytes:
    if b"-----BEGIN " not in text or b"PRIVATE KEY-----" not in text:
        raise CertificateFileError(f"{file}: no private key in PEM (-----BEGIN PRIVATE KEY-----)")
    begin = text.index(b"-----BEGIN ", max(0, text.index(b"PRIVATE KEY-----") - 30))
    try:
        key = load_pem_private_key(text[begin:], None)
    except TypeError:
        raise CertificateFileError(
            f"{file}: the key is protected by a passphrase, which nobody can type in at a start; "
            "store it without one, readable by the proxy's user alone"
        ) from None
    except (ValueError, UnsupportedAlgorithm):
        raise CertificateFileError(f"{file}: the private key is damaged") from None
    return key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def _spki(certificate: x509.Certificate) -> bytes:
    return certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def _names(certificate: x509.Certificate) -> tuple[str, ...]:
    """The subject alternative names; browsers read no other (RFC 9525, 6.3)."""
    try:
        found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (x509.ExtensionNotFound, ValueError):
        return ()
    names = [name.lower() for name in found.get_values_for_type(x509.DNSName)]
    names += map(str, found.get_values_for_type(x509.IPAddress))
    return tuple(names)


# Mozilla's "intermediate" (Server Side TLS 5.7) without the DHE ciphers, which need parameters of
# their own and which no browser wants. The suites of TLS 1.3 are OpenSSL's own three.
_CIPHERS = ":".join(
    (
        "ECDHE-ECDSA-AES128-GCM-SHA256", "ECDHE-RSA-AES128-GCM-SHA256",
        "ECDHE-ECDSA-AES256-GCM-SHA384", "ECDHE-RSA-AES256-GCM-SHA384",
        "ECDHE-ECDSA-CHACHA20-POLY1305", "ECDHE-RSA-CHACHA20-POLY1305",
    )
)  # fmt: skip
_VERSIONS = {"1.2": ssl.TLSVersion.TLSv1_2, "1.3": ssl.TLSVersion.TLSv1_3}


def _new_context(min_version: str) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = _VERSIONS[min_version]
    context.set_ciphers(_CIPHERS)
    # Visitors choose the cipher: phones without AES in hardware take ChaCha20. Tickets would be
    # encrypted with one key for as long as the process runs (Mozilla: off).
    context.options &= ~ssl.OP_CIPHER_SERVER_PREFERENCE
    context.options |= ssl.OP_NO_RENEGOTIATION | ssl.OP_NO_COMPRESSION | ssl.OP_NO_TICKET
    context.set_alpn_protocols(["http/1.1"])
    return context


def _context(certificate: Certificate, min_version: str = "1.2") -> ssl.SSLContext:
    context = _new_context(min_version)
    try:
        with _as_file(certificate.chain) as chain, _as_file(certificate.key) as key:
            context.load_cert_chain(chain, key)
    except ssl.SSLError as error:
        raise CertificateFileError(
            f"{certificate.file}: OpenSSL does not take this certificate or its key "
            f"({error.reason or error})"
        ) from None
    return context


@contextlib.contextmanager
def _as_file(content: bytes) -> Iterator[str]:
    """A name under which OpenSSL can read these bytes: what was checked is what is loaded, whatever
    has become of the file. In memory, where the system allows it.
    """
    if sys.platform == "linux":
        descriptor = os.memfd_create("consent-proxy-tls")
        try:
            with open(descriptor, "wb", closefd=False) as file:
                file.write(content)
            yield f"/proc/self/fd/{descriptor}"
        finally:
            os.close(descriptor)
        return
    with tempfile.NamedTemporaryFile() as file:  # its owner alone may read it
        file.write(content)
        file.flush()
        yield file.name


class ServerCertificates:
    """The certificates in force, by the name that a visitor asks for.

    `certificates` are in the order of the config: the first is for visitors who name no host, or
    one that no certificate covers.
    """

    def __init__(self, certificates: Sequence[Certificate], min_version: str) -> None:
        self.certificates = tuple(certificates)
        contexts = [_context(one, min_version) for one in certificates]
        self._first = contexts[0]
        self._by_name: Mapping[str, ssl.SSLContext] = {
            name: context
            for one, context in reversed(list(zip(certificates, contexts, strict=True)))
            for name in one.names
        }

    @property
    def expires(self) -> float:
        """When the first of them expires, in seconds since 1970."""
        return min(one.expires for one in self.certificates)

    def context_for(self, name: str | None) -> ssl.SSLContext:
        """The context for a handshake; `name` is that of the SNI, as it was sent."""
        if not name:
            return self._first
        host = name.lower().removesuffix(".")
        found = self._by_name.get(host) or self._by_name.get(f"*.{host.partition('.')[2]}")
        return found or self._first


def listening_context(
    current: Callable[[], ServerCertificates], min_version: str
) -> ssl.SSLContext:
    """The context of a listener. Each handshake takes its certificate from those that `current`
    returns: a renewed one counts from the next handshake on, and no connection is dropped.
    """
    context = _new_context(min_version)

    def choose(connection: ssl.SSLObject, name: str | None, _: ssl.SSLContext) -> None:
        connection.context = current().context_for(name)

    context.sni_callback = choose
    return context


def uncovered(certificates: Iterable[Certificate], hosts: Iterable[str]) -> Iterator[str]:
    """The hosts of sites that none of the certificates covers."""
    known = tuple(certificates)
    for host in hosts:
        if "." in host and not any(one.covers_pattern(host) for one in known):
            yield host
