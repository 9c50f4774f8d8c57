"""Paths of tiles, as C2SP tlog-tiles spells them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consent_rules.receipts.tiles import Tile, read_tile


@pytest.mark.parametrize(
    ("path", "tile"),
    [
        ("tile/0/000", Tile(0, 0)),
        ("tile/0/x001/x234/067", Tile(0, 1_234_067)),
        ("tile/1/x273/112.p/17", Tile(1, 273_112, 17)),
        ("tile/entries/001.p/255", Tile(None, 1, 255)),
        ("tile/63/999", Tile(63, 999)),
    ],
)
def test_paths(path: str, tile: Tile) -> None:
    assert read_tile(path) == tile
    assert tile.path == path


@pytest.mark.parametrize(
    "path",
    [
        "", "tile/0/0", "tile/00/000", "tile/0/x000/001", "tile/64/000", "tile/0/000.p/0",
        "tile/0/000.p/256", "tile/0/000.p/01", "tile/0/000/", "/tile/0/000", "tile/0/1234",
        "tile/0/\u0660\u0660\u0660", "tile/-1/000", "tile/0/" + "x001/" * 50 + "001",
    ],
)  # fmt: skip
def test_what_is_no_tile(path: str) -> None:
    assert read_tile(path) is None


@given(st.none() | st.integers(0, 63), st.integers(0, 10**12), st.integers(1, 256))
def test_a_path_is_read_back(level: int | None, index: int, width: int) -> None:
    tile = Tile(level, index, width)
    assert read_tile(tile.path) == tile


@given(st.text() | st.from_regex(r"tile/[0-9e]{1,3}/[x0-9/]{1,9}(\.p/[0-9]{1,3})?", fullmatch=True))
def test_no_path_has_two_readings(path: str) -> None:
    tile = read_tile(path)
    assert tile is None or tile.path == path
