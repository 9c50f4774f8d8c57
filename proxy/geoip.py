"""The visitor's region by address, from a MaxMind database (.mmdb).

The file is mapped into memory by each worker, so that all of them share the system's one copy of
it. A new file needs a reload: replace it by renaming another over it, never write into it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from cachetools import LRUCache

_REMEMBERED = 8192


class RegionFileError(Exception):
    """The database cannot be used; the message says why and what to do."""


class RegionFile:
    """Region of an address: "US-CA", "DE", or "" where the file does not know."""

    def __init__(self, path: Path) -> None:
        """Open the file. Raises RegionFileError."""
        import maxminddb  # most sites need none
        from maxminddb import InvalidDatabaseError

        try:
            self._reader = maxminddb.open_database(path, maxminddb.MODE_AUTO)
            # Whether it holds regions at all shows with the first record.
            record = next((found for _, found in self._reader), None)
        except FileNotFoundError:
            raise RegionFileError(f"{path}: there is no such file") from None
        except OSError as error:
            raise RegionFileError(f"{path}: cannot be read ({error.strerror})") from error
        except (InvalidDatabaseError, ValueError, UnicodeDecodeError) as error:
            raise RegionFileError(
                f"{path}: not a whole MaxMind database (.mmdb); download it again"
            ) from error
        if not isinstance(record, dict) or "country" not in record:
            kind = self._reader.metadata().database_type
            raise RegionFileError(
                f"{path}: a database of type {kind!r} tells no countries; "
                "use a Country or City database"
            )
        self._known: LRUCache[str, str] = LRUCache(_REMEMBERED)

    def region(self, address: str) -> str:
        """The region of an IP address as text; "" for one that is none, or is not in the file."""
        known = self._known.get(address)
        if known is None:
            known = self._known[address] = self._looked_up(address)
        return known

    def _looked_up(self, address: str) -> str:
        from maxminddb import InvalidDatabaseError

        try:
            record: Any = self._reader.get(address)
        except (ValueError, InvalidDatabaseError):
            return ""  # IPv6 in a file of IPv4, or a file cut short later
        if not isinstance(record, dict):
            return ""
        country = _code(record.get("country"))
        parts = record.get("subdivisions")
        part = _code(parts[0]) if country and isinstance(parts, list) and parts else ""
        return f"{country}-{part}" if part else country


def _code(place: Any) -> str:
    code = place.get("iso_code") if isinstance(place, dict) else None
    return code.upper() if isinstance(code, str) and code.isalnum() else ""
