"""Configs of several files: problems name the right one, and nothing outside is read."""

from __future__ import annotations

import datetime
import re
from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from consent_rules.config.load import ConfigError, LoadedConfig, load_config
from consent_rules.vendors import Vendor
from proxy.config.includes import IncludedFiles
from tests.support.config_files import FILE_CASES, POLICY, SITE, TAG, Case

TODAY = datetime.date(2026, 12, 1)
VARIABLES = {"DB_PASSWORD": "s3cret-value", "EMPTY": ""}


def load(folder: Path, catalogue: Mapping[str, Vendor]) -> LoadedConfig:
    path = folder / "c.toml"
    return load_config(
        path.read_text(encoding="utf-8"),
        str(path),
        today=TODAY,
        catalogue=catalogue,
        includes=IncludedFiles(path).includes,
        environment=VARIABLES,
    )


@pytest.mark.parametrize("case", FILE_CASES, ids=lambda case: case.name)
def test_every_mistake_is_told_in_its_file(
    case: Case, catalogue: Mapping[str, Vendor], tmp_path: Path
) -> None:
    unmet = case.write(tmp_path)
    assert bool(unmet) is not case.name.startswith("nothing wrong")
    errors = any(expected.severity == "error" for expected in unmet)
    try:
        problems, refused = load(tmp_path, catalogue).problems, False
    except ConfigError as error:
        problems, refused = error.problems, True
        assert not re.search(r"s3cret-value", str(error))
    said = "\n".join(map(str, problems))
    for problem in problems:
        met = next((one for one in unmet if one.is_met_by(problem, tmp_path)), None)
        assert met is not None, f"not expected: {problem}\n\nall that is said:\n{said}"
        unmet.remove(met)
    assert not unmet, f"not said: {unmet}\n\nall that is said:\n{said}"
    assert refused == errors


def test_the_tags_of_all_files_are_one_list(
    catalogue: Mapping[str, Vendor], tmp_path: Path
) -> None:
    FILE_CASES[0].write(tmp_path)
    loaded = load(tmp_path, catalogue)
    assert [tag.vendor for tag in loaded.config.tags] == ["google-analytics", "acme-chat"]
    assert [vendor.id for vendor in loaded.config.vendors] == ["acme-chat"]
    spot = loaded.places.key(("tag", 1))
    assert (spot.file, spot.line) == (str(tmp_path / "tags/more/b.toml"), 1)


def test_variables_are_put_in(catalogue: Mapping[str, Vendor], tmp_path: Path) -> None:
    case = next(case for case in FILE_CASES if case.name.endswith("a secret from the environment"))
    case.write(tmp_path)
    config = load(tmp_path, catalogue).config
    assert config.receipts.store == "postgresql://consent:s3cret-value@db/consent"
    assert config.preferences.keys == "keys-${x}"


def test_a_config_behind_a_link_includes_from_the_folder_it_is_named_in(
    catalogue: Mapping[str, Vendor], tmp_path: Path
) -> None:
    """As Kubernetes lays a ConfigMap out: names are links into a folder that is replaced."""
    data = tmp_path / "mount" / "..2026_01_01"
    data.mkdir(parents=True)
    (data / "c.toml").write_text(f'include = ["*.tags.toml"]\n{POLICY}{SITE}')
    (data / "a.tags.toml").write_text(
        f'[[tag]]\nvendor = "matomo"\nsites = ["www"]\n{TAG}\n', encoding="utf-8"
    )
    (data.parent / "..data").symlink_to(data.name)
    for name in ("c.toml", "a.tags.toml"):
        (data.parent / name).symlink_to(f"..data/{name}")
    assert [tag.vendor for tag in load(data.parent, catalogue).config.tags] == ["matomo"]


# Pieces of files that may or may not fit together.
_LINES = st.sampled_from(
    [
        'include = ["*.toml"]', 'include = ["a.toml", "sub/*.toml"]', 'include = ["../c.toml"]',
        'include = ["**/*.toml"]', "include = 3", 'include = [["x"]]', "include = []",
        "[[tag]]", "[tag]", 'vendor = "matomo"', 'vendor = "nobody"', 'sites = ["www"]',
        *TAG.split("\n"), "[[vendor]]", 'id = "x"', 'name = "X"', 'category = "functional"',
        'hosts = ["x.example"]', "[[tag.script]]", 'url = "https://x.example/"', "[[site]]",
        "[receipts]", 'store = "sqlite:///${DB_PASSWORD}"', 'store = "${NOPE}"', '"', "\\", "= 1",
        "[policy]", "inline_hashes = [1]", "tag = []", "vendor = [1]", "tag = [[]]",
    ]
)  # fmt: skip
_FILES = st.dictionaries(
    st.sampled_from(["c.toml", "a.toml", "b.toml", "sub/a.toml", "sub/deep/a.toml", ".h.toml"]),
    st.lists(_LINES, max_size=12).map("\n".join),
    max_size=6,
)
_LINKS = st.dictionaries(
    st.sampled_from(["l.toml", "sub/l.toml"]),
    st.sampled_from(["a.toml", "l.toml", "../c.toml", "/etc/passwd", "sub", "gone"]),
    max_size=2,
)


@pytest.mark.slow
@given(files=_FILES, links=_LINKS, whole=st.booleans())
@settings(max_examples=250, deadline=None)
def test_no_tree_of_files_gives_anything_but_faults(
    tmp_path_factory: pytest.TempPathFactory,
    catalogue: Mapping[str, Vendor],
    files: dict[str, str],
    links: dict[str, str],
    whole: bool,
) -> None:
    folder = tmp_path_factory.mktemp("tree")
    files.setdefault("c.toml", 'include = ["*.toml", "sub/*.toml"]')
    files["c.toml"] += f"\n{POLICY}{SITE}" if whole else ""
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    for name, target in links.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).symlink_to(target)
    try:
        problems = load(folder, catalogue).problems
    except ConfigError as error:
        problems = error.problems
        assert str(error)
    for problem in problems:
        there = Path(problem.file) if problem.file else folder / "c.toml"
        assert there.is_relative_to(folder)
        assert 1 <= problem.line <= there.read_text().count("\n") + 1
        assert "\n" not in problem.message
        assert "s3cret-value" not in problem.message
