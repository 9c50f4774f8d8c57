"""The catalogue's tables as one JSON file, which is read in a tenth of the time of the TOML files.

A build makes it (`hatch_build.py`), and an editable install. It names what it was made of by a
hash: after a change of a TOML file it counts no more, nor where it is missing or cut short. Only
the standard library is imported here, as the build has nothing else.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any

NAME = "prepared.json"
_DIGEST, _VENDORS = "sha256", "vendors"

Tables = list[Mapping[str, Any]]


def digest(sources: Iterable[tuple[str, bytes]]) -> str:
    """The hash of files: of their names, lengths and contents, in this order."""
    found = sha256()
    for name, content in sources:
        found.update(f"{name} {len(content)}\n".encode())
        found.update(content)
    return found.hexdigest()


def prepared(sources: Iterable[tuple[str, bytes]], tables: Tables) -> bytes:
    """The file for these sources, of which `tables` were read."""
    return json.dumps({_DIGEST: digest(sources), _VENDORS: tables}, ensure_ascii=False).encode()


def read_prepared(content: bytes, sources: Iterable[tuple[str, bytes]]) -> Tables | None:
    """The tables of a file; None unless it was made of these sources."""
    try:
        found = json.loads(content)
    except ValueError:
        return None
    if not isinstance(found, dict) or found.get(_DIGEST) != digest(sources):
        return None
    tables: Tables = found[_VENDORS]
    return tables


def write_prepared(folder: Path) -> None:
    """Write the file of a catalogue's folder. Who reads meanwhile finds it whole, or not yet."""
    import tomllib  # here alone: the proxy has tomli

    sources = [(file.name, file.read_bytes()) for file in sorted(folder.glob("*.toml"))]
    tables = [
        table
        for _, content in sources
        for table in tomllib.loads(content.decode()).get("vendor", [])
    ]
    unfinished = folder / f"{NAME}.{os.getpid()}"
    unfinished.write_bytes(prepared(sources, tables))
    unfinished.replace(folder / NAME)


if __name__ == "__main__":
    write_prepared(Path(__file__).parent)
