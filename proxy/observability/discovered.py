"""What was closed because nobody approved it: counted by site, page and host.

Seen in pages when they are compiled, and in the browsers' CSP reports. Workers gather counts in
memory and add them to one SQLite file, from which `consent-proxy discovered` reads.
"""

from __future__ import annotations

import contextlib
import datetime
import json
import logging
import re
import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from consent_rules.wording import printable

_log = logging.getLogger("consent_proxy.observability")

Seen = Literal["page", "report"]
_Key = tuple[str, str, str, str, Seen]

_MAX_ROWS: Mapping[Seen, int] = {"page": 5000, "report": 2000}
"""Of each kind: different sightings a worker keeps between two writes, and rows a site may have.
Anybody can send reports: they may neither fill a disk nor take the place of what was in pages."""
_ROOM = 50
"""Rows that go at once to make room for new ones."""
_MAX_HOST = 300
"""Characters of a host, or of a changed script's name and hash."""
_MAX_PAGES = 50
FLUSH_SECONDS = 2.0
MORE_PAGES = "(more pages)"
PATIENT_PAGES = "(patient pages)"
"""Stands for the path of a patient page, which may itself tell something."""

_SCHEMA = """
CREATE TABLE IF NOT EXISTS discovered (
    site TEXT NOT NULL, host TEXT NOT NULL, owner TEXT NOT NULL, page TEXT NOT NULL,
    seen TEXT NOT NULL, times INTEGER NOT NULL, last_seen TEXT NOT NULL,
    PRIMARY KEY (site, host, page, seen)
)
"""
_ADD = """
INSERT INTO discovered (site, host, owner, page, seen, times, last_seen)
VALUES (?, ?, ?, ?, ?, ?, date('now'))
ON CONFLICT (site, host, page, seen)
DO UPDATE SET times = times + excluded.times, owner = excluded.owner,
              last_seen = excluded.last_seen
"""
_HAS = "SELECT 1 FROM discovered WHERE site = ? AND host = ? AND page = ? AND seen = ?"
_OTHER_PAGES = (
    "SELECT count(*) FROM discovered WHERE site = ? AND host = ? AND page != ? AND seen = ?"
)
_MAKE_ROOM = """
DELETE FROM discovered WHERE rowid IN (
    SELECT rowid FROM discovered WHERE site = ? AND seen = ?
    ORDER BY times > 1, last_seen, rowid LIMIT ?
)
"""
"""What was seen once goes first, then what was not seen for long."""


@dataclass(frozen=True, slots=True)
class Discovery:
    """One host on one site, safe to print. `owner` is the vendor's id, or "" when the catalogue has
    none.
    """

    site: str
    host: str
    owner: str
    pages: tuple[str, ...]
    in_pages: int
    in_reports: int
    last_seen: str


class Sightings:
    """A worker's counts, and the file they go to. `path` None: nothing is kept."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._counts: dict[Seen, dict[_Key, int]] = {"page": {}, "report": {}}
        self._failed = False

    def add(self, site: str, page: str, host: str, owner: str, seen: Seen) -> None:
        """Count one sighting. `owner` is a vendor's id or ""."""
        if self._path is None or len(host) > _MAX_HOST:
            return
        counts = self._counts[seen]
        key: _Key = (site, host, owner, page[:200], seen)
        if key in counts or len(counts) < _MAX_ROWS[seen]:
            counts[key] = counts.get(key, 0) + 1

    def write(self) -> None:
        """Add the counts to the file. A fault is logged once, and counts are dropped: what is
        discovered must never stand in the way of serving.
        """
        counts = self._counts["page"] | self._counts["report"]
        if self._path is None or not counts:
            return
        self._counts = {"page": {}, "report": {}}
        try:
            _write(self._path, counts)
            self._failed = False
        except (sqlite3.Error, OSError) as error:
            if not self._failed:
                _log.error("%s: discoveries cannot be kept: %s", self._path, error)
            self._failed = True


def _write(path: Path, counts: Mapping[_Key, int]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    _make_private(path)
    with contextlib.closing(sqlite3.connect(path, timeout=10)) as database, database:
        database.execute("PRAGMA journal_mode = WAL")
        database.execute(_SCHEMA)
        grouped = database.execute(
            "SELECT site, seen, count(*) FROM discovered GROUP BY site, seen"
        )
        rows: dict[tuple[str, Seen], int] = {(site, seen): number for site, seen, number in grouped}
        for (site, host, owner, page, seen), times in counts.items():
            (pages,) = database.execute(_OTHER_PAGES, (site, host, page, seen)).fetchone()
            row_page = page if pages < _MAX_PAGES else MORE_PAGES
            if database.execute(_HAS, (site, host, row_page, seen)).fetchone() is None:
                number = rows.get((site, seen), 0)
                if number >= _MAX_ROWS[seen]:
                    number -= database.execute(_MAKE_ROOM, (site, seen, _ROOM)).rowcount
                rows[site, seen] = number + 1
            database.execute(_ADD, (site, host, owner, row_page, seen, times))


def _make_private(path: Path) -> None:
    """Which pages a site has, and who is on them, is the operator's to read. SQLite makes the files
    beside the database (`-wal`, `-shm`) with its mode.
    """
    path.touch(mode=0o600)
    for file in (path, path.with_name(f"{path.name}-wal"), path.with_name(f"{path.name}-shm")):
        # Another user's file stays as it is.
        with contextlib.suppress(FileNotFoundError, PermissionError):
            file.chmod(0o600)


def read_discovered(path: Path, site: str = "") -> list[Discovery]:
    """Everything found so far, most seen first. A file that is not there yet has nothing."""
    if not path.exists():
        return []
    with contextlib.closing(sqlite3.connect(path, timeout=10)) as database:
        database.execute(_SCHEMA)
        rows = database.execute(
            "SELECT site, host, max(owner), json_group_array(DISTINCT page), "
            "sum(CASE seen WHEN 'page' THEN times ELSE 0 END), "
            "sum(CASE seen WHEN 'report' THEN times ELSE 0 END), max(last_seen) "
            "FROM discovered WHERE ? IN ('', site) GROUP BY site, host "
            "ORDER BY sum(times) DESC, host",
            (site,),
        ).fetchall()
    return [
        Discovery(
            name,
            printable(host),
            printable(owner),
            tuple(sorted(map(printable, json.loads(pages)))),
            in_pages,
            in_reports,
            last,
        )
        for name, host, owner, pages, in_pages, in_reports, last in rows
    ]


def as_config(found: Discovery, today: datetime.date) -> str:
    """A discovery as config to paste once somebody has looked at it: commented out, so that
    pasting alone approves nothing.
    """
    what, changed, shown = found.host.partition(": ")
    if changed:
        return "\n".join(
            (
                f"# {what} on site {found.site}: closed, since its hash is not in inline_hashes",
                f"# seen on {', '.join(found.pages[:3])}, last on {found.last_seen}",
                "# look at it, and if it is right add to the tag:",
                f'# inline_hashes = ["{shown}"]',
            )
        )
    pages = ", ".join(found.pages[:3]) + (" ..." if len(found.pages) > 3 else "")
    lines = [
        f"# {found.host} on site {found.site}: in {found.in_pages} page(s), reported "
        f"{found.in_reports} time(s), last on {found.last_seen}",
        f"# seen on {pages}",
    ]
    vendor = found.owner or re.sub(r"[^a-z0-9]+", "-", found.host.lower()).strip("-")
    if not found.owner:
        lines += [
            "# the site's own? then add it to first_party of the site; else say who it is:",
            "# [[vendor]]",
            f'# id = "{vendor}"',
            '# name = "..."',
            '# category = "..."   # functional, analytics, session_replay, advertising, social',
            f"# hosts = [{json.dumps(found.host, ensure_ascii=False)}]",
        ]
    lines += [
        "# [[tag]]",
        f'# vendor = "{vendor}"',
        f'# sites = ["{found.site}"]',
        '# approved_by = "..."',
        f"# approved_on = {today.isoformat()}",
        f"# expires = {_a_year_after(today).isoformat()}",
    ]
    return "\n".join(lines)


def _a_year_after(day: datetime.date) -> datetime.date:
    return day + datetime.timedelta(days=365)
