"""Whose a cookie is, which pass, and how those of the withdrawn come to an end."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consent_rules.catalogue.load import catalogue
from consent_rules.categories import Category
from consent_rules.vendors import Vendor
from proxy.cookies.cookie_header import names_in, value_in, values_in
from proxy.cookies.expiry import cookie_domains, expiring_set_cookies, paths_above
from proxy.cookies.vendor_cookies import CookieIndex, allowed_set_cookies, without_closed_cookies


def vendor(id: str, *cookies: str) -> Vendor:
    return Vendor(id=id, name=id, category=Category.ANALYTICS, cookies=cookies)


INDEX = CookieIndex(
    [
        vendor("ga", "_ga", "_ga_*", "_gcl_au"),
        vendor("ads", "_gcl_*"),
        vendor("hj", "_hj*", "*_hjtail"),
        vendor("short", "x*"),
        vendor("middle", "ab*yz"),
        vendor("two", "a*b*c"),
        vendor("dots", "mt.v", "site.*"),
    ]
)
NOBODY: frozenset[str] = frozenset()


@pytest.mark.parametrize(
    ("name", "owners"),
    [
        ("_ga", {"ga"}),
        ("_GA", set()),
        ("_ga_", {"ga"}),
        ("_ga_ABC123", {"ga"}),
        ("_gat", set()),
        ("_g", set()),
        ("_gcl_au", {"ga", "ads"}),
        ("_gcl_aw", {"ads"}),
        ("_hj", {"hj"}),
        ("_hjSession_1", {"hj"}),
        ("old_hjtail", {"hj"}),
        ("_hjtail", {"hj"}),
        ("x", {"short"}),
        ("xy", {"short"}),
        ("abyz", {"middle"}),
        ("ab-yz", {"middle"}),
        ("abyzz", set()),
        ("aXbYc", {"two"}),
        ("abc", {"two"}),
        ("acb", set()),
        ("mt.v", {"dots"}),
        ("mtxv", set()),
        ("site.a", {"dots"}),
        ("sitea", set()),
        ("", set()),
        ("__Host-_ga", set()),
    ],
)
def test_vendors_of(name: str, owners: set[str]) -> None:
    assert set(INDEX.vendors_of(name)) == owners


def test_an_open_owner_is_enough() -> None:
    assert INDEX.is_closed("_gcl_au", NOBODY)
    assert not INDEX.is_closed("_gcl_au", frozenset({"ads"}))
    assert not INDEX.is_closed("_gcl_au", frozenset({"ga"}))
    assert not INDEX.is_closed("session", NOBODY)


@pytest.mark.parametrize(
    ("header", "kept", "closed"),
    [
        ("a=1", "a=1", []),
        ("a=1; b=2", "a=1; b=2", []),
        ("_ga=1; a=1", "a=1", ["_ga"]),
        ("a=1; _ga=1", "a=1", ["_ga"]),
        ("a=1; _ga=1; b=2", "a=1; b=2", ["_ga"]),
        ("_ga=1", "", ["_ga"]),
        ("_ga=1; _ga_X=2", "", ["_ga", "_ga_X"]),
        ("_ga=1; a=1; _ga=2", "a=1", ["_ga", "_ga"]),
        ("_ga=1;a=1", "a=1", ["_ga"]),
        ("  _ga =1; a=1", "a=1", ["_ga"]),
        ("_ga; a=1", "a=1", ["_ga"]),
        ('a="x; _ga=1; y"; b=2', 'a="x; y"; b=2', ["_ga"]),
        ("a==_ga=1; b=", "a==_ga=1; b=", []),
        ("a=1;; _ga=1;", "a=1;;", ["_ga"]),
        ("=_ga; _ga=1", "=_ga", ["_ga"]),
        ("", "", []),
        ("a=\udcff; _ga=1", "a=\udcff", ["_ga"]),
        ("__Host-consent=x; _ga=1", "__Host-consent=x", ["_ga"]),
    ],
)
def test_without_closed(header: str, kept: str, closed: list[str]) -> None:
    assert without_closed_cookies(header, INDEX, NOBODY) == (kept, closed)


@given(st.lists(st.sampled_from(["_ga=1", "a=1", "_hjX", "", " b = 2", '"']), max_size=8))
def test_filtering_leaves_nothing_closed_and_loses_nothing_else(pairs: list[str]) -> None:
    header = ";".join(pairs)
    kept, closed = without_closed_cookies(header, INDEX, NOBODY)
    assert without_closed_cookies(kept, INDEX, NOBODY) == (kept, [])
    assert sorted(names_in(kept) + closed) == sorted(names_in(header))


def test_open_vendors_cookies_stay() -> None:
    header = "_ga=1; _hjX=1"
    assert without_closed_cookies(header, INDEX, frozenset({"ga"})) == ("_ga=1", ["_hjX"])
    assert without_closed_cookies(header, INDEX, frozenset({"ga", "hj"})) == (header, [])


def test_reading() -> None:
    header = "a=1; b = x=y ; a=2; c; d="
    assert names_in(header) == ["a", "b", "a", "c", "d"]
    assert list(values_in(header, "a")) == ["1", "2"]
    assert value_in(header, "b") == "x=y"
    assert value_in(header, "c") is None
    assert value_in(header, "d") == ""
    assert value_in(header, "e") is None


def test_set_cookies() -> None:
    values = [
        "_ga=1; Path=/",
        "session=_ga; HttpOnly",
        "_hjX",
        "_hjY; Path=/; Max-Age=5",
        " _ga_A =1",
        "__Host-sid=1; Secure; Path=/",
        "a; Path=/_ga=1",
        "=_ga=1",
        " = _ga=1; Path=/",
    ]
    assert allowed_set_cookies(values, INDEX, NOBODY) == [values[1], values[5], values[6]]
    assert allowed_set_cookies(values, INDEX, frozenset({"ga", "hj"})) == values


@pytest.mark.parametrize(
    ("host", "domains"),
    [
        ("www.example.com", ("www.example.com", "example.com")),
        ("example.com", ("example.com",)),
        ("a.b.example.co.uk", ("a.b.example.co.uk", "b.example.co.uk", "example.co.uk")),
        ("shop.github.io", ("shop.github.io",)),
        ("www.shop.github.io", ("www.shop.github.io", "shop.github.io")),
        ("co.uk", ()),
        ("github.io", ()),
        ("localhost", ()),
        ("127.0.0.1", ()),
        ("[::1]", ()),
        ("", ()),
        ("www.xn--bcher-kva.example", ("www.xn--bcher-kva.example", "xn--bcher-kva.example")),
    ],
)
def test_cookie_domains(host: str, domains: tuple[str, ...]) -> None:
    assert cookie_domains(host) == domains


def test_expiring() -> None:
    assert expiring_set_cookies(["_ga", "_ga"], "www.example.com") == [
        "_ga=; Path=/; Max-Age=0",
        "_ga=; Path=/; Max-Age=0; Domain=www.example.com",
        "_ga=; Path=/; Max-Age=0; Domain=example.com",
    ]
    assert expiring_set_cookies(["__Host-x"], "www.example.com") == [
        "__Host-x=; Path=/; Max-Age=0; Secure"
    ]
    assert expiring_set_cookies(["__Secure-x"], "example.com") == [
        "__Secure-x=; Path=/; Max-Age=0; Secure",
        "__Secure-x=; Path=/; Max-Age=0; Domain=example.com; Secure",
    ]
    assert expiring_set_cookies(["a", "__Host-b"], "localhost", "/x") == [
        "a=; Path=/; Max-Age=0",
        "__Host-b=; Path=/; Max-Age=0; Secure",
        "a=; Path=/x; Max-Age=0",
        "a=; Path=/x/; Max-Age=0",
    ]
    assert expiring_set_cookies(["a"], "localhost", secure=True) == [
        "a=; Path=/; Max-Age=0",
        "a=; Path=/; Max-Age=0; Secure; Partitioned",
    ]
    assert expiring_set_cookies([], "www.example.com") == []


@pytest.mark.parametrize(
    ("path", "paths"),
    [
        ("/", ["/"]),
        ("/blog", ["/", "/blog", "/blog/"]),
        ("/blog/", ["/", "/blog", "/blog/"]),
        ("/blog/x;y/z", ["/", "/blog", "/blog/"]),
        ("/a/b", ["/", "/a", "/a/", "/a/b", "/a/b/"]),
        ("/1/2/3/4/5/6", ["/", "/1", "/1/", "/1/2", "/1/2/", "/1/2/3", "/1/2/3/", "/1/2/3/4",
                          "/1/2/3/4/"]),
    ],
)  # fmt: skip
def test_where_a_cookie_may_be(path: str, paths: list[str]) -> None:
    assert list(paths_above(path)) == paths


def test_so_many_that_no_proxy_would_take_the_answer() -> None:
    values = expiring_set_cookies(
        [f"_ga_{n}" for n in range(500)], "www.example.com", "/a/b", secure=True
    )
    assert len(values) > 40
    assert sum(len("Set-Cookie: \r\n") + len(value) for value in values) <= 4096


# --- The catalogue


OWN = [
    name
    for line in Path(__file__).with_name("first_party_cookies.txt").read_text().splitlines()
    if not line.startswith("#")
    for name in line.split()
]


def test_no_vendor_claims_a_sites_own_cookie() -> None:
    assert len(OWN) > 200
    index = CookieIndex(catalogue().values())
    claimed = {name: found for name in OWN if (found := index.vendors_of(name))}
    assert claimed == {}
