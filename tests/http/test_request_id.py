"""One identifier for a request: upstream, back to the visitor, on error pages, in the log."""

from __future__ import annotations

import ipaddress
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from multidict import CIMultiDict, CIMultiDictProxy

from proxy.http.access_record import Access
from proxy.http.addresses import Network
from proxy.http.request_id import (
    is_traceparent,
    new_request_id,
    remove_bad_trace_context,
    request_id_of,
    tracestate_of,
)
from tests.support.one_connection import connected
from tests.support.site import PAGE, Reply, proxied, reply

TRUSTED: tuple[Network, ...] = (ipaddress.ip_network("10.0.0.0/8"),)
OWN = re.compile(r"[0-9a-f]{16}")
PARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


def fields(*pairs: tuple[str, str]) -> CIMultiDictProxy[str]:
    return CIMultiDictProxy(CIMultiDict(pairs))


@pytest.mark.parametrize(
    ("peer", "given", "is_taken"),
    [
        ("10.1.2.3", ["f00-1"], True),
        ("", ["f00-1"], True),  # of a Unix socket
        ("203.0.113.9", ["f00-1"], False),
        ("no address", ["f00-1"], False),
        ("10.1.2.3", ["Root=1-67891233-abcdef012345678912345678"], True),  # AWS
        ("10.1.2.3", ["a" * 128], True),
        ("10.1.2.3", ["a" * 129], False),
        ("10.1.2.3", [""], False),
        ("10.1.2.3", ["f00-1", "f00-2"], False),
        ("10.1.2.3", ['"},{"level":"error'], False),
        ("10.1.2.3", ["<b>"], False),
        ("10.1.2.3", ["a b"], False),
        ("10.1.2.3", ["a\n"], False),
        ("10.1.2.3", ["\u0661"], False),  # a digit, though not of ASCII
    ],
)
def test_it_is_taken_from_trusted_peers_only(peer: str, given: list[str], is_taken: bool) -> None:
    found = request_id_of(fields(*(("x-request-id", one) for one in given)), peer, TRUSTED)
    assert (found == given[0]) is is_taken
    assert is_taken or OWN.fullmatch(found)


@given(st.text())
def test_whatever_is_given_what_comes_out_is_harmless(given: str) -> None:
    found = request_id_of(fields(("X-Request-Id", given)), "10.0.0.1", TRUSTED)
    assert re.fullmatch(r"[A-Za-z0-9._~+/=:@-]{1,128}", found)


def test_new_ones_differ() -> None:
    assert len({new_request_id() for _ in range(1000)}) == 1000


@pytest.mark.parametrize(
    ("value", "is_valid"),
    [
        (PARENT, True),
        (PARENT[:-2] + "00", True),
        ("cc" + PARENT[2:], True),
        ("cc" + PARENT[2:] + "-what.comes.later", True),
        ("cc" + PARENT[2:] + "what", False),
        (PARENT + "-more", False),
        ("ff" + PARENT[2:], False),
        (PARENT.upper(), False),
        ("00-" + "0" * 32 + PARENT[35:], False),
        (PARENT[:36] + "0" * 16 + "-01", False),
        (PARENT[:-1], False),
        ("", False),
    ],
)
def test_traceparent(value: str, is_valid: bool) -> None:
    assert is_traceparent(value) is is_valid


@pytest.mark.parametrize(
    ("parents", "states", "left"),
    [
        ([PARENT], [], []),
        ([PARENT], ["rojo=1,congo=t!~*"], ["rojo=1,congo=t!~*"]),
        ([PARENT], ["a=1", "b=2"], ["a=1,b=2"]),
        ([PARENT], ["a=\x01"], []),
    ],
)
def test_a_trace_context_is_passed_on(
    parents: list[str], states: list[str], left: list[str]
) -> None:
    headers = CIMultiDict([*(("traceparent", one) for one in parents),
                           *(("tracestate", one) for one in states)])  # fmt: skip
    remove_bad_trace_context(headers)
    assert headers.getall("traceparent") == parents
    assert headers.getall("tracestate", []) == left


@pytest.mark.parametrize("parents", [[], [PARENT, PARENT], ["00-1-2-3"]])
def test_a_trace_context_without_one_parent_is_left_out(parents: list[str]) -> None:
    headers = CIMultiDict([*(("traceparent", one) for one in parents), ("tracestate", "a=1")])
    remove_bad_trace_context(headers)
    assert not headers


@pytest.mark.parametrize(
    ("value", "passed"),
    [
        # Those of the W3C's own suite (w3c/trace-context, test/test.py).
        ("foo=1", "foo=1"),
        ("foo=1 \t , \t bar=2", "foo=1,bar=2"),
        (" foo=1", "foo=1"),
        ("foo=1 ", "foo=1"),
        ("foo=1,,bar=2", "foo=1,bar=2"),
        (",", ""),
        ("", ""),
        ("foo", ""),
        ("foo=", ""),
        ("=1", ""),
        ("foo =1", ""),
        ("foo= 1", "foo= 1"),
        ("FOO=1", ""),
        ("foo.bar=1", ""),
        ("foo@=1,bar=2", ""),
        ("@foo=1,bar=2", ""),
        ("foo@@bar=1,bar=2", ""),
        ("foo@bar@baz=1,bar=2", ""),
        ("foo=1=2", ""),
        ("foo=öäü", ""),
        ("foo=1;bar=2", ""),
        ("foo=1;bar", "foo=1;bar"),
        ("foo=1,foo=1", ""),
        ("foo=1,foo=2", ""),
        ("z" * 256 + "=1", "z" * 256 + "=1"),
        ("z" * 257 + "=1", ""),
        ("t" * 241 + "@" + "v" * 14 + "=1", "t" * 241 + "@" + "v" * 14 + "=1"),
        ("t" * 242 + "@v=1", ""),
        ("t@" + "v" * 15 + "=1", ""),
        ("0key=1", ""),
        ("0tenant@system=1", "0tenant@system=1"),
        ("foo=" + "v" * 256, "foo=" + "v" * 256),
        ("foo=" + "v" * 257, ""),
        (",".join(f"k{n}=1" for n in range(32)), ",".join(f"k{n}=1" for n in range(32))),
        (",".join(f"k{n}=1" for n in range(33)), ""),
        # Too long as a whole: large entries first, then the last ones (3.3.1.5).
        (f"a={'v' * 200},b=1,c={'v' * 200},d={'v' * 120}", f"b=1,d={'v' * 120}"),
        (",".join(f"k{n:02}={'v' * 96}" for n in range(6)),
         ",".join(f"k{n:02}={'v' * 96}" for n in range(5))),
    ],
)  # fmt: skip
def test_tracestate(value: str, passed: str) -> None:
    assert tracestate_of(value) == passed


@given(st.text(st.characters(max_codepoint=0x180), max_size=800))
def test_whatever_tracestate_comes_what_is_passed_on_passes_again(value: str) -> None:
    passed = tracestate_of(value)
    assert len(passed) <= 512
    assert tracestate_of(passed) == passed


async def test_one_id_everywhere(tmp_path: Path) -> None:
    """For the upstream, the visitor, the error page and the log: on the full path, from the cache,
    and where another visitor's request is waited for.
    """
    logged: list[Access] = []
    pages: dict[str, Reply] = {
        "file": reply(
            b"p{}",
            "Content-Type: text/css",
            "Cache-Control: public, max-age=600",
            "X-Request-Id: of-the-origin",
            html=False,
        ),
        "page": reply(PAGE, "Cache-Control: public, max-age=600"),
        "broken": b"nonsense\r\n\r\n",
    }
    async with proxied(tmp_path, pages, access=logged.append) as site:
        for path, mine in (("/file", "front-1"), ("/page", "front-2"), ("/broken", "front-3")):
            got = await site.ask(path, f"X-Request-Id: {mine}", f"traceparent: {PARENT}")
            assert got.one("X-Request-Id") == mine
            assert site.asked[-1].values(b"x-request-id") == [mine.encode()]
            assert site.asked[-1].values(b"traceparent") == [PARENT.encode()]
            assert logged[-1].id == mine
        assert got.status == 502
        assert b"front-3" in got.text
        asked = len(site.asked)
        async with connected(site) as visitor:
            for path in ("/file", "/page") * 2:  # the first makes what the second is sent from
                again = await visitor.ask(path)
                assert OWN.fullmatch(again.one("X-Request-Id"))
                assert logged[-1].id == again.one("X-Request-Id")
                with_one = await visitor.ask(path, "X-Request-Id: front-4")
                assert with_one.one("X-Request-Id") == "front-4" == logged[-1].id
                assert logged[-1].cache == "hit", path
        assert len(site.asked) == asked


async def test_a_stranger_names_no_request(tmp_path: Path) -> None:
    def strangers(text: str) -> str:
        return text.replace("127.0.0.1/32", "192.0.2.0/24")

    async with proxied(tmp_path, {"x": reply(b"x", html=False)}, change=strangers) as site:
        got = await site.ask("/x", "X-Request-Id: mine", "X_Request_Id: mine")
        (sent,) = site.asked[-1].values(b"x-request-id")
    assert OWN.fullmatch(sent.decode())
    assert got.one("X-Request-Id") == sent.decode()
    assert site.asked[-1].values(b"x_request_id") == []


async def test_what_is_not_logged_gets_none_from_the_fast_path(tmp_path: Path) -> None:
    """Nothing needs it, and it would be made for each of the quickest responses."""
    page = reply(PAGE, "Cache-Control: public, max-age=600")
    async with (
        proxied(tmp_path, {"page": page}, ids_on_hits=False) as site,
        connected(site) as visitor,
    ):
        found = [(await visitor.ask("/page")).all("X-Request-Id") for _ in range(4)]
    assert [len(one) for one in found] == [1, 0, 0, 0]
