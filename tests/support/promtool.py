"""promtool for the tests: `scripts/find-promtool` brings it where there is none, as make does."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

_UNPACKED = Path(__file__).parents[2] / ".tools/prometheus/usr/bin/promtool"


def promtool_program() -> str:
    """Its path. Raises FileNotFoundError that says what to do."""
    found = shutil.which(os.environ.get("PROMTOOL", "promtool"))
    if found is None and "PROMTOOL" not in os.environ and _UNPACKED.exists():
        found = str(_UNPACKED)
    if found is None:
        raise FileNotFoundError(
            "promtool is not there: run scripts/find-promtool, or apt-get install prometheus"
        )
    return found


def promtool(*arguments: str, cwd: Path | None = None, stdin: bytes = b"") -> str:
    """Run it. Returns all that it said; raises AssertionError with that where it found a fault."""
    done = subprocess.run(
        [promtool_program(), *arguments], cwd=cwd, input=stdin, capture_output=True, check=False
    )
    said = (done.stdout + done.stderr).decode()
    assert done.returncode == 0, said
    return said
