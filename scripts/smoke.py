"""Whether the wheel that is installed here can run: `python -I scripts/smoke.py`.

It must be complete, and the only distribution with packages of these names: pip lets two of them
write into one folder, and then neither is whole.
"""

from __future__ import annotations

import sys
from importlib.metadata import packages_distributions
from importlib.util import find_spec
from pathlib import Path

NAME = "consent-proxy"
PACKAGES = ("consent_rules", "proxy")


def folder_of(package: str) -> Path:
    """Where a package lies; it is not imported."""
    spec = find_spec(package)
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).parent


def faults() -> list[str]:
    """What is wrong, a sentence each."""
    owners = packages_distributions()
    found = []
    for package in PACKAGES:
        names = {name.replace("_", "-").lower() for name in owners.get(package, [])}
        if NAME not in names:
            found.append(f"{NAME} is not installed here, or its package {package!r} is missing.")
        found += [
            f"The package {package!r} in site-packages comes from {other} too: the two overwrite "
            f"each other's files. Install {NAME} into an environment of its own (pipx, or the "
            f"container image), or remove {other}."
            for other in sorted(names - {NAME})
        ]
    if found:
        return found
    static = folder_of("proxy") / "static" / "banner"
    if not static.is_dir() or not any(static.iterdir()):
        found.append("proxy/static/banner is empty: the wheel was built without the banner.")
    found += [
        f"{package}/py.typed is missing: type checkers would not see its types."
        for package in PACKAGES
        if not (folder_of(package) / "py.typed").is_file()
    ]
    return found


if __name__ == "__main__":
    sys.exit("\n".join(faults()) or None)
