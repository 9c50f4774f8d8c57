"""docs/http.md names the test of each fault: they are there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SECTION = (ROOT / "docs/http.md").read_text("utf-8").partition("## Where it is tested")[2]
NAMED = re.findall(r"`(tests/[\w/]+\.py)`:((?:,? `test_\w+`)*)", SECTION)


def test_they_are_found() -> None:
    rows = [line for line in SECTION.splitlines() if line.startswith("| ")][1:]
    assert len(rows) > 10
    assert all("`tests/" in row for row in rows)
    assert SECTION.count("`tests/") == len(NAMED)


@pytest.mark.parametrize(("file", "names"), NAMED)
def test_the_tests_that_are_named_are_there(file: str, names: str) -> None:
    text = (ROOT / file).read_text("utf-8")
    missing = [
        name
        for name in re.findall(r"test_\w+", names)
        if not re.search(rf"^(?:async )?def {name}\(", text, re.MULTILINE)
    ]
    assert missing == []
