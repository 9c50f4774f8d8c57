"""RFC 9162, 2.1: vectors of Certificate Transparency, the RFC's example tree, and properties."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consent_rules.receipts.merkle import (
    EMPTY_ROOT,
    TILE_WIDTH,
    Frontier,
    consistency_ranges,
    frontier_ranges,
    inclusion_ranges,
    leaf_hash,
    node_hash,
    proof_of,
    range_hash,
    root_of,
    tree_hash,
    verify_consistency,
    verify_inclusion,
)

LEAVES = [
    bytes.fromhex(text)
    for text in (
        "", "00", "10", "2021", "3031", "40414243", "5051525354555657",
        "606162636465666768696a6b6c6d6e6f",
    )
]  # fmt: skip
"""The leaves that certificate-transparency, Trillian and others test with."""
ROOTS = [
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]


class Stored:
    """Hashes by level, as a store has them."""

    def __init__(self, leaves: list[bytes]) -> None:
        self.levels = [leaves]
        while len(self.levels[-1]) >= TILE_WIDTH:
            below = self.levels[-1]
            whole = len(below) // TILE_WIDTH
            tiles = (below[i * TILE_WIDTH : (i + 1) * TILE_WIDTH] for i in range(whole))
            self.levels.append([root_of(tile) for tile in tiles])

    def __call__(self, level: int, first: int, count: int) -> list[bytes]:
        found = self.levels[level][first : first + count]
        assert len(found) == count, "a range that is not complete"
        return found


def leaves(count: int) -> list[bytes]:
    return [leaf_hash(str(number).encode()) for number in range(count)]


def mth(hashes: list[bytes]) -> bytes:
    """MTH, as 2.1.1 words it."""
    if not hashes:
        return hashlib.sha256().digest()
    if len(hashes) == 1:
        return hashes[0]
    k = 1
    while k * 2 < len(hashes):
        k *= 2
    return node_hash(mth(hashes[:k]), mth(hashes[k:]))


@pytest.mark.parametrize("size", range(9))
def test_roots_of_certificate_transparency(size: int) -> None:
    hashes = [leaf_hash(leaf) for leaf in LEAVES[:size]]
    frontier = Frontier()
    for one in hashes:
        frontier = frontier.append(one)
    wanted = bytes.fromhex(ROOTS[size])
    assert root_of(hashes) == wanted == frontier.root == tree_hash(size, Stored(hashes))


def test_the_example_of_the_rfc() -> None:
    """2.1.5: seven leaves, and the nodes by their letters."""
    a, b, c, d, e, f, j = leaves(7)
    g, h, i = node_hash(a, b), node_hash(c, d), node_hash(e, f)
    k, last = node_hash(g, h), node_hash(i, j)
    read = Stored(leaves(7))
    paths = {0: [b, h, last], 3: [c, g, last], 4: [f, j, k], 6: [i, k]}
    for index, path in paths.items():
        assert proof_of(inclusion_ranges(index, 7), read) == path
    assert proof_of(consistency_ranges(3, 7), read) == [c, d, g, last]
    assert proof_of(consistency_ranges(4, 7), read) == [last]
    assert proof_of(consistency_ranges(6, 7), read) == [i, j, k]
    assert tree_hash(7, read) == node_hash(k, last)


@given(st.integers(0, 700))
def test_roots_are_those_of_the_definition(size: int) -> None:
    hashes = leaves(size)
    frontier = Frontier()
    for one in hashes:
        frontier = frontier.append(one)
    read = Stored(hashes)
    assert mth(hashes) == root_of(hashes) == frontier.root == tree_hash(size, read)
    assert [range_hash(*peak, read) for peak in frontier_ranges(size)] == list(frontier.peaks)


@given(st.data())
def test_proofs_hold_and_no_other_does(data: st.DataObject) -> None:
    size = data.draw(st.integers(1, 1_500))
    index = data.draw(st.integers(0, size - 1))
    hashes = leaves(size)
    read, root = Stored(hashes), root_of(hashes)
    proof = proof_of(inclusion_ranges(index, size), read)
    assert verify_inclusion(hashes[index], index, size, proof, root)
    for wrong in (index - 1, index + 1, size):
        assert not verify_inclusion(hashes[index], wrong, size, proof, root)
    assert not verify_inclusion(leaf_hash(b"?"), index, size, proof, root)
    assert not verify_inclusion(hashes[index], index, size, [*proof, root], root)
    assert not verify_inclusion(hashes[index], index, size, proof[:-1] if proof else [root], root)

    old = data.draw(st.integers(0, size))
    old_root = root_of(hashes[:old])
    between = proof_of(consistency_ranges(old, size), read)
    assert verify_consistency(old, size, old_root, root, between)
    other = root_of([*hashes[:-1], leaf_hash(b"?")])
    assert not verify_consistency(old, size, old_root, other, between) or old == 0
    if old:
        assert not verify_consistency(old, size, leaf_hash(b"?"), root, between)
        assert not verify_consistency(old, size, old_root, root, [*between, root])
    if between:
        place = data.draw(st.integers(0, len(between) - 1))
        bent = [*between[:place], leaf_hash(b"?"), *between[place + 1 :]]
        assert not verify_consistency(old, size, old_root, root, bent)
        assert not verify_consistency(old, size, old_root, root, between[:-1])


@pytest.mark.parametrize(("index", "size"), [(0, 0), (-1, 3), (3, 3)])
def test_no_proof_of_a_leaf_that_is_not_there(index: int, size: int) -> None:
    with pytest.raises(ValueError, match="has no leaf"):
        inclusion_ranges(index, size)
    assert not verify_inclusion(leaf_hash(b""), index, size, [], leaf_hash(b""))


def test_no_consistency_backwards() -> None:
    with pytest.raises(ValueError, match="does not continue"):
        consistency_ranges(4, 3)
    assert not verify_consistency(4, 3, EMPTY_ROOT, EMPTY_ROOT, [])
    assert not verify_consistency(3, 4, EMPTY_ROOT, EMPTY_ROOT, [])


def test_a_proof_of_ten_million_leaves_reads_few_hashes() -> None:
    """Any hash will do: it is counted what is read."""
    count = reads = 0

    def read(_level: int, _first: int, number: int) -> list[bytes]:
        nonlocal count, reads
        count, reads = count + number, reads + 1
        return [EMPTY_ROOT] * number

    size = 10_000_000
    for index in (0, 1, 255, 5_000_000, size - 1):
        count = reads = 0
        proof_of(inclusion_ranges(index, size), read)
        assert count < 2_000
        assert reads < 100
