"""Logs of receipts in memory, as a store or an export has them."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from consent_rules.receipts.audit import AuditReport, LeafRow, audit
from consent_rules.receipts.checkpoints import Checkpoint, sign_checkpoint
from consent_rules.receipts.entries import (
    Entry,
    ErasureEntry,
    ErasureReason,
    ReceiptEntry,
    commitment,
    entry_bytes,
)
from consent_rules.receipts.merkle import Frontier, leaf_hash
from consent_rules.receipts.notes import verifier_key
from consent_rules.receipts.receipt import ConsentState, Receipt

KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
ORIGIN = "www.example.com/.consent/log"
VERIFIER = verifier_key(ORIGIN, KEY)
NOTICE = b'{"text":"We ask"}'
NOTICE_HASH = hashlib.sha256(NOTICE).hexdigest()
START = 1_796_000_000

RECEIPT = Receipt(
    receipt_id="r",
    made_at=START,
    site="www",
    policy_version="2026-01-01",
    notice=NOTICE_HASH,
    regime="opt_in",
    region="DE",
    surface="banner",
    action="accept_all",
    gpc=False,
    device="phone",
    enforced=True,
    before=ConsentState({"analytics": False}, {"google-analytics": False}),
    after=ConsentState({"analytics": True}, {"google-analytics": True}),
)


def receipt(number: int) -> Receipt:
    return replace(RECEIPT, receipt_id=f"receipt-{number}", made_at=START + 10 * number)


@dataclass
class Log:
    rows: list[LeafRow]
    notices: dict[str, bytes]
    checkpoints: list[str]

    def audit(self, *outside: str) -> AuditReport:
        return audit(self.rows, self.notices, self.checkpoints, [VERIFIER], outside)

    def add(self, entry: Entry, content: bytes | None = None, salt: bytes | None = None) -> None:
        data = entry_bytes(entry)
        where = f"row {len(self.rows)}"
        self.rows.append(LeafRow(where, data, leaf_hash(data), content, salt))

    def sign(self) -> str:
        frontier = Frontier()
        for row in self.rows:
            frontier = frontier.append(row.hash)
        note = sign_checkpoint(Checkpoint(ORIGIN, frontier.size, frontier.root), KEY)
        self.checkpoints.append(note)
        return note


def row_of(
    index: int, one: Receipt, salt: bytes | None = None, entered: int | None = None
) -> LeafRow:
    salt = salt or hashlib.sha256(str(index).encode()).digest()
    data = entry_bytes(ReceiptEntry(index, commitment(one.content, salt), entered))
    return LeafRow(f"row {index}", data, leaf_hash(data), one.content, salt)


def made_log(count: int = 20, erased: int | None = 3, every: int = 1) -> Log:
    """A log of `count` receipts, signed after every few, and one erasure."""
    log = Log([], {NOTICE_HASH: NOTICE}, [])
    for index in range(count):
        log.rows.append(row_of(index, receipt(index)))
        if (index + 1) % every == 0:
            log.sign()
    if erased is not None:
        log.add(
            ErasureEntry(count, ((erased, erased + 1),), ErasureReason.VISITOR, START + 10 * count)
        )
        log.rows[erased] = replace(log.rows[erased], content=None, salt=None)
    log.sign()
    return log


def other_receipt(number: int) -> Receipt:
    """A receipt that another has made up: of the same moment, and says something else."""
    return replace(receipt(number), receipt_id="made-up", action="reject_all")
