"""The inline scripts: what they are given in their `data-` attributes."""

from __future__ import annotations

import re

import pytest

from proxy.banner.injected_scripts import guard_frames, sources_pattern

SOURCES = (
    "www.example.com:*", "cdn.example", "*.cdn.example", "*.only-below.example", "a.example:8443",
    "b.example:443", "shared.example/maps/", "shared.example/one.html", "a-b.example/x.y%20z",
)  # fmt: skip


@pytest.mark.parametrize(
    ("address", "is_open"),
    [
        ("www.example.com/", True),
        ("www.example.com:8080/a", True),
        ("wwwxexample.com/", False),
        ("a.www.example.com/", False),
        ("www.example.com.evil.example/", False),
        ("evil.example/www.example.com/", False),
        ("cdn.example/", True),
        ("a.b.cdn.example/x", True),
        ("acdn.example/", False),
        ("cdn.example:8443/", False),
        ("evil.example/.cdn.example/", False),
        ("only-below.example/", False),
        ("x.only-below.example/", True),
        ("a.example:8443/", True),
        ("a.example/", False),
        ("b.example/", True),
        ("b.example:80/", False),
        ("shared.example/maps/embed", True),
        ("shared.example/mapsx", False),
        ("shared.example/one.html", True),
        ("shared.example/one.html.x", False),
        ("shared.example/", False),
        ("a-b.example/x.y%20z", True),
        ("a-b.example/xxy%20z", False),
    ],
)
def test_sources_as_a_pattern(address: str, is_open: bool) -> None:
    assert bool(re.search(sources_pattern(SOURCES), address)) is is_open


def test_no_source_opens_nothing() -> None:
    assert re.search(sources_pattern(()), "a.example/") is None


def test_the_guard_of_frames_is_one_script_for_all_pages() -> None:
    one, other = guard_frames(["a.example"], '<body id="x">'), guard_frames(["b.example"], "<p>")
    assert one.sha256 == other.sha256
    assert len(one.html) < 3_000
