"""Consistency proofs as documents: those that hold, and every way in which one does not."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from consent_rules.receipts.canonical import canonical, read_canonical
from consent_rules.receipts.checkpoints import Checkpoint, sign_checkpoint
from consent_rules.receipts.consistency import (
    ConsistencyError,
    ConsistencyProof,
    check_consistency,
    is_consistency_proof,
    prove_consistency,
    read_consistency_proof,
)
from consent_rules.receipts.merkle import TILE_WIDTH, leaf_hash, root_of
from consent_rules.receipts.notes import verifier_key
from tests.support.receipt_logs import KEY, ORIGIN, VERIFIER

SIZE = 700
LEAVES = [leaf_hash(str(number).encode()) for number in range(SIZE)]


def read(level: int, first: int, count: int) -> Sequence[bytes]:
    if level == 0:
        return LEAVES[first : first + count]
    below = range(first, first + count)
    return [root_of(read(level - 1, i * TILE_WIDTH, TILE_WIDTH)) for i in below]


def note(size: int, leaves: Sequence[bytes] = LEAVES) -> str:
    root = root_of(leaves[:size])
    return sign_checkpoint(Checkpoint(ORIGIN, size, root), KEY)


def proof(old: int, new: int) -> ConsistencyProof:
    return prove_consistency(note(old), note(new), [VERIFIER], read, SIZE)


@given(st.integers(0, SIZE), st.integers(0, SIZE))
def test_a_proof_is_read_back_and_holds(one: int, other: int) -> None:
    old, new = sorted((one, other))
    data = proof(old, new).to_bytes() + b"\n"
    assert is_consistency_proof(data)
    found = read_consistency_proof(data)
    assert check_consistency(found, [VERIFIER]) == (old, new)
    assert len(found.hashes) <= 2 * SIZE.bit_length()


@given(st.integers(1, SIZE - 1), st.integers(0, 2**32))
def test_a_log_that_was_rewritten_has_no_proof(old: int, seed: int) -> None:
    """Both checkpoints are signed by the log's key: the proof is that of one tree."""
    chance = random.Random(seed)
    changed = list(LEAVES)
    changed[chance.randrange(old)] = leaf_hash(b"another")
    made = proof(old, SIZE)
    for notes in ((note(old, changed), made.new), (made.old, note(SIZE, changed))):
        with pytest.raises(ConsistencyError, match="does not continue"):
            check_consistency(ConsistencyProof(*notes, made.hashes), [VERIFIER])


def test_a_proof_that_was_changed() -> None:
    made = proof(300, 700)
    flipped = (bytes([made.hashes[0][0] ^ 1]) + made.hashes[0][1:], *made.hashes[1:])
    for hashes in (flipped, made.hashes[1:], made.hashes[:-1], made.hashes[::-1], (),
                   (*made.hashes, made.hashes[-1])):  # fmt: skip
        with pytest.raises(ConsistencyError, match="does not continue"):
            check_consistency(ConsistencyProof(made.old, made.new, hashes), [VERIFIER])


def test_what_cannot_be_proven() -> None:
    stranger = Ed25519PrivateKey.from_private_bytes(b"9" * 32)
    theirs = sign_checkpoint(Checkpoint(ORIGIN, 5, root_of(LEAVES[:5])), stranger)
    cases = [
        (note(5), note(SIZE), [VERIFIER], 4, "of a longer log: this one has 4"),
        (note(9), note(5), [VERIFIER], SIZE, "the later one"),
        (theirs, note(9), [VERIFIER], SIZE, "not of this log"),
        (note(5, LEAVES[::-1]), note(9), [VERIFIER], SIZE, "does not have the leaves"),
    ]
    for old, new, keys, size, message in cases:
        with pytest.raises(ConsistencyError, match=message):
            prove_consistency(old, new, keys, read, size)


def test_whose_signature_counts() -> None:
    made = proof(3, 9)
    stranger = verifier_key(ORIGIN, Ed25519PrivateKey.from_private_bytes(b"9" * 32))
    with pytest.raises(ConsistencyError, match="a checkpoint"):
        check_consistency(made, [stranger])
    with pytest.raises(ConsistencyError, match="earlier one first"):
        check_consistency(ConsistencyProof(made.new, made.old, made.hashes), [VERIFIER])


def test_the_checkpoint_that_was_written_down() -> None:
    made = proof(3, 9)
    assert check_consistency(made, [VERIFIER], [note(3)]) == (3, 9)
    with pytest.raises(ConsistencyError, match="other checkpoints"):
        check_consistency(made, [VERIFIER], [note(4)])


def _changed(**values: Any) -> bytes:
    return canonical({**read_canonical(proof(3, 9).to_bytes()), **values})


@pytest.mark.parametrize(
    "data",
    [
        b"", b"{}", b"[]", b"\xff", b'{"type":"consistency"}', proof(3, 9).to_bytes() + b" ",
        _changed(format=2), _changed(more=1), _changed(proof="00"), _changed(proof=[1]),
        _changed(proof=["00"]), _changed(proof=["AB" * 32]), _changed(proof=["00" * 32] * 129),
    ],
)  # fmt: skip
def test_what_is_no_proof(data: bytes) -> None:
    with pytest.raises(ConsistencyError):
        read_consistency_proof(data)
