"""Small apps of real frameworks, built from npm once and kept (git-ignored): `built` gives one."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from pathlib import Path

_FOLDER = Path(__file__).parent
_NOT_SOURCE = frozenset({"node_modules", "output"})
_SECONDS = 600


def built(name: str) -> Path:
    """The folder of an app after `npm run build` into its `output`, unless it is as it was.

    Raises RuntimeError with what npm said.
    """
    folder = _FOLDER / name
    mark = folder / "output" / ".built"
    stamp = _stamp(folder)
    if mark.exists() and mark.read_text(encoding="ascii") == stamp:
        return folder
    shutil.rmtree(folder / "output", ignore_errors=True)
    _npm(folder, "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error")
    _npm(folder, "run", "--silent", "build")
    mark.parent.mkdir(exist_ok=True)
    mark.write_text(stamp, encoding="ascii")
    return folder


def _stamp(folder: Path) -> str:
    """A digest of an app's sources."""
    digest = hashlib.sha256()
    for top, folders, files in os.walk(folder):
        folders[:] = sorted(f for f in folders if f not in _NOT_SOURCE and f[0] != ".")
        for file in sorted(files):
            path = Path(top, file)
            digest.update(f"{path.relative_to(folder)}\0".encode() + path.read_bytes() + b"\0")
    return digest.hexdigest()


def _npm(folder: Path, *command: str) -> None:
    quiet = {"NEXT_TELEMETRY_DISABLED": "1", "NUXT_TELEMETRY_DISABLED": "1", "CI": "1"}
    quiet |= {"ASTRO_TELEMETRY_DISABLED": "1", "NG_CLI_ANALYTICS": "false"}
    done = subprocess.run(
        ["npm", *command],
        cwd=folder,
        env={**os.environ, **quiet},
        capture_output=True,
        text=True,
        timeout=_SECONDS,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"npm {command[0]} in {folder}:\n{done.stdout[-3000:]}{done.stderr}")
