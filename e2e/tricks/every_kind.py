"""One page with every kind of request (`every_kind.html`), and which of them arrived."""

from __future__ import annotations

import re
from pathlib import Path

from e2e.tricks.measure import Measured, Setting
from e2e.tricks.table import Trick

_PAGE = Path(__file__).with_name("every_kind.html").read_text(encoding="utf-8")
_ASKED = re.compile(r"(?:HOST/|at\(')([a-z-]+)(?:\.\w+)?")
_WORKER = "fetch(location.search.slice(1), {mode: 'no-cors'}).catch(() => {})"

KINDS = frozenset(_ASKED.findall(_PAGE))
"""What the page asks for, by the paths it names."""
EVERY_KIND = Trick(
    0,
    "page",
    "every kind",
    page=_PAGE.replace("HOST", "{host}"),
    files={"worker.js": _WORKER},
    linger=4.0,
)


def kinds_asked(measured: Measured, setting: Setting) -> set[str]:
    """The kinds of which a request arrived."""
    paths = [line.split()[1] for line in measured.of(EVERY_KIND, setting).requests]
    return {path.strip("/").partition("?")[0].partition(".")[0] for path in paths}
