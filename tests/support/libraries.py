"""Libraries for a test: their files in its folder, and the config that names them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from consent_rules.matching.libraries import library_type
from consent_rules.matching.script_hashes import file_hash
from proxy.libraries import store_library


def with_libraries(folder: Path, files: Mapping[str, bytes]) -> Callable[[str], str]:
    """A change of a config's text: these files, by address; a nameless one is a style sheet."""
    tables = []
    for url, body in files.items():
        integrity = file_hash(body)
        store_library(body, integrity, folder / "libraries")
        kind = "" if library_type(url) else '\ntype = "text/css"'
        tables.append(f'\n[[library]]\nurl = "{url}"\nintegrity = "{integrity}"{kind}\n')
    return lambda text: text + "".join(tables)
