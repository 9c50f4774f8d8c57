"""The export of a log: JSON Lines that anybody can check without the store.

Each line is one object in canonical form, so that no byte of it can change unseen: `{"type": "log",
...}` first, then the leaves, the notices and the checkpoints. A whole export has every leaf and
every checkpoint. A part of a log has some receipts, each with its inclusion proof, and the one
checkpoint that the proofs lead to.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from hashlib import sha256
from typing import Any

from consent_rules.receipts.audit import AuditReport, LeafRow, Tampered, Tampering, audit
from consent_rules.receipts.canonical import CanonicalError, Json, canonical, read_canonical
from consent_rules.receipts.checkpoints import verify_checkpoint
from consent_rules.receipts.entries import EntryError, ReceiptEntry, commitment, read_entry
from consent_rules.receipts.merkle import leaf_hash, verify_inclusion
from consent_rules.receipts.notes import NoteError, VerifierKey, read_verifier_key
from consent_rules.wording import leaf_count

FORMAT = 1
_HEAD = {"type", "format", "origin", "verifier", "size", "whole"}


class ExportError(ValueError):
    """A text that is no export of a log."""


@dataclass(frozen=True, slots=True)
class ExportHead:
    """What the first line says. `verifier` is the log's own claim, trusted by nobody."""

    origin: str
    verifier: VerifierKey
    size: int
    whole: bool


def head_line(head: ExportHead) -> bytes:
    return canonical(
        {
            "type": "log",
            "format": FORMAT,
            "origin": head.origin,
            "verifier": str(head.verifier),
            "size": head.size,
            "whole": head.whole,
        }
    )


def leaf_line(row: LeafRow, proof: Sequence[bytes] | None = None) -> bytes:
    """A leaf with what is stored of its receipt."""
    line: dict[str, Json] = {
        "type": "leaf",
        "hash": row.hash.hex(),
        **_readable("entry", row.entry),
    }
    if row.content is not None:
        line.update(_readable("receipt", row.content))
    if row.salt is not None:
        line["salt"] = row.salt.hex()
    if proof is not None:
        line["proof"] = [one.hex() for one in proof]
    return canonical(line)


def notice_line(name: str, content: bytes) -> bytes:
    return canonical({"type": "notice", "hash": name, **_readable("notice", content)})


def checkpoint_line(note: str) -> bytes:
    return canonical({"type": "checkpoint", "note": note})


def _readable(name: str, content: bytes) -> dict[str, Json]:
    """Stored bytes as an object; in hex where they are none, since they were damaged."""
    try:
        return {name: read_canonical(content)}
    except CanonicalError:
        return {f"damaged_{name}": content.hex()}


@dataclass(slots=True)
class _Parts:
    """The lines of an export by their types."""

    head: ExportHead
    rows: list[LeafRow] = field(default_factory=list)
    proofs: list[tuple[bytes, ...]] = field(default_factory=list)
    notices: dict[str, bytes] = field(default_factory=dict)
    checkpoints: list[str] = field(default_factory=list)
    problems: list[Tampered] = field(default_factory=list)


def read_head(line: bytes) -> ExportHead:
    """The first line. Raises ExportError."""
    try:
        value = read_canonical(line.removesuffix(b"\n"))
        if value.keys() != _HEAD or value["type"] != "log":
            raise ExportError("its first line is not that of an export of receipts")
        if value["format"] != FORMAT:
            raise ExportError(f"format {value['format']!r}; this version knows {FORMAT}")
        verifier = read_verifier_key(str(value["verifier"]))
        origin, size, whole = value["origin"], value["size"], value["whole"]
    except (CanonicalError, NoteError) as error:
        raise ExportError(
            f"its first line is not that of an export of receipts: {error}"
        ) from error
    if not isinstance(origin, str) or type(size) is not int or type(whole) is not bool:
        raise ExportError("its first line is not that of an export of receipts")
    return ExportHead(origin, verifier, size, whole)


def export_lines(data: bytes) -> list[bytes]:
    """The lines of an export, or of the document that a visitor downloads: the same lines as a JSON
    array. Raises ExportError.
    """
    if not data.startswith(b"["):
        return data.splitlines(keepends=True)
    try:
        return [canonical(line) + b"\n" for line in json.loads(data)]
    except (ValueError, RecursionError) as error:
        raise ExportError(f"not a receipt: {error}") from error


def audit_export(
    lines: Iterable[bytes], keys: Sequence[VerifierKey] = (), outside: Sequence[str] = ()
) -> tuple[AuditReport, ExportHead]:
    """Check an export, with the keys that are trusted and checkpoints that were written down
    earlier. Without keys the one of its first line counts. Raises ExportError for a file that is no
    export.
    """
    parts = _read(iter(lines))
    head = parts.head
    trusted = keys or [head.verifier]
    if head.whole:
        report = audit(parts.rows, parts.notices, parts.checkpoints, trusted, outside)
        if report.size != head.size and not report.problems:
            text = f"the first line counts {leaf_count(head.size)}, the checkpoints {report.size}"
            parts.problems.append(Tampered(Tampering.CHANGED, text))
        if str(head.verifier) not in {str(key) for key in trusted}:
            parts.problems.append(_other_key(head))
        if head.origin not in {key.name for key in trusted}:
            text = f"the first line names the log {head.origin}, its key another"
            parts.problems.append(Tampered(Tampering.CHANGED, text))
    else:
        report = _audit_part(parts, trusted, outside)
    return replace(report, problems=(*parts.problems, *report.problems)), head


def _other_key(head: ExportHead) -> Tampered:
    text = f"the first line names the key {head.verifier}, which is not trusted here"
    return Tampered(Tampering.CHECKPOINT, text)


def _read(lines: Iterator[bytes]) -> _Parts:
    parts = _Parts(read_head(next(lines, b"")))
    for number, line in enumerate(lines, 2):
        where = f"line {number}"
        try:
            if not line.endswith(b"\n"):
                raise ExportError("it does not end")
            _read_line(read_canonical(line[:-1]), where, parts)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            reason = f"it lacks {error}" if isinstance(error, KeyError) else error
            parts.problems.append(Tampered(Tampering.UNREADABLE, f"{where}: {reason}"))
    return parts


def _read_line(value: dict[str, Any], where: str, parts: _Parts) -> None:
    kind = value.pop("type")
    if kind == "leaf":
        entry, content = _bytes_of("entry", value), _bytes_of("receipt", value)
        salt = None if "salt" not in value else _unhex(value.pop("salt"))
        proof = tuple(_unhex(one) for one in value.pop("proof", ()))
        row = LeafRow(where, entry or b"", _unhex(value.pop("hash")), content, salt)
        _reject_more(value)
        parts.rows.append(row)
        parts.proofs.append(proof)
    elif kind == "notice":
        name, content = value.pop("hash"), _bytes_of("notice", value)
        _reject_more(value)
        if name in parts.notices:
            raise ExportError(f"the notice {name} stands twice")
        parts.notices[name] = content or b""
    elif kind == "checkpoint":
        note = value.pop("note")
        _reject_more(value)
        parts.checkpoints.append(note)
    else:
        raise ExportError(f"unknown type {kind!r}")


def _bytes_of(name: str, value: dict[str, Any]) -> bytes | None:
    if f"damaged_{name}" in value:
        return _unhex(value.pop(f"damaged_{name}"))
    return canonical(value.pop(name)) if name in value else None


def _unhex(text: str) -> bytes:
    data = bytes.fromhex(text)
    if data.hex() != text:
        raise ExportError("hex has small letters")
    return data


def _reject_more(value: dict[str, Any]) -> None:
    if value:
        raise ExportError(f"it has {', '.join(map(repr, value))} too many")


def _audit_part(parts: _Parts, keys: Sequence[VerifierKey], outside: Sequence[str]) -> AuditReport:
    """Check receipts with their proofs. Only a checkpoint of the same size can be compared."""
    problems: list[Tampered] = []
    sizes: dict[int, bytes] = {}
    for note in (*parts.checkpoints, *outside):
        try:
            one = verify_checkpoint(note, keys)
        except NoteError as error:
            problems.append(Tampered(Tampering.CHECKPOINT, f"a checkpoint: {error}"))
            continue
        if sizes.setdefault(one.size, one.root) != one.root:
            text = f"the log signed two different trees of {leaf_count(one.size)}"
            problems.append(Tampered(Tampering.CHECKPOINT, text))
    size = parts.head.size
    if size not in sizes:
        text = f"there is no checkpoint of {leaf_count(size)} that a trusted key signed"
        problems.append(Tampered(Tampering.CHECKPOINT, text))
    proven = 0
    for row, proof in zip(parts.rows, parts.proofs, strict=True):
        problem = _unproven(row, proof, size, sizes.get(size))
        if problem is None:
            proven += 1
        else:
            problems.append(problem)
    for name, notice in parts.notices.items():
        if sha256(notice).hexdigest() != name:
            problems.append(Tampered(Tampering.NOTICE, f"the notice {name} was changed"))
    count = len(parts.rows)
    return AuditReport(tuple(problems), count, proven, 0, len(sizes), size if proven else 0)


def _unproven(
    row: LeafRow, proof: Sequence[bytes], size: int, root: bytes | None
) -> Tampered | None:
    try:
        entry = read_entry(row.entry)
    except EntryError as error:
        return Tampered(Tampering.UNREADABLE, f"{row.where}: {error}")
    name, at = f"leaf {entry.index} ({row.where})", (entry.index, entry.index + 1)
    if not isinstance(entry, ReceiptEntry) or row.content is None or row.salt is None:
        return Tampered(Tampering.REMOVED, f"the receipt of {name} is missing", *at)
    if len(row.salt) != 32 or commitment(row.content, row.salt) != entry.commitment:
        text = f"the receipt of {name} is not the one that was logged"
        return Tampered(Tampering.CHANGED, text, *at)
    own = leaf_hash(row.entry)
    if own != row.hash:
        return Tampered(Tampering.CHANGED, f"{name} is not the hash of its entry", *at)
    if root is not None and not verify_inclusion(own, entry.index, size, proof, root):
        return Tampered(Tampering.CHANGED, f"the proof of {name} does not lead to the root", *at)
    return None
