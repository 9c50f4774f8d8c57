"""Checks for a site team's own browser tests: who gets data, in which state of a visitor.

Works with Playwright's synchronous API, as pytest-playwright has it. The pytest plugin
(`proxy.testing.plugin`) gives the fixture `visitor`; everything is usable without pytest too.
"""

from proxy.testing.visitor import (
    SiteVisitor,
    TrackerError,
    assert_no_trackers,
    assert_only_vendors,
)

__all__ = ["SiteVisitor", "TrackerError", "assert_no_trackers", "assert_only_vendors"]
