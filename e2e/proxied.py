"""The product in front of an origin that a test scripts, in a thread beside the browser."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from pathlib import Path

from e2e.site import in_thread
from tests.support.site import Proxied, Reply, proxied


def serving(
    folder: Path,
    pages: Mapping[str, Reply] | None = None,
    *,
    change: Callable[[str], str] = str,
) -> AbstractContextManager[Proxied]:
    """`tests.support.site.proxied` for tests that are not asynchronous, as Playwright's are."""
    return in_thread(proxied(folder, pages, change=change))
