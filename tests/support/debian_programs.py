"""Programs of Debian packages for the tests: `scripts/find-program` brings them, as make does."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

_TOOLS = Path(__file__).parents[2] / ".tools"
_FOLDERS = ("/usr/local/sbin", "/usr/sbin", "/sbin")


def program(package: str, name: str) -> str:
    """The path of a program. Raises FileNotFoundError that says what to do."""
    given = name.upper().replace("-", "_")
    unpacked = [str(_TOOLS / package / "usr" / folder) for folder in ("bin", "sbin")]
    path = os.pathsep.join((os.environ.get("PATH", ""), *_FOLDERS, *unpacked))
    found = shutil.which(os.environ.get(given, name), path=path)
    if found is None:
        raise FileNotFoundError(
            f"{name} is not there: run scripts/find-program {package} {name}, or apt-get install "
            f"{package}"
        )
    return found


def promtool(*arguments: str, cwd: Path | None = None, stdin: bytes = b"") -> str:
    """Run promtool. Returns all that it said; AssertionError with that where it found a fault."""
    command = [program("prometheus", "promtool"), *arguments]
    done = subprocess.run(command, cwd=cwd, input=stdin, capture_output=True, check=False)
    said = (done.stdout + done.stderr).decode()
    assert done.returncode == 0, said
    return said
