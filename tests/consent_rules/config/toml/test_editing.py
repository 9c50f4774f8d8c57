"""What the commands write: every other byte stays, and the text stays TOML."""

from __future__ import annotations

import datetime
import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consent_rules.config.toml.editing import (
    UneditableError,
    as_toml,
    with_table,
    with_value,
    without_tables,
)

TEXT = """# ours
[policy] # kept
version = "1"

# for ads, says Jane
[[tag]] # first
vendor = "a" # the letter
sites = [
    "www", # all of it
]
expires = 2027-01-01 # soon

[[tag]]
vendor   =   'b'
expires = 2027-01-01
# --- Vendors

[[vendor]]
id = "x"
"""
DAY = datetime.date(2028, 2, 29)


def test_a_table_is_added_after_the_last_of_its_kind() -> None:
    changed = with_table(TEXT, "tag", {"vendor": "c", "sites": ("www",), "expires": DAY})
    added = '\n[[tag]]\nvendor = "c"\nsites = ["www"]\nexpires = 2028-02-29\n'
    assert changed == TEXT.replace("# --- Vendors", added + "# --- Vendors")
    assert [tag["vendor"] for tag in tomllib.loads(changed)["tag"]] == ["a", "b", "c"]


@pytest.mark.parametrize("text", ["", "a = 1", "a = 1\n", "a = 1\r\n", "a = 1\n\n", "# x"])
def test_a_first_table_goes_to_the_end(text: str) -> None:
    changed = with_table(text, "tag", {"vendor": "c"})
    assert changed.startswith(text)
    assert tomllib.loads(changed)["tag"] == [{"vendor": "c"}]
    assert changed.count("\r\n") == (changed.count("\n") if "\r" in text else 0)


def test_a_value_is_changed_and_nothing_else() -> None:
    changed = with_value(TEXT, "tag", 0, "expires", DAY)
    assert changed == TEXT.replace("expires = 2027-01-01 # soon", "expires = 2028-02-29 # soon")
    changed = with_value(TEXT, "tag", 1, "vendor", "ü")
    assert changed == TEXT.replace("'b'", '"ü"')


def test_a_table_goes_with_the_comment_above_it() -> None:
    changed = without_tables(TEXT, "tag", [0])
    assert "Jane" not in changed
    assert "# --- Vendors" in changed
    assert [tag["vendor"] for tag in tomllib.loads(changed)["tag"]] == ["b"]
    assert "tag" not in tomllib.loads(without_tables(TEXT, "tag", [0, 1]))
    assert "# --- Vendors" in without_tables(TEXT, "tag", [0, 1])


def test_lists_are_not_touched() -> None:
    text = 'tag = [{vendor = "a", expires = 2027-01-01}]\n'
    with pytest.raises(UneditableError, match=r"headed \[\[tag\]\]"):
        with_table(text, "tag", {"vendor": "c"})
    with pytest.raises(UneditableError):
        with_value(text, "tag", 0, "expires", DAY)
    with pytest.raises(UneditableError):
        without_tables(text, "tag", [0])


@given(value=st.text(st.characters(exclude_categories=["Cs"])))
def test_any_text_comes_back(value: str) -> None:
    assert tomllib.loads(f"a = {as_toml(value)}")["a"] == value
    changed = with_table(TEXT, "tag", {"vendor": value, "sites": (value, value)})
    assert tomllib.loads(changed)["tag"][2] == {"vendor": value, "sites": [value, value]}
    assert without_tables(changed, "tag", [2]).replace("\n", "") == TEXT.replace("\n", "")
