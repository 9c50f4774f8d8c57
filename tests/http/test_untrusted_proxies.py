"""A server in front that `trusted_proxies` does not name is told of, once."""

from __future__ import annotations

import datetime
import logging
import re
from pathlib import Path
from unittest.mock import Mock

import pytest

from consent_rules.config.load import load_config
from proxy.http.untrusted_proxies import UntrustedProxies
from tests.support.site import config_text, proxied

TRUSTED = 'trusted_proxies = ["127.0.0.1/32"]'
SECURE = "X-Forwarded-Proto: https"


async def test_it_is_logged_once_with_the_line_to_add(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    def forgotten(text: str) -> str:
        return text.replace(TRUSTED, "")

    async with proxied(tmp_path, change=forgotten) as site:
        await site.ask("/")
        assert "trusted_proxies" not in caplog.text
        for path in ("/", "/x", "/"):
            await site.ask(path, SECURE)
    lines = [r.getMessage() for r in caplog.records if "trusted_proxies" in r.getMessage()]
    assert len(lines) == 1
    assert "127.0.0.1 sends X-Forwarded-Proto" in lines[0]
    advice = re.search(r"trusted_proxies = .*$", lines[0])
    assert advice is not None
    followed = config_text(1).replace(TRUSTED, advice[0])
    config = load_config(followed, "c.toml", today=datetime.date(2026, 11, 29)).config
    (network,) = config.proxy.trusted_proxies
    assert str(network) == "127.0.0.1/32"


async def test_a_trusted_one_is_not(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async with proxied(tmp_path) as site:
        await site.ask("/", SECURE)
    assert "X-Forwarded-Proto" not in caplog.text


def test_no_visitors_address_is_logged_and_the_log_does_not_fill(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    proxies = UntrustedProxies()
    for number in range(1, 200):
        proxies.warn(Mock(remote=f"8.8.8.{number}"))
        proxies.warn(Mock(remote=""))
        proxies.warn(Mock(remote=f"10.0.0.{number}"))
    assert "8.8.8" not in caplog.text
    assert len(caplog.records) == 5


async def test_the_peer_of_a_unix_socket_is_trusted_without_a_line() -> None:
    """Its file mode decides who may connect; there is no network to write down."""
    from proxy.http.addresses import address_is_trusted

    assert address_is_trusted("", ())
