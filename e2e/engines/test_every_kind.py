"""One page with every kind of request, in the engine of this run: with the proxy, none arrives."""

from __future__ import annotations

import pytest

from e2e.engines.engines import chosen_engine
from e2e.tricks.every_kind import EVERY_KIND, KINDS, kinds_asked
from e2e.tricks.measure import IN_OTHERS, Measured, Setting, measure

pytestmark = pytest.mark.engines

ENGINE = chosen_engine()
SILENT: dict[str, set[str]] = {
    "chromium": set(),
    "firefox": {"manifest", "ping"},
    "webkit": {"manifest", "prefetch", "track"},
}
"""Kinds that an engine does not ask for, proxy or no proxy."""
IN_RELEASES_TO_140 = {"prefetch"}
"""Kinds that an old Firefox puts off until nothing else loads, which does not come on this page."""


@pytest.fixture(scope="module")
def measured() -> Measured:
    return measure([EVERY_KIND], IN_OTHERS, ENGINE)


def test_every_kind_fires_without_the_proxy(measured: Measured) -> None:
    silent = SILENT[ENGINE.name]
    name, _, release = measured.version.partition(" ")
    if name == "Firefox" and int(release.partition(".")[0]) <= 140:
        silent = silent | IN_RELEASES_TO_140
    assert KINDS - kinds_asked(measured, Setting.DIRECT) == silent


@pytest.mark.parametrize("setting", IN_OTHERS[1:])
def test_no_kind_fires_with_it(measured: Measured, setting: Setting) -> None:
    assert kinds_asked(measured, setting) == set()
