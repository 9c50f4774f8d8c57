"""Patterns against each other: what one names, may the other name too?"""

from __future__ import annotations

import re
from itertools import product

import ada_url
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from consent_rules.config.values import is_loopback, normal_host
from consent_rules.matching.hosts import HostSet, host_covers, hosts_overlap
from consent_rules.matching.paths import path_covers, path_glob, paths_overlap

GLOBS = st.text("/ab*", max_size=6).map(lambda tail: "/" + tail)
PATHS = ["/" + "".join(tail) for n in range(7) for tail in product("/ab", repeat=n)]


@given(GLOBS, GLOBS)
@settings(max_examples=300, deadline=None)
def test_path_globs_agree_with_the_paths_that_they_name(one: str, other: str) -> None:
    first, second = path_glob(one), path_glob(other)
    named_by_both = any(first.match(path) and second.match(path) for path in PATHS)
    if named_by_both:
        assert paths_overlap(one, other)
        assert paths_overlap(other, one)
    if path_covers(one, other):
        assert not any(second.match(path) and not first.match(path) for path in PATHS)


@pytest.mark.parametrize(
    ("outer", "inner", "covers", "meets"),
    [
        ("/*", "/patients/*", True, True),
        ("/patients/*", "/*", False, True),
        ("/patients/*", "/patients", True, True),
        ("/patients/*", "/patients/pay", True, True),
        ("/patients/*", "/patientsx", False, False),
        ("/a*c", "/abc", True, True),
        ("/a*", "/*c", False, True),
        ("/a", "/b", False, False),
        ("/blog/*", "/patients/*", False, False),
    ],
)
def test_path_globs(outer: str, inner: str, covers: bool, meets: bool) -> None:
    assert path_covers(outer, inner) is covers
    assert paths_overlap(outer, inner) is meets


HOSTS = ["a.test", "b.a.test", "c.b.a.test", "xa.test", "test"]
PATTERNS = [f"{star}{host}{port}" for star in ("", "*.") for host in HOSTS for port in ("", ":81")]


@pytest.mark.parametrize("one", PATTERNS)
@pytest.mark.parametrize("other", PATTERNS)
def test_host_patterns_agree_with_the_hosts_that_they_name(one: str, other: str) -> None:
    first, second = HostSet([one]), HostSet([other])
    places = [
        (host, port)
        for host in (*HOSTS, "z.c.b.a.test", "z.xa.test", "z.test")
        for port in (None, 81)
    ]
    both = [place for place in places if first.holds(*place) and second.holds(*place)]
    assert hosts_overlap(one, other) is bool(both)
    only_other = [place for place in places if second.holds(*place) and not first.holds(*place)]
    assert host_covers(one, other) is (not only_other)


@given(st.from_regex(re.compile(r"[a-z0-9x.-]{1,12}\.[a-z0-9]{1,4}"), fullmatch=True))
@settings(max_examples=500, deadline=None)
def test_a_plain_host_is_what_the_parser_makes_of_it(text: str) -> None:
    try:
        parsed = ada_url.URL(f"http://{text}/").hostname
    except ValueError:
        with pytest.raises(ValueError, match="is not a host name"):
            normal_host(text)
        return
    try:
        assert normal_host(text) == parsed
    except ValueError:
        assert ".." in text or text.startswith(".")


@pytest.mark.parametrize(
    ("host", "loopback"),
    [
        ("localhost", True),
        ("stub.localhost", True),
        ("127.0.0.9", True),
        ("::1", True),
        ("localhost.example.com", False),
        ("10.0.0.1", False),
    ],
)
def test_loopback(host: str, loopback: bool) -> None:
    assert is_loopback(host) is loopback
