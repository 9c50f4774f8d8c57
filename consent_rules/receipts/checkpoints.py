"""Checkpoints: the size and root of a log at one moment, signed (https://c2sp.org/tlog-checkpoint)."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Sequence
from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from consent_rules.receipts.merkle import HASH_BYTES
from consent_rules.receipts.notes import NoteError, VerifierKey, read_note, sign_note, verify_note


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A log's size and root. `origin` names the log."""

    origin: str
    size: int
    root: bytes

    @property
    def text(self) -> str:
        root = base64.b64encode(self.root).decode("ascii")
        return f"{self.origin}\n{self.size}\n{root}\n"


def sign_checkpoint(checkpoint: Checkpoint, key: Ed25519PrivateKey) -> str:
    """The signed note of a checkpoint. The key's name is the log's origin."""
    return sign_note(checkpoint.text, checkpoint.origin, key)


def read_checkpoint(note: str) -> Checkpoint:
    """The checkpoint of a note, its signature not verified. Raises NoteError."""
    return _checkpoint(read_note(note).text)


def verify_checkpoint(note: str, keys: Sequence[VerifierKey]) -> Checkpoint:
    """The checkpoint of a note that one of these keys signed. Raises NoteError."""
    return _checkpoint(verify_note(note, keys))


def _checkpoint(text: str) -> Checkpoint:
    lines = text[:-1].split("\n")
    if len(lines) < 3 or not all(lines):
        raise NoteError("not a checkpoint: origin, tree size and root hash, a line each")
    origin, size, root = lines[:3]
    if not re.fullmatch(r"0|[1-9][0-9]{0,17}", size):
        raise NoteError(f"not a tree size: {size[:30]!r}")
    try:
        data = base64.b64decode(root, validate=True)
    except (binascii.Error, ValueError):
        data = b""
    found = Checkpoint(origin, int(size), data)
    if len(data) != HASH_BYTES or not text.startswith(found.text):
        raise NoteError(f"not a root hash: {root[:60]!r}")
    return found
