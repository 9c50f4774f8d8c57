"""URLs are read as Ada reads them, by whichever way they are read."""

from __future__ import annotations

import codecs
import re
import time
from pathlib import Path

import ada_url
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from consent_rules.matching import urls
from consent_rules.matching.urls import (
    ResolvedUrl,
    host_of_authority,
    normal_path,
    request_target,
    resolve,
)


def _rows() -> list[tuple[str, str, tuple[str, ...]]]:
    rows = []
    for line in Path(__file__).with_name("urls.txt").read_text("utf-8").splitlines():
        if line and not line.startswith("# "):
            written, base, *wanted = (cell.strip(" ") for cell in line.split("|"))
            rows.append((codecs.decode(written, "unicode_escape"), base, tuple(wanted)))
    return rows


@pytest.mark.parametrize(("written", "base", "wanted"), _rows())
def test_table(written: str, base: str, wanted: tuple[str, ...]) -> None:
    found = resolve(written, base)
    if wanted == ("-",):
        assert found is None
        return
    host, port, path = wanted
    assert found is not None
    assert (found.host, found.port, found.path) == (host, int(port) if port else None, path)


def _as_ada(url: str, base: str | None) -> ResolvedUrl | None:
    try:
        parsed = ada_url.URL(url, base=base) if base else ada_url.URL(url)
    except ValueError:
        # A broken URL of another scheme asks nothing of the network either.
        scheme = urls._SCHEME.match(urls.strip_url(url))
        other = scheme is not None and scheme[1].lower() not in urls._NETWORK_SCHEMES
        return None if other else urls.BROKEN
    if parsed.protocol[:-1] not in {"http", "https", "ws", "wss", "ftp"}:
        return None
    port = int(parsed.port) if parsed.port else None
    host = parsed.hostname.rstrip(".")
    return ResolvedUrl(parsed.protocol[:-1], host, port, normal_path(parsed.pathname))


_LABEL = st.sampled_from(
    ["a", "A", "www", "x-1", "1", "0x7f", "xn--bcher-kva", "xn--a", "xn--", "-", "a_b", "a-", "%61"]
)
_HOST = st.lists(_LABEL, min_size=1, max_size=4).map(".".join) | st.sampled_from(["localhost", ""])
_PIECE = st.sampled_from(
    ["/", "//", "a", "B", ".", "..", "%2e", "%20", ";x=1", "~", "'", "(", "|", "^", "?", "#", "\\",
     "\t", " ", ":", "@", "*", "[", "é", "{", '"', "=", "-", "_", "+", "\n"]
)  # fmt: skip
_AUTHORITY = st.builds(
    lambda scheme, host, port: f"{scheme}{host}{port}",
    st.sampled_from(["https://", "http://", "//", "https:", "HTTP://", "\\\\", "ws://", "/", ""]),
    _HOST,
    st.sampled_from(["", "", ":80", ":443", ":8080", ":0", ":", ":99999", ":080"]),
)
_URL = st.builds(
    lambda start, rest: start + "".join(rest), _AUTHORITY, st.lists(_PIECE, max_size=6)
)
_BASE = st.sampled_from(
    ["https://b.test/d/e", "http://b.test:8080/", "https://www.example.com/?x#y", "http://1.2.3.4/"]
)


@settings(max_examples=600, deadline=None)
@given(_URL, _BASE)
@example("a://|", "https://b.test/")
def test_agrees_with_ada(url: str, base: str) -> None:
    stripped = urls.strip_url(url)
    if not stripped or stripped.startswith("#"):
        assert resolve(url, base) is None
    else:
        assert resolve(url, base) == _as_ada(url, base)


@settings(max_examples=600, deadline=None)
@given(_URL)
def test_agrees_with_ada_without_a_base(url: str) -> None:
    if urls._PLAIN_ABSOLUTE.match(url) and not url.startswith("//"):
        assert resolve(url, None) == _as_ada(url, None)


def _starting(pattern: re.Pattern[str]) -> st.SearchStrategy[str]:
    return st.from_regex(re.compile(rf"\A(?:{pattern.pattern})"))


@pytest.mark.slow
@settings(max_examples=500, deadline=None)
@given(_starting(urls._PLAIN_ABSOLUTE) | _starting(urls._PLAIN_ROOTED), _BASE)
def test_what_the_quick_way_accepts(url: str, base: str) -> None:
    """Also with whatever follows: the expressions end where a query or fragment starts."""
    assert resolve(url, base) == _as_ada(url, base)


@settings(max_examples=500, deadline=None)
@given(st.text(alphabet="/.%2e5cf;\\ab", max_size=20) | st.text(max_size=20))
def test_normal_path(path: str) -> None:
    found = normal_path(path)
    assert found.startswith("/")
    assert "//" not in found
    assert "\\" not in found
    assert ";" not in found
    assert not {".", ".."}.intersection(found.split("/"))


@settings(max_examples=500, deadline=None)
@given(st.lists(st.from_regex(r"[A-Za-z0-9_-]{1,5}", fullmatch=True), max_size=5))
def test_normal_path_leaves_plain_paths_alone(segments: list[str]) -> None:
    path = "/" + "/".join(segments)
    assert normal_path(path) == path
    encoded = "/" + "/".join("".join(f"%{ord(c):02x}" for c in s) for s in segments)
    assert normal_path(encoded) == path
    assert normal_path(f"/x/..{path}") == path


@pytest.mark.parametrize(
    ("authority", "host"),
    [
        ("A.test:80", "a.test"),
        ("a.test.", "a.test"),
        ("[::1]:80", "[::1]"),
        ("bücher.test", "xn--bcher-kva.test"),
        ("a b", ""),
        ("", ""),
    ],
)
def test_host_of_authority(authority: str, host: str) -> None:
    assert host_of_authority(authority) == host


@pytest.mark.parametrize("count", [1, 2, 1000, 100_000])
@pytest.mark.parametrize(
    "wrapper", ["filesystem:", "view-source:", "View-Source: ", "\tfilesystem:"]
)
def test_a_url_may_be_wrapped_as_often_as_one_likes(wrapper: str, count: int) -> None:
    url = wrapper * count + "https://a.example/b?c"
    started = time.process_time()
    target = resolve(url, "https://www.example.com/")
    assert target is not None
    assert (target.host, target.path) == ("a.example", "/b")
    assert request_target(url, "https://www.example.com/") == "/b?c"
    assert time.process_time() - started < 1
