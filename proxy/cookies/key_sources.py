"""Where a configuration's signing keys come from: a folder, an environment variable, or what a
command prints (for a vault, or a service that holds keys).
"""

from __future__ import annotations

import contextlib
import datetime
import os
import re
import signal
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from consent_rules.config.load import PreferenceStore
from consent_rules.wording import printable
from proxy.cookies.preference_cookie import KeyFileError, KeyRing
from proxy.cookies.signing_keys import check_keys, first_keys, read_keys, revoked_ids

_BLOCK = re.compile(r"-----BEGIN ([A-Z ]+)-----.*?-----END \1-----", re.S)
_MAX_TEXT = 65_536
"""Characters of PEM text: hundreds of keys."""
_MAX_WORDS = 200
"""Characters of a failed command's last line that are shown."""


@dataclass(frozen=True, slots=True)
class KeySource:
    """Where keys are read from: `variable` or `command` where one is set, else `folder`. `base` is
    the folder that the command runs in. `revoked` are ids of keys that the config revokes.
    """

    folder: Path
    base: Path
    variable: str = ""
    command: tuple[str, ...] = ()
    command_seconds: float = 10.0
    revoked: frozenset[str] = frozenset()

    @property
    def is_folder(self) -> bool:
        return not self.variable and not self.command

    @property
    def name(self) -> str:
        """For messages."""
        if self.variable:
            return f"the environment variable {self.variable}"
        return f"keys_command {self.command[0]}" if self.command else str(self.folder)


def key_source(preferences: PreferenceStore, base: Path) -> KeySource:
    """The source that a config names. Relative paths are resolved against `base`, the folder of the
    config file.
    """
    return KeySource(
        folder=base / preferences.keys,
        base=base,
        variable=preferences.keys_variable or "",
        command=preferences.keys_command,
        command_seconds=preferences.keys_command_timeout,
        revoked=frozenset(preferences.revoked_keys),
    )


def read_ring(source: KeySource) -> KeyRing:
    """The keys of a source, as they are now. Raises KeyFileError."""
    if source.is_folder:
        return read_keys(source.folder, source.revoked)
    text = _output(source) if source.command else _variable(source, os.environ)
    ring = KeyRing(_keys(text, source.name), source.revoked)
    if not ring.usable:
        raise KeyFileError(
            f"{source.name}: every key of it is in revoked_keys; put a new one there"
        )
    return ring


def first_ring(source: KeySource, now: datetime.datetime) -> KeyRing:
    """As `read_ring`; creates the first key of a folder that has none."""
    if source.is_folder:
        return first_keys(source.folder, now, source.revoked)
    return read_ring(source)


def check_source(source: KeySource) -> None:
    """Raise KeyFileError where the keys of a source plainly cannot be used. Runs no command, and
    does not ask for a variable, which may be set only where the proxy is started.
    """
    if source.is_folder:
        check_keys(source.folder)
    elif source.variable and os.environ.get(source.variable):
        _keys(_variable(source, os.environ), source.name)


def revoked_now(source: KeySource) -> frozenset[str]:
    """The ids of the keys that are revoked by now, whatever else the source holds."""
    return source.revoked | (revoked_ids(source.folder) if source.is_folder else frozenset())


def _variable(source: KeySource, environment: Mapping[str, str]) -> str:
    text = environment.get(source.variable, "")
    if not text:
        raise KeyFileError(
            f"{source.name} (keys_variable) is not set or empty; set it where the proxy is started"
        )
    # Where a variable has one line alone: in files of systemd and docker.
    return text.replace("\\n", "\n")


def _output(source: KeySource) -> str:
    """What the command prints."""
    try:
        # A group of its own, so that what the command has started ends with it.
        process = subprocess.Popen(  # noqa: S603 - the operator's own program
            source.command,
            cwd=source.base,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else str(error)
        raise KeyFileError(f"{source.name}: cannot be run ({why})") from error
    try:
        output, errors = process.communicate(timeout=source.command_seconds)
    except subprocess.TimeoutExpired as error:
        with contextlib.suppress(OSError):
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        raise KeyFileError(
            f"{source.name}: gave no keys within {source.command_seconds:g} seconds "
            "(keys_command_timeout)"
        ) from error
    if process.returncode:
        raise KeyFileError(f"{source.name}: ended with {process.returncode}{_last_line(errors)}")
    return output.decode("utf-8", "replace")


def _last_line(errors: bytes) -> str:
    """What a command says last of its failure. Its output is never shown: it may hold keys."""
    lines = errors.decode("utf-8", "replace").strip().splitlines()
    return f": {printable(lines[-1][:_MAX_WORDS])}" if lines else ""


def _keys(text: str, name: str) -> dict[str, Ed25519PrivateKey]:
    """The keys of PEM blocks, by their place: the last one signs. Raises KeyFileError."""
    if len(text) > _MAX_TEXT:
        raise KeyFileError(f"{name}: holds more than {_MAX_TEXT} characters; no keys are that long")
    found: dict[str, Ed25519PrivateKey] = {}
    for number, block in enumerate(_BLOCK.finditer(text), 1):
        try:
            key = serialization.load_pem_private_key(block[0].encode(), password=None)
        except (ValueError, TypeError, UnsupportedAlgorithm) as error:
            raise KeyFileError(
                f"{name}: block {number} is no unencrypted PEM private key"
            ) from error
        if not isinstance(key, Ed25519PrivateKey):
            raise KeyFileError(f"{name}: block {number} is not an Ed25519 key")
        found[f"{number:04}"] = key
    if not found:
        raise KeyFileError(
            f"{name}: holds no key; it must be one or more Ed25519 private keys in PEM, one after "
            "the other, of which the last one signs"
        )
    return found
