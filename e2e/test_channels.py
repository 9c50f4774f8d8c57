"""Every way that a page's own script has to reach another host, from every window it can get."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import BrowserContext, Page, Playwright

from consent_rules.categories import Category
from e2e.chromium import FLAGS, executable
from e2e.proxied import serving
from e2e.site import in_thread
from e2e.tricks.browse import UNWANTED_FLAGS, resolver_rules
from e2e.tricks.stub import ClosedHost
from tests.support.forwarding import Visit
from tests.support.site import TAG, Proxied, Reply, reply

README = Path(__file__).parents[1] / "README.md"
SCRIPT = Path(__file__).with_name("channels.js")

NOT_STOPPABLE: Mapping[str, str] = {
    "link-preconnect": "no policy directive governs a preconnect",
}

Ports = Mapping[str, tuple[str, int]]
Seen = dict[tuple[str, str], str]
"""(channel, window) -> "requests" or "connects"."""


@pytest.fixture(scope="module")
def dumped() -> None:
    return None
