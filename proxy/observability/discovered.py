"""Discovered third parties: resources without an approval, counted by site, page and vendor or
host.

Seen in pages when they are compiled, and in the browsers' CSP reports. Workers count in memory and
add the counts to one SQLite file, which `consent-proxy discovered` reads.
"""

from __future__ import annotations

import contextlib
import datetime
import json
import logging
import re
import shlex
import sqlite3
from collections import Counter
from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from consent_rules.audit.inventory import SeenBy, Sighting
from consent_rules.catalogue.load import catalogue, consent_platforms
from consent_rules.matching.libraries import PUBLIC_HOSTS
from consent_rules.matching.shared_hosts import shared_host_of
from consent_rules.wording import counted, printable
from proxy.observability.metrics import Metrics

_log = logging.getLogger("consent_proxy.observability")

Seen = Literal["page", "report"]
NewThirdParties = Mapping[tuple[str, str], int]
"""Site and kind ("host", "vendor") -> how many were seen for the first time."""
_Key = tuple[str, str, str, str, str, Seen]

_MAX_ROWS: Mapping[Seen, int] = {"page": 5000, "report": 2000}
"""Of each kind: different sightings a worker buffers between two writes, and rows a site may have.
Anybody can send reports: they may neither fill a disk nor take the place of what was in pages.
"""
_ROOM = 50
"""Rows that go at once to make room for new ones."""
_MAX_HOST = 300
"""Characters of a host."""
_MAX_PAGES = 50
FLUSH_SECONDS = 2.0
MORE_PAGES = "(more pages)"
PATIENT_PAGES = "(patient pages)"
"""Replaces the path of a patient page, which may itself be sensitive."""

_SCHEMA = """
CREATE TABLE IF NOT EXISTS sightings (
    site TEXT NOT NULL, host TEXT NOT NULL, vendor TEXT NOT NULL, script TEXT NOT NULL,
    page TEXT NOT NULL, seen TEXT NOT NULL, times INTEGER NOT NULL, last_seen TEXT NOT NULL,
    first_seen TEXT NOT NULL DEFAULT '',
    PRIMARY KEY (site, host, vendor, script, page, seen)
)
"""
_ADD_FIRST_SEEN = "ALTER TABLE sightings ADD COLUMN first_seen TEXT NOT NULL DEFAULT ''"
"""For files of versions up to 0.1.0, which did not count it: of their rows it is not known."""
_KINDS_SCHEMA = """
CREATE TABLE IF NOT EXISTS kinds (
    site TEXT NOT NULL, host TEXT NOT NULL, vendor TEXT NOT NULL, kind TEXT NOT NULL,
    number INTEGER NOT NULL, PRIMARY KEY (site, host, vendor, kind)
)
"""
"""What of a host or vendor a page has: the most of each kind on one page."""
_FOLDERS_SCHEMA = """
CREATE TABLE IF NOT EXISTS folders (
    site TEXT NOT NULL, host TEXT NOT NULL, folder TEXT NOT NULL, PRIMARY KEY (site, host, folder)
)
"""
"""Of hosts where anybody publishes: whose files the pages have, as patterns of paths."""
_ADD_FOLDER = """
INSERT INTO folders (site, host, folder) SELECT :site, :host, :folder
WHERE EXISTS (SELECT 1 FROM sightings WHERE site = :site AND host = :host)
AND (SELECT count(*) FROM folders WHERE site = :site AND host = :host) < :most
ON CONFLICT DO NOTHING
"""
_MAX_FOLDERS = 8
"""Of one host on one site."""
_ADD_KIND = """
INSERT INTO kinds (site, host, vendor, kind, number)
SELECT :site, :host, :vendor, :kind, :number
WHERE EXISTS (SELECT 1 FROM sightings WHERE site = :site AND host = :host AND vendor = :vendor)
ON CONFLICT DO UPDATE SET number = max(number, excluded.number)
"""
_ADD = """
INSERT INTO sightings (site, host, vendor, script, page, seen, times, last_seen, first_seen)
VALUES (?, ?, ?, ?, ?, ?, ?, date('now'), date('now'))
ON CONFLICT (site, host, vendor, script, page, seen)
DO UPDATE SET times = times + excluded.times, last_seen = excluded.last_seen
"""
_SAME = "site = ? AND host = ? AND vendor = ? AND script = ?"
_HAS = f"SELECT 1 FROM sightings WHERE {_SAME} AND page = ? AND seen = ?"  # noqa: S608
_HAS_ANY = "SELECT 1 FROM sightings WHERE site = ? AND host = ? AND vendor = ? LIMIT 1"
_OTHER_PAGES = f"SELECT count(*) FROM sightings WHERE {_SAME} AND page != ? AND seen = ?"  # noqa: S608
_MAKE_ROOM = """
DELETE FROM sightings WHERE rowid IN (
    SELECT rowid FROM sightings WHERE site = ? AND seen = ?
    ORDER BY times > 1, last_seen, rowid LIMIT ?
)
"""
"""What was seen once goes first, then what was not seen for long."""
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
    """One vendor or host on one site, safe to print: `host` is one that no vendor has, `owner` a
    vendor's id; the other one is "". `script` is the hash of an inline script that the vendor's tag
    does not name.
    """

    site: str
    host: str
    owner: str
    pages: tuple[str, ...]
    in_pages: int
    in_reports: int
    last_seen: str
    script: str = ""
    kinds: tuple[tuple[str, int], ...] = ()
    """The most of each kind of resource ("style sheet") on one page."""
    first_seen: str = ""
    """"" where it was seen first by a version that did not count it."""
    folders: tuple[str, ...] = ()
    """Of a host where anybody publishes: patterns of the publishers whose files the pages have."""

    @property
    def name(self) -> str:
        return self.owner or self.host


class Sightings:
    """A worker's counts, and the file they are written to. `path` None: nothing is counted."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._counts: dict[Seen, dict[_Key, int]] = {"page": {}, "report": {}}
        self._kinds: dict[tuple[str, str, str, str], int] = {}
        self._folders: set[tuple[str, str, str]] = set()
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
        if self._path is None or len(host) > _MAX_HOST:
            return
        counts = self._counts[seen]
        key: _Key = (site, host, vendor, script, page[:200], seen)
        if key in counts or len(counts) < _MAX_ROWS[seen]:
            counts[key] = counts.get(key, 0) + 1

    def add_kinds(
        self, site: str, kinds: Mapping[str, int], *, host: str = "", vendor: str = ""
    ) -> None:
        """Note how many resources of each kind a page has of a host or vendor."""
        if self._path is None or len(host) > _MAX_HOST:
            return
        for kind, number in kinds.items():
            key = site, host, vendor, kind
            if key in self._kinds or len(self._kinds) < _MAX_ROWS["page"]:
                self._kinds[key] = max(number, self._kinds.get(key, 0))

    def add_folders(self, site: str, host: str, folders: Iterable[str]) -> None:
        """Note whose files a page has of a host where anybody publishes."""
        if self._path is None or len(host) > _MAX_HOST:
            return
        for folder in folders:
            if len(folder) <= _MAX_HOST and len(self._folders) < _MAX_ROWS["page"]:
                self._folders.add((site, host, folder))

    def write(self) -> NewThirdParties:
        """Add the counts to the file, and return how many third parties it did not have before. An
        error is logged once, and counts are dropped: discovery must never stand in the way of
        serving.
        """
        counts = self._counts["page"] | self._counts["report"]
        if self._path is None or not counts:
            return {}
        kinds, folders = self._kinds, self._folders
        self._counts, self._kinds, self._folders = {"page": {}, "report": {}}, {}, set()
        try:
            new = _write(self._path, counts, kinds, folders)
            self._failed = False
        except (sqlite3.Error, OSError) as error:
            if not self._failed:
                _log.error("%s: discoveries cannot be written: %s", self._path, error)
            self._failed = True
            return {}
        return new


def count_new_third_parties(new: NewThirdParties, metrics: Metrics) -> None:
    for labels, number in new.items():
        metrics.count("new_third_parties", *labels, by=number)


def _write(
    path: Path,
    counts: Mapping[_Key, int],
    kinds: Mapping[tuple[str, str, str, str], int],
    folders: Iterable[tuple[str, str, str]],
) -> NewThirdParties:
    path.parent.mkdir(parents=True, exist_ok=True)
    _make_private(path)
    with contextlib.closing(sqlite3.connect(path, timeout=10)) as database, database:
        database.execute("PRAGMA journal_mode = WAL")
        _prepare(database)
        grouped = database.execute("SELECT site, seen, count(*) FROM sightings GROUP BY site, seen")
        rows: dict[tuple[str, Seen], int] = {(site, seen): number for site, seen, number in grouped}
        new = _new_in(database, counts)
        for (site, host, vendor, script, page, seen), times in counts.items():
            same = (site, host, vendor, script)
            (pages,) = database.execute(_OTHER_PAGES, (*same, page, seen)).fetchone()
            row_page = page if pages < _MAX_PAGES else MORE_PAGES
            if database.execute(_HAS, (*same, row_page, seen)).fetchone() is None:
                number = rows.get((site, seen), 0)
                if number >= _MAX_ROWS[seen]:
                    number -= database.execute(_MAKE_ROOM, (site, seen, _ROOM)).rowcount
                rows[site, seen] = number + 1
            database.execute(_ADD, (*same, row_page, seen, times))
        names = ("site", "host", "vendor", "kind")
        database.executemany(
            _ADD_KIND,
            [dict(zip(names, key, strict=True), number=number) for key, number in kinds.items()],
        )
        database.executemany(
            _ADD_FOLDER,
            [
                {"site": site, "host": host, "folder": folder, "most": _MAX_FOLDERS}
                for site, host, folder in sorted(folders)
            ],
        )
    return new


def _new_in(database: sqlite3.Connection, counts: Mapping[_Key, int]) -> NewThirdParties:
    """How many of the third parties the file does not have, by site and kind."""
    seen = dict.fromkeys((site, host, vendor) for site, host, vendor, _, _, _ in counts)
    new = (key for key in seen if database.execute(_HAS_ANY, key).fetchone() is None)
    return Counter((site, "vendor" if vendor else "host") for site, _, vendor in new)


def _make_private(path: Path) -> None:
    """Set the file's mode: the sites' pages and third parties are for the operator only.

    SQLite creates the files beside the database (`-wal`, `-shm`) with its mode.
    """
    path.touch(mode=0o600)
    for file in (path, path.with_name(f"{path.name}-wal"), path.with_name(f"{path.name}-shm")):
        # Another user's file stays as it is.
        with contextlib.suppress(FileNotFoundError, PermissionError):
            file.chmod(0o600)


def _prepare(database: sqlite3.Connection) -> None:
    """Make the table, and move to it what an earlier version has left."""
    database.execute(_SCHEMA)
    database.execute(_KINDS_SCHEMA)
    database.execute(_FOLDERS_SCHEMA)
    columns = {row[1] for row in database.execute("PRAGMA table_info(sightings)")}
    if "first_seen" not in columns:
        with contextlib.suppress(sqlite3.OperationalError):  # another worker was first
            database.execute(_ADD_FIRST_SEEN)
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
    """Every discovery, most seen first. Empty where the file does not exist yet."""
    if not path.exists():
        return []
    with contextlib.closing(sqlite3.connect(path, timeout=10)) as database:
        _prepare(database)
        rows = database.execute(
            "SELECT site, host, vendor, script, json_group_array(DISTINCT page), "
            "sum(CASE seen WHEN 'page' THEN times ELSE 0 END), "
            "sum(CASE seen WHEN 'report' THEN times ELSE 0 END), max(last_seen), "
            "min(first_seen) "
            "FROM sightings WHERE ? IN ('', site) GROUP BY site, host, vendor, script "
            "ORDER BY sum(times) DESC, vendor, host",
            (site,),
        ).fetchall()
        kinds: dict[tuple[str, str, str], list[tuple[str, int]]] = {}
        found = database.execute("SELECT site, host, vendor, kind, number FROM kinds ORDER BY kind")
        for one, host, vendor, kind, number in found:
            kinds.setdefault((one, host, vendor), []).append((printable(kind), number))
        folders: dict[tuple[str, str], list[str]] = {}
        for one, host, folder in database.execute("SELECT * FROM folders ORDER BY folder"):
            folders.setdefault((one, host), []).append(printable(folder))
    return [
        Discovery(
            name,
            printable(host),
            printable(vendor),
            tuple(sorted(map(printable, json.loads(pages)), key=_page_order)),
            in_pages,
            in_reports,
            last,
            printable(script),
            () if script else tuple(kinds.get((name, host, vendor), ())),
            first,
            tuple(folders.get((name, host), ())),
        )
        for name, host, vendor, script, pages, in_pages, in_reports, last, first in rows
    ]


def _page_order(page: str) -> tuple[bool, str]:
    """By name; what stands for the rest comes last."""
    return page == MORE_PAGES, page


_SHEETS = frozenset({"style sheet", "picture or font of a style sheet"})


def sightings_in(path: Path, site: str) -> list[Sighting]:
    """The discoveries of a site, as the audit's inventory has them. Inline scripts are left out: of
    a vendor that is approved. Raises sqlite3.Error.
    """
    return [
        Sighting(
            host=one.host,
            vendor=one.owner,
            pages=one.pages,
            by=(
                *((SeenBy.PAGES,) if one.in_pages else ()),
                *((SeenBy.REPORTS,) if one.in_reports else ()),
            ),
            first_seen=one.first_seen,
            last_seen=one.last_seen,
        )
        for one in read_discovered(path, site)
        if not one.script
    ]


_LOOKS = _SHEETS | {"image", "script"}


def serves_looks(found: Discovery) -> bool:
    """Whether pages have files of it that they may look or work worse without."""
    return not found.script and not _LOOKS.isdisjoint(kind for kind, _ in found.kinds)


def may_be_library(found: Discovery) -> bool:
    """Whether the site may serve its files. Those of a vendor that tracks need the vendor; of a
    host that nobody knows a script alone may be a tracker, and images are content or pixels.
    """
    vendor = catalogue().get(found.owner)
    kinds = {kind for kind, _ in found.kinds}
    if found.script or (vendor is not None and not vendor.looks):
        return False
    is_public = vendor is not None or found.host in PUBLIC_HOSTS
    return not kinds.isdisjoint(_SHEETS) or (is_public and "script" in kinds)


def library_command(found: Discovery, host: str) -> str:
    """The command that adds a discovery's files on one page to the libraries; "" where no page is
    known. `host` is one of the site's, "" for none.
    """
    known = (page for page in found.pages if page.startswith("/"))
    page = next(known, "")
    if not page or not host:
        return ""
    address = shlex.quote(f"https://{host}{page}")
    return f"consent-proxy library add --page {address} --of {shlex.quote(found.name)}"


def as_config(found: Discovery, today: datetime.date, host: str = "", *, reported: str = "") -> str:
    """A discovery as config to review and paste: commented out, so that pasting alone approves
    nothing. `host` is one of the site's, `reported` the number of reports in other words.
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
    times = f"{reported} times" if reported else counted(found.in_reports, "time")
    lines = [
        f"# {found.name} on site {found.site}: in {counted(found.in_pages, 'page')}, reported "
        f"{times}, last on {found.last_seen}",
        f"# seen on {pages}",
    ]
    if found.owner in consent_platforms():
        lines.append(
            "# a consent dialog of its own: the proxy asks already, so take it out of the pages; "
            "with a tag visitors are asked twice"
        )
    vendor = found.owner or vendor_id_for(found.host)
    command = library_command(found, host)
    if command and may_be_library(found):
        lines += [
            "# public files, which the site may serve itself (a library, fonts)? then run:",
            f"#   {command}",
        ]
    if not found.owner:
        lines += [
            "# the site's own? then add it to first_party of the site; else say who it is:",
            "# [[vendor]]",
            f'# id = "{vendor}"',
            '# name = "..."',
            '# category = "..."   # necessary, functional, analytics, session_replay, '
            "advertising, social",
            _whose(found),
        ]
    lines += [
        "# [[tag]]",
        f'# vendor = "{vendor}"',
        f'# sites = ["{found.site}"]',
        '# approved_by = "..."',
        f"# approved_on = {today.isoformat()}",
        f"# expires = {_one_year_after(today).isoformat()}",
    ]
    return "\n".join(lines)


def _whose(found: Discovery) -> str:
    """The pattern of a host, as a line: where anybody publishes, that of one publisher's files."""
    if found.folders:
        return f"# paths = {json.dumps(found.folders, ensure_ascii=False)}"
    shared = shared_host_of(found.host)
    if shared is not None and "/" in shared.example:
        return f'# paths = ["{shared.example}"]   # as an example: the folder of your files there'
    return f"# hosts = [{json.dumps(found.host, ensure_ascii=False)}]"


def vendor_id_for(host: str, taken: Container[str] = ()) -> str:
    """An id for a host that no vendor has: not one of the catalogue's nor of those taken, which
    would stand for that vendor.
    """
    made = re.sub(r"[^a-z0-9]+", "-", host.lower()).strip("-")[:_MAX_ID].rstrip("-") or "host"
    number, found = 1, made
    while found in catalogue() or found in taken:
        found = f"{made}-files" if number == 1 else f"{made}-files-{number}"
        number += 1
    return found


_MAX_ID = 48
"""Characters, so that something may follow."""


def _one_year_after(day: datetime.date) -> datetime.date:
    return day + datetime.timedelta(days=365)
