"""The folder of static files: inside the wheel, or at the root of a checkout."""

from __future__ import annotations

from pathlib import Path

_PACKED = Path(__file__).resolve().parents[1] / "static"
_CHECKOUT = Path(__file__).resolve().parents[2] / "static"


def static_root() -> Path:
    """The folder that holds `banner/`. Raises FileNotFoundError naming where it looked."""
    for folder in (_PACKED, _CHECKOUT):
        if (folder / "banner").is_dir():
            return folder
    raise FileNotFoundError(
        f"static files not found: looked for a folder `banner` in {_PACKED} and {_CHECKOUT}; "
        "reinstall the package, or run from a complete checkout"
    )
