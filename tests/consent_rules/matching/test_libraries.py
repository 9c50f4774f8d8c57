"""Libraries: what a page names and what a browser then asks for are one file."""

from __future__ import annotations

import ada_url
from hypothesis import given
from hypothesis import strategies as st

from consent_rules.matching.libraries import libraries_of, library_type
from consent_rules.matching.script_hashes import file_hash

HASH = file_hash(b"")
SITE = "https://www.example.com/a/b"
# What URLs are made of, and what parsers stumble over.
PARTS = st.text(st.sampled_from("ab@:;,./\\?&=%#'\"()<> ~|^`é\t2eF"), max_size=24)


@given(PARTS, st.sampled_from(["https://cdn.test/", "http://CDN.test:80/", "//cdn.test:8443/x/"]))
def test_a_browser_asks_for_what_the_page_named(rest: str, start: str) -> None:
    url = f"{start}{rest}"
    listed = libraries_of([(ada_url.URL(url, base=SITE).href, HASH, "text/css")], "/.consent")
    address = listed.own_address(url, SITE)
    asked = ada_url.URL(address, base=SITE)
    assert (asked.host, asked.hash) == ("www.example.com", "")
    (key,) = listed.by_key
    # As a browser sends it: path and query, of which it changes nothing.
    target = asked.href.removeprefix("https://www.example.com")
    assert listed.requested(target) == (key, True)


@given(PARTS)
def test_no_target_is_a_file_that_is_not_listed(rest: str) -> None:
    listed = libraries_of([("https://cdn.test/a.js", HASH, "")], "/.consent")
    key, _ = listed.requested(f"/.consent/lib/{listed.digest}/{rest}")
    assert key in {"", "cdn.test/a.js"}


def test_no_page_is_a_library() -> None:
    for name in ("index.html", "page", "x.xhtml", "x.php", "x.xml", "x.js/"):
        assert library_type(f"https://cdn.test/{name}") == ""
    assert library_type("https://cdn.test/X.JS?v=1") == "text/javascript"
