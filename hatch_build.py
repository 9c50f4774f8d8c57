"""What a build makes beside the files of the checkout."""

from __future__ import annotations

import runpy
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class PreparedCatalogue(BuildHookInterface):  # type: ignore[type-arg]
    """The catalogue in a form that is read quickly (`consent_rules/catalogue/prepared.py`)."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        folder = Path(self.root, "consent_rules", "catalogue")
        # By its path: the package itself imports what a build does not have.
        runpy.run_path(str(folder / "prepared.py"))["write_prepared"](folder)
