"""Connections to PostgreSQL, and what can be wrong with them, as sentences that say what to do."""

from __future__ import annotations

import importlib.util
import logging
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

if TYPE_CHECKING:
    import psycopg

EXTRA = "consent-proxy[postgres]"
_PACKAGES = ("psycopg", "sqlalchemy", "alembic")

_DEFAULTS: dict[str, Any] = {
    "application_name": "consent-proxy",
    # Of a database without a locale, which has SQL_ASCII, psycopg would give bytes for texts.
    "client_encoding": "UTF8",
    "connect_timeout": 5,
    # A server that is gone without a word is noticed in half a minute, not in hours.
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 20_000,
}
"""Parameters of libpq, where the address of the config has none of its own."""

# COMMIT must mean "on the disk", also where the server's own setting is another.
_SESSION = """
SELECT set_config('statement_timeout', '30s', false), set_config('lock_timeout', '20s', false),
    set_config('idle_in_transaction_session_timeout', '60s', false),
    CASE WHEN current_setting('synchronous_commit') = 'off'
        THEN set_config('synchronous_commit', 'on', false) END"""

_CAUSES = {
    "25006": "it can be read only (a standby, or default_transaction_read_only); name the primary, "
    "or add ?target_session_attrs=read-write to the address",
    "42501": "the user may not do this; let it own the database, or its schema",
    "42P01": "a table is missing; restore the database, or name an empty one",
    "53100": "its disk is full; make room there",
    "55P03": "another node has held the log for too long; look for a hanging transaction",
    "57014": "it took longer than 30 s; look at what keeps it busy",
}
"""SQLSTATE -> what is wrong, and what to do."""


class DatabaseError(Exception):
    """The database cannot be used. The message names it, without its password."""


def database_name(url: str) -> str:
    """The address without password and parameters, for messages."""
    parts = urlsplit(url)
    user = f"{parts.username}@" if parts.username else ""
    hosts = parts.netloc.rpartition("@")[2]
    return f"postgresql://{user}{hosts}{parts.path}"


def missing_packages() -> tuple[str, ...]:
    """The packages of the extra that are not installed. Imports none of them."""
    return tuple(name for name in _PACKAGES if importlib.util.find_spec(name) is None)


def check_packages(url: str) -> None:
    """Raise DatabaseError where the extra is not installed."""
    if missing := missing_packages():
        raise DatabaseError(
            f"{database_name(url)}: PostgreSQL needs an extra that is not installed (missing: "
            f"{', '.join(missing)}): pip install '{EXTRA}'"
        )


def connect(url: str) -> psycopg.Connection[tuple[Any, ...]]:
    """A connection in autocommit mode, for one thread. Raises DatabaseError."""
    check_packages(url)
    import psycopg

    # What it ignores when a connection is lost: the loss itself is ours to tell of.
    logging.getLogger("psycopg").setLevel(logging.ERROR)
    try:
        connection = psycopg.connect(**connection_parameters(url), autocommit=True)
        connection.execute(_SESSION)
    except psycopg.Error as error:
        raise database_error(url, error) from error
    return connection


async def connect_async(url: str) -> psycopg.AsyncConnection[tuple[Any, ...]]:
    """A connection in autocommit mode, of this event loop. Raises DatabaseError."""
    check_packages(url)
    import psycopg

    try:
        connection = await psycopg.AsyncConnection.connect(
            **connection_parameters(url), autocommit=True
        )
        await connection.execute(_SESSION)
    except psycopg.Error as error:
        raise database_error(url, error) from error
    return connection


def connection_parameters(url: str) -> dict[str, Any]:
    """The parameters of libpq: those of the address, and our defaults. Raises psycopg.Error."""
    from psycopg.conninfo import conninfo_to_dict

    return {**_DEFAULTS, **conninfo_to_dict(url)}


def database_error(url: str, error: Exception) -> DatabaseError:
    """The error for a failure of psycopg or SQLAlchemy."""
    original = getattr(error, "orig", None) or error
    state = getattr(original, "sqlstate", None) or ""
    message = " ".join(str(original).split())
    cause = _CAUSES.get(state)
    if cause is None and not state:
        # A connection that fails has no SQLSTATE, only the server's words.
        cause = "no connection; it must run, and the address, user, password and database be right"
    text = message if cause is None else f"{cause} ({message})"
    return DatabaseError(f"{database_name(url)}: {_without_password(text, url)}")


def _without_password(text: str, url: str) -> str:
    password = urlsplit(url).password
    return text.replace(password, "***") if password else text
