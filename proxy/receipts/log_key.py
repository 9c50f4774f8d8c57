"""The log's own key: an Ed25519 private key in a PEM file beside the store."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from proxy.cookies.preference_cookie import KeyFileError
from proxy.cookies.signing_keys import read_key
from proxy.receipts.errors import ReceiptStoreError


def read_log_key(path: Path) -> Ed25519PrivateKey:
    """Raises ReceiptStoreError where the file is missing, is no such key, or others may read it."""
    try:
        return read_key(path)
    except KeyFileError as error:
        raise ReceiptStoreError(str(error)) from error


def make_log_key(path: Path) -> None:
    """Make a key at `path`, unless there is one by now. Raises OSError."""
    key = Ed25519PrivateKey.generate()
    pem = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    unfinished = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(pem)
            file.flush()
            os.fsync(descriptor)
        # Workers start together: the first one's key is that of all, and it is there whole.
        with contextlib.suppress(FileExistsError):
            os.link(unfinished, path)
    finally:
        unfinished.unlink(missing_ok=True)
