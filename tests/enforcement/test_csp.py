"""The decision as a policy, and the origin's policy with room for our own markup."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consent_rules.catalogue.load import catalogue
from consent_rules.categories import Category
from consent_rules.vendors import Vendor
from proxy.enforcement.csp import (
    OwnAssets,
    amend,
    decision_policy,
    host_sources,
    own_endpoints,
    path_sources,
    vendor_sources,
)

ENDPOINTS = "www.example.com/.consent/"
OURS = OwnAssets(scripts=("sha256-SSSS",), styles=("sha256-TTTT",))


def _cases() -> list[tuple[str, str, str]]:
    text = Path(__file__).with_name("policies.txt").read_text(encoding="utf-8")
    cases = []
    for block in text.split("\n--- ")[1:]:
        name, policy, *rest = block.rstrip("\n").split("\n")
        expected = rest[0].removeprefix("> ") if rest else policy
        expected = expected.replace("SCRIPT", "'sha256-SSSS'").replace("STYLE", "'sha256-TTTT'")
        expected = expected.replace("ENDPOINTS", ENDPOINTS)
        cases.append((name, policy, expected))
    return cases


@pytest.mark.parametrize(("name", "policy", "expected"), _cases(), ids=[c[0] for c in _cases()])
def test_amend(name: str, policy: str, expected: str) -> None:
    assert amend(policy, OURS, (ENDPOINTS,)) == expected
    # What is amended once is amended.
    again = amend(expected, OURS, (ENDPOINTS,))
    assert again.count("sha256-SSSS") <= 2 * expected.count("sha256-SSSS")


def test_amending_without_assets_lets_no_code_in() -> None:
    assert amend("script-src 'none'; style-src 'self'", OwnAssets(), (ENDPOINTS,)) == (
        "script-src 'none'; style-src 'self'"
    )


@pytest.mark.parametrize(
    ("authority", "prefix", "source"),
    [
        ("www.example.com", "/.consent", "www.example.com/.consent/"),
        ("localhost:8080", "/.consent", "localhost:8080/.consent/"),
        ("xn--bcher-kva.example:8443", "/a;b,c", "xn--bcher-kva.example:8443/a%3Bb%2Cc/"),
        ("www.example.com:*", "/.consent", "www.example.com:*/.consent/"),
        ("127.0.0.1:8080", "/.consent", "'self'"),
        ("[::1]:8080", "/.consent", "'self'"),
        ("www.example.com; script-src *", "/.consent", "'self'"),
    ],
)
def test_own_endpoints(authority: str, prefix: str, source: str) -> None:
    assert own_endpoints(authority, prefix) == source


words = st.lists(
    st.sampled_from(
        ["'self'", "'none'", "'unsafe-inline'", "'nonce-a'", "https://x.example", "*", "data:"]
    ),
    max_size=4,
)
directives = st.sampled_from(
    ["script-src", "style-src", "default-src", "img-src", "form-action", "connect-src", "x-y"]
)


@given(st.dictionaries(directives, words, min_size=1))
def test_amending_only_adds_what_is_ours(policy: dict[str, list[str]]) -> None:
    text = "; ".join(" ".join((name, *values)) for name, values in policy.items())
    ours = {"'sha256-SSSS'", "'sha256-TTTT'", ENDPOINTS}
    amended = parsed(amend(text, OURS, (ENDPOINTS,)))
    assert set(policy) <= set(amended)
    for name, values in amended.items():
        before = policy.get(name, policy.get("default-src", []))
        assert set(values) - set(before) <= ours
        assert set(before) - set(values) <= {"'none'"}
    for name in ("img-src", "default-src", "x-y"):
        assert amended.get(name) == policy.get(name)


@pytest.mark.parametrize(
    ("pattern", "sources", "any_port"),
    [
        ("example.com", ("example.com",), ("example.com:*",)),
        (
            "*.example.com",
            ("example.com", "*.example.com"),
            ("example.com:*", "*.example.com:*"),
        ),
        ("a.localhost:9100", ("a.localhost:9100",), ("a.localhost:9100",)),
        (
            "*.localhost:9100",
            ("localhost:9100", "*.localhost:9100"),
            ("localhost:9100", "*.localhost:9100"),
        ),
    ],
)
def test_hosts(pattern: str, sources: tuple[str, ...], any_port: tuple[str, ...]) -> None:
    assert host_sources(pattern) == sources
    assert host_sources(pattern, any_port=True) == any_port


@pytest.mark.parametrize(
    ("pattern", "sources"),
    [
        ("www.facebook.com/tr", ("www.facebook.com/tr",)),
        ("x.example/a/*", ("x.example/a/",)),
        ("x.example/a/b*.js", ("x.example/a/",)),
        ("x.example/*", ("x.example",)),
        ("x.example/a*", ("x.example",)),
        ("*.x.example/a/", ("x.example/a/", "*.x.example/a/")),
        ("x.example:8443/a/", ("x.example:8443/a/",)),
        ("x.example/a;b,c d'e\"é", ("x.example/a%3Bb%2Cc%20d'e%22%C3%A9",)),
        ("/own/path", ()),
    ],
)
def test_paths(pattern: str, sources: tuple[str, ...]) -> None:
    assert path_sources(pattern) == sources


def vendor(category: Category, hosts: tuple[str, ...], paths: tuple[str, ...] = ()) -> Vendor:
    return Vendor(id="v", name="V", category=category, hosts=hosts, paths=paths)


@pytest.mark.parametrize(
    ("hosts", "paths", "sources"),
    [
        (("a.example",), ("a.example/x",), ("a.example",)),
        (("*.a.example",), ("b.a.example/x/*",), ("a.example", "*.a.example")),
        (("*.a.example", "b.a.example", "*.c.a.example"), (), ("a.example", "*.a.example")),
        (("*.a.example", "xa.example"), (), ("a.example", "*.a.example", "xa.example")),
        (("a.example",), ("b.example/x", "b.example/x"), ("a.example", "b.example/x")),
        (("a.example:1",), ("a.example/x",), ("a.example:1", "a.example/x")),
    ],
)
def test_what_another_source_covers_is_left_out(
    hosts: tuple[str, ...], paths: tuple[str, ...], sources: tuple[str, ...]
) -> None:
    assert vendor_sources(vendor(Category.SOCIAL, hosts, paths)) == sources


def parsed(policy: str) -> dict[str, list[str]]:
    return {part.split()[0]: part.split()[1:] for part in policy.split(";")}


def test_decision_policy() -> None:
    maps = vendor(
        Category.FUNCTIONAL, ("maps.example", "*.tiles.example"), ("shared.example/maps/*",)
    )
    pixel = vendor(Category.ADVERTISING, ("px.example",), ("shared.example/tr",))
    policy = decision_policy(["www.example.com"], [maps, pixel], report_uri="/.consent/report")
    assert parsed(policy) == {
        "default-src": [
            "'self'", "'unsafe-inline'", "'unsafe-eval'", "data:", "blob:", "www.example.com:*",
            "maps.example", "tiles.example", "*.tiles.example", "shared.example/maps/",
            "px.example", "shared.example/tr",
            "ws://www.example.com:*", "wss://maps.example", "wss://tiles.example",
            "wss://*.tiles.example", "wss://px.example",
        ],
        "form-action": [
            "'self'", "javascript:", "www.example.com:*", "maps.example", "tiles.example",
            "*.tiles.example", "shared.example/maps/", "px.example",
        ],
            "report-uri": ["/.consent/report"],
    }  # fmt: skip


def test_the_policy_of_nobody() -> None:
    policy = parsed(decision_policy(["www.example.com"], []))
    hosts = {w for words in policy.values() for w in words if not w.endswith(("'", ":"))}
    assert hosts == {"www.example.com:*", "ws://www.example.com:*"}


def test_no_vendor_breaks_out_of_its_directive() -> None:
    for vendor in catalogue().values():
        for source in vendor_sources(vendor):
            assert source.isascii()
            assert not set(source) & set(" ;,\t\"'"), source


def test_a_site_with_the_usual_tags_fits_the_headers_that_proxies_read() -> None:
    usual = [
        "google-tag-manager", "google-analytics", "google-ads", "meta-pixel", "linkedin-insight",
        "hotjar", "youtube", "hubspot", "microsoft-clarity", "intercom",
    ]  # fmt: skip
    known = catalogue()
    policy = decision_policy(["www.example.com"], [known[v] for v in usual])
    assert len(policy) < 8192
