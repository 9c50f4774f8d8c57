"""Paths of a tiled log's resources (https://c2sp.org/tlog-tiles)."""

from __future__ import annotations

import re
from dataclasses import dataclass

from consent_rules.receipts.merkle import TILE_WIDTH

_PATH = re.compile(
    r"tile/(?P<level>entries|0|[1-9][0-9]?)/(?P<index>(?:x[0-9]{3}/)*[0-9]{3})"
    r"(?:\.p/(?P<width>[1-9][0-9]{0,2}))?"
)


@dataclass(frozen=True, slots=True)
class Tile:
    """A tile of hashes, or with `level` None a bundle of entries. A partial one has fewer than 256
    of them.
    """

    level: int | None
    index: int
    width: int = TILE_WIDTH

    @property
    def path(self) -> str:
        digits = f"{self.index:0{-(-len(str(self.index)) // 3) * 3}d}"
        parts = [digits[i : i + 3] for i in range(0, len(digits), 3)]
        number = "/".join([*(f"x{part}" for part in parts[:-1]), parts[-1]])
        level = "entries" if self.level is None else self.level
        partial = "" if self.width == TILE_WIDTH else f".p/{self.width}"
        return f"tile/{level}/{number}{partial}"


def read_tile(path: str) -> Tile | None:
    """The tile that a path names; None for a path that is not the one spelling of any."""
    found = _PATH.fullmatch(path)
    if found is None or len(found["index"]) > 30:
        return None
    level = None if found["level"] == "entries" else int(found["level"])
    index = int(re.sub(r"[x/]", "", found["index"]))
    tile = Tile(level, index, int(found["width"] or TILE_WIDTH))
    return tile if tile.path == path and (level is None or level < 64) else None
