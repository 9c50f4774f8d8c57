"""What a site team checks before each release. The site's address: --base-url."""

from __future__ import annotations

from proxy.testing import SiteVisitor, assert_no_trackers, assert_only_vendors


def test_nothing_before_the_choice(visitor: SiteVisitor) -> None:
    assert_no_trackers(visitor.open("/"))


def test_nothing_after_a_refusal(visitor: SiteVisitor) -> None:
    visitor.open("/")
    assert_no_trackers(visitor.rejects())


def test_analytics_alone(visitor: SiteVisitor) -> None:
    visitor.open("/")
    assert_only_vendors(visitor.accepts("analytics"), "google-analytics", "google-tag-manager")


def test_nothing_with_the_opt_out_signal(visitor: SiteVisitor) -> None:
    assert_no_trackers(visitor.with_gpc().open("/"))


def test_nothing_on_pages_for_patients(visitor: SiteVisitor) -> None:
    visitor.open("/")
    visitor.accepts()
    assert_no_trackers(visitor.open("/patients/pay"))


def test_nothing_after_the_withdrawal(visitor: SiteVisitor) -> None:
    visitor.open("/")
    visitor.accepts()
    assert_no_trackers(visitor.withdraws())
