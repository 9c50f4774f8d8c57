"""Canonical bytes, receipts, commitments and entries: what goes in is what comes out."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consent_rules.receipts.canonical import CanonicalError, canonical, read_canonical
from consent_rules.receipts.entries import (
    EntryError,
    ErasureEntry,
    ErasureReason,
    ReceiptEntry,
    commitment,
    entry_bytes,
    read_entry,
)
from consent_rules.receipts.receipt import ConsentState, Receipt, ReceiptError, read_receipt

RECEIPT = Receipt(
    receipt_id="AbC-_123",
    made_at=1_796_000_000,
    site="www",
    policy_version="2026-01-01",
    notice="ab" * 32,
    regime="opt_in",
    region="DE",
    surface="banner",
    action="accept_all",
    gpc=False,
    device="phone",
    enforced=True,
    before=ConsentState({"analytics": False}, {"google-analytics": False}),
    after=ConsentState({"analytics": True}, {"google-analytics": True}),
    previous="",
)


def test_the_strings_of_rfc_8785() -> None:
    """3.2.2: what is escaped, and how."""
    text = '\u20ac$\u000f\nA\'B"\\\\"/'
    assert canonical({"string": text}) == b'{"string":"\xe2\x82\xac$\\u000f\\nA\'B\\"\\\\\\\\\\"/"}'
    assert canonical({"b": [None, True, False], "a": {}, "\n": 1, "1": 2}) == (
        b'{"\\n":1,"1":2,"a":{},"b":[null,true,false]}'
    )
    assert canonical("\x7f\u2028\b\t\f\r") == '"\x7f\u2028\\b\\t\\f\\r"'.encode()


@pytest.mark.parametrize(
    "value", [1.5, math.nan, 2**53, -(2**53), "\ud800", {"é": 1}, {1: 2}, b"", {"a": [{"b": 0.1}]}]
)
def test_what_has_no_canonical_form(value: Any) -> None:
    with pytest.raises(CanonicalError):
        canonical(value)


@pytest.mark.parametrize(
    "data",
    [
        b"", b"[]", b"1", b"{", b'{"a": 1}', b'{"b":1,"a":2}', b'{"a":1,"a":1}', b'{"a":1}\n',
        b'{"a":"\\u0041"}', b'{"a":1.0}', b'{"a":1e2}', b'{"a":NaN}', b'{"a":"\\/"}', b"\xff",
        b'{"a":"\\ud800"}', b"[" * 100_000,
    ],
)  # fmt: skip
def test_other_spellings_are_refused(data: bytes) -> None:
    with pytest.raises(CanonicalError):
        read_canonical(data)


VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53) + 1, 2**53 - 1)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: (
        st.lists(inner) | st.dictionaries(st.text(st.characters(max_codepoint=127)), inner)
    ),
    max_leaves=20,
)


@given(st.dictionaries(st.text(st.characters(max_codepoint=127)), VALUES))
def test_canonical_bytes_are_read_back(value: dict[str, Any]) -> None:
    data = canonical(value)
    assert read_canonical(data) == value == json.loads(data)


def test_a_receipt_is_read_back() -> None:
    assert read_receipt(RECEIPT.content) == RECEIPT
    assert b'"time":"2026-11-30T00:53:20Z"' in RECEIPT.content


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b'"format":1', b'"format":2'), (b'"gpc":false,', b""), (b'"id"', b'"ip":"","id"'),
        (b'"gpc":false', b'"gpc":0'), (b'"site":"www"', b'"site":null'), (b':true', b':1'),
        (b'"time":"2026', b'"time":"26'), (b'"vendors"', b'"vendor"'), (b'"site"', b'"sites"'),
    ],
)  # fmt: skip
def test_what_is_no_receipt(old: bytes, new: bytes) -> None:
    assert old in RECEIPT.content
    with pytest.raises(ReceiptError):
        read_receipt(RECEIPT.content.replace(old, new))


def test_a_commitment_hides_and_binds() -> None:
    one = commitment(b"content", bytes(32))
    assert one != commitment(b"content", bytes(31) + b"\1")
    assert one != commitment(b"content.", bytes(32))
    with pytest.raises(ValueError, match="32 bytes"):
        commitment(b"", b"")


RANGES = st.lists(st.tuples(st.integers(0, 2**50), st.integers(0, 2**50)), max_size=5).map(tuple)
ENTRIES = st.builds(
    ReceiptEntry, st.integers(0, 2**50), st.binary(min_size=32, max_size=32)
) | st.builds(
    ErasureEntry, st.integers(0, 2**50), RANGES, st.sampled_from(ErasureReason),
    st.integers(0, 2**35),
)  # fmt: skip


@given(ENTRIES)
def test_an_entry_is_read_back(entry: ReceiptEntry | ErasureEntry) -> None:
    assert read_entry(entry_bytes(entry)) == entry


@given(st.binary() | st.dictionaries(st.text(max_size=5), VALUES).map(lambda v: repr(v).encode()))
def test_other_bytes_are_no_entry(data: bytes) -> None:
    with pytest.raises(EntryError):
        read_entry(data)


@pytest.mark.parametrize(
    "text",
    [
        '{"commitment":"AB","index":0,"type":"receipt"}',
        '{"commitment":"ab","index":-1,"type":"receipt"}',
        '{"commitment":"ab","index":true,"type":"receipt"}',
        '{"commitment":"ab","index":"0","type":"receipt"}',
        '{"commitment":"ab","index":0,"more":0,"type":"receipt"}',
        '{"erased":[[0]],"index":0,"reason":"visitor","time":"2026-01-01T00:00:00Z","type":"erasure"}',
        '{"erased":[],"index":0,"reason":"x","time":"2026-01-01T00:00:00Z","type":"erasure"}',
        '{"index":0,"type":"x"}',
    ],
)
def test_nearly_an_entry(text: str) -> None:
    with pytest.raises(EntryError):
        read_entry(text.encode())
