"""Tables of what visitors send are level once they are full: nobody fills a worker's memory."""

from __future__ import annotations

import gc
import tracemalloc
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from aiohttp import HttpVersion11
from aiohttp.http_parser import RawRequestMessage
from multidict import CIMultiDict, CIMultiDictProxy
from yarl import URL

from consent_rules.categories import Audience, Category
from consent_rules.decision import Decision
from consent_rules.matching.vendor_index import VendorIndex
from consent_rules.vendors import Vendor
from proxy.banner.texts import Wording
from proxy.cache.coalescing import Flights
from proxy.cache.fast_path import FastPath, FastPathEntry, FastPathKey, _Visitor
from proxy.cache.keys import Key
from proxy.cache.known_files import KnownFile, KnownFiles, KnownHead, SentFields
from proxy.cache.known_heads import KnownFields, KnownHeads
from proxy.cache.policy import FreshnessPolicy
from proxy.cache.store import Entry, Store
from proxy.cookies.vendor_cookies import CookieIndex
from proxy.enforcement.csp import OwnAssets
from proxy.enforcement.page_heads import PageHeads
from proxy.http import addresses
from proxy.http.access_record import Access
from proxy.http.client_requests import ClientRequests
from proxy.http.device_class import DeviceClass
from proxy.http.untrusted_proxies import UntrustedProxies
from proxy.observability.access_log import AccessLog
from proxy.observability.discovered import Sightings
from proxy.observability.rate_limit import RateLimit
from proxy.observability.reported_hosts import ReportedHosts
from proxy.upstream.server import server_at

_MIB = 2**20
VENDOR = Vendor(
    id="acme", name="Acme", category=Category.ANALYTICS, cookies=("_acme",), paths=("/collect",)
)


def _address(number: int) -> str:
    return f"10.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}"


def _access_log() -> Callable[[str], object]:
    log = AccessLog()

    def add(text: str) -> None:
        headers = CIMultiDictProxy(CIMultiDict({"Host": "a.example", "X-Forwarded-For": text}))
        access = SimpleNamespace(
            headers=headers, target=f"/{text}", method="GET", site="www", logged_path="",
            peer="127.0.0.1",
        )  # fmt: skip
        log._of_request(cast(Access, access))

    return add


def _fast_path(field: str) -> Callable[[str], object]:
    table = FastPath(Store(_MIB), budget=_MIB, states_budget=_MIB)

    def add(text: str) -> None:
        raw = ((b"Host", b"a.example"), (field.encode(), text.encode()))
        found = CIMultiDict((name.decode(), value.decode()) for name, value in raw)
        message = RawRequestMessage(
            "GET", "/a.js", HttpVersion11, CIMultiDictProxy(found), raw, False, None,
            False, False, URL("/a.js"),
        )  # fmt: skip
        key = table.key_of(message, "127.0.0.1", secure=False)
        if key is not None:
            reply = cast(FastPathEntry, SimpleNamespace(head=b"", body=b""))
            table._add((b"", key.key), key, reply)
            if key.cookie:
                table._add_visitor(key, _Visitor(("x",), 0.0))

    return add


def _known_heads(*, by: str) -> Callable[[str], object]:
    known = KnownHeads(_MIB)

    def add(value: str) -> None:
        field, peer = (value, "127.0.0.1") if by == "field" else ("one", value)
        head = f"GET / HTTP/1.1\r\nHost: a.example\r\nReferer: {field}\r\n\r\n"
        raw = ((b"Host", b"a.example"), (b"Referer", field.encode()))
        headers = CIMultiDictProxy(CIMultiDict({"Host": "a.example", "Referer": field}))
        message = RawRequestMessage(
            "GET", "/", HttpVersion11, headers, raw, False, None, False, False, URL("/")
        )
        fields = KnownFields((), (), b"", DeviceClass.OTHER, headers)
        known.add(head.encode(), message, fields, peer, secure=False)

    return add


def _known_files(field: str) -> Callable[[str], object]:
    table = KnownFiles(_MIB)
    origin, server = KnownHead(b"HTTP/1.1 200 OK", b"", 1), server_at("http://up")
    group = Key("http://up", "https", "a.example", "/a.js"), True, False

    def add(text: str) -> None:
        value = text.encode()
        if field == "fields":
            raw, sent = ((b"Cookie", value),), SentFields(b"Cookie: " + value, b"")
            table.put_fields(raw, "127.0.0.1", sent, secure=True, request_class="www")
            return
        for _ in range(2):
            known = KnownFile(value, "www", server, origin, b"", 1e12, group, "www", "")
            table.put(value, known, len(value))

    return add


def _passing(field: str) -> Callable[[str], object]:
    table = FastPath(Store(_MIB), passing_budget=_MIB)
    context = cast(Any, SimpleNamespace(
        consent_header="", load_once=False, has_saved_form=False, received_at=0.0, target="/",
        cookie_header="", site=SimpleNamespace(has_patient_pages=False),
        page_context=SimpleNamespace(audience=Audience.MARKETING),
        visitor=SimpleNamespace(bot=False),
    ))  # fmt: skip

    def add(text: str) -> None:
        key = Key("http://up", "https", "a.example", "/")._replace(**{field: f"/{text}"})
        message = FastPathKey(((), f"/{text}", ()), (), b"", DeviceClass.OTHER)
        for _ in range(2):
            table.add_passing(message, context, (key, True, False), site=cast(Any, None))

    return add


def _page_heads() -> Callable[[str], object]:
    table = PageHeads(_MIB)
    decision, own = cast(Decision, object()), OwnAssets()
    sent = cast(Any, SimpleNamespace(status=200, reason="OK", headers=CIMultiDict()))

    def add(text: str) -> None:
        for _ in range(2):
            table.put((200, (("Link", "</a>"),), ("www", f"/{text}")), decision, own, sent)

    return add


def _stored(field: str) -> Callable[[str], object]:
    store = Store(_MIB)
    key = Key("http://up", "https", "a.example", "/a.js")

    def put(text: str) -> None:
        store.put(
            Entry(
                key=key._replace(**{field: text}), selecting=(), status=200, reason="OK",
                headers=CIMultiDict(), body=b"x", policy=FreshnessPolicy(60.0), born=0.0,
                asked_at=1e12,
            )
        )  # fmt: skip

    return put


def _flights() -> Callable[[str], object]:
    flights: Flights[object, object] = Flights()
    key = Key("http://up", "https", "a.example", "/")
    return lambda text: flights.mark_uncacheable((key._replace(target=f"/{text}"), True, False))


def _sightings() -> Callable[[str], object]:
    found = Sightings(Path("never-written"))

    def add(text: str) -> None:
        found.add("www", f"/{text}", seen="page", host=f"{text}.example")
        found.add_kinds("www", {"script": 1}, host=f"{text}.example")
        found.add_folders("www", "cdn.example", [text])

    return add


def _clients() -> Callable[[str], object]:
    clients = ClientRequests()

    def enter_and_leave(text: str) -> None:
        client = clients.enter(text, 1)
        assert client is not None
        clients.leave(client)

    return enter_and_leave


def _untrusted() -> Callable[[str], object]:
    seen = UntrustedProxies()
    return lambda text: seen.warn(cast(Any, SimpleNamespace(remote=text)))


def _reported() -> Callable[[str], object]:
    hosts = ReportedHosts()
    return lambda text: hosts.may_name("www", text, sender=text, now=0.0)


def _trusted() -> Callable[[str], object]:
    addresses.address_is_trusted.cache_clear()  # tests before this one may have filled it
    return lambda text: addresses.address_is_trusted(text, ())


def _rate_limit() -> Callable[[str], object]:
    limit = RateLimit(a_second=1, at_once=1)
    return lambda text: limit.allow(text, 0.0)


def _languages() -> Callable[[str], object]:
    wording = Wording()
    return lambda text: wording.texts_for(None, text)


@dataclass(frozen=True)
class Table:
    make: Callable[[], Callable[[str], object]]
    bound: int
    """Entries after which it is full."""
    takes_long: bool = True
    """Whether it meets what visitors send as it is: else others bound its length."""


TABLES = {
    "addresses": Table(lambda: addresses.parse_address, 4096),
    "addresses' texts": Table(lambda: addresses.address_text, 4096),
    "trusted addresses": Table(_trusted, 4096, takes_long=False),
    "rate limits": Table(_rate_limit, 10_000, takes_long=False),
    "reported hosts": Table(_reported, 10_000),
    "access log": Table(_access_log, 4096),
    "languages": Table(_languages, 1024),
    "uncacheable URLs": Table(_flights, 16_384),
    "cookies' names": Table(lambda: CookieIndex([VENDOR]).vendors_of, 4096),
    "own requests": Table(lambda: VendorIndex([VENDOR]).vendors_of_own_request, 4096),
    "responses made ready": Table(lambda: _fast_path("Accept-Language"), 4000),
    "known files": Table(lambda: _known_files("files"), 4000),
    "visitors' fields": Table(lambda: _known_files("fields"), 4000),
    "heads": Table(lambda: _known_heads(by="field"), 4000),
    "heads by address": Table(lambda: _known_heads(by="address"), 4000, takes_long=False),
    "visitors of a host": Table(lambda: _fast_path("X-Forwarded-Host"), 4000),
    "visitors' cookies": Table(lambda: _fast_path("Cookie"), 4000),
    "passing by URL": Table(lambda: _passing("target"), 4000),
    "passing by Origin": Table(lambda: _passing("origin"), 4000),
    "heads of pages": Table(_page_heads, 4000),
    "stored by Origin": Table(lambda: _stored("origin"), 2000),
    "stored by host": Table(lambda: _stored("authority"), 2000),
    "stored by decision": Table(lambda: _stored("consent"), 2000),
    "third parties": Table(_sightings, 5000),
    "clients": Table(_clients, 1),
    "untrusted proxies": Table(_untrusted, 5),
}  # fmt: skip


_BYTES = 8 * _MIB
"""Of long values that are given to a table."""


@pytest.fixture
def peak() -> Iterator[Callable[[], int]]:
    """The most bytes that were held since the last call."""

    def read() -> int:
        gc.collect()
        held = tracemalloc.get_traced_memory()[1]
        tracemalloc.reset_peak()
        return held

    tracemalloc.start()
    try:
        yield read
    finally:
        tracemalloc.stop()


@pytest.mark.slow
@pytest.mark.parametrize("name", TABLES)
def test_a_full_table_is_level(name: str, peak: Callable[[], int]) -> None:
    table = TABLES[name]
    add = table.make()
    before = peak()
    for number in range(2 * table.bound):
        add(_address(number))
    full = peak() - before
    for number in range(2 * table.bound, 3 * table.bound):
        add(_address(number))
    later = peak() - before
    # What goes on growing has half as much again; a dictionary that is made anew is there twice.
    assert later <= full * 1.3 + 20_000, f"{full} bytes, then {later}"


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name, table in TABLES.items() if table.takes_long])
def test_long_values_fill_it_no_further(name: str, peak: Callable[[], int]) -> None:
    """A head may have 64 KB."""
    for length in (4000, 16_000):
        add = TABLES[name].make()
        before = peak()
        for number in range(_BYTES // length):
            add(f"{number:06}" + "a" * (length - 6))
        held = peak() - before
        assert held <= 0.4 * _BYTES, f"{held} of {_BYTES} bytes, in values of {length}"
        del add


@pytest.mark.slow
def test_text_counts_for_what_it_takes(peak: Callable[[], int]) -> None:
    """One character of a higher plane makes four bytes of each in the text."""
    add = _known_heads(by="field")
    before = peak()
    for number in range(300):
        add(f"{number:06}" + "a" * 3800 + "\N{GRINNING FACE}")
    held = peak() - before
    assert held <= 1.25 * _MIB, f"{held} bytes of {_MIB}"
