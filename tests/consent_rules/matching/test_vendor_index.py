"""Whose is it: precedence, ports, signatures, and a cost that does not grow with the rules."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from consent_rules.categories import Category
from consent_rules.matching.hosts import HostSet
from consent_rules.matching.paths import path_glob
from consent_rules.matching.vendor_index import VendorIndex
from consent_rules.vendors import Vendor


def _vendor(
    name: str, *hosts: str, category: Category = Category.ADVERTISING, **more: tuple[str, ...]
) -> Vendor:
    return Vendor(id=name, name=name, category=category, hosts=hosts, **more)  # type: ignore[arg-type]


_INDEX = VendorIndex(
    [
        _vendor("wide", "*.example.com"),
        _vendor("narrow", "*.ads.example.com"),
        _vendor("exact", "px.ads.example.com"),
        _vendor("path", paths=("*.example.com/tag/*", "px.ads.example.com/own*")),
        _vendor("port", "stub.test:9100", "*.stub.test:9100"),
        _vendor("any-port", "*.stub.test"),
        _vendor("first", "twice.test"),
        _vendor("second", "twice.test"),
        _vendor("disguised", paths=("/collect/*", "/*/pixel.gif")),
    ]
)


@pytest.mark.parametrize(
    ("host", "port", "path", "owner"),
    [
        ("example.com", None, "/", "wide"),
        ("a.b.example.com", None, "/", "wide"),
        ("ads.example.com", None, "/", "narrow"),
        ("x.ads.example.com", None, "/", "narrow"),
        ("px.ads.example.com", None, "/", "exact"),
        ("a.px.ads.example.com", None, "/", "narrow"),
        ("px.ads.example.com", None, "/own.js", "path"),
        ("x.ads.example.com", None, "/tag/a.js", "path"),
        ("example.com", None, "/tag", "path"),
        ("example.com", None, "/tags", "wide"),
        ("example.com.au", None, "/", None),
        ("notexample.com", None, "/", None),
        ("com", None, "/", None),
        ("", None, "/", None),
        ("stub.test", 9100, "/", "port"),
        ("a.stub.test", 9100, "/", "port"),
        ("a.stub.test", 9101, "/", "any-port"),
        ("a.stub.test", None, "/", "any-port"),
        ("twice.test", None, "/", "first"),
        ("other.test", None, "/collect/x", None),
    ],
)
def test_owner_of_a_url(host: str, port: int | None, path: str, owner: str | None) -> None:
    found = _INDEX.vendor_of_url(host, port, path)
    assert (found.id if found else None) == owner


def test_a_port_that_does_not_fit_does_not_match() -> None:
    index = VendorIndex([_vendor("port", "stub.test:9100", paths=("stub.test:9200/x",))])
    assert index.vendor_of_url("stub.test", None, "/x") is None
    assert index.vendor_of_url("stub.test", 9200, "/x") is not None
    assert index.vendor_of_url("stub.test", 9200, "/y") is None


@pytest.mark.parametrize(
    ("path", "is_disguised"),
    [
        ("/collect/a", True),
        ("/collect", True),
        ("/collects", False),
        ("/any/pixel.gif", True),
        ("/a/b/pixel.gif", True),
        ("/pixel.gif", False),
        ("/", False),
    ],
)
def test_own_paths(path: str, is_disguised: bool) -> None:
    assert (_INDEX.vendor_of_own_path(path) is not None) is is_disguised


@pytest.mark.parametrize(
    ("pattern", "path", "fits"),
    [
        ("/x/*", "/x", True),
        ("/x/*", "/x/", True),
        ("/x/*", "/xy", False),
        ("/*", "/", True),
        ("/*", "/a/b", True),
        ("/a*b", "/a/x/b", True),
        ("/a.b", "/axb", False),
        ("/a\n*", "/a\nb", True),
    ],
)
def test_globs(pattern: str, path: str, fits: bool) -> None:
    assert bool(path_glob(pattern).match(path)) is fits


def test_host_sets() -> None:
    hosts = HostSet(["www.example.com", "*.cdn.test", "local.test:8080"])
    assert hosts.holds("www.example.com", 1234)
    assert not hosts.holds("a.www.example.com", None)
    assert hosts.holds("cdn.test", None) and hosts.holds("a.b.cdn.test", None)
    assert not hosts.holds("xcdn.test", None)
    assert hosts.holds("local.test", 8080) and not hosts.holds("local.test", None)
    assert not HostSet([]).holds("", None)


_TEXTS = VendorIndex(
    [
        _vendor("queue", inline=("pixelq(", "_px.push")),
        _vendor("ads", "ads.example.com"),
        _vendor("below", "*.track.test"),
        _vendor("chat", "chat.test", category=Category.FUNCTIONAL),
    ]
)
_LOAD = "document.createElement('script').src="


@pytest.mark.parametrize(
    ("text", "owners"),
    [
        ("pixelq('init')", {"queue"}),
        ("_px.push(1);pixelq(2)", {"queue"}),
        ("var pixelqueue", set()),
        # A host's name makes a loader only together with what loads.
        (f"{_LOAD}'https://ads.example.com/a.js'", {"ads"}),
        ("var links=['https://ads.example.com/a.js']", set()),
        (f"{_LOAD}'https://ads.example.com.au/a.js'", set()),
        (f"{_LOAD}'https://ads.example.community/a.js'", set()),
        (f"{_LOAD}'https://xads.example.com/a.js'", set()),
        (f"{_LOAD}'//ads.example.com'", {"ads"}),
        (f"{_LOAD}'//ads.example.com:8080/'", {"ads"}),
        (f"{_LOAD}'https://a.b.track.test/x'", {"below"}),
        (f"{_LOAD}'https://track.test/x'", {"below"}),
        (f"{_LOAD}'https://nottrack.test/x'", set()),
        # Content is not data's way out: a functional vendor's host alone closes no script.
        (f"{_LOAD}'https://chat.test/w.js'", set()),
        # Long scripts are the site's own bundles.
        (f"{_LOAD}'//ads.example.com/';{' ' * 20_000}", set()),
        (f"pixelq(1);{' ' * 20_000}", {"queue"}),
        ("", set()),
    ],
)
def test_owners_of_a_text(text: str, owners: set[str]) -> None:
    assert set(_TEXTS.vendors_of_text(text)) == owners


def test_a_text_names_each_vendor_once_in_order() -> None:
    text = f"{_LOAD}'//ads.example.com/';pixelq(1);pixelq(2)"
    assert _TEXTS.vendors_of_text(text) == ("ads", "queue")


def test_no_vendors() -> None:
    index = VendorIndex([])
    assert index.vendor_of_url("a.test", None, "/") is None
    assert index.vendor_of_own_path("/") is None
    assert index.vendors_of_text("pixelq(") == ()


def _many(count: int) -> VendorIndex:
    return VendorIndex(
        _vendor(f"v{n}", f"*.vendor{n}.test", inline=(f"vendor{n}q(",), paths=(f"/collect{n}/*",))
        for n in range(count)
    )


def _seconds(work: Callable[[], object]) -> float:
    best = float("inf")
    for _ in range(7):
        start = time.process_time()
        for _ in range(300):
            work()
        best = min(best, time.process_time() - start)
    return best


def test_the_cost_is_flat_in_the_number_of_vendors() -> None:
    text = "window.dataLayer=window.dataLayer||[];function gtag(){dataLayer.push(arguments)}" * 20

    def cost(index: VendorIndex) -> float:
        def work() -> None:
            index.vendor_of_url("cdn.vendor7.test", None, "/a.js")
            index.vendor_of_url("www.nobody.test", None, "/a.js")
            index.vendor_of_own_path("/collect7/x")
            index.vendors_of_text(text)

        return _seconds(work)

    few, many = _many(10), _many(10_000)
    assert cost(many) < 2 * cost(few) + 0.002
