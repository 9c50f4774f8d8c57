"""The version of a database's tables, and the way to the newest: Alembic's migrations."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any

from proxy.database.postgresql import (
    DatabaseError,
    check_packages,
    connect,
    database_error,
    database_name,
)

if TYPE_CHECKING:
    import psycopg

VERSIONS = ("0001",)
"""The migrations that this version of the proxy knows, in order; `migrations/versions` has them."""
VERSION_TABLE = "consent_proxy_version"
MIGRATION_LOCK = 0x636E7372_0001
"""The number of the advisory lock under which one node at a time migrates."""

_MIGRATIONS = Path(__file__).parent / "migrations"


def check_version(connection: psycopg.Connection[tuple[Any, ...]], url: str) -> bool:
    """Whether the tables are those of this version; False for older ones, or none. Raises
    DatabaseError for those of a newer one, and psycopg.Error.
    """
    row = connection.execute("SELECT to_regclass(%s)", (VERSION_TABLE,)).fetchone()
    if row is None or row[0] is None:
        return False
    found = connection.execute(f"SELECT version_num FROM {VERSION_TABLE}").fetchone()  # noqa: S608
    if found is None:
        return False
    if found[0] not in VERSIONS:
        raise DatabaseError(
            f"{database_name(url)}: migrated by a newer version of consent-proxy (tables of "
            f"version {found[0]}; this one knows {VERSIONS[-1]}); run that version on this node "
            "too"
        )
    return bool(found[0] == VERSIONS[-1])


def prepare(url: str) -> None:
    """Bring the tables to this version, where they are not yet. Raises DatabaseError."""
    check_packages(url)
    import psycopg

    connection = connect(url)
    try:
        with connection:
            if check_version(connection, url):
                return
    except psycopg.Error as error:
        raise database_error(url, error) from error
    _migrate(url)


def _migrate(url: str) -> None:
    # Here, since they take 0.3 s to import, and are needed once for each version.
    import psycopg
    import sqlalchemy
    from alembic import command
    from alembic.config import Config
    from sqlalchemy.exc import SQLAlchemyError
    from sqlalchemy.pool import NullPool

    def open_connection() -> psycopg.Connection[tuple[Any, ...]]:
        connection = connect(url)
        connection.autocommit = False
        return connection

    logging.getLogger("alembic").setLevel(logging.WARNING)
    engine = sqlalchemy.create_engine(
        "postgresql+psycopg://", creator=open_connection, poolclass=NullPool
    )
    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    try:
        with engine.begin() as connection:
            # Nodes start together: one migrates, the others find it done.
            connection.exec_driver_sql("SELECT pg_advisory_xact_lock(%s)", (MIGRATION_LOCK,))
            config.attributes["connection"] = connection
            command.upgrade(config, VERSIONS[-1])
    except (SQLAlchemyError, psycopg.Error) as error:
        if getattr(getattr(error, "orig", None), "sqlstate", "") == "42P07":
            raise DatabaseError(
                f"{database_name(url)}: has tables of another program, with names that ours have; "
                "name a database of its own in receipts.store"
            ) from error
        raise database_error(url, error) from error
