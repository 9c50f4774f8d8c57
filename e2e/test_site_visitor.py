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


def analytics(demo: RunningDemo) -> list[str]:
    """The script's host is one that nobody knows; what it sends is Google Analytics's format."""
    return [*hosts(demo, "googletagmanager"), "google-analytics"]


def test_what_each_choice_opens(context: BrowserContext, demo_site: RunningDemo) -> None:
    visitor = SiteVisitor(context, demo_site.url("/"))
    assert_no_trackers(visitor.open("/product"))
    assert_no_trackers(visitor.rejects())
    page = visitor.accepts("analytics")
    assert page.url == demo_site.url("/product")
    assert_only_vendors(page, present=analytics(demo_site))
    page = visitor.accepts()
    (script,) = hosts(demo_site, "connect-facebook")
    with pytest.raises(TrackerError) as told:
        assert_only_vendors(page, *analytics(demo_site))
    assert f"{script} was sent http://{script}/en_US/fbevents.js" in str(told.value)
    assert "Meta Pixel (meta-pixel, advertising) was sent http://facebook" in str(told.value)
    assert_no_trackers(visitor.open(PATIENT_PAGE))
    assert_no_trackers(visitor.withdraws())
    assert_no_trackers(visitor.open("/product"))


def test_what_was_not_sent_is_told(context: BrowserContext, demo_site: RunningDemo) -> None:
    visitor = SiteVisitor(context, demo_site.url("/"))
    expected = "google-analytics"
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
CHECK = """
from proxy.testing import assert_no_trackers

def test_nothing_before_the_choice(visitor):
    assert_no_trackers(visitor.open("/"))
"""


def in_pytest(folder: Path, **files: str) -> subprocess.CompletedProcess[str]:
    for name, text in files.items():
        (folder / name.replace("_dot_", ".")).write_text(text)
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "proxy.testing.plugin", "-p", "no:cacheprovider",
         "-c", str(folder / "pytest.ini"), str(folder)],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip


def test_the_plugin_gives_a_visitor(tmp_path: Path, demo_site: RunningDemo) -> None:
    done = in_pytest(
        tmp_path,
        pytest_dot_ini=f"[pytest]\nconsent_base_url = {demo_site.origin_url('/')}\n",
        conftest_dot_py=CONFTEST,
        test_site_dot_py=CHECK,
    )
    assert done.returncode == 1, done.stdout + done.stderr
    assert "TrackerError" in done.stdout
    assert "Google Analytics (google-analytics, analytics) was sent http" in done.stdout


def test_the_plugin_asks_for_the_address(tmp_path: Path) -> None:
    done = in_pytest(
        tmp_path,
        pytest_dot_ini="[pytest]\n",
        conftest_dot_py="import pytest\n@pytest.fixture\ndef context(): return None\n",
        test_site_dot_py=CHECK,
    )
    assert done.returncode == 1, done.stdout + done.stderr
    assert "needs the site's address: --base-url" in done.stdout
