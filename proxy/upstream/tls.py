"""TLS to upstreams: verified, 1.2 or later, with the operator's own files where there are any."""

from __future__ import annotations

import ssl
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

from consent_rules.config.models import UpstreamTls

_OTHERS = 0o077
_PEM_CERTIFICATE = b"-----BEGIN CERTIFICATE-----"
_PEM_KEY = b"PRIVATE KEY-----"


class UpstreamTlsError(Exception):
    """A file of [site.upstream_tls] cannot be used. `key` is the key that names it."""

    def __init__(self, key: str, message: str) -> None:
        super().__init__(message)
        self.key = key


@cache
def default_tls() -> ssl.SSLContext:
    """The context of all upstreams where nothing is configured, made on the first call: the
    system's certificates take 10 ms and a megabyte. Not every build of Python asks for 1.2 itself
    (Debian's leaves it to OpenSSL).
    """
    return _secured(ssl.create_default_context())


def upstream_tls(table: UpstreamTls, folder: Path) -> ssl.SSLContext | None:
    """The context for a site's upstreams; None where no file is named. Files are relative to
    `folder`, and read now. Raises UpstreamTlsError.
    """
    if table.ca is None and table.certificate is None:
        return None
    context = ssl.create_default_context() if table.ca is None else _trusting(folder / table.ca)
    if table.certificate is not None:
        key = folder / (table.key or table.certificate)
        _load_certificate(context, folder / table.certificate, key)
    return _secured(context)


def exposed_keys(table: UpstreamTls, folder: Path) -> Iterator[tuple[str, str]]:
    """A warning, with the key that names the file, where others may read a private key."""
    name = "key" if table.key is not None else "certificate"
    file = table.key or table.certificate
    if file is None:
        return
    path = folder / file
    try:
        mode = path.stat().st_mode & 0o777
    except OSError:
        return
    if mode & _OTHERS:
        yield (
            name,
            f"{path}: other users of this machine may read this private key (mode {mode:04o}); "
            f"run chmod 600 {path}",
        )


def tls_files(table: UpstreamTls, folder: Path) -> list[Path]:
    """The files that a table names."""
    return [folder / name for name in (table.ca, table.certificate, table.key) if name is not None]


def _secured(context: ssl.SSLContext) -> ssl.SSLContext:
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    return context


def _trusting(path: Path) -> ssl.SSLContext:
    text = _read("ca", path)
    if _PEM_CERTIFICATE not in text:
        raise UpstreamTlsError("ca", f"{path}: there is no certificate in it (PEM)")
    try:
        return ssl.create_default_context(cadata=text.decode("ascii", "ignore"))
    except ssl.SSLError as error:
        raise UpstreamTlsError("ca", f"{path}: a certificate in it is damaged ({error})") from None


def _load_certificate(context: ssl.SSLContext, certificate: Path, key: Path) -> None:
    if _PEM_CERTIFICATE not in _read("certificate", certificate):
        raise UpstreamTlsError("certificate", f"{certificate}: no certificate in it (PEM)")
    named = "certificate" if key == certificate else "key"
    text = _read(named, key)
    if _PEM_KEY not in text:
        missing = "; name its file with key" if key == certificate else ""
        raise UpstreamTlsError(named, f"{key}: there is no private key in it (PEM){missing}")
    try:
        context.load_cert_chain(certificate, key, password=_ask(named, key))
    except ssl.SSLError as error:
        if "KEY_VALUES_MISMATCH" in (error.reason or ""):
            message = f"{key}: this is not the key of the certificate in {certificate}"
        else:
            message = f"{key}: it or {certificate} is damaged ({error.reason or error})"
        raise UpstreamTlsError(named, message) from None


def _ask(named: str, key: Path) -> Callable[[], str]:
    """Called for the pass phrase of an encrypted key, which nobody is there to type."""

    def ask() -> str:
        raise UpstreamTlsError(
            named,
            f"{key}: the key is encrypted, and nobody can type its pass phrase at a start; "
            f"write it without one: openssl pkey -in {key} -out FILE",
        )

    return ask


def _read(named: str, path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise UpstreamTlsError(named, f"{path}: cannot be read: {error.strerror}") from None
