"""Signed notes: text with Ed25519 signatures (https://c2sp.org/signed-note)."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

_ED25519 = b"\x01"
"""The type of signature."""
_MAX_SIGNATURES = 64
_LINE = re.compile(r"— ([^\s+]+) ([A-Za-z0-9+/]+={0,2})")
_CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f]")


class NoteError(ValueError):
    """A note or a verifier key that cannot be read, or whose signature is not good."""


@dataclass(frozen=True, slots=True)
class VerifierKey:
    """A public key by which notes are verified. Its text is that of Go's sumdb/note:
    `<name>+<key id in hex>+<base64 of type and key>`.
    """

    name: str
    public: bytes

    @property
    def key_id(self) -> bytes:
        return sha256(self.name.encode() + b"\n" + _ED25519 + self.public).digest()[:4]

    def __str__(self) -> str:
        return f"{self.name}+{self.key_id.hex()}+{_base64(_ED25519 + self.public)}"


@dataclass(frozen=True, slots=True)
class Signature:
    """One signature line."""

    name: str
    key_id: bytes
    signature: bytes


@dataclass(frozen=True, slots=True)
class Note:
    """A note, its signatures not verified. `text` ends in a newline."""

    text: str
    signatures: tuple[Signature, ...]


def is_key_name(name: str) -> bool:
    """Whether a text may be the name of a key."""
    return bool(name) and not re.search(r"[\s+]", name) and name.isprintable()


def verifier_key(name: str, key: Ed25519PrivateKey) -> VerifierKey:
    return VerifierKey(name, key.public_key().public_bytes_raw())


def read_verifier_key(text: str) -> VerifierKey:
    """Raises NoteError."""
    name, _, rest = text.strip().partition("+")
    key_id, _, encoded = rest.partition("+")
    data = _unbase64(encoded)
    if not is_key_name(name) or data is None or len(data) != 33 or data[:1] != _ED25519:
        raise NoteError("not a verifier key of an Ed25519 signature: <name>+<key id>+<base64>")
    key = VerifierKey(name, data[1:])
    if key.key_id.hex() != key_id:
        raise NoteError(f"the key id {key_id[:20]} is not that of the key and its name")
    return key


def sign_note(text: str, name: str, key: Ed25519PrivateKey) -> str:
    """The note with this text. Raises NoteError for a text or name that no note can have."""
    if not text.endswith("\n") or _CONTROL.search(text) or not is_key_name(name):
        raise NoteError("a note's text ends in a newline and has no control characters")
    signature = verifier_key(name, key).key_id + key.sign(text.encode())
    return f"{text}\n— {name} {_base64(signature)}\n"


def read_note(note: str) -> Note:
    """The parts of a note. Raises NoteError."""
    text, found, rest = note.rpartition("\n\n")
    if not found or not rest.endswith("\n") or _CONTROL.search(note):
        raise NoteError("not a signed note: text, an empty line, signatures")
    lines = rest[:-1].split("\n")
    if len(lines) > _MAX_SIGNATURES:
        raise NoteError(f"a note with {len(lines)} signatures")
    return Note(f"{text}\n", tuple(_signature(line) for line in lines))


def _signature(line: str) -> Signature:
    match = _LINE.fullmatch(line)
    data = None if match is None else _unbase64(match[2])
    if match is None or data is None or len(data) < 5:
        raise NoteError(f"not a signature line: {line[:60]!r}")
    return Signature(match[1], data[:4], data[4:])


def verify_note(note: str, keys: Sequence[VerifierKey]) -> str:
    """The text of a note that one of these keys signed.

    Signatures by other keys are ignored; one of a known key that is not good rejects the note.
    Raises NoteError.
    """
    parts = read_note(note)
    known = {(key.name, key.key_id): key for key in keys}
    verified = False
    for one in parts.signatures:
        key = known.get((one.name, one.key_id))
        if key is None:
            continue
        try:
            public = Ed25519PublicKey.from_public_bytes(key.public)
            public.verify(one.signature, parts.text.encode())
        except (InvalidSignature, ValueError) as error:
            raise NoteError(f"the signature of {key.name} is not good") from error
        verified = True
    if not verified:
        names = ", ".join(f"{one.name} ({one.key_id.hex()})" for one in parts.signatures)
        raise NoteError(f"signed by {names}, not by a key that is trusted here")
    return parts.text


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


def _unbase64(text: str) -> bytes | None:
    """The bytes; None for a text that is not their one spelling."""
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return None
    return data if _base64(data) == text else None
