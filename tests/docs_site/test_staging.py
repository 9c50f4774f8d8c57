"""Where the repository's files stand on the site."""

from __future__ import annotations

from pathlib import Path, PurePosixPath

import pytest

from docs_site import staging


@pytest.mark.parametrize(
    ("path", "place"),
    [
        ("docs/install.md", "install.md"),
        ("docs/images/a.webp", "images/a.webp"),
        ("README.md", "project/overview.md"),
        ("SECURITY.md", "project/security.md"),
        ("examples/fronts/README.md", "project/examples-fronts.md"),
        ("examples/fronts/Caddyfile", "project/examples/fronts/Caddyfile.txt"),
        ("examples/grafana/a.json", "project/examples/grafana/a.json"),
        ("LICENSE", "project/LICENSE.txt"),
    ],
)  # fmt: skip
def test_place_of(path: str, place: str) -> None:
    assert staging.place_of(PurePosixPath(path)) == PurePosixPath(place)


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name, text in {
        "README.md": "# r\n[d](docs/a.md#x)\n",
        "SECURITY.md": "[r](README.md#limits)\n",
        "CONTRIBUTING.md": "",
        "CHANGELOG.md": "",
        "docs/a.md": "[e](../examples/e) [m](reference/m.md#y) [s](../run.py) [w](https://example.com/)\n",
        "examples/e/README.md": "[a](../../docs/a.md)\n",
        "run.py": "pass\n",
    }.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    monkeypatch.setattr(staging, "ROOT", tmp_path)
    return tmp_path


def test_links_lead_where_the_files_went(repository: Path) -> None:
    out = repository / "out"
    staging.stage(out, {"reference/m.md": "# m\n"})
    assert (out / "a.md").read_text() == (
        "[e](project/examples-e.md) [m](reference/m.md#y) [s](project/run.py.txt) "
        "[w](https://example.com/)\n"
    )
    assert (out / "project/security.md").read_text() == "[r](overview.md#limits)\n"
    assert (out / "project/examples-e.md").read_text() == "[a](../a.md)\n"
    assert "[d](../a.md#x)" in (out / "project/overview.md").read_text()
    assert (out / "project/run.py.txt").read_text() == "pass\n"


def test_a_link_to_nothing_is_told(repository: Path) -> None:
    (repository / "docs/a.md").write_text("[b](b.md)\n")
    with pytest.raises(staging.BrokenLinkError, match=r"docs/a\.md: nothing is at b\.md"):
        staging.stage(repository / "out", {})
