"""Ed25519 signing keys on disk: `*.pem` files in one folder.

Reading never writes. Keys are created only by `first_keys` (at the start of `run`) and `make_key`
(`keys rotate`).
"""

from __future__ import annotations

import contextlib
import datetime
import fcntl
import logging
import os
from collections.abc import Iterator
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from proxy.cookies.preference_cookie import KeyFileError, KeyRing, key_id

_log = logging.getLogger("consent_proxy.cookies")


class NoKeysError(KeyFileError):
    """The folder holds no key, or is not there."""


def read_keys(folder: Path) -> KeyRing:
    """Read the Ed25519 private keys of a folder.

    Raises KeyFaultError when a file is not such a key or others may read it, NoKeysError when
    there is none.
    """
    _check_folder(folder)
    files = key_files(folder)
    if not files:
        raise NoKeysError(
            f"{folder}: there is no key in this folder. A choice is only read with the key that "
            "signed it: copy the *.pem files of the folder used so far, or make a first key with "
            "`consent-proxy keys rotate --config FILE`"
        )
    return KeyRing({path.name: read_key(path) for path in files})


def check_keys(folder: Path) -> None:
    """Raise KeyFileError where a folder's keys cannot be used.

    A missing key is no problem: `run` creates the first one. A key that this process may not read
    is skipped: the proxy's own user may.
    """
    _check_folder(folder)
    for path in key_files(folder):
        try:
            read_key(path)
        except KeyFileError as error:
            if not isinstance(error.__cause__, PermissionError):
                raise


def first_keys(folder: Path, now: datetime.datetime) -> KeyRing:
    """As `read_keys`; creates the first key where there is none.

    The folder or its parent must exist. On KeyFileError nothing created is left behind.
    """
    try:
        return read_keys(folder)
    except NoKeysError:
        made = _make_first_key(folder, now)
    if made is not None:
        _log.warning(
            "no signing key found: created the first key, %s. Choices signed by other keys cannot "
            "be read: visitors who have one see the banner again, and what needs consent stays "
            "closed until then. All nodes of a site need the same keys",
            made,
        )
    return read_keys(folder)


def key_files(folder: Path) -> list[Path]:
    """The files of a folder's keys. The last one signs."""
    return sorted(folder.glob("*.pem")) if folder.is_dir() else []


def _check_folder(folder: Path) -> None:
    if os.path.lexists(folder) and not folder.is_dir():
        raise KeyFileError(
            f"{folder}: not a folder; name one in preferences.keys, or remove what stands there"
        )


def _make_first_key(folder: Path, now: datetime.datetime) -> Path | None:
    """The new key's file; None where another process has created one meanwhile."""
    made_folder = False
    try:
        with contextlib.suppress(FileExistsError):  # also when another process is quicker
            folder.mkdir(mode=0o700)
            made_folder = True
        with _locked_folder(folder):
            # Nodes that share a volume start together: one makes the key, the others find it.
            return None if key_files(folder) else make_key(folder, now)
    except OSError as error:
        if made_folder:
            with contextlib.suppress(OSError):
                folder.rmdir()
        raise KeyFileError(
            f"{folder}: no key can be made here ({error.strerror}); create the folder and let "
            "the proxy's user write to it, or set preferences.keys"
        ) from error


@contextlib.contextmanager
def _locked_folder(folder: Path) -> Iterator[None]:
    """Hold an exclusive lock of a folder."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def make_key(folder: Path, now: datetime.datetime) -> Path:
    """Write a new signing key into a folder that exists. Raises OSError."""
    key = Ed25519PrivateKey.generate()
    pem = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    path = folder / f"{now:%Y%m%dT%H%M%SZ}-{key_id(key.public_key())}.pem"
    # Under another name until it is complete: readers of the folder never find half of a key.
    unfinished = path.with_suffix(".new")
    try:
        descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(pem)
        if os.geteuid() == 0:  # made for the proxy's user, whose folder it is
            owner = folder.stat()
            os.chown(unfinished, owner.st_uid, owner.st_gid)
        return unfinished.rename(path)
    except OSError:
        unfinished.unlink(missing_ok=True)
        raise


def read_key(path: Path) -> Ed25519PrivateKey:
    """Read one key file. Raises KeyFileError."""
    try:
        data = path.read_bytes()
        if path.stat().st_mode & 0o077:
            raise KeyFileError(f"{path}: others may read this key; run `chmod 600 {path}`")
        key = serialization.load_pem_private_key(data, password=None)
    except OSError as error:
        raise KeyFileError(f"{path}: cannot be read ({error.strerror})") from error
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise KeyFileError(f"{path}: not an unencrypted PEM private key; remove it") from error
    if not isinstance(key, Ed25519PrivateKey):
        raise KeyFileError(f"{path}: not an Ed25519 key; remove it and let the proxy make one")
    return key
