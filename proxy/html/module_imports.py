"""What a module script imports before it runs: `import "..."`, `export ... from "..."`.

Where one of them is refused the whole script does not run, so it is closed like a script of that
address. What code imports later, by `import(...)`, is left to the policy header.
"""

from __future__ import annotations

import re

from proxy.html.data_url import data_of
from proxy.html.script_syntax import parse_script

# What stands behind a comment is not looked for here: many may begin in one another.
_IMPORTS = re.compile(r"\b(?:import|from)[\s\ufeff]*(?:[\"'][^\"']*[:/\\]|/[*/])")
_STATEMENTS = frozenset({"import_statement", "export_statement"})
_MAX_MODULES = 8
"""Modules in one another by data: URLs."""


def imported_urls(code: str, depth: int = 0) -> tuple[str, ...]:
    """The addresses, absolute or relative as written; names of modules are none."""
    if _IMPORTS.search(code) is None:
        return ()
    if depth >= _MAX_MODULES:
        return ("//",)
    written = code.encode("utf-8", "replace")
    found: list[str] = []
    root = parse_script(written)
    for statement in root.named_children if root is not None else ():
        source = statement.child_by_field_name("source")
        if statement.type not in _STATEMENTS or source is None:
            continue
        url = written[source.start_byte + 1 : source.end_byte - 1].decode("utf-8", "replace")
        data = data_of(url)
        if data is not None:
            found += imported_urls(data.text, depth + 1)
        elif "\\" in url or ":" in url or url.startswith(("/", ".")):
            found.append("//" if "\\" in url else url)
    return tuple(found)
