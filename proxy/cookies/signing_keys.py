"""Ed25519 signing keys on disk."""

from __future__ import annotations

import contextlib
import datetime
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from proxy.cookies.preference_cookie import KeyFaultError, KeyRing, key_id


def load_keys(folder: Path, now: datetime.datetime) -> KeyRing:
    """Read the Ed25519 private keys (`*.pem`) of a folder; make the first one if there is none.

    Raises KeyFaultError when a file is not such a key, or others may read it.
    """
    files = _key_files(folder) or _make_first_key(folder, now)
    return KeyRing({path.name: _read_key(path) for path in files})


def check_keys(folder: Path) -> None:
    """Read the keys of a folder and make none. Raises KeyFaultError as `load_keys` would.

    A key that the user of this process may not read is passed over: the proxy's user may.
    """
    if folder.exists() and not folder.is_dir():
        raise KeyFaultError(f"{folder}: not a folder; remove it, or set preferences.keys")
    for path in _key_files(folder):
        try:
            _read_key(path)
        except KeyFaultError as error:
            if not isinstance(error.__cause__, PermissionError):
                raise


def _key_files(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.pem")) if folder.is_dir() else []


def _make_first_key(folder: Path, now: datetime.datetime) -> list[Path]:
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with _alone_in(folder):
            # Workers reload at the same moment: one makes the key, the others find it.
            return _key_files(folder) or [make_key(folder, now)]
    except OSError as error:
        raise KeyFaultError(
            f"{folder}: no key can be made here ({error.strerror}); create the folder and let "
            "the proxy's user write to it, or set preferences.keys"
        ) from error


@contextlib.contextmanager
def _alone_in(folder: Path) -> Iterator[None]:
    """Hold a folder's lock: no other process is in this block meanwhile."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def make_key(folder: Path, now: datetime.datetime) -> Path:
    """Write a new signing key into a folder. Raises OSError."""
    key = Ed25519PrivateKey.generate()
    pem = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    path = folder / f"{now:%Y%m%dT%H%M%SZ}-{key_id(key.public_key())}.pem"
    # Under another name until it is complete: whoever reads the folder finds no half of a key.
    unfinished = path.with_suffix(".new")
    with os.fdopen(os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(pem)
    return unfinished.rename(path)


def _read_key(path: Path) -> Ed25519PrivateKey:
    try:
        data = path.read_bytes()
        if path.stat().st_mode & 0o077:
            raise KeyFaultError(f"{path}: others may read this key; run `chmod 600 {path}`")
        key = serialization.load_pem_private_key(data, password=None)
    except OSError as error:
        raise KeyFaultError(f"{path}: cannot be read ({error.strerror})") from error
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise KeyFaultError(f"{path}: not an unencrypted PEM private key; remove it") from error
    if not isinstance(key, Ed25519PrivateKey):
        raise KeyFaultError(f"{path}: not an Ed25519 key; remove it and let the proxy make one")
    return key
