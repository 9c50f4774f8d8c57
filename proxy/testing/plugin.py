"""The pytest plugin (entry point `pytest11`): the fixture `visitor`.

It is imported at the start of each run of pytest where consent-proxy is installed, so it loads
nothing before a fixture is used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import BrowserContext

    from proxy.testing.visitor import SiteVisitor


def pytest_addoption(parser: pytest.Parser) -> None:
    """The options of the configuration file."""
    parser.addini(
        "consent_base_url", "the site that `visitor` visits, if not --base-url", default=""
    )
    parser.addini("consent_own_hosts", "more hosts of the site's own", type="args", default=[])


@pytest.fixture
def consent_base_url(request: pytest.FixtureRequest) -> str:
    """The site's address: `base_url` of pytest-base-url, else `consent_base_url` of the
    configuration file. Override it where the address is known at run time only.
    """
    base: str = request.config.getini("consent_base_url")
    if not base:
        base = str(request.config.getoption("base_url", default="") or "")
    if not base:
        raise pytest.UsageError(
            "the fixture `visitor` needs the site's address: --base-url, or consent_base_url in "
            "the configuration file of pytest"
        )
    return base


@pytest.fixture
def visitor(
    context: BrowserContext, consent_base_url: str, request: pytest.FixtureRequest
) -> SiteVisitor:
    """A visitor with an empty profile. `context` is pytest-playwright's, or one of your own."""
    from proxy.testing.visitor import SiteVisitor

    own: list[str] = request.config.getini("consent_own_hosts")
    return SiteVisitor(context, consent_base_url, own=own)
