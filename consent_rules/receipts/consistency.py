"""A consistency proof as a document: that the tree of one checkpoint continues that of another.

One line of canonical JSON: `{"format": 1, "from": NOTE, "proof": [HEX, ...], "to": NOTE, "type":
"consistency"}`. Some dozens of hashes, whatever the size of the log: who has an earlier checkpoint
needs no export to know that nothing before it was changed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from consent_rules.receipts.canonical import CanonicalError, canonical, read_canonical
from consent_rules.receipts.checkpoints import verify_checkpoint
from consent_rules.receipts.merkle import (
    EMPTY_ROOT,
    HASH_BYTES,
    ReadHashes,
    consistency_ranges,
    proof_of,
    tree_hash,
    verify_consistency,
)
from consent_rules.receipts.notes import NoteError, VerifierKey
from consent_rules.wording import leaf_count

_FORMAT = 1
_MAX_HASHES = 128
"""A tree of 2**64 leaves needs no more."""


class ConsistencyError(ValueError):
    """A proof that does not hold, or cannot be made. The message says why."""


@dataclass(frozen=True, slots=True)
class ConsistencyProof:
    """The notes of two checkpoints, and the hashes that lead from one to the other."""

    old: str
    new: str
    hashes: tuple[bytes, ...]

    def to_bytes(self) -> bytes:
        return canonical(
            {
                "type": "consistency",
                "format": _FORMAT,
                "from": self.old,
                "to": self.new,
                "proof": [one.hex() for one in self.hashes],
            }
        )


def is_consistency_proof(data: bytes) -> bool:
    """Whether a file has the form of such a document rather than of an export."""
    return data.partition(b"\n")[0].endswith(b'"type":"consistency"}')


def read_consistency_proof(data: bytes) -> ConsistencyProof:
    """Raises ConsistencyError."""
    try:
        value = read_canonical(data.removesuffix(b"\n"))
        if value.keys() != {"type", "format", "from", "to", "proof"} or value["format"] != _FORMAT:
            raise ConsistencyError("not a consistency proof that this version knows")
        texts, notes = value["proof"], (value["from"], value["to"])
        if not isinstance(texts, list) or not all(isinstance(one, str) for one in (*texts, *notes)):
            raise ConsistencyError("its parts are no texts")
        hashes = tuple(bytes.fromhex(one) for one in texts)
    except CanonicalError as error:
        raise ConsistencyError(f"not a consistency proof: {error}") from error
    except ValueError as error:
        raise ConsistencyError(str(error)) from error
    if [one.hex() for one in hashes] != texts or any(len(one) != HASH_BYTES for one in hashes):
        raise ConsistencyError("its hashes are not 32 bytes in hex")
    if len(hashes) > _MAX_HASHES:
        raise ConsistencyError("it has more hashes than any tree needs")
    return ConsistencyProof(notes[0], notes[1], hashes)


def check_consistency(
    proof: ConsistencyProof, keys: Sequence[VerifierKey], outside: Sequence[str] = ()
) -> tuple[int, int]:
    """The sizes of the two checkpoints that trusted keys signed, where the newer continues the
    older. `outside` are those that an auditor wrote down: the proof must be about them. Raises
    ConsistencyError.
    """
    if not {proof.old, proof.new}.issuperset(outside):
        raise ConsistencyError("it is about other checkpoints than the one that was written down")
    try:
        old, new = verify_checkpoint(proof.old, keys), verify_checkpoint(proof.new, keys)
    except NoteError as error:
        raise ConsistencyError(f"a checkpoint: {error}") from error
    if old.origin != new.origin:
        raise ConsistencyError(f"the checkpoints are of two logs, {old.origin} and {new.origin}")
    if old.size > new.size:
        raise ConsistencyError(
            f"the first checkpoint has {leaf_count(old.size)}, the second {new.size}: give the "
            "earlier one first"
        )
    if not verify_consistency(old.size, new.size, old.root, new.root, proof.hashes):
        raise ConsistencyError(
            f"the log of {leaf_count(new.size)} does not continue that of {old.size}: it was "
            "rewritten, or the proof was changed"
        )
    return old.size, new.size


def prove_consistency(
    old: str, new: str, keys: Sequence[VerifierKey], read: ReadHashes, size: int
) -> ConsistencyProof:
    """The proof between two checkpoints of a log that has `size` leaves by now. Raises
    ConsistencyError where a checkpoint is not this log's, or its leaves are others.
    """
    try:
        first, second = verify_checkpoint(old, keys), verify_checkpoint(new, keys)
    except NoteError as error:
        raise ConsistencyError(f"a checkpoint is not of this log: {error}") from error
    for one in (first, second):
        if one.size > size:
            raise ConsistencyError(
                f"the checkpoint of {leaf_count(one.size)} is of a longer log: this one has {size}"
            )
        root = tree_hash(one.size, read) if one.size else EMPTY_ROOT
        if root != one.root:
            raise ConsistencyError(
                f"the log does not have the leaves of the checkpoint of {one.size}: it was changed "
                "since; `receipts verify` says where"
            )
    if first.size > second.size:
        raise ConsistencyError("the first checkpoint is the later one: give the earlier one first")
    ranges = consistency_ranges(first.size, second.size)
    return ConsistencyProof(old, new, tuple(proof_of(ranges, read)))
