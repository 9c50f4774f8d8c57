"""The engines by name, and the one that a run of the tests is about."""

from __future__ import annotations

import os

from e2e.engines.chromium import Chromium
from e2e.engines.driver import Engine
from e2e.engines.firefox import Firefox
from e2e.engines.webkit import WebKit

ENGINES: dict[str, Engine] = {one.name: one for one in (Chromium(), Firefox(), WebKit())}


def chosen_engine() -> Engine:
    """$ENGINE. Raises KeyError, with the names, for another one."""
    name = os.environ.get("ENGINE", "chromium")
    if name not in ENGINES:
        raise KeyError(f"ENGINE={name}: one of {', '.join(ENGINES)}")
    return ENGINES[name]
