"""The checks for site teams, against the demo: by themselves, and as a pytest plugin."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from playwright.sync_api import BrowserContext

from e2e.chromium import LOOPBACK
from e2e.site import PATIENT_PAGE, RunningDemo
from proxy.testing import SiteVisitor, TrackerError, assert_no_trackers, assert_only_vendors

ROOT = Path(__file__).parents[1]


def hosts(demo: RunningDemo, *labels: str) -> list[str]:
    """The stubs' hosts: to the catalogue they are hosts that nobody knows."""
    return [f"{label}.localhost:{demo.ports.vendors}" for label in labels]


ANALYTICS = ("googletagmanager", "google-analytics")


def test_what_each_choice_opens(context: BrowserContext, demo_site: RunningDemo) -> None:
    visitor = SiteVisitor(context, demo_site.url("/"))
    assert_no_trackers(visitor.open("/product"))
    assert_no_trackers(visitor.rejects())
    page = visitor.accepts("analytics")
    assert page.url == demo_site.url("/product")
    assert_only_vendors(page, present=hosts(demo_site, *ANALYTICS))
    page = visitor.accepts()
    meta = hosts(demo_site, "connect-facebook", "facebook")
    with pytest.raises(TrackerError) as told:
        assert_only_vendors(page, *hosts(demo_site, *ANALYTICS))
    assert all(f"{host} was sent http://{host}/" in str(told.value) for host in meta)
    assert_no_trackers(visitor.open(PATIENT_PAGE))
    assert_no_trackers(visitor.withdraws())
    assert_no_trackers(visitor.open("/product"))


def test_what_was_not_sent_is_told(context: BrowserContext, demo_site: RunningDemo) -> None:
    visitor = SiteVisitor(context, demo_site.url("/"))
    (expected,) = hosts(demo_site, "google-analytics")
    with pytest.raises(TrackerError, match=f"{expected}: was sent nothing, and should have been"):
        assert_only_vendors(visitor.open("/"), present=[expected])


def test_without_the_proxy_each_is_named(context: BrowserContext, demo_site: RunningDemo) -> None:
    visitor = SiteVisitor(context, demo_site.origin_url("/")).with_gpc()
    with pytest.raises(TrackerError, match="mystery-metrics"):
        assert_no_trackers(visitor.open("/"))
    assert visitor.page.evaluate("navigator.globalPrivacyControl") is True


def test_a_page_that_was_not_watched_is_told(context: BrowserContext) -> None:
    with pytest.raises(ValueError, match=r"use visitor\.page"):
        assert_no_trackers(context.new_page())


def test_a_word_that_is_no_category(context: BrowserContext, demo_site: RunningDemo) -> None:
    visitor = SiteVisitor(context, demo_site.url("/"))
    with pytest.raises(ValueError, match="no category 'anaytics'; choose from functional,"):
        visitor.accepts("anaytics")


# As pytest-playwright has it, whose fixtures a site team uses.
CONFTEST = f"""
import pytest
from e2e.chromium import launch
from playwright.sync_api import sync_playwright

@pytest.fixture
def context():
    with sync_playwright() as playwright:
        browser = launch(playwright, [{LOOPBACK!r}])
        yield browser.new_context()
        browser.close()
"""
TEST = """
from proxy.testing import assert_no_trackers

def test_nothing_before_the_choice(visitor):
    assert_no_trackers(visitor.open("/"))
"""


@pytest.mark.parametrize(
    ("through_the_proxy", "exit_code", "told"),
    [(True, 0, "1 passed"), (False, 1, "TrackerError"), (None, 1, "needs the site's address")],
)
def test_the_plugin_gives_a_visitor(
    tmp_path: Path,
    demo_site: RunningDemo,
    through_the_proxy: bool | None,
    exit_code: int,
    told: str,
) -> None:
    address = demo_site.url("/") if through_the_proxy else demo_site.origin_url("/")
    line = "" if through_the_proxy is None else f"consent_base_url = {address}"
    (tmp_path / "pytest.ini").write_text(f"[pytest]\n{line}\n")
    (tmp_path / "conftest.py").write_text(CONFTEST)
    (tmp_path / "test_site.py").write_text(TEST)
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "proxy.testing.plugin", "-p", "no:cacheprovider",
         "-c", str(tmp_path / "pytest.ini"), str(tmp_path)],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == exit_code, done.stdout + done.stderr
    assert told in done.stdout
