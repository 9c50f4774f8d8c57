"""Merkle trees by RFC 9162, section 2.1: hashes, proofs, and their verification.

A proof is a list of hashes of ranges of leaves. `inclusion_ranges` and `consistency_ranges` say
which ranges, `range_hash` computes one of them from stored hashes: those of the leaves, and of each
complete subtree of 256, 256², ... leaves (the tiles of C2SP tlog-tiles). So a proof reads a few
hundred hashes, however large the tree is.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from hashlib import sha256

HASH_BYTES = 32
TILE_HEIGHT = 8
TILE_WIDTH = 1 << TILE_HEIGHT
EMPTY_ROOT = sha256(b"").digest()

Range = tuple[int, int]
"""Leaves from the first number up to, not including, the second."""
ReadHashes = Callable[[int, int, int], Sequence[bytes]]
"""(level, first, count) -> hashes of `count` complete subtrees of 256**level leaves, from the
`first`-th on. Level 0: the hashes of leaves."""


def leaf_hash(entry: bytes) -> bytes:
    """The hash of a leaf (2.1.1)."""
    return sha256(b"\0" + entry).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """The hash of an inner node (2.1.1)."""
    return sha256(b"\1" + left + right).digest()


def root_of(hashes: Sequence[bytes]) -> bytes:
    """The root over hashes of leaves, or of equal complete subtrees (MTH, 2.1.1)."""
    level = list(hashes)
    if not level:
        return EMPTY_ROOT
    while len(level) > 1:
        # A last one without a partner moves up as it is: the tree is complete from the left.
        paired = [node_hash(level[i], level[i + 1]) for i in range(0, len(level) - 1, 2)]
        level = paired + level[len(paired) * 2 :]
    return level[0]


def _split(count: int) -> int:
    """The largest power of two below `count` (at least 2)."""
    return 1 << (count - 1).bit_length() - 1


@dataclass(frozen=True, slots=True)
class Frontier:
    """The right edge of a tree: all that is needed to append a leaf and to tell the root.

    `peaks` are the roots of its complete subtrees, the largest first: one for each bit in `size`.
    """

    size: int = 0
    peaks: tuple[bytes, ...] = ()

    def append(self, leaf: bytes) -> Frontier:
        """The frontier with the hash of one leaf more."""
        peaks, size = list(self.peaks), self.size
        while size & 1:
            leaf = node_hash(peaks.pop(), leaf)
            size >>= 1
        return Frontier(self.size + 1, (*peaks, leaf))

    @property
    def root(self) -> bytes:
        if not self.peaks:
            return EMPTY_ROOT
        found = self.peaks[-1]
        for peak in reversed(self.peaks[:-1]):
            found = node_hash(peak, found)
        return found


def frontier_ranges(size: int) -> list[Range]:
    """The ranges of a frontier's peaks."""
    ranges, start = [], 0
    for bit in reversed(range(size.bit_length())):
        if size >> bit & 1:
            ranges.append((start, start + (1 << bit)))
            start += 1 << bit
    return ranges


def inclusion_ranges(index: int, size: int) -> list[Range]:
    """The ranges whose hashes are the inclusion proof of a leaf, from the leaf upwards (2.1.3.1).
    Raises ValueError where the tree has no such leaf.
    """
    if not 0 <= index < size:
        raise ValueError(f"a tree of {size} leaves has no leaf {index}")
    ranges, start, end = [], 0, size
    while end - start > 1:
        middle = start + _split(end - start)
        if index < middle:
            ranges.append((middle, end))
            end = middle
        else:
            ranges.append((start, middle))
            start = middle
    return ranges[::-1]


def consistency_ranges(old: int, new: int) -> list[Range]:
    """The ranges whose hashes prove that the tree of size `new` continues that of size `old`
    (2.1.4.1). Raises ValueError unless 0 <= old <= new.
    """
    if not 0 <= old <= new:
        raise ValueError(f"a tree of {new} leaves does not continue one of {old}")
    if old in {0, new}:
        return []
    ranges, start, end, whole = [], 0, new, True
    while old != end:
        middle = start + _split(end - start)
        if old <= middle:
            ranges.append((middle, end))
            end = middle
        else:
            ranges.append((start, middle))
            start, whole = middle, False
    if not whole:  # else the verifier has it: it is the old root
        ranges.append((start, end))
    return ranges[::-1]


def range_hash(start: int, end: int, read: ReadHashes) -> bytes:
    """The hash of a range that `inclusion_ranges` or `consistency_ranges` names."""
    count = end - start
    if count & (count - 1):
        middle = start + _split(count)
        return node_hash(range_hash(start, middle, read), range_hash(middle, end, read))
    level = (count.bit_length() - 1) // TILE_HEIGHT
    width = 1 << TILE_HEIGHT * level
    return root_of(read(level, start // width, count // width))


def tree_hash(size: int, read: ReadHashes) -> bytes:
    """The root of a tree of this size."""
    return range_hash(0, size, read) if size else EMPTY_ROOT


def proof_of(ranges: Sequence[Range], read: ReadHashes) -> list[bytes]:
    return [range_hash(start, end, read) for start, end in ranges]


def verify_inclusion(
    leaf: bytes, index: int, size: int, proof: Sequence[bytes], root: bytes
) -> bool:
    """Whether a tree of this size and root has this leaf's hash at this index (2.1.3.2)."""
    if not 0 <= index < size:
        return False
    node, last, found = index, size - 1, leaf
    for other in proof:
        if last == 0:
            return False
        if node & 1 or node == last:
            found = node_hash(other, found)
            while node and not node & 1:
                node, last = node >> 1, last >> 1
        else:
            found = node_hash(found, other)
        node, last = node >> 1, last >> 1
    return last == 0 and found == root


def verify_consistency(
    old: int, new: int, old_root: bytes, new_root: bytes, proof: Sequence[bytes]
) -> bool:
    """Whether a tree of size `new` has all leaves of that of size `old`, in order (2.1.4.2)."""
    if not 0 <= old <= new:
        return False
    if old == new:
        return not proof and old_root == new_root
    if old == 0:
        return not proof and old_root == EMPTY_ROOT
    path = [*([] if old & (old - 1) else [old_root]), *proof]
    if not path:
        return False
    node, last = old - 1, new - 1
    while node & 1:
        node, last = node >> 1, last >> 1
    found_old = found_new = path[0]
    for other in path[1:]:
        if last == 0:
            return False
        if node & 1 or node == last:
            found_old, found_new = node_hash(other, found_old), node_hash(other, found_new)
            while node and not node & 1:
                node, last = node >> 1, last >> 1
        else:
            found_new = node_hash(found_new, other)
        node, last = node >> 1, last >> 1
    return last == 0 and found_old == old_root and found_new == new_root
