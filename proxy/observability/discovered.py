"""What was closed because it is not approved: counted by site, page and vendor or host.

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
_Key = tuple[str, str, str, str, str, Seen]

_MAX_KEPT = 5000
"""Different sightings a worker keeps between two writes, and rows a site may have: anybody can
send reports, and none of them may fill a disk."""
_MAX_PAGES = 50
FLUSH_SECONDS = 2.0
MORE_PAGES = "(more pages)"
PATIENT_PAGES = "(patient pages)"
"""Stands for the path of a patient page, which may itself tell something."""

_SCHEMA = """
CREATE TABLE IF NOT EXISTS sightings (
    site TEXT NOT NULL, host TEXT NOT NULL, vendor TEXT NOT NULL, script TEXT NOT NULL,
    page TEXT NOT NULL, seen TEXT NOT NULL, times INTEGER NOT NULL, last_seen TEXT NOT NULL,
    PRIMARY KEY (site, host, vendor, script, page, seen)
)
"""
_ADD = """
INSERT INTO sightings (site, host, vendor, script, page, seen, times, last_seen)
VALUES (?, ?, ?, ?, ?, ?, ?, date('now'))
ON CONFLICT (site, host, vendor, script, page, seen)
DO UPDATE SET times = times + excluded.times, last_seen = excluded.last_seen
"""
# Files of versions up to 0.1.0. Their column `host` held a vendor's id as well, or a sentence about
# an inline script; of a script whose pin cannot be held there is nothing to approve.
_CHANGED = "changed inline script of "
_MOVE = f"""
INSERT INTO sightings (site, host, vendor, script, page, seen, times, last_seen)
SELECT site,
       CASE WHEN owner = '' AND instr(host, ' ') = 0 THEN host ELSE '' END,
       CASE WHEN host LIKE '{_CHANGED}%: sha256-%'
            THEN substr(host, {len(_CHANGED) + 1}, instr(host, ': ') - {len(_CHANGED) + 1})
            ELSE owner END,
       CASE WHEN host LIKE '{_CHANGED}%: sha256-%' THEN substr(host, instr(host, ': ') + 2)
            ELSE '' END,
       page, seen, times, last_seen
FROM discovered WHERE host NOT LIKE 'script whose pin%'
ON CONFLICT DO UPDATE SET times = times + excluded.times
"""  # noqa: S608 - nothing in it is from outside


@dataclass(frozen=True, slots=True)
class Discovery:
    """One vendor or host on one site: a host that no vendor has, or the vendor's id as `owner`; the
    other one is "". `script` is the hash of an inline script that the vendor's tag does not name.
    """

    site: str
    host: str
    owner: str
    pages: tuple[str, ...]
    in_pages: int
    in_reports: int
    last_seen: str
    script: str = ""

    @property
    def name(self) -> str:
        return self.owner or self.host


class Sightings:
    """A worker's counts, and the file they go to. `path` None: nothing is kept."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._counts: dict[_Key, int] = {}
        self._failed = False

    def add(
        self,
        site: str,
        page: str,
        *,
        seen: Seen,
        host: str = "",
        vendor: str = "",
        script: str = "",
    ) -> None:
        """Count one sighting: of a host, or of a vendor by its id and perhaps a script's hash."""
        if self._path is None:
            return
        key: _Key = (site, host, vendor, script, page[:200], seen)
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
        _prepare(database)
        rows = dict(database.execute("SELECT site, count(*) FROM sightings GROUP BY site"))
        for (site, host, vendor, script, page, seen), times in counts.items():
            if rows.get(site, 0) >= _MAX_KEPT:
                continue
            pages = database.execute(
                "SELECT count(*) FROM sightings WHERE site = ? AND host = ? AND vendor = ? "
                "AND script = ? AND page != ?",
                (site, host, vendor, script, page),
            ).fetchone()[0]
            row_page = page if pages < _MAX_PAGES else MORE_PAGES
            database.execute(_ADD, (site, host, vendor, script, row_page, seen, times))
            rows[site] = rows.get(site, 0) + 1


def _prepare(database: sqlite3.Connection) -> None:
    """Make the table, and move to it what an earlier version has left."""
    database.execute(_SCHEMA)
    is_old = "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'discovered'"
    if database.execute(is_old).fetchone() is None:
        return
    if not database.in_transaction:
        database.execute("BEGIN IMMEDIATE")
    if database.execute(is_old).fetchone() is not None:  # not by another worker meanwhile
        database.execute(_MOVE)
        database.execute("DROP TABLE discovered")
    database.commit()


def read_discovered(path: Path, site: str = "") -> list[Discovery]:
    """Everything found so far, most seen first. A file that is not there yet has nothing."""
    if not path.exists():
        return []
    with contextlib.closing(sqlite3.connect(path, timeout=10)) as database:
        _prepare(database)
        rows = database.execute(
            "SELECT site, host, vendor, script, json_group_array(DISTINCT page), "
            "sum(CASE seen WHEN 'page' THEN times ELSE 0 END), "
            "sum(CASE seen WHEN 'report' THEN times ELSE 0 END), max(last_seen) "
            "FROM sightings WHERE ? IN ('', site) GROUP BY site, host, vendor, script "
            "ORDER BY sum(times) DESC, vendor, host",
            (site,),
        ).fetchall()
    return [
        Discovery(
            name, host, vendor, tuple(sorted(json.loads(pages))), in_pages, in_reports, last, script
        )
        for name, host, vendor, script, pages, in_pages, in_reports, last in rows
    ]


def as_config(found: Discovery, today: datetime.date) -> str:
    """A discovery as config to paste once somebody has looked at it: commented out, so that
    pasting alone approves nothing.
    """
    if found.script:
        return "\n".join(
            (
                f"# {_CHANGED}{found.owner} on site {found.site}: closed, since its hash is not in "
                "inline_hashes",
                f"# seen on {', '.join(found.pages[:3])}, last on {found.last_seen}",
                "# look at it, and if it is right add to the tag:",
                f'# inline_hashes = ["{found.script}"]',
            )
        )
    pages = ", ".join(found.pages[:3]) + (" ..." if len(found.pages) > 3 else "")
    lines = [
        f"# {found.name} on site {found.site}: in {found.in_pages} page(s), reported "
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
