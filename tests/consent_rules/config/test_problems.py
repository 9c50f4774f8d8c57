"""The table of wrong configs: the right line, the right words, nothing missed, nothing made up."""

from __future__ import annotations

import datetime
import re
from collections.abc import Iterator, Mapping

import pytest

from consent_rules.config.load import ConfigError, LocatedProblem, format_problem, load_config
from consent_rules.vendors import Vendor
from proxy.banner.texts import known_texts
from tests.support.config_cases import CONFIG_CASES, Case

TODAY = datetime.date(2026, 12, 1)


def test_the_table_is_large_enough() -> None:
    wrong = [case for case in CONFIG_CASES if any(e.severity == "error" for e in case.expected)]
    assert len(wrong) >= 60
    assert all(case.expected for case in CONFIG_CASES)


@pytest.mark.parametrize("case", CONFIG_CASES, ids=lambda case: case.name)
def test_every_mistake_is_told_where_it_stands(case: Case, catalogue: Mapping[str, Vendor]) -> None:
    try:
        problems = load_config(
            case.text, "c.toml", today=TODAY, catalogue=catalogue, texts=known_texts()
        ).problems
        refused = False
    except ConfigError as error:
        problems, refused = error.problems, True
    said = "\n".join(format_problem(problem, "c.toml") for problem in problems)
    unmet = list(case.expected)
    for problem in problems:
        met = next((expected for expected in unmet if expected.is_met_by(problem)), None)
        assert met is not None, f"not expected: {problem}\n\nall that is said:\n{said}"
        unmet.remove(met)
    assert not unmet, f"not said: {unmet}\n\nall that is said:\n{said}"
    assert refused == any(expected.severity == "error" for expected in case.expected)
    assert list(problems) == sorted(problems, key=lambda problem: (problem.line, problem.column))


@pytest.mark.parametrize(("listen", "upstream"), [
    ("127.0.0.1:9000", "http://127.0.0.1:9002"),
    ("0.0.0.0:80", "http://127.0.0.1:8000"),
    ("127.0.0.1:9000", "https://10.0.0.5:9000"),
    ("10.0.0.4:9000", "https://10.0.0.5:9000"),
    ("127.0.0.1:443", "https://origin.example.net"),
    ("0.0.0.0:443", "https://origin.example.net"),
    ("unix:/run/consent-proxy.sock", "http://127.0.0.1:9000"),
])  # fmt: skip
def test_an_upstream_that_is_another_server(
    listen: str, upstream: str, catalogue: Mapping[str, Vendor]
) -> None:
    text = (
        f'[proxy]\nlisten = "{listen}"\n[policy]\ncontroller = "Acme"\nversion = "1"\n'
        'url = "/privacy"\n[[site]]\nname = "www"\nhosts = ["www.example.com"]\n'
        f'upstream = "{upstream}"\naudience = "marketing"\n'
    )
    load_config(text, "c.toml", today=TODAY, catalogue=catalogue)


# --- Advice, followed to the letter

_TEXT = r'"(?:[^"\\]|\\.)*"'
_INSTEAD = re.compile(
    rf"(?:did you mean|write|write it like|as in|such as|like|alone:|path only:|scheme:|brackets,|"
    rf"without quotes:|or use) ({_TEXT}|\d[\d-]+)"
)
_WHOLE = re.compile(rf"(?:write|write straight ones:|around it:|quotes:|add|Write) "
                    rf"([a-z_]+) = ((?:\[[^\]]*\])|{_TEXT}|[\w.-]+)")  # fmt: skip
_RENAME = re.compile(r'unknown key "(\w+)".*did you mean "(\w+)"\?')
_REMOVE = re.compile(r"Remove (?:it here|baa = true)|remove it here")


def _followed(text: str, problem: LocatedProblem) -> Iterator[tuple[str, str]]:
    """The texts that a problem's advice leads to, each with the advice."""
    lines = text.split("\n")
    line, at = lines[problem.line - 1], problem.column - 1

    def with_line(new: str) -> str:
        return "\n".join([*lines[: problem.line - 1], new, *lines[problem.line :]])

    said = problem.message
    if renamed := _RENAME.search(said):
        yield with_line(re.sub(rf"\b{renamed[1]}\b", renamed[2], line, count=1)), renamed[0]
        return
    for whole in _WHOLE.finditer(said):
        key, value = whole.groups()
        if re.match(rf"\s*{key}\s*[=:]", line):
            yield with_line(f"{key} = {value}"), whole[0]
        elif whole[0].startswith("add ") and line.startswith("["):
            yield with_line(f"{line}\n{key} = {value}"), whole[0]
    if said.startswith("not valid TOML"):
        for instead in _INSTEAD.finditer(said):
            yield with_line(f"{re.split('[=:]', line)[0]}= {instead[1]}"), instead[0]
        return
    given = re.compile(rf"{_TEXT}|'[^']*'|[^\s,\]#]+").match(line, at)
    if (given is not None and "=" in line) or line.lstrip().startswith(('"', "'")):
        for instead in _INSTEAD.finditer(said):
            yield with_line(line[:at] + instead[1] + line[given.end() :]), instead[0]  # type: ignore[union-attr]
    if _REMOVE.search(said) and "=" in line and "[" not in line:
        yield with_line(""), "remove it"


def _said(text: str, catalogue: Mapping[str, Vendor]) -> tuple[LocatedProblem, ...]:
    try:
        return load_config(
            text, "c.toml", today=TODAY, catalogue=catalogue, texts=known_texts()
        ).problems
    except ConfigError as error:
        return error.problems


@pytest.mark.parametrize("case", CONFIG_CASES, ids=lambda case: case.name)
def test_advice_that_is_followed_mends(case: Case, catalogue: Mapping[str, Vendor]) -> None:
    """Whoever does what a message says has a file without that fault, and no new one there."""
    text = re.sub(r"\s*#! .*", "", case.text)
    for problem in _said(text, catalogue):
        for mended, advice in _followed(text, problem):
            key = problem.message.partition(":")[0]
            before = {one.message for one in _said(text, catalogue)} - {problem.message}
            left = [
                one.message
                for one in _said(mended, catalogue)
                if one.severity == "error"
                and one.line == problem.line
                and one.message not in before
                and "contrast" not in one.message  # an example cannot know the other colours
                and (one.message == problem.message or one.message.startswith(f"{key}:"))
            ]
            assert not left, f"{problem.message}\nfollowed: {advice}\n{mended}"
