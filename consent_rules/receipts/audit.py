"""Check a log of receipts against checkpoints, and name each leaf that was tampered with.

Found are: content that does not fit its commitment, entries that do not fit their leaf, leaves that
are missing, doubled, made up or out of order, receipts dated before their predecessors, notices
that do not fit their hash, and checkpoints that were not signed or that the leaves do not add up
to. Where the leaves agree with each other but not with a checkpoint, the tampering lies between the
last checkpoint that they add up to and the first that they do not: a log that signs after each
receipt names that one.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from hashlib import sha256
from itertools import product

from consent_rules.receipts.checkpoints import Checkpoint, read_checkpoint, verify_checkpoint
from consent_rules.receipts.entries import (
    SALT_BYTES,
    EntryError,
    ErasureEntry,
    ReceiptEntry,
    commitment,
    read_entry,
)
from consent_rules.receipts.merkle import Frontier, leaf_hash
from consent_rules.receipts.notes import NoteError, VerifierKey
from consent_rules.receipts.receipt import ReceiptError, read_receipt, timestamp
from consent_rules.wording import leaf_count

CLOCK_SKEW_SECONDS = 300
"""By how much a receipt may be dated before its predecessor: workers and nodes differ."""
_MAX_GUESSES = 256
"""Combinations of candidates for ambiguous leaves that are tried against a checkpoint."""


class Tampering(StrEnum):
    CHANGED = "changed"
    REMOVED = "removed"
    INSERTED = "inserted"
    REORDERED = "reordered"
    BACK_DATED = "back-dated"
    UNREADABLE = "unreadable"
    CHECKPOINT = "checkpoint"
    NOTICE = "notice"


@dataclass(frozen=True, slots=True)
class LeafRow:
    """A leaf as it stands in a store or an export. `where` names its place there. `content` and
    `salt` are None for an erasure, and where they were erased.
    """

    where: str
    entry: bytes
    hash: bytes
    content: bytes | None = None
    salt: bytes | None = None


@dataclass(frozen=True, slots=True)
class Tampered:
    """One problem. `first` and `end` are the leaves that it concerns: a range without its end,
    empty where it is none.
    """

    kind: Tampering
    text: str
    first: int = 0
    end: int = 0


@dataclass(frozen=True, slots=True)
class AuditReport:
    """What an audit found. `proven_size` is that of the largest checkpoint the leaves add up to.
    `late` are receipts that a node entered more than `CLOCK_SKEW_SECONDS` after the choice, and
    `latest` is by how many seconds at most.
    """

    problems: tuple[Tampered, ...]
    size: int
    receipts: int
    erased: int
    checkpoints: int
    proven_size: int
    late: int = 0
    latest: int = 0

    @property
    def good(self) -> bool:
        return not self.problems


@dataclass(slots=True)
class _Findings:
    """Problems so far, and the leaves that they explain."""

    problems: list[Tampered] = field(default_factory=list)
    delays: list[int] = field(default_factory=list)
    """Seconds between choice and entry, of receipts that were entered late."""

    def add(self, kind: Tampering, text: str, first: int = 0, end: int | None = None) -> None:
        self.problems.append(Tampered(kind, text, first, first + 1 if end is None else end))

    def add_general(self, kind: Tampering, text: str) -> None:
        self.problems.append(Tampered(kind, text))

    def names_one_of(self, first: int, end: int) -> bool:
        return any(one.first < end and first < one.end for one in self.problems)


@dataclass(slots=True)
class _Leaf:
    """A leaf of the log by its index: the hashes that it may have had, and what its entry says."""

    row: LeafRow
    entry: ReceiptEntry | ErasureEntry
    candidates: tuple[bytes, ...]


def audit(
    rows: Iterable[LeafRow],
    notices: Mapping[str, bytes],
    checkpoints: Sequence[str],
    keys: Sequence[VerifierKey],
    outside: Sequence[str] = (),
) -> AuditReport:
    """Check a whole log.

    `notices` are the stored notices by hash, `checkpoints` the notes that came with the log,
    `outside` those that an auditor wrote down. Of `checkpoints` one must be of the whole log.
    `keys` are trusted.
    """
    found = _Findings()
    signed = _checkpoints(checkpoints, outside, keys, found)
    ordered = _read_rows(rows, found)
    size = max((one.size for one in signed), default=0)
    leaves = _by_index(ordered, size, found)
    _check_content(leaves, notices, found)
    for name, notice in notices.items():
        if sha256(notice).hexdigest() != name:
            found.add_general(Tampering.NOTICE, f"the notice {name} was changed")
    proven = _check_checkpoints(leaves, signed, found)
    receipts = sum(leaf.row.content is not None for leaf in leaves.values())
    is_receipt = sum(isinstance(leaf.entry, ReceiptEntry) for leaf in leaves.values())
    return AuditReport(
        tuple(found.problems),
        len(leaves),
        receipts,
        is_receipt - receipts,
        len(signed),
        proven,
        len(found.delays),
        max(found.delays, default=0),
    )


def _checkpoints(
    inside: Sequence[str], outside: Sequence[str], keys: Sequence[VerifierKey], found: _Findings
) -> list[Checkpoint]:
    """The checkpoints that a trusted key signed, by size."""
    signed: dict[int, Checkpoint] = {}
    places = [("of the log", note) for note in inside] + [("given", note) for note in outside]
    for place, note in places:
        try:
            one = verify_checkpoint(note, keys)
        except NoteError as error:
            size = _size_of(note)
            name = "" if size is None else f" of {leaf_count(size)}"
            found.add_general(Tampering.CHECKPOINT, f"the checkpoint{name} ({place}): {error}")
            continue
        other = signed.setdefault(one.size, one)
        if other != one:
            found.add_general(
                Tampering.CHECKPOINT,
                f"the log signed two different trees of {leaf_count(one.size)}: it was "
                "rewritten, and both signatures prove it",
            )
    if not signed:
        found.add_general(Tampering.CHECKPOINT, "there is no checkpoint that a trusted key signed")
    return [signed[size] for size in sorted(signed)]


def _size_of(note: str) -> int | None:
    try:
        return read_checkpoint(note).size
    except NoteError:
        return None


def _read_rows(rows: Iterable[LeafRow], found: _Findings) -> list[_Leaf]:
    """The rows whose entries can be read, in the order in which they stand."""
    leaves = []
    for row in rows:
        try:
            entry = read_entry(row.entry)
        except EntryError as error:
            found.add_general(Tampering.UNREADABLE, f"{row.where}: {error}")
            continue
        own = leaf_hash(row.entry)
        candidates = (own,) if own == row.hash else (own, row.hash)
        leaves.append(_Leaf(row, entry, candidates))
    return leaves


def _by_index(ordered: Sequence[_Leaf], size: int, found: _Findings) -> dict[int, _Leaf]:
    """The leaves by index; names those that are missing, doubled, made up or out of order."""
    leaves: dict[int, _Leaf] = {}
    once: list[_Leaf] = []
    for leaf in ordered:
        index, where = leaf.entry.index, leaf.row.where
        before = leaves.get(index)
        if before is not None:
            text = f"leaf {index} stands twice: {before.row.where} and {where}"
            found.add(Tampering.INSERTED, text, index)
            both = dict.fromkeys((*before.candidates, *leaf.candidates))
            leaves[index] = _Leaf(before.row, before.entry, tuple(both))
        elif index >= size:
            text = f"leaf {index} ({where}) is of no signed log: its {leaf_count(size)} end before"
            found.add(Tampering.INSERTED, text, index)
        else:
            leaves[index] = leaf
            once.append(leaf)
    for leaf in _out_of_order(once):
        text = f"leaf {leaf.entry.index} stands in another's place: {leaf.row.where}"
        found.add(Tampering.REORDERED, text, leaf.entry.index)
    for first, end in _gaps(leaves, size):
        name = f"leaf {first} is" if end - first == 1 else f"leaves {first} to {end - 1} are"
        found.add(Tampering.REMOVED, f"{name} missing", first, end)
    return leaves


def _out_of_order(leaves: Sequence[_Leaf]) -> Iterator[_Leaf]:
    """The fewest leaves without which the others stand in order."""
    tails: list[int] = []
    at: list[int] = []
    for leaf in leaves:
        place = bisect_left(tails, leaf.entry.index)
        tails[place : place + 1] = [leaf.entry.index]
        at.append(place)
    wanted = len(tails) - 1
    moved = []
    for leaf, place in zip(reversed(leaves), reversed(at), strict=True):
        if place == wanted:
            wanted -= 1
        else:
            moved.append(leaf)
    yield from reversed(moved)


def _gaps(leaves: Mapping[int, _Leaf], size: int) -> Iterator[tuple[int, int]]:
    start: int | None = None
    if len(leaves) == size:
        return
    for index in range(size + 1):
        missing = index < size and index not in leaves
        if missing and start is None:
            start = index
        elif not missing and start is not None:
            yield start, index
            start = None


def _check_content(
    leaves: Mapping[int, _Leaf], notices: Mapping[str, bytes], found: _Findings
) -> None:
    erased = _Ranges()
    for index, leaf in leaves.items():
        if isinstance(leaf.entry, ErasureEntry):
            for first, end in leaf.entry.erased:
                if first >= end or end > index:
                    text = f"leaf {index} ({leaf.row.where}) erases what stands after it"
                    found.add(Tampering.CHANGED, text, index)
                else:
                    erased.add(first, end)
    last = 0
    for index in sorted(leaves):
        leaf = leaves[index]
        if len(leaf.candidates) > 1 and not found.names_one_of(index, index + 1):
            text = f"leaf {index} ({leaf.row.where}) is not the hash of its entry"
            found.add(Tampering.CHANGED, text, index)
        made_at = _check_leaf(index, leaf, erased, notices, found)
        if isinstance(leaf.entry, ReceiptEntry) and leaf.entry.entered is not None:
            if made_at is not None:
                _check_delay(index, leaf, made_at, leaf.entry.entered, found)
            made_at = leaf.entry.entered
        if made_at is not None and made_at < last - CLOCK_SKEW_SECONDS:
            text = (
                f"leaf {index} ({leaf.row.where}) is dated {timestamp(made_at)}, the receipt "
                f"before it {timestamp(last)}: back-dated, or the clock was set"
            )
            found.add(Tampering.BACK_DATED, text, index)
        last = last if made_at is None else made_at


def _check_delay(index: int, leaf: _Leaf, made_at: int, entered: int, found: _Findings) -> None:
    """Compare the time of a choice with that of its entry."""
    if made_at > entered + CLOCK_SKEW_SECONDS:
        text = (
            f"the receipt of leaf {index} ({leaf.row.where}) is dated {timestamp(made_at)}, and "
            f"was entered before, at {timestamp(entered)}: its node's clock was wrong"
        )
        found.add(Tampering.BACK_DATED, text, index)
    elif made_at < entered - CLOCK_SKEW_SECONDS:
        found.delays.append(entered - made_at)


def _check_leaf(
    index: int, leaf: _Leaf, erased: _Ranges, notices: Mapping[str, bytes], found: _Findings
) -> int | None:
    """Check one leaf's content against its entry; when the receipt was made."""
    row, entry = leaf.row, leaf.entry
    name = f"leaf {index} ({row.where})"
    if isinstance(entry, ErasureEntry):
        if row.content is not None or row.salt is not None:
            found.add(Tampering.INSERTED, f"{name} is an erasure, and has content", index)
        return entry.made_at
    if row.content is None or row.salt is None:
        if not erased.holds(index):
            text = f"the receipt of {name} is missing, and no leaf says that it was erased"
            found.add(Tampering.REMOVED, text, index)
        return None
    if len(row.salt) != SALT_BYTES or commitment(row.content, row.salt) != entry.commitment:
        found.add(Tampering.CHANGED, f"the receipt of {name} is not the one that was logged", index)
        return None
    if erased.holds(index):
        found.add(Tampering.INSERTED, f"the receipt of {name} was erased, and is here", index)
    try:
        receipt = read_receipt(row.content)
    except ReceiptError as error:
        found.add(Tampering.UNREADABLE, f"{name}: {error}", index)
        return None
    if receipt.notice and receipt.notice not in notices:
        text = f"the notice {receipt.notice} of {name} is missing"
        found.add(Tampering.NOTICE, text, index)
    return receipt.made_at


class _Ranges:
    """A set of numbers, as ranges that are added in any order and may overlap."""

    def __init__(self) -> None:
        self._ranges: list[tuple[int, int]] = []
        self._sorted = True

    def add(self, first: int, end: int) -> None:
        self._ranges.append((first, end))
        self._sorted = False

    def holds(self, number: int) -> bool:
        if not self._sorted:
            self._ranges = _joined(self._ranges)
            self._sorted = True
        place = bisect_left(self._ranges, (number + 1, 0)) - 1
        return place >= 0 and self._ranges[place][1] > number


def _joined(ranges: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    joined: list[tuple[int, int]] = []
    for first, end in sorted(ranges):
        if joined and first <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(end, joined[-1][1]))
        else:
            joined.append((first, end))
    return joined


def _check_checkpoints(
    leaves: Mapping[int, _Leaf], signed: Sequence[Checkpoint], found: _Findings
) -> int:
    """Add the leaves up to each checkpoint; the size of the last one that holds."""
    frontier, proven = Frontier(), 0
    for one in signed:
        span = [leaves.get(index) for index in range(frontier.size, one.size)]
        if None in span:
            return proven  # what is missing was named; nothing adds up behind it
        after = _added_up(frontier, [leaf.candidates for leaf in span if leaf], one.root)
        if after is None:
            # A leaf that is not the hash of its entry was named, and explains it.
            if all(leaf is None or len(leaf.candidates) == 1 for leaf in span):
                found.add(Tampering.CHANGED, _unlike(frontier.size, one), frontier.size, one.size)
            return proven
        frontier, proven = after, one.size
    return proven


def _unlike(first: int, checkpoint: Checkpoint) -> str:
    if checkpoint.size - first == 1:
        name = f"leaf {first} is not the one that was signed"
    else:
        name = f"one of the leaves {first} to {checkpoint.size - 1} is not the one that was signed"
    return f"{name}: the checkpoint of {leaf_count(checkpoint.size)} has another root"


def _added_up(
    frontier: Frontier, span: Sequence[tuple[bytes, ...]], root: bytes
) -> Frontier | None:
    """The frontier after these leaves, if some choice among their candidates gives the root."""
    ambiguous = [one for one in span if len(one) > 1]
    guesses = 1
    for one in ambiguous:
        guesses *= len(one)
    if guesses > _MAX_GUESSES:
        return None
    for guess in product(*ambiguous):
        picked = iter(guess)
        after = frontier
        for one in span:
            after = after.append(next(picked) if len(one) > 1 else one[0])
        if after.root == root:
            return after
    return None
