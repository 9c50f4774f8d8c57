"""Which headers pass, and who may say what about the visitor."""

from __future__ import annotations

import ipaddress

import pytest
from aiohttp import web
from aiohttp.test_utils import make_mocked_request
from hypothesis import given, settings
from hypothesis import strategies as st
from multidict import CIMultiDict

from proxy.http import forwarding
from proxy.http.addresses import Network, client_address, parse_address, peer_is_trusted
from proxy.http.field_names import FieldNames
from proxy.http.forwarding import INSTANCE, request_headers
from proxy.http.request_fields import (
    BROWSER,
    CLIENT_ADDRESS,
    IDENTITY,
    OWN,
    REWRITING,
    TRACING,
)
from proxy.http.targets import requested_host, split_target
from tests.support.forwarding import answers, exchange, get, header_values, ok, origin, proxy

NETWORKS: list[Network] = [
    ipaddress.ip_network("10.0.0.0/8"),
    ipaddress.ip_network("2001:db8::/32"),
]


def request_from(
    peer: str | None, *headers: tuple[str, str], target: str = "/", method: str = "GET"
) -> web.BaseRequest:
    class Transport:
        def get_extra_info(self, key: str, default: object = None) -> object:
            return (peer, 1234) if key == "peername" and peer is not None else None

    fields = CIMultiDict([("Host", "www.example.com"), *headers])
    request = make_mocked_request(method, target, headers=fields)
    return request.clone(remote=peer) if peer is not None else request.clone(remote="")


HOP_BY_HOP = [
    ("Connection", "keep-alive"),
    ("Keep-Alive", "timeout=5"),
    ("Proxy-Connection", "keep-alive"),
    ("Proxy-Authorization", "Basic x"),
    ("TE", "trailers"),
    ("Trailer", "X-T"),
    ("Upgrade", "h2c"),
    ("HTTP2-Settings", "x"),
    ("Expect", "100-continue"),
]


@pytest.mark.parametrize(("name", "value"), HOP_BY_HOP)
def test_request_fields_that_stop_here(name: str, value: str) -> None:
    sent = request_headers(request_from("192.0.2.1", (name, value)), peer_is_trusted=True)
    assert name not in sent


def test_nominated_fields_stop_here() -> None:
    request = request_from(
        "192.0.2.1",
        ("Connection", "close, X-Hop"),
        ("Connection", " x-other ,, "),
        ("X-Hop", "1"),
        ("X-Other", "2"),
        ("X-Stays", "3"),
    )
    sent = request_headers(request, peer_is_trusted=False)
    assert "X-Hop" not in sent
    assert "X-Other" not in sent
    assert sent["X-Stays"] == "3"


PROTECTED = ["Host", "Cookie", "Authorization", "Content-Length", "Cache-Control", "Sec-GPC"]


@pytest.mark.parametrize("name", PROTECTED)
def test_fields_that_others_rely_on_cannot_be_nominated(name: str) -> None:
    request = request_from("192.0.2.1", ("Connection", f"close, {name}"), (name, "5"))
    assert name in request_headers(request, peer_is_trusted=False)


def test_forwarded_fields_cannot_be_nominated() -> None:
    request = request_from("10.1.1.1", ("Connection", "X-Forwarded-For"))
    sent = request_headers(request, peer_is_trusted=True)
    assert sent["X-Forwarded-For"] == "10.1.1.1"


FORGED = [
    "X-Forwarded-For",
    "X-Forwarded-Host",
    "X-Forwarded-Proto",
    "X-Forwarded-Port",
    "X-Forwarded-Prefix",
    "X-Real-IP",
    "X-Client-IP",
    "Forwarded",
    "X-Original-URL",
    "X-Rewrite-URL",
    "True-Client-IP",
    "CF-Connecting-IP",
    "CF-IPCountry",
    "X_Forwarded_For",
    "X_Real_IP",
    "X-Forwarded_Host",
    "CF_IPCOUNTRY",
    "X_FORWARDED_PROTO",
    "X-Forwarded-Scheme",
    "Front-End-Https",
    "X-Url-Scheme",
    "X-Cluster-Client-IP",
    "X_Cluster_Client_IP",
    "Transfer_Encoding",
    "Content_Length",
    "Proxy_Connection",
]


@pytest.mark.parametrize("name", FORGED)
def test_a_stranger_cannot_forge(name: str) -> None:
    request = request_from("203.0.113.9", (name, "forged"), (name, "forged"))
    sent = request_headers(request, peer_is_trusted=False, trusted_headers=["CF-IPCountry"])
    assert "forged" not in list(sent.values())
    assert sent.getall("X-Forwarded-For") == ["203.0.113.9"]
    assert sent.getall("X-Forwarded-Proto") == ["http"]
    assert sent.getall("X-Forwarded-Host") == ["www.example.com"]


def test_a_trusted_peer_is_believed_and_appended() -> None:
    request = request_from(
        "10.0.0.7",
        ("X-Forwarded-For", "203.0.113.9"),
        ("X-Forwarded-For", "10.0.0.3"),
        ("X-Forwarded-Proto", "http"),
        ("X-Forwarded-Proto", "https"),
        ("X-Forwarded-Host", "shop.example.com"),
        ("CF-IPCountry", "DE"),
        ("CF_IPCountry", "clone"),
    )
    sent = request_headers(request, peer_is_trusted=True, trusted_headers=["CF-IPCountry"])
    assert sent.getall("X-Forwarded-For") == ["203.0.113.9, 10.0.0.3, 10.0.0.7"]
    assert sent.getall("X-Forwarded-Proto") == ["https"]
    assert sent.getall("X-Forwarded-Host") == ["shop.example.com"]
    assert sent["CF-IPCountry"] == "DE"
    assert "CF_IPCountry" not in sent


def test_other_underscores_pass() -> None:
    request = request_from("203.0.113.9", ("my_header", "1"))
    assert request_headers(request, peer_is_trusted=False)["my_header"] == "1"


def test_host_can_be_replaced() -> None:
    sent = request_headers(request_from("192.0.2.1"), peer_is_trusted=False, host="app.internal")
    assert sent.getall("Host") == ["app.internal"]
    assert sent["X-Forwarded-Host"] == "www.example.com"


def test_unix_socket_peer_without_an_address() -> None:
    request = request_from(None, ("X-Forwarded-For", "203.0.113.9"))
    assert peer_is_trusted(request, NETWORKS)
    assert request_headers(request, peer_is_trusted=True)["X-Forwarded-For"] == "203.0.113.9"
    assert client_address(request, NETWORKS) == "203.0.113.9"


# peer, X-Forwarded-For fields, the visitor's address
WALKS = [
    ("203.0.113.9", ["198.51.100.1"], "203.0.113.9"),  # a stranger's word counts for nothing
    ("10.0.0.1", [], "10.0.0.1"),
    ("10.0.0.1", ["203.0.113.9"], "203.0.113.9"),
    ("10.0.0.1", ["198.51.100.1, 203.0.113.9"], "203.0.113.9"),  # the left part is the visitor's
    ("10.0.0.1", ["198.51.100.1", "203.0.113.9, 10.2.2.2"], "203.0.113.9"),
    ("10.0.0.1", ["10.9.9.9, 10.2.2.2"], "10.9.9.9"),  # all trusted: the first
    ("10.0.0.1", ["203.0.113.9, unknown"], "10.0.0.1"),  # beyond nonsense nothing is known
    ("10.0.0.1", ["203.0.113.9, "], "10.0.0.1"),
    ("10.0.0.1", ["203.0.113.9:5678"], "203.0.113.9"),
    ("10.0.0.1", ["[2001:db9::1]:5678"], "2001:db9::1"),
    ("10.0.0.1", ["2001:DB9:0::1"], "2001:db9::1"),
    ("10.0.0.1", ["::ffff:203.0.113.9"], "203.0.113.9"),
    ("::ffff:10.0.0.1", ["203.0.113.9"], "203.0.113.9"),
    ("2001:db8::5", ["203.0.113.9"], "203.0.113.9"),
    ("fe80::1%eth0", ["203.0.113.9"], "fe80::1"),
    ("10.0.0.1", ["999.1.1.1"], "10.0.0.1"),
    ("10.0.0.1", ["203.0.113.9, 10.0.0.1\x00"], "10.0.0.1"),
]


@pytest.mark.parametrize(("peer", "fields", "expected"), WALKS)
def test_visitors_address(peer: str, fields: list[str], expected: str) -> None:
    request = request_from(peer, *(("X-Forwarded-For", field) for field in fields))
    assert client_address(request, NETWORKS) == expected


@settings(deadline=None)
@given(st.lists(st.text(max_size=12), max_size=5), st.ip_addresses())
def test_no_field_hides_the_address_that_the_trusted_proxy_saw(
    forged: list[str], seen: ipaddress.IPv4Address | ipaddress.IPv6Address
) -> None:
    """Whatever a visitor sends ahead, the entry that our own front appended is what counts."""
    line = ", ".join([*forged, str(seen)])
    request = request_from("10.0.0.1", ("X-Forwarded-For", line))
    found = client_address(request, [ipaddress.ip_network("10.0.0.1/32")])
    if str(parse_address(str(seen))) != "10.0.0.1":
        assert found == str(parse_address(str(seen)))


@settings(deadline=None)
@given(st.text(max_size=40))
def test_any_text_parses_to_an_address_or_to_none(text: str) -> None:
    address = parse_address(text)
    assert address is None or parse_address(str(address)) == address


@settings(deadline=None)
@given(st.text(alphabet="/?#:@%ab.", max_size=20))
def test_split_keeps_every_byte_of_the_path(tail: str) -> None:
    assert split_target("/" + tail).path == "/" + tail
    whole = split_target("http://a.example/" + tail)
    assert (whole.authority, whole.path) == ("a.example", "/" + tail)


def test_host_of_a_whole_url_wins() -> None:
    request = request_from("192.0.2.1", target="http://other.example:81/x")
    assert requested_host(request) == "other.example:81"


async def test_response_fields_that_stop_here() -> None:
    answer = ok(
        b"x",
        b"Connection: keep-alive, X-Hop, Set-Cookie, Content-Security-Policy",
        b"Keep-Alive: timeout=5",
        b"X-Hop: 1",
        b"Set-Cookie: a=1",
        b"Content-Security-Policy: default-src 'self'",
        b'Alt-Svc: h3=":443"',
        b"Proxy-Authenticate: Basic",
        b"Upgrade: h2c",
        b"X-Stays: 1",
    )
    async with origin(answers(answer)) as upstream, proxy(upstream.url) as front:
        response = await exchange(front.port, get())
    for gone in (b"Keep-Alive", b"X-Hop", b"Alt-Svc", b"Proxy-Authenticate", b"Upgrade"):
        assert header_values(response, gone) == [], gone
    assert header_values(response, b"Connection") == [b"close"]
    for kept in (b"Set-Cookie", b"Content-Security-Policy", b"X-Stays"):
        assert header_values(response, kept) != [], kept


async def test_over_the_wire_a_stranger_cannot_forge() -> None:
    sent = get(
        b"/", b"X-Forwarded-For: 1.1.1.1", b"X-Real-IP: 1.1.1.1", b"X_Forwarded_For: 1.1.1.1"
    )
    async with origin(answers(ok())) as upstream, proxy(upstream.url) as front:
        await exchange(front.port, sent)
    got = upstream.exchanges[0]
    assert got.values(b"x-forwarded-for") == [b"127.0.0.1"]
    assert b"1.1.1.1" not in got.head
    assert got.values(b"cdn-loop") == [f"consent-proxy; id={INSTANCE}".encode()]


_OTHERS = {"accept", "cookie", "x-forwarded-for", "x-forwarded-new", "x-own", "cf-ipcountry"}
_NAMES = st.one_of(
    *(
        st.sampled_from(sorted(names))
        for names in (_OTHERS, BROWSER, CLIENT_ADDRESS, IDENTITY, OWN, REWRITING, TRACING)
    )
)
_FIELDS = st.lists(
    st.tuples(
        st.builds(
            lambda name, write: write(name),
            _NAMES,
            st.sampled_from([str.title, str.upper, lambda name: name.replace("-", "_")]),
        ),
        st.sampled_from(["DE", "203.0.113.5", "a b", "\u00e9"]),
    ),
    max_size=2,
)


@given(_FIELDS, st.booleans(), st.sampled_from([(), ("CF-IPCountry",), ("X-Own", "Accept")]))
def test_fields_that_need_no_look_are_told_apart(
    fields: list[tuple[str, str]], trusted: bool, regions: tuple[str, ...]
) -> None:
    """The short way for a message of plain fields is the long way."""
    request = request_from("10.1.2.3", *fields)

    def headers() -> list[tuple[str, str]]:
        sent = request_headers(request, peer_is_trusted=trusted, trusted_headers=regions)
        return list(sent.items())

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(forwarding, "_JUDGED", FieldNames(lambda _: True))
        the_long_way = headers()
    assert headers() == the_long_way
