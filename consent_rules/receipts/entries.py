"""The entries of the log: what its leaves are hashes of.

An entry holds no content of a receipt, only a salted commitment to it: nobody learns from the log
what was chosen, and when the content and its salt are erased, the leaf and all proofs stay. An
erasure is an entry of its own, so that what was erased and what was lost are told apart. Each entry
has its index: one that stands in another's place shows it.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from consent_rules.receipts.canonical import CanonicalError, Json, canonical, read_canonical
from consent_rules.receipts.receipt import seconds, timestamp

SALT_BYTES = 32
_CONTEXT = b"consent-receipt commitment 1\n"


class EntryError(ValueError):
    """Bytes that are no entry of a log of receipts."""


class ErasureReason(StrEnum):
    VISITOR = "visitor"
    OPERATOR = "operator"
    RETENTION = "retention"


@dataclass(frozen=True, slots=True)
class ReceiptEntry:
    """A receipt was made: the commitment to its content. `entered` is when the entry was made, in a
    log of several nodes: a node that could not reach it enters its receipts later.
    """

    index: int
    commitment: bytes
    entered: int | None = None


@dataclass(frozen=True, slots=True)
class ErasureEntry:
    """The content of receipts was erased: of the leaves in `erased`, ranges without their ends."""

    index: int
    erased: tuple[tuple[int, int], ...]
    reason: ErasureReason
    made_at: int


Entry = ReceiptEntry | ErasureEntry


def commitment(content: bytes, salt: bytes) -> bytes:
    """The commitment to a receipt's content: it binds to the content, and hides it from all who do
    not have the salt. Raises ValueError for a salt of another length.
    """
    if len(salt) != SALT_BYTES:
        raise ValueError(f"a salt has {SALT_BYTES} bytes, not {len(salt)}")
    return hashlib.sha256(_CONTEXT + salt + content).digest()


def entry_bytes(entry: Entry) -> bytes:
    """The bytes of an entry, whose hash is the leaf."""
    if isinstance(entry, ReceiptEntry):
        value: dict[str, Json] = {
            "type": "receipt",
            "index": entry.index,
            "commitment": entry.commitment.hex(),
        }
        if entry.entered is not None:
            value["entered"] = timestamp(entry.entered)
        return canonical(value)
    return canonical(
        {
            "type": "erasure",
            "index": entry.index,
            "erased": [list(one) for one in entry.erased],
            "reason": entry.reason,
            "time": timestamp(entry.made_at),
        }
    )


def read_entry(data: bytes) -> Entry:
    """The entry with these bytes. Raises EntryError."""
    try:
        entry = _entry(read_canonical(data))
        same = entry_bytes(entry) == data
    except (CanonicalError, KeyError, TypeError, ValueError) as error:
        raise EntryError(f"not an entry of the log: {error}") from error
    if not same:
        raise EntryError("not an entry of the log: it has more than this version knows")
    return entry


def _entry(value: dict[str, Any]) -> Entry:
    index = _index(value["index"])
    if value["type"] == "receipt":
        entered = seconds(value["entered"]) if "entered" in value else None
        return ReceiptEntry(index, bytes.fromhex(value["commitment"]), entered)
    if value["type"] == "erasure":
        erased = tuple((_index(first), _index(end)) for first, end in value["erased"])
        reason = ErasureReason(value["reason"])
        return ErasureEntry(index, erased, reason, seconds(value["time"]))
    raise EntryError(f"unknown type {value['type']!r}")


def _index(value: object) -> int:
    if type(value) is not int or value < 0:
        raise EntryError(f"not an index: {value!r}")
    return value
