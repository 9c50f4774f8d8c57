"""The choice among servers, as a function: fair, and stable where it goes by a hash."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from proxy.upstream.balancing import Candidate, Turns, by_hash, least_connections

WEIGHTS = st.lists(st.integers(1, 20), min_size=1, max_size=8)


def servers(weights: list[int]) -> list[Candidate]:
    return [Candidate(f"http://10.0.0.{n}", weight) for n, weight in enumerate(weights)]


@given(WEIGHTS, st.integers(1, 4))
def test_turns_are_as_the_weights(weights: list[int], rounds: int) -> None:
    turns, candidates = Turns(), servers(weights)
    got = Counter(turns.next(candidates).name for _ in range(rounds * sum(weights)))
    assert got == {one.name: rounds * one.weight for one in candidates}


def test_turns_are_smooth() -> None:
    turns, (a, b) = Turns(), servers([3, 1])
    assert [turns.next([a, b]) for _ in range(8)] == [a, a, b, a, a, a, b, a]


@given(WEIGHTS, st.lists(st.integers(0, 30), min_size=8, max_size=8))
def test_nobody_has_fewer_connections_for_its_weight(weights: list[int], used: list[int]) -> None:
    candidates = [
        Candidate(one.name, one.weight, n) for one, n in zip(servers(weights), used, strict=False)
    ]
    chosen = least_connections(candidates, Turns())
    assert all(chosen.in_use / chosen.weight <= one.in_use / one.weight for one in candidates)


@given(WEIGHTS, st.integers(1, 300))
def test_held_connections_are_as_the_weights(weights: list[int], held: int) -> None:
    """Never more than one above the share."""
    turns, names = Turns(), Counter[str]()
    for _ in range(held):
        now = [Candidate(one.name, one.weight, names[one.name]) for one in servers(weights)]
        names[least_connections(now, turns).name] += 1
    for one in servers(weights):
        assert names[one.name] <= held * one.weight / sum(weights) + 1


@given(WEIGHTS.filter(lambda w: len(w) > 1), st.text(max_size=40), st.data())
def test_a_key_moves_only_with_its_server(
    weights: list[int], key: str, data: st.DataObject
) -> None:
    candidates = servers(weights)
    chosen = by_hash(candidates, key)
    assert by_hash(list(reversed(candidates)), key) == chosen
    lost = data.draw(st.sampled_from(candidates))
    left = [one for one in candidates if one != lost]
    if lost == chosen:
        assert by_hash(left, key) in left
    else:
        assert by_hash(left, key) == chosen


def test_keys_are_spread_as_the_weights() -> None:
    candidates = servers([1, 2, 5])
    got = Counter(by_hash(candidates, f"192.0.2.{n}").name for n in range(8000))
    for one in candidates:
        assert abs(got[one.name] / 1000 - one.weight) < 0.15


def test_a_key_may_be_any_bytes() -> None:
    key = b"\xff\xfe".decode("utf-8", "surrogateescape")
    assert by_hash([Candidate("a", 1, 0), Candidate("b", 1, 0)], key).name in {"a", "b"}
