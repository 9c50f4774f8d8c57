"""Lighthouse finds nothing to fault where the banner stands. `make lighthouse` compares speeds."""

from __future__ import annotations

from e2e.lighthouse import audit
from e2e.site import EVERY_VENDOR, RunningDemo


def test_lighthouse_has_nothing_to_say(demo_site: RunningDemo) -> None:
    report = audit(demo_site.url(EVERY_VENDOR))
    assert report.scores["accessibility"] == 100, report.faults
    assert report.scores["best-practices"] == 100, report.faults
    assert report.shift == 0
