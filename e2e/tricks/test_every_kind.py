"""One page with every kind of request: all of them fire without the proxy, none with it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from e2e.tricks.measure import Measured, Setting, measure
from e2e.tricks.table import Trick

PAGE = Path(__file__).with_name("every_kind.html").read_text(encoding="utf-8")
_ASKED = re.compile(r"(?:HOST/|at\(')([a-z-]+)(?:\.\w+)?|\$\{host\}/([a-z-]+)")
KINDS = sorted({one or other for one, other in _ASKED.findall(PAGE)})
"""What the page asks for, by the paths it names."""

_WORKER = "fetch(location.search.slice(1), {mode: 'no-cors'}).catch(() => {})"


@pytest.fixture(scope="module")
def measured() -> Measured:
    page = PAGE.replace("HOST", "{host}")
    trick = Trick(0, "page", "every kind", page=page, files={"worker.js": _WORKER}, linger=4.0)
    return measure([trick], [Setting.DIRECT, Setting.UNKNOWN, Setting.KNOWN])


def kinds_asked(measured: Measured, setting: Setting) -> set[str]:
    paths = [line.split()[1] for line in measured.seen[setting][0].requests]
    return {path.strip("/").partition("?")[0].partition(".")[0] for path in paths}


def test_page_has_many_kinds() -> None:
    assert len(KINDS) >= 44


def test_every_kind_fires_without_the_proxy(measured: Measured) -> None:
    assert set(KINDS) - kinds_asked(measured, Setting.DIRECT) == set()


@pytest.mark.parametrize("setting", [Setting.UNKNOWN, Setting.KNOWN])
def test_no_kind_fires_with_it(measured: Measured, setting: Setting) -> None:
    assert kinds_asked(measured, setting) == set()
    assert measured.seen[setting][0].outcome.status == 200
