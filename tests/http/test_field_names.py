"""A set of field names gives the same answer for every message, however often it is asked."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from multidict import CIMultiDict

from proxy.http import field_names
from proxy.http.field_names import FieldNames

_NAMES = ("range", "if-match", "upgrade", "host", "accept", "x-" + "long" * 40)
_SPELLED = st.sampled_from(_NAMES).flatmap(
    lambda name: st.sampled_from((name, name.upper(), name.title()))
)
_MESSAGE = st.lists(_SPELLED, max_size=5).map(lambda names: CIMultiDict((n, "") for n in names))


@given(st.sets(st.sampled_from(_NAMES)), st.lists(_MESSAGE, max_size=6))
def test_any_in(wanted: set[str], messages: list[CIMultiDict[str]]) -> None:
    names = FieldNames(wanted.__contains__)
    for message in (*messages, *messages):
        assert names.any_in(message) is any(name in message for name in wanted)


def test_what_is_remembered_is_bounded() -> None:
    names = FieldNames(lambda name: name == "range")
    for number in range(2 * field_names._MAX_SPELLINGS):
        assert not names.any_in([f"X-{number}"])
    assert len(names._others) == field_names._MAX_SPELLINGS
    assert not names.any_in(["x" * 10_000, "accept"])
    assert names.any_in(["RANGE"])
