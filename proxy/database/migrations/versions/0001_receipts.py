"""The log of receipts, what the outboxes of the nodes have forwarded, and messages to all nodes."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """The tables of the log are those of the SQLite store, column by column."""
    # One row: the right edge of the tree. `peaks` are hashes of 32 bytes, one behind the other.
    op.create_table(
        "log",
        sa.Column("one", sa.SmallInteger, primary_key=True, autoincrement=False),
        sa.Column("origin", sa.Text, nullable=False),
        sa.Column("verifier", sa.Text, nullable=False),
        sa.Column("size", sa.BigInteger, nullable=False),
        sa.Column("peaks", sa.LargeBinary, nullable=False),
        sa.CheckConstraint("one = 1"),
    )
    op.create_table(
        "leaf",
        sa.Column("idx", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("entry", sa.LargeBinary, nullable=False),
        sa.Column("hash", sa.LargeBinary, nullable=False),
    )
    # What an erasure deletes. The columns beside `content` are copies of it, for searches.
    op.create_table(
        "receipt",
        sa.Column("idx", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("id", sa.Text, nullable=False, unique=True),
        sa.Column("made_at", sa.BigInteger, nullable=False),
        sa.Column("site", sa.Text, nullable=False),
        sa.Column("notice", sa.Text, nullable=False),
        sa.Column("salt", sa.LargeBinary, nullable=False),
        sa.Column("content", sa.LargeBinary, nullable=False),
    )
    op.create_index("receipt_made_at", "receipt", ["made_at"])
    op.create_index("receipt_notice", "receipt", ["notice"])
    op.create_table(
        "notice",
        sa.Column("hash", sa.Text, primary_key=True),
        sa.Column("content", sa.LargeBinary, nullable=False),
    )
    # Complete subtrees of 256**level leaves.
    op.create_table(
        "node",
        sa.Column("level", sa.SmallInteger, primary_key=True, autoincrement=False),
        sa.Column("idx", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("hash", sa.LargeBinary, nullable=False),
    )
    op.create_table(
        "checkpoint",
        sa.Column("size", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("note", sa.Text, nullable=False),
    )
    # What the last batch of each outbox had: an outbox that did not hear of the commit sends it
    # again, and it is not entered twice. Hashes, since a receipt may be erased meanwhile.
    op.create_table(
        "forwarded",
        sa.Column("outbox", sa.Text, primary_key=True),
        sa.Column("token", sa.Text, primary_key=True),
    )
    # Erasures of receipts that are still in another node's outbox.
    op.create_table(
        "erasure",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("asked_at", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "message",
        sa.Column("id", sa.BigInteger, sa.Identity(always=True), primary_key=True),
        sa.Column("topic", sa.Text, nullable=False),
        sa.Column("body", sa.Text, nullable=False),
        sa.Column("lasting", sa.Boolean, nullable=False),
        sa.Column(
            "sent_at", sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now()
        ),
    )
