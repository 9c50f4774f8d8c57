"""Alembic runs this for each migration: within the caller's transaction."""

from __future__ import annotations

from alembic import context

context.configure(
    connection=context.config.attributes["connection"],
    version_table="consent_proxy_version",
    transaction_per_migration=False,
)
with context.begin_transaction():
    context.run_migrations()
