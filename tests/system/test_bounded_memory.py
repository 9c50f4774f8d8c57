"""What visitors send is remembered as long as it is short: none of them can fill the memory."""

from __future__ import annotations

import datetime
import gc
import ssl
import weakref
from collections import Counter
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from consent_rules.categories import Category
from consent_rules.matching import urls
from consent_rules.matching.vendor_index import VendorIndex
from consent_rules.rules import SiteRules
from consent_rules.vendors import Vendor
from proxy import origin
from proxy.config.file import ConfigFile
from proxy.cookies.signing_keys import first_keys
from proxy.cookies.vendor_cookies import CookieIndex
from proxy.html.boundary import Boundary
from proxy.http import addresses, request_fields
from proxy.runtime import Runtime, build_runtime
from proxy.upstream.pool import UpstreamPool
from proxy.upstream.server import server_at
from tests.support.site import PAGE, config_text, proxied, reply

LONG = "a" * 30_000
VENDOR = Vendor(
    id="acme", name="Acme", category=Category.ANALYTICS, cookies=("_acme",), paths=("/collect",)
)


COOKIES = CookieIndex([VENDOR])
INDEX = VendorIndex([VENDOR])

CASES: dict[str, tuple[Callable[[str], object], Any]] = {
    "Host": (urls.host_of_authority, urls._known_host),
    "base": (lambda text: urls.resolve("/x", f"http://a.example/{text}"), urls._known_origin),
    "X-Forwarded-For": (addresses.parse_address, addresses._parsed),
    "field name": (request_fields.is_unknown, request_fields._known_name),
    "cookie": (COOKIES.vendors_of, COOKIES._remembered),
    "own request": (INDEX.vendors_of_own_request, INDEX._own_requests),
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
    assert not origin._only_known((LONG,), COOKIES, "")
    assert partial(urls.resolve, "/x")(f"http://a.example/{LONG}") == urls.resolve(
        "http://a.example/x", None
    )


OF_A_CONFIG = (Runtime, VendorIndex, CookieIndex, SiteRules, Boundary)


def _alive() -> dict[type, int]:
    gc.collect()
    found = Counter(map(type, gc.get_objects()))
    return {kind: found[kind] for kind in OF_A_CONFIG}


async def test_a_configuration_that_was_replaced_is_freed(tmp_path: Path) -> None:
    """All that visitors' requests leave in memory belongs to the configuration they came under."""
    pages = {"": reply(PAGE, "Cache-Control: max-age=60"), "a.js": reply(b"x", html=False)}
    seen = []
    for number in range(3):
        folder = tmp_path / str(number)
        folder.mkdir()
        async with proxied(folder, pages) as site:
            for cookie in ("", "_ga=1", "session=1", f"other={number}"):
                for path in ("/", "/a.js", "/g/collect?v=2", f"/{number}"):
                    await site.ask(path, cookie=cookie)
        del site
        seen.append(_alive())
    assert seen[1] == seen[2]


def test_a_configuration_that_was_replaced_is_freed_at_once(tmp_path: Path) -> None:
    """Not when the collector of cycles comes, which is rare: each reload would add its 10 MiB."""
    path, now = tmp_path / "c.toml", datetime.datetime.now(datetime.UTC)
    path.write_text(config_text(1), encoding="utf-8")
    keys = first_keys(tmp_path / "keys", now)

    def load(before: Runtime | None) -> Runtime:
        loaded, _ = ConfigFile(path).read(now.date())
        runtime = build_runtime(loaded.config, tmp_path, lambda: keys, before, loaded.vendors)
        runtime.cookies.vendors_of("_ga")
        for site in runtime.rules.sites:
            site.logged_path("/patients/%61", site.audience)
        return runtime

    runtime = load(load(None))
    gc.collect()
    gc.disable()
    gc.set_debug(gc.DEBUG_SAVEALL)
    try:
        load(runtime)
        gc.collect()
        left = Counter(
            kind.__qualname__
            for kind in map(type, gc.garbage)
            if kind.__module__.startswith(("proxy.", "consent_rules."))
        )
    finally:
        gc.set_debug(0)
        gc.garbage.clear()
        gc.enable()
    assert not left


async def test_a_server_of_a_replaced_config_is_freed_with_its_tls(tmp_path: Path) -> None:
    async with UpstreamPool() as pool:
        server = server_at("https://site.example", ssl.create_default_context())
        context = weakref.ref(server.tls)
        assert pool._as_aiohttp_asks(server) is pool._as_aiohttp_asks(server)
        del server
        gc.collect()
        assert context() is None
