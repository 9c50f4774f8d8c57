"""One demo and one browser for all tests; a fresh visitor for each."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any
from zlib import crc32

import pytest
from playwright.sync_api import Browser, BrowserContext, Playwright, sync_playwright
from xdist.scheduler import LoadFileScheduling  # type: ignore[import-untyped]

from e2e.chromium import LOOPBACK, launch
from e2e.site import RunningDemo, running_demo
from e2e.tricks.measure import part
from e2e.visitor import Visitor

_PARTS = {"e2e/test_banner.py": 6, "e2e/test_placeholder_in_sight.py": 3}
"""Modules of many slow tests. Whole, one worker would be at them long after the other has ended."""


class ByModuleAndPart(LoadFileScheduling):  # type: ignore[misc]
    """Tests of a module share a worker and what it has set up; those of large modules are in parts,
    of which each has the tests that are measured together.
    """

    def _split_scope(self, nodeid: str) -> str:
        module, _, test = nodeid.partition("::")
        if module.endswith("tricks/test_tricks.py") and "[" in test:
            return f"{module} {part(test.partition('[')[2].removesuffix(']'))}"
        if module in _PARTS:
            return f"{module} {crc32(test.encode()) % _PARTS[module]}"
        return module


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> ByModuleAndPart:
    return ByModuleAndPart(config, log)


NewVisitor = Callable[..., Visitor]


@pytest.fixture(scope="session")
def demo_site() -> Iterator[RunningDemo]:
    with running_demo() as running:
        yield running


@pytest.fixture(scope="session")
def playwright_driver() -> Iterator[Playwright]:
    with sync_playwright() as playwright:
        yield playwright


@pytest.fixture(scope="session")
def browser(playwright_driver: Playwright) -> Iterator[Browser]:
    """The one browser of the tests. Where there is none they fail, and say what to do."""
    chromium = launch(playwright_driver, [LOOPBACK])
    yield chromium
    chromium.close()


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    """An empty profile."""
    fresh = browser.new_context()
    yield fresh
    fresh.close()


@pytest.fixture
def new_visitor(demo_site: RunningDemo, browser: Browser) -> Iterator[NewVisitor]:
    """Makes visitors with empty profiles; keywords go to the browser context."""
    visitors: list[Visitor] = []

    def make(**options: Any) -> Visitor:
        context = browser.new_context(**{"viewport": {"width": 1280, "height": 800}, **options})
        scripts = bool(options.get("java_script_enabled", True))
        visitors.append(Visitor(demo_site, context, scripts=scripts))
        return visitors[-1]

    demo_site.ledger.reset()
    yield make
    for visitor in visitors:
        visitor.context.close()
    # A beacon may outlive its page; let it arrive before the next test counts.
    time.sleep(0.05)


@pytest.fixture
def visitor(new_visitor: NewVisitor) -> Visitor:
    return new_visitor()
