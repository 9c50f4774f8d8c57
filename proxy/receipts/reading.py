"""A store, read row by row: for exports, and to check it."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from consent_rules.receipts.audit import AuditReport, LeafRow, Tampered, Tampering, audit
from consent_rules.receipts.checkpoints import read_checkpoint
from consent_rules.receipts.entries import EntryError, read_entry
from consent_rules.receipts.exchange import (
    ExportHead,
    checkpoint_line,
    head_line,
    leaf_line,
    notice_line,
)
from consent_rules.receipts.jsonld import RecordTerms, consent_record
from consent_rules.receipts.merkle import (
    TILE_WIDTH,
    Frontier,
    inclusion_ranges,
    proof_of,
    root_of,
)
from consent_rules.receipts.notes import NoteError, VerifierKey
from consent_rules.receipts.receipt import Receipt, ReceiptError, read_receipt
from consent_rules.wording import leaf_count
from proxy.receipts.store import ReceiptStore

_ROWS = """
SELECT leaf.idx, leaf.entry, leaf.hash, receipt.content, receipt.salt
FROM leaf LEFT JOIN receipt ON receipt.idx = leaf.idx ORDER BY leaf.idx"""


@dataclass(frozen=True, slots=True)
class Selection:
    """Which receipts: made from `since` up to, not including, `until` (seconds since 1970), of a
    site, or the one with an id. Empty fields select all.
    """

    since: int | None = None
    until: int | None = None
    site: str = ""
    receipt_id: str = ""

    @property
    def is_all(self) -> bool:
        return self == Selection()

    def where(self) -> tuple[str, list[object]]:
        """As SQL."""
        parts: list[tuple[str, object]] = []
        if self.since is not None:
            parts.append(("made_at >= ?", self.since))
        if self.until is not None:
            parts.append(("made_at < ?", self.until))
        if self.site:
            parts.append(("site = ?", self.site))
        if self.receipt_id:
            parts.append(("id = ?", self.receipt_id))
        return " AND ".join(text for text, _ in parts) or "1 = 1", [value for _, value in parts]


def selected(store: ReceiptStore, selection: Selection) -> Iterator[tuple[int, bytes, bytes]]:
    """Index, content and salt of the selected receipts, in order."""
    where, values = selection.where()
    # The text is ours, each value is bound.
    statement = f"SELECT idx, content, salt FROM receipt WHERE {where} ORDER BY idx"  # noqa: S608
    for index, content, salt in store.rows(statement, values):
        yield int(index), bytes(content), bytes(salt)


def receipts(store: ReceiptStore, selection: Selection) -> Iterator[tuple[int, Receipt]]:
    """The selected receipts, without those that cannot be read: `verify` names them."""
    for index, content, _ in selected(store, selection):
        try:
            yield index, read_receipt(content)
        except ReceiptError:
            continue


# --- Exports


def export_jsonl(store: ReceiptStore, selection: Selection) -> Iterator[bytes]:
    """The lines of an export: of the whole log, or of a part with proofs."""
    with store.snapshot():
        lines = _whole(store) if selection.is_all else _part(store, selection)
        for line in lines:
            yield line + b"\n"


def _whole(store: ReceiptStore) -> Iterator[bytes]:
    yield head_line(ExportHead(store.origin, store.verifier, store.size, whole=True))
    for _, row in _leaf_rows(store):
        yield leaf_line(row)
    for name, content in store.rows("SELECT hash, content FROM notice ORDER BY hash", ()):
        yield notice_line(str(name), bytes(content))
    for (note,) in store.rows("SELECT note FROM checkpoint ORDER BY size", ()):
        yield checkpoint_line(str(note))


def _part(store: ReceiptStore, selection: Selection) -> Iterator[bytes]:
    size = store.size
    yield head_line(ExportHead(store.origin, store.verifier, size, whole=False))
    notices: dict[str, None] = {}
    for index, content, salt in selected(store, selection):
        ((entry, leaf),) = store.rows("SELECT entry, hash FROM leaf WHERE idx = ?", (index,))
        row = LeafRow("", bytes(entry), bytes(leaf), content, salt)
        yield leaf_line(row, proof_of(inclusion_ranges(index, size), store.read_hashes))
        notices[_notice_name(content)] = None
    for name in notices:
        notice = store.notice(name) if name else None
        if notice is not None:
            yield notice_line(name, notice)
    yield checkpoint_line(store.checkpoint())


def _notice_name(content: bytes) -> str:
    try:
        return read_receipt(content).notice
    except ReceiptError:
        return ""


def export_jsonld(store: ReceiptStore, selection: Selection, terms: RecordTerms) -> Iterator[bytes]:
    """One JSON-LD document a line."""
    for _, receipt in receipts(store, selection):
        notice = json.loads(store.notice(receipt.notice) or b"{}")
        record = consent_record(receipt, notice, store.origin, terms)
        yield json.dumps(record, ensure_ascii=False).encode() + b"\n"


COLUMNS = (
    "index", "id", "time", "site", "policy_version", "notice", "regime", "region", "surface",
    "action", "gpc", "device", "enforced", "categories_before", "categories_after",
    "vendors_before", "vendors_after", "previous",
)  # fmt: skip


def export_csv(store: ReceiptStore, selection: Selection) -> Iterator[bytes]:
    """RFC 4180, with a line of names. What is open is listed with blanks between."""
    yield _csv_line(COLUMNS)
    for index, receipt in receipts(store, selection):
        value = receipt.to_json()
        for when in ("before", "after"):
            for kind in ("categories", "vendors"):
                names = [name for name, is_open in value[when][kind].items() if is_open]
                value[f"{kind}_{when}"] = " ".join(names)
        value["index"] = index
        yield _csv_line([_csv_cell(value[column]) for column in COLUMNS])


def _csv_cell(value: object) -> object:
    return str(value).lower() if isinstance(value, bool) else value


def _csv_line(cells: Iterable[object]) -> bytes:
    text = io.StringIO()
    csv.writer(text).writerow(cells)
    return text.getvalue().encode()


# --- Checks


def audit_store(
    store: ReceiptStore, keys: Sequence[VerifierKey] = (), outside: Sequence[str] = ()
) -> AuditReport:
    """Check a store: the log as an export of it would be, and what the tables say beside."""
    with store.snapshot():
        rows = list(_leaf_rows(store))
        notices = {
            str(name): _blob(content)
            for name, content in store.rows("SELECT hash, content FROM notice", ())
        }
        notes = [str(n) for (n,) in store.rows("SELECT note FROM checkpoint ORDER BY size", ())]
        trusted = keys or [store.verifier]
        report = audit([row for _, row in rows], notices, notes, trusted, outside)
        problems = [
            *_head(store, trusted),
            *_places(rows),
            *_copies(store),
            *_tree(store, rows),
            *_pages(store),
        ]
    return replace(report, problems=(*report.problems, *problems))


def _head(store: ReceiptStore, trusted: Sequence[VerifierKey]) -> Iterator[Tampered]:
    """What the store says of its log, and the numbers of its checkpoints."""
    if store.verifier not in trusted or store.origin != store.verifier.name:
        text = (
            f"the store names the log {store.origin} and the key {store.verifier}: not the trusted"
        )
        yield Tampered(Tampering.CHECKPOINT, text)
    for size, note in store.rows("SELECT size, note FROM checkpoint", ()):
        try:
            signed = read_checkpoint(str(note)).size
        except NoteError:
            continue  # named by the audit
        if signed != size:
            text = f"the checkpoint in row {size} is of {leaf_count(signed)}"
            yield Tampered(Tampering.CHECKPOINT, text)


def _leaf_rows(store: ReceiptStore) -> Iterator[tuple[int, LeafRow]]:
    for index, entry, leaf, content, salt in store.rows(_ROWS, ()):
        yield (
            int(index),
            LeafRow(f"row {index}", _blob(entry), _blob(leaf), _maybe(content), _maybe(salt)),
        )


def _blob(value: Any) -> bytes:
    """What a column holds, also where a damaged one holds a value of another type."""
    return value if isinstance(value, bytes) else str(value).encode("utf-8", "replace")


def _maybe(value: Any) -> bytes | None:
    return None if value is None else _blob(value)


def _places(rows: Iterable[tuple[int, LeafRow]]) -> Iterator[Tampered]:
    for index, row in rows:
        try:
            entry = read_entry(row.entry)
        except EntryError:
            continue  # named by the audit
        if entry.index != index:
            text = f"leaf {entry.index} stands in row {index}"
            yield Tampered(Tampering.REORDERED, text, entry.index, entry.index + 1)


def _copies(store: ReceiptStore) -> Iterator[Tampered]:
    """Columns that repeat what the content says, and receipts without a leaf."""
    statement = """SELECT receipt.idx, id, made_at, site, notice, content, leaf.idx
        FROM receipt LEFT JOIN leaf ON leaf.idx = receipt.idx"""
    for index, *columns, content, leaf in store.rows(statement, ()):
        if leaf is None:
            text = f"the receipt in row {index} has no leaf"
            yield Tampered(Tampering.INSERTED, text, index, index + 1)
        try:
            receipt = read_receipt(_blob(content))
        except ReceiptError:
            continue  # named by the audit
        if columns != [receipt.receipt_id, receipt.made_at, receipt.site, receipt.notice]:
            text = f"the columns of leaf {index} are not what its receipt says"
            yield Tampered(Tampering.CHANGED, text, index, index + 1)


def _tree(store: ReceiptStore, rows: Sequence[tuple[int, LeafRow]]) -> Iterator[Tampered]:
    """The stored inner nodes and the right edge, computed again from the stored leaves."""
    below = [row.hash for _, row in rows]
    frontier = Frontier()
    for one in below:
        frontier = frontier.append(one)
    head = store.rows("SELECT size, peaks FROM log", ())
    if [(size, _blob(peaks)) for size, peaks in head] != [
        (frontier.size, b"".join(frontier.peaks))
    ]:
        yield Tampered(Tampering.CHANGED, "the head of the log is not that of its leaves")
    level, expected = 0, {}
    while len(below) >= TILE_WIDTH:
        level += 1
        whole = range(len(below) // TILE_WIDTH)
        below = [root_of(below[i * TILE_WIDTH : (i + 1) * TILE_WIDTH]) for i in whole]
        expected.update({(level, index): one for index, one in enumerate(below)})
    stored = {
        (level, index): _blob(one)
        for level, index, one in store.rows("SELECT level, idx, hash FROM node", ())
    }
    for place in sorted(expected.keys() | stored.keys()):
        if expected.get(place) != stored.get(place):
            level, index = place
            text = f"the inner node {index} of level {level} is not that of its leaves"
            width = TILE_WIDTH**level
            yield Tampered(Tampering.CHANGED, text, index * width, (index + 1) * width)


def _pages(store: ReceiptStore) -> Iterator[Tampered]:
    if found := store.storage.damages():
        yield Tampered(Tampering.UNREADABLE, f"the file is damaged: {'; '.join(found)[:300]}")
