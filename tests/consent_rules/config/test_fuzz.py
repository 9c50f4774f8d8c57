"""No file, however broken, gives anything but problems whose lines are in it."""

from __future__ import annotations

import contextlib
import datetime
import tomllib
from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from consent_rules.config.load import ConfigError, decode_config, load_config
from consent_rules.vendors import Vendor

pytestmark = pytest.mark.slow

TODAY = datetime.date(2026, 12, 1)
GOOD = [file.read_bytes() for file in sorted((Path(__file__).parent / "good").glob("*.toml"))]
LINES = [content.splitlines(keepends=True) for content in GOOD]

# Values of every TOML type, and some that are hard to print or to hold.
VALUES = st.sampled_from(
    [
        *("0", "-1", "1.5", "inf", "nan", "true", '""', '"x"', '" "', "[]", "{}", "[[]]"),
        *("2026-01-01", "12:00:00", "2026-01-01T00:00:00Z", "0x" + "f" * 5000, "1e400"),
        *('["*"]', '["*."]', '["/"]', "[{}]", '[{path = "/x"}]', '"https://["', '"//"', '"*.*"'),
        *(r'"\u0000"', r'"\ud7ff\u2028"', '"💥.example"', '"xn--"', '"[::1]:1"', '"a:b:c"'),
        *('"http://\u0130.example"', '["0x7f.1"]', '["*.1.2.3.4"]', '[""]', '"%00"', '"/%2e%2e/"'),
        *('"2026-13-01"', "[" * 40 + "]" * 40, "9" * 400, '"""\n\n"""', "'''\n'''"),
    ]
)


def _check(content: bytes, catalogue: Mapping[str, Vendor]) -> None:
    try:
        text = decode_config(content, "c.toml")
        problems = load_config(text, "c.toml", today=TODAY, catalogue=catalogue).problems
    except ConfigError as error:
        problems = error.problems
        assert any(problem.severity == "error" for problem in problems)
        assert str(error)
    last = max(1, len(content.split(b"\n")) - content.endswith(b"\n"))
    for problem in problems:
        assert 1 <= problem.line <= last, problem
        assert problem.column >= 1
        assert problem.message
        assert "\n" not in problem.message


@given(
    which=st.integers(0, len(GOOD) - 1),
    cuts=st.lists(st.tuples(st.integers(0, 4000), st.integers(0, 40), st.binary(max_size=6))),
)
@settings(max_examples=300, deadline=None)
def test_byte_noise(
    catalogue: Mapping[str, Vendor], which: int, cuts: list[tuple[int, int, bytes]]
) -> None:
    content = GOOD[which]
    for start, length, noise in cuts:
        start %= len(content) + 1
        content = content[:start] + noise + content[start + length :]
    _check(content, catalogue)


@given(which=st.integers(0, len(GOOD) - 1), end=st.integers(0, 4000))
@settings(max_examples=200, deadline=None)
def test_truncation(catalogue: Mapping[str, Vendor], which: int, end: int) -> None:
    _check(GOOD[which][:end], catalogue)


@given(
    which=st.integers(0, len(GOOD) - 1),
    changes=st.lists(
        st.tuples(st.integers(0, 200), st.sampled_from(["drop", "twice", "value", "swap"]), VALUES),
        min_size=1,
        max_size=12,
    ),
)
@settings(max_examples=600, deadline=None)
def test_lines_dropped_doubled_moved_and_given_other_values(
    catalogue: Mapping[str, Vendor], which: int, changes: list[tuple[int, str, str]]
) -> None:
    lines = list(LINES[which])
    for number, change, value in changes:
        number %= len(lines)
        if change == "drop" and len(lines) > 1:
            del lines[number]
        elif change == "twice":
            lines.insert(number, lines[number])
        elif change == "swap":
            lines[number - 1], lines[number] = lines[number], lines[number - 1]
        elif b"=" in lines[number]:
            key = lines[number].partition(b"=")[0]
            lines[number] = key + b"= " + value.encode() + b"\n"
    _check(b"".join(lines), catalogue)


@given(text=st.text(max_size=200))
@example("[" * 100_000)
@example("a = " + "[" * 5000 + "]" * 5000)
@example("a = " + "{a=" * 300 + "1" + "}" * 300)
@example("a" + ".a" * 3000 + " = 1")
@example("a = " + "9" * 5000)
@example("site = [[[1]], {}, 3]\ntag = {}\nvendor = [{id = {}}]\npolicy = [1]\nproxy = 0")
@settings(max_examples=300, deadline=None)
def test_any_text(catalogue: Mapping[str, Vendor], text: str) -> None:
    _check(text.encode(), catalogue)
    # Lone surrogates have no bytes, but a caller may hand them in.
    with contextlib.suppress(ConfigError):
        load_config(text + "\ud800", "c.toml", today=TODAY, catalogue=catalogue)


def test_the_good_files_are_good() -> None:
    for content in GOOD:
        assert tomllib.loads(content.decode())
