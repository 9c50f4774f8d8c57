"""A real nginx for the tests: `scripts/find-nginx` brings one where there is none, as make does."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

_FOLDERS = ("/usr/sbin", "/usr/bin", "/usr/local/sbin", "/usr/local/bin")
_UNPACKED = Path(__file__).parents[2] / ".tools/nginx/usr/sbin/nginx"


def nginx_program() -> str:
    """Its path. Raises FileNotFoundError that says what to do."""
    chosen = os.environ.get("NGINX", "nginx")
    found = shutil.which(chosen, path=os.pathsep.join((os.environ.get("PATH", ""), *_FOLDERS)))
    if found is None and "NGINX" not in os.environ and _UNPACKED.exists():
        found = str(_UNPACKED)
    if found is None:
        raise FileNotFoundError("nginx is not there: run scripts/find-nginx, or apt-get install it")
    return found
