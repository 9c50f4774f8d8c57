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

_log = logging.getLogger("consent_proxy.observability")

Seen = Literal["page", "report"]
_Key = tuple[str, str, str, str, Seen]

_MAX_KEPT = 5000
"""Different sightings a worker keeps between two writes, and rows a site may have: anybody can
send reports, and none of them may fill a disk."""
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


@dataclass(frozen=True, slots=True)
class Discovery:
    """One host on one site. `owner` is the vendor's id, or "" when the catalogue has none."""

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
        self._counts: dict[_Key, int] = {}
        self._failed = False

    def add(self, site: str, page: str, host: str, owner: str, seen: Seen) -> None:
        """Count one sighting. `owner` is a vendor's id or ""."""
        if self._path is None:
            return
        key: _Key = (site, host, owner, page[:200], seen)
        if key in self._counts or len(self._counts) < _MAX_KEPT:
            self._counts[key] = self._counts.get(key, 0) + 1

    def write(self) -> None:
        """Add the counts to the file. A fault is logged once, and counts are dropped: what is
        discovered must never stand in the way of serving.
        """
        if self._path is None or not self._counts:
            return
        counts, self._counts = self._counts, {}
        try:
            _write(self._path, counts)
            self._failed = False
        except (sqlite3.Error, OSError) as error:
            if not self._failed:
                _log.error("%s: discoveries cannot be kept: %s", self._path, error)
            self._failed = True


def _write(path: Path, counts: Mapping[_Key, int]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with contextlib.closing(sqlite3.connect(path, timeout=10)) as database, database:
        database.execute("PRAGMA journal_mode = WAL")
        database.execute(_SCHEMA)
        rows = dict(database.execute("SELECT site, count(*) FROM discovered GROUP BY site"))
        for (site, host, owner, page, seen), times in counts.items():
            if rows.get(site, 0) >= _MAX_KEPT:
                continue
            pages = database.execute(
                "SELECT count(*) FROM discovered WHERE site = ? AND host = ? AND page != ?",
                (site, host, page),
            ).fetchone()[0]
            row_page = page if pages < _MAX_PAGES else MORE_PAGES
            database.execute(_ADD, (site, host, owner, row_page, seen, times))
            rows[site] = rows.get(site, 0) + 1


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
        Discovery(name, host, owner, tuple(sorted(json.loads(pages))), in_pages, in_reports, last)
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
            f'# hosts = ["{found.host}"]',
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
