"""Small apps of real frameworks, built from npm once and kept (git-ignored): `built` gives one."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

import playwright

_FOLDER = Path(__file__).parent
_NOT_SOURCE = frozenset({"node_modules", "output"})
_SECONDS = 600
_NODE = Path(playwright.__file__).parent / "driver"
_ENVIRONMENT = {
    **os.environ, "CI": "1", "NEXT_TELEMETRY_DISABLED": "1", "NUXT_TELEMETRY_DISABLED": "1",
    "ASTRO_TELEMETRY_DISABLED": "1", "NG_CLI_ANALYTICS": "false",
}  # fmt: skip


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
    _npm(folder, "ci", "--legacy-peer-deps", "--ignore-scripts", "--no-audit", "--no-fund")
    _done(*script(folder, "build"), folder)
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


def script(folder: Path, name: str) -> tuple[list[str], dict[str, str]]:
    """The command of a package.json's script, and its environment.

    It runs in the node that comes with Playwright: these frameworks need a newer one than Debian 12
    has.
    """
    command = json.loads((folder / "package.json").read_text(encoding="utf-8"))["scripts"][name]
    path = [str(_NODE), str(folder / "node_modules" / ".bin"), os.environ["PATH"]]
    return ["sh", "-c", f"exec {command}"], {**_ENVIRONMENT, "PATH": os.pathsep.join(path)}


def _npm(folder: Path, *command: str) -> None:
    _done(["npm", *command], _ENVIRONMENT, folder)


def _done(command: list[str], environment: Mapping[str, str], folder: Path) -> None:
    done = subprocess.run(
        command,
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=_SECONDS,
        check=False,
    )
    if done.returncode:
        said = f"{done.stdout[-3000:]}{done.stderr}"
        raise RuntimeError(f"{' '.join(command)} in {folder}:\n{said}")
