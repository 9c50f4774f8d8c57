"""Ed25519 signing keys on disk: `*.pem` files in one folder.

A key that was revoked has a file `KID.revoked` in its place: it is not read even where a copy of
its file comes back. Reading never writes. Keys are created only by `first_keys` (at the start of
`run`) and `make_key` (`keys rotate`).
"""

from __future__ import annotations

import contextlib
import datetime
import fcntl
import logging
import os
import re
import stat
from collections.abc import Collection, Iterator
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from proxy.cookies.preference_cookie import KeyFileError, KeyRing, key_id

_log = logging.getLogger("consent_proxy.cookies")


_REVOKED = ".revoked"
_KEY_ID = re.compile(r"[A-Za-z0-9_-]{1,128}")


class NoKeysError(KeyFileError):
    """The folder holds no key, or is not there."""


def read_keys(folder: Path, revoked: Collection[str] = ()) -> KeyRing:
    """Read the Ed25519 private keys of a folder. `revoked` are key ids, besides those that have a
    file in the folder.

    Raises KeyFileError when a file is not such a key, when others may read it or write to the
    folder, and when all keys are revoked; NoKeysError when there is none.
    """
    _check_folder(folder)
    files = key_files(folder)
    if not files:
        raise NoKeysError(
            f"{folder}: there is no key in this folder. A choice is only read with the key that "
            "signed it: copy the *.pem files of the folder used so far, or make a first key with "
            "`consent-proxy keys rotate --config FILE`"
        )
    ring = KeyRing(
        {path.name: read_key(path) for path in files}, revoked_ids(folder).union(revoked)
    )
    if not ring.usable:
        raise KeyFileError(
            f"{folder}: every key in this folder was revoked; make one with `consent-proxy keys "
            "rotate --config FILE`"
        )
    return ring


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


def first_keys(folder: Path, now: datetime.datetime, revoked: Collection[str] = ()) -> KeyRing:
    """As `read_keys`; creates the first key where there is none.

    The folder or its parent must exist. On KeyFileError nothing created is left behind.
    """
    try:
        return read_keys(folder, revoked)
    except NoKeysError:
        made = _make_first_key(folder, now)
    if made is not None:
        _log.warning(
            "no signing key found: created the first key, %s. Choices signed by other keys cannot "
            "be read: visitors who have one see the banner again, and what needs consent stays "
            "closed until then. All nodes of a site need the same keys",
            made,
        )
    return read_keys(folder, revoked)


def key_files(folder: Path) -> list[Path]:
    """The files of a folder's keys, in the order in which they sign."""
    return sorted(folder.glob("*.pem")) if folder.is_dir() else []


def revoked_files(folder: Path) -> list[Path]:
    """The files that say which keys were revoked."""
    return sorted(folder.glob(f"*{_REVOKED}")) if folder.is_dir() else []


def revoked_ids(folder: Path) -> frozenset[str]:
    """The ids of the keys that were revoked in a folder."""
    return frozenset(path.name.removesuffix(_REVOKED) for path in revoked_files(folder))


def mark_revoked(folder: Path, kid: str, now: datetime.datetime | None = None) -> bool:
    """Say in a folder that a key is revoked; whether that is news there. Raises OSError, and
    ValueError for what is no id.
    """
    if not _KEY_ID.fullmatch(kid):
        raise ValueError(f"no key's id: {kid!r}")
    marker = folder / f"{kid}{_REVOKED}"
    if marker.exists():
        return False
    at = datetime.datetime.now(datetime.UTC) if now is None else now
    _write_whole(marker, f"{at:%Y-%m-%dT%H:%M:%SZ}\n".encode())
    return True


def revoke_key(folder: Path, kid: str, now: datetime.datetime) -> list[Path]:
    """Revoke a key: say so in the folder, then remove its private key. Returns the files that were
    removed. Raises OSError.
    """
    mark_revoked(folder, kid, now)
    found = []
    for path in key_files(folder):
        with contextlib.suppress(KeyFileError):
            if key_id(read_key(path).public_key()) == kid:
                path.unlink()
                found.append(path)
    return found


def _check_folder(folder: Path) -> None:
    if os.path.lexists(folder) and not folder.is_dir():
        raise KeyFileError(
            f"{folder}: not a folder; name one in preferences.keys, or remove what stands there"
        )
    if folder.is_dir() and folder.stat().st_mode & stat.S_IWOTH and not _is_read_only(folder):
        raise KeyFileError(
            f"{folder}: everybody on this machine may put keys into this folder; run "
            f"`chmod o-w {folder}`"
        )


def _is_read_only(folder: Path) -> bool:
    """Whether the folder's file system takes no writes: a volume of secrets in a container has the
    mode of a temporary folder.
    """
    return bool(os.statvfs(folder).f_flag & os.ST_RDONLY)


def _make_first_key(folder: Path, now: datetime.datetime) -> Path | None:
    """The new key's file; None where another process has created one meanwhile."""
    made_folder = False
    try:
        with contextlib.suppress(FileExistsError):  # also when another process is quicker
            folder.mkdir(mode=0o700)
            made_folder = True
        with _locked_folder(folder):
            # Nodes that share a volume start together: one makes the key, the others find it.
            return None if key_files(folder) else _make_key(folder, now)
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
    """Write a new signing key into a folder that exists. Raises OSError.

    It signs from `now` on: from the next whole second where another key signs from that one, as
    their ids would decide which of the two signs.
    """
    with _locked_folder(folder):  # another process may make one in the same second
        return _make_key(folder, now)


def _make_key(folder: Path, now: datetime.datetime) -> Path:
    key = Ed25519PrivateKey.generate()
    while key_id(key.public_key()).startswith("-"):  # an option to `keys revoke`
        key = Ed25519PrivateKey.generate()
    pem = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    starts = now
    while any(folder.glob(f"{_name_begins(starts)}*.pem")):
        starts += datetime.timedelta(seconds=1)
    return _write_whole(folder / f"{_name_begins(starts)}{key_id(key.public_key())}.pem", pem)


def _name_begins(starts: datetime.datetime) -> str:
    return f"{starts:%Y%m%dT%H%M%SZ}-"


def _write_whole(path: Path, content: bytes) -> Path:
    """Write a new file for the owner of its folder alone. Raises OSError.

    Under another name until it is complete: readers of the folder never find half of a key.
    """
    unfinished = path.with_suffix(".new")
    try:
        descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
        if os.geteuid() == 0:  # made for the proxy's user, whose folder it is
            owner = path.parent.stat()
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
