"""What the browser tests take from npm: `scripts/npm-install e2e` puts it there, as make does."""

from __future__ import annotations

from pathlib import Path

_FOLDER = Path(__file__).parent / "node_modules"


def from_npm(path: str) -> Path:
    """A file of an installed package. Raises FileNotFoundError that says what to do."""
    found = _FOLDER / path
    if not found.exists():
        raise FileNotFoundError(f"{found} is not there: run scripts/npm-install e2e")
    return found
