"""The store: its budget, its variants, purges that reach all workers."""

from __future__ import annotations

import os
import time

import pytest
from multidict import CIMultiDict

from consent_rules.matching.hosts import HostSet
from consent_rules.matching.vendor_index import VendorIndex
from proxy.cache.invalidation import InvalidationTable
from proxy.cache.keys import Key, Selecting
from proxy.cache.policy import FreshnessPolicy
from proxy.cache.store import CompiledPage, Entry, Store
from proxy.html import Boundary, compile_page


def nothing() -> CIMultiDict[str]:
    return CIMultiDict()


def entry(
    target: str = "/",
    body: bytes = b"x",
    *,
    host: str = "a.example",
    chosen: Selecting = (),
    asked_at: float | None = None,
) -> Entry:
    return Entry(
        key=Key("http://up", "https", host, target),
        selecting=chosen,
        status=200,
        reason="OK",
        headers=CIMultiDict({"A": "1"}),
        body=body,
        policy=FreshnessPolicy(60.0),
        born=0.0,
        asked_at=time.monotonic() if asked_at is None else asked_at,
    )


def compiled_page(body: bytes) -> CompiledPage:
    boundary = Boundary(HostSet(["a.example"]), VendorIndex(()))
    return CompiledPage(compile_page(body, "text/html", "https://a.example/", boundary), boundary)


def test_the_budget_holds_and_the_least_recently_used_goes() -> None:
    store = Store(200_000)
    kept = [entry(f"/{n}", b"x" * 8000) for n in range(30)]
    for number, one in enumerate(kept):
        assert store.put(one)
        assert store.size <= 200_000
        if number:
            assert store.get(kept[0].key, nothing) is kept[0]  # used all the time
    assert store.get(kept[0].key, nothing) is kept[0]
    assert store.get(kept[1].key, nothing) is None
    assert store.get(kept[-1].key, nothing) is kept[-1]
    assert store.size == sum(one.cost for one in kept if store.get(one.key, nothing))


def test_what_is_under_way_counts() -> None:
    store = Store(200_000)
    for number in range(15):
        store.put(entry(f"/{number}", b"x" * 10_000))
    assert store.reserve(90_000)
    assert store.size + 90_000 <= 200_000
    assert not store.reserve(20_000)
    store.release(90_000)
    assert store.reserve(20_000)


def test_a_large_body_is_not_kept() -> None:
    store = Store(160_000)
    assert not store.put(entry(body=b"x" * 40_000))
    assert store.size == 0


def test_a_compiled_page_counts() -> None:
    store = Store(1_000_000)
    one = entry()
    store.put(one)
    before = store.size
    compiled = compiled_page(b"<p>" + b"x" * 5000)
    store.set_compiled(one, compiled)
    assert store.size == before + compiled.cost(one.body) > before + 5000
    store.remove(one)
    assert store.size == 0
    store.set_compiled(one, compiled)  # gone: counts no more
    assert store.size == 0


def test_replacing_counts_once() -> None:
    store = Store(1_000_000)
    store.put(entry(body=b"x" * 1000))
    new = entry(body=b"y")
    store.put(new)
    assert len(store) == 1 and store.size == new.cost


def test_variants_of_one_url_are_bounded() -> None:
    store = Store(10_000_000)
    for number in range(200):
        store.put(entry(chosen=(("user-agent", str(number)),)))
    assert len(store) == 64
    last = CIMultiDict({"User-Agent": "199"})
    assert store.get(entry().key, lambda: last) is not None
    assert store.get(entry().key, lambda: CIMultiDict({"User-Agent": "1"})) is None


def test_of_two_that_match_the_newer_is_taken() -> None:
    store = Store(1_000_000)
    old = entry(chosen=(("foo", "1"),), asked_at=1.0)
    new = entry(chosen=(("bar", None),), asked_at=2.0)
    store.put(new)
    store.put(old)
    assert store.get(old.key, lambda: CIMultiDict({"Foo": "1"})) is new


def test_purge_of_a_url_takes_all_its_variants_and_schemes() -> None:
    store = Store(1_000_000)
    store.put(entry("/a?x", chosen=(("foo", "1"),)))
    store.put(entry("/a?x", chosen=(("foo", "2"),)))
    store.put(entry("/a"))
    assert store.purge("A.example/a?x") == 2
    assert len(store) == 1


def test_purge_of_a_prefix() -> None:
    store = Store(1_000_000)
    for path in ("/a/1", "/a/2", "/b"):
        store.put(entry(path))
    store.put(entry("/a/1", host="b.example"))
    assert store.purge_prefix("a.example/a/") == 2
    assert store.purge_prefix("") == 2
    assert len(store) == 0 and store.size == 0


@pytest.mark.parametrize("prefix", [False, True])
def test_what_was_asked_for_before_a_purge_is_not_kept_after_it(prefix: bool) -> None:
    store = Store(1_000_000)
    in_flight = entry("/a")
    if prefix:
        store.purge_prefix("a.example/")
    else:
        store.purge("a.example/a")
    assert not store.put(in_flight)
    assert store.put(entry("/a"))


@pytest.mark.parametrize("prefix", [False, True])
def test_a_purge_reaches_the_other_workers(prefix: bool) -> None:
    invalidations = InvalidationTable()
    here = Store(1_000_000, invalidations)
    for path in ("/a", "/b"):
        here.put(entry(path))
    child = os.fork()
    if child == 0:
        there = Store(1_000_000, invalidations)
        if prefix:
            there.purge_prefix("a.example/a")
        else:
            there.purge("a.example/a")
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    assert here.get(entry("/a").key, nothing) is None
    assert here.get(entry("/b").key, nothing) is not None


def test_more_purges_than_are_remembered_throw_out_everything() -> None:
    invalidations = InvalidationTable()
    here, there = Store(1_000_000, invalidations), Store(1_000_000, invalidations)
    here.put(entry("/a"))
    for number in range(100):
        there.purge_prefix(f"other.example/{number}")
    assert here.get(entry("/a").key, nothing) is None
    fresh = entry("/a")
    assert here.put(fresh)
    assert here.get(fresh.key, nothing) is fresh
