"""The table of cases: what is kept, for how long, and when it may be used."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from multidict import CIMultiDict

from proxy.cache.conditional import Part, not_modified, tags_in, wanted_part
from proxy.cache.dates import as_http_date, http_date
from proxy.cache.directives import FOREVER, cache_control, targeted
from proxy.cache.keys import Key, selecting
from proxy.cache.policy import (
    FreshnessPolicy,
    allows_stale_on_error,
    also_invalid,
    freshness,
    freshness_policy,
    initial_age,
    storage_refusal,
    stored_headers,
    updated_headers,
    wants,
)
from proxy.cache.store import Entry, Store, selecting_names

NOW = 1_795_000_000.0
CASES: dict[str, list[dict[str, Any]]] = tomllib.loads(
    Path(__file__).with_name("cases.toml").read_text(encoding="utf-8")
)


def headers(lines: Iterable[str]) -> CIMultiDict[str]:
    found: CIMultiDict[str] = CIMultiDict()
    for line in lines:
        name, _, value = line.partition(": ")
        if value.startswith("@"):
            value = as_http_date(NOW + float(value[1:]))
        found.add(name, value)
    return found


def table(name: str) -> pytest.MarkDecorator:
    cases = CASES[name]
    ids = [str(case.get("case", case.get("text"))) for case in cases]
    return pytest.mark.parametrize("case", cases, ids=ids)


def test_the_table_is_large_and_says_each_thing_once() -> None:
    names = [(kind, case.get("case", case.get("text"))) for kind, c in CASES.items() for case in c]
    assert len(names) == len(set(names)) >= 120


@table("kept")
def test_kept(case: dict[str, Any]) -> None:
    status, answer, page = case.get("status", 200), headers(case["answer"]), case.get("page", False)
    why = storage_refusal(
        case.get("method", "GET"),
        headers(case.get("request", ())),
        status,
        answer,
        freshness_policy(status, answer, NOW, is_page=page),
        is_page=page,
        has_credentials=case.get("credentials", False),
    )
    assert why == case["why"]


@table("lifetime")
def test_lifetime(case: dict[str, Any]) -> None:
    terms = freshness_policy(
        case.get("status", 200), headers(case["answer"]), NOW, is_page=case.get("page", False)
    )
    assert terms.lifetime == case["seconds"]


@table("date")
def test_date(case: dict[str, Any]) -> None:
    assert http_date(case["text"], NOW) == case.get("seconds")


@table("age")
def test_age(case: dict[str, Any]) -> None:
    assert initial_age(headers(case["answer"]), NOW - case.get("took", 0), NOW) == case["seconds"]


@table("use")
def test_use(case: dict[str, Any]) -> None:
    terms = freshness_policy(200, headers(case["answer"]), NOW)
    want = wants(headers(case.get("request", ())))
    assert freshness(terms, case["age"], want).value == case["use"]


@table("error")
def test_error(case: dict[str, Any]) -> None:
    terms = freshness_policy(200, headers(case["answer"]), NOW)
    want = wants(headers(case.get("request", ())))
    assert (
        allows_stale_on_error(terms, case["age"], want, reached=case["reached"]) is case["covers"]
    )


def entry_for(
    request: CIMultiDict[str], answer: CIMultiDict[str], *, is_page: bool = False
) -> Entry:
    names = selecting_names(answer, is_page=is_page)
    assert names is not None
    return Entry(
        key=Key("http://up", "https", "a.example", "/"),
        selecting=selecting(names, request),
        status=200,
        reason="OK",
        headers=answer,
        body=b"x",
        policy=FreshnessPolicy(60.0),
        born=NOW,
        asked_at=1.0,
        is_page=is_page,
    )


@table("vary")
def test_vary(case: dict[str, Any]) -> None:
    answer = headers(f"Vary: {value}" for value in case["vary"])
    if "coding" in case:
        answer["Content-Encoding"] = case["coding"]
    if "language" in case:
        answer["Content-Language"] = case["language"]
    entry = entry_for(headers(case["one"]), answer, is_page=case.get("page", False))
    store = Store(1_000_000)
    assert store.put(entry)
    found = store.get(entry.key, lambda: headers(case["other"]))
    assert (found is entry) is case["same"]


@table("condition")
def test_condition(case: dict[str, Any]) -> None:
    result = not_modified(headers(case["request"]), headers(case["answer"]), NOW)
    assert result is case["not_modified"]


@table("range")
def test_range(case: dict[str, Any]) -> None:
    part = wanted_part(headers(case["request"]), headers(case.get("answer", ())), 10, NOW)
    expected = {"whole": None, "none": False}
    if isinstance(case["part"], str):
        assert part is expected[case["part"]]
    else:
        assert part == Part(*case["part"])


@table("update")
def test_update(case: dict[str, Any]) -> None:
    result = updated_headers(headers(case["kept"]), headers(case["newer"]), NOW)
    assert result.pop("Date") == as_http_date(NOW)
    assert sorted(result.items()) == sorted(headers(case["result"]).items())


@table("invalid")
def test_invalid(case: dict[str, Any]) -> None:
    assert also_invalid("https://a.example/x/y", headers(case["answer"])) == case["urls"]


def test_kept_headers_have_no_cookies_no_age_and_a_date() -> None:
    kept = stored_headers(
        headers(
            ["Set-Cookie: a=1", "Age: 5", "A: 1", "B: 2", 'Cache-Control: no-cache="b, c"', "C: 3"]
        ),
        NOW,
    )
    assert set(kept) == {"A", "Cache-Control", "Date"}
    assert kept["Date"] == as_http_date(NOW)


@given(st.text(max_size=80))
def test_no_directive_is_lost_to_what_stands_before_it(text: str) -> None:
    text = text.replace('"', "")
    assert "no-store" in cache_control([f"{text},no-store"])


@given(st.lists(st.sampled_from(['"', "\\", ",", "=", " ", "a", "max-age", "9", ";", "?1", ":"])))
def test_parsers_take_anything(parts: list[str]) -> None:
    text = "".join(parts)
    seconds = cache_control([text]).seconds("max-age")
    assert seconds is None or 0 <= seconds <= FOREVER
    given_ = targeted([text])
    assert given_ is None or all(name == name.lower() for name in given_.given)
    assert all(tag in text for tag in tags_in(text))


@given(st.integers(min_value=0, max_value=4_000_000_000))
def test_dates_come_back(seconds: int) -> None:
    assert http_date(as_http_date(seconds), NOW) == seconds


@given(st.text(max_size=40))
def test_dates_take_anything(text: str) -> None:
    assert http_date(text, NOW) is None or "gmt" in text.lower() or ":" in text
