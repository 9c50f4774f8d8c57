"""The prepared catalogue says what the TOML files say, or is not used."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from consent_rules.catalogue.load import catalogue, catalogue_tables, vendor_from_table
from consent_rules.catalogue.prepared import NAME, digest, prepared, read_prepared, write_prepared

CATALOGUE = Path(__file__).parents[3] / "consent_rules" / "catalogue"
_ONE = '[[vendor]]\nid = "one"\nname = "\u00c9in"\ncategory = "analytics"\n'


def _folder(tmp_path: Path, **files: str) -> Path:
    for name, text in files.items():
        (tmp_path / f"{name}.toml").write_text(text, encoding="utf-8")
    return tmp_path


def _of_toml(folder: Path) -> list[object]:
    (folder / NAME).unlink(missing_ok=True)
    return list(catalogue_tables(folder))


def test_is_equal_to_the_files(tmp_path: Path) -> None:
    files = {file.stem: file.read_text(encoding="utf-8") for file in CATALOGUE.glob("*.toml")}
    folder = _folder(tmp_path, **files)
    write_prepared(folder)
    tables = list(catalogue_tables(folder))
    assert (folder / NAME).exists()
    assert tables == _of_toml(folder)
    assert {one.id: one for one in map(vendor_from_table, tables)} == catalogue()
    assert [path.suffix for path in folder.iterdir() if path.suffix != ".toml"] == []


def test_is_what_is_read(tmp_path: Path) -> None:
    folder = _folder(tmp_path, a=_ONE)
    sources = [("a.toml", _ONE.encode())]
    (folder / NAME).write_bytes(prepared(sources, [{"id": "of the prepared file"}]))
    assert list(catalogue_tables(folder)) == [{"id": "of the prepared file"}]


_CHANGES: dict[str, Callable[[Path], object]] = {
    "changed": lambda folder: (folder / "a.toml").write_text(_ONE.replace("one", "two")),
    "changed to what it was but for a blank": lambda folder: (folder / "a.toml").write_text(
        f"{_ONE} ", encoding="utf-8"
    ),
    "one more": lambda folder: (folder / "b.toml").write_text(_ONE.replace("one", "two")),
    "renamed": lambda folder: (folder / "a.toml").rename(folder / "c.toml"),
    "one removed": lambda folder: (folder / "z.toml").unlink(),
    "cut short": lambda folder: (folder / NAME).write_bytes((folder / NAME).read_bytes()[:-9]),
    "empty": lambda folder: (folder / NAME).write_bytes(b""),
    "not UTF-8": lambda folder: (folder / NAME).write_bytes(b'"\xff"'),
    "a list": lambda folder: (folder / NAME).write_text("[]"),
    "without a hash": lambda folder: (folder / NAME).write_text('{"vendors": []}'),
}


@pytest.mark.parametrize("change", _CHANGES)
def test_counts_no_more_once_something_is(change: str, tmp_path: Path) -> None:
    folder = _folder(tmp_path, a=_ONE, z=_ONE.replace("one", "last"))
    write_prepared(folder)
    whole = json.loads((folder / NAME).read_bytes())
    # What shows whether it was used.
    (folder / NAME).write_text(json.dumps({**whole, "vendors": [{"id": "stale"}]}))
    assert list(catalogue_tables(folder)) == [{"id": "stale"}]
    _CHANGES[change](folder)
    found = list(catalogue_tables(folder))
    assert {"id": "stale"} not in found
    assert found == _of_toml(folder)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ([("a", b"x"), ("b", b"y")], [("a", b"xy"), ("b", b"")]),
        ([("a", b"x"), ("b", b"y")], [("b", b"y"), ("a", b"x")]),
        ([("a", b"")], []),
        ([("a", b""), ("b", b"")], [("a", b"b 0\n")]),
    ],
)
def test_the_hash_tells_files_apart(
    one: list[tuple[str, bytes]], other: list[tuple[str, bytes]]
) -> None:
    assert digest(one) != digest(other)
    assert read_prepared(prepared(one, []), other) is None
    assert read_prepared(prepared(one, []), one) == []
