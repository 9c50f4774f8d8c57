"""What visitors send is remembered as long as it is short: none of them can fill the memory."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from consent_rules.matching import urls
from proxy import origin
from proxy.http import addresses, request_fields
from proxy.observability import access_log

LONG = "a" * 30_000


class _NoVendors:
    def vendors_of(self, name: str) -> tuple[()]:
        return ()


CASES: dict[str, tuple[Callable[[str], object], Any]] = {
    "target": (lambda text: access_log._path(f"/{text}"), access_log._known_path),
    "Host": (urls.host_of_authority, urls._known_host),
    "base": (lambda text: urls.resolve("/x", f"http://a.example/{text}"), urls._known_origin),
    "X-Forwarded-For": (addresses.parse_address, addresses._parsed),
    "field name": (request_fields.is_unknown, request_fields._known_name),
    "cookies": (
        lambda text: origin._only_known((text,), _NoVendors(), ""),  # type: ignore[arg-type]
        origin._known_cookies,
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_long_texts_are_not_remembered(case: str) -> None:
    ask, cache = CASES[case]
    cache.cache_clear()
    ask(LONG)
    assert cache.cache_info().currsize == 0
    ask("a.example")
    assert cache.cache_info().currsize == 1


def test_a_long_name_is_read_all_the_same() -> None:
    assert urls.host_of_authority(LONG) == ""
    assert urls.host_of_authority("%61" * 30 + ".example:80") == "a" * 30 + ".example"
    assert addresses.parse_address(" " * 1000 + "192.0.2.1") == addresses.parse_address("192.0.2.1")
    assert addresses.parse_address(LONG) is None
    assert request_fields.is_unknown(LONG)
    assert not origin._only_known((LONG,), _NoVendors(), "")  # type: ignore[arg-type]
    assert partial(urls.resolve, "/x")(f"http://a.example/{LONG}") == urls.resolve(
        "http://a.example/x", None
    )
