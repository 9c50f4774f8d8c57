"""The table of wrong configs: the right line, the right words, nothing missed, nothing made up."""

from __future__ import annotations

import datetime
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from consent_rules.config.load import ConfigError, LocatedProblem, format_problem, load_config
from consent_rules.vendors import Vendor
from proxy.banner.texts import known_texts

TODAY = datetime.date(2026, 12, 1)
_POLICY = '[policy]\ncontroller = "Acme"\nversion = "1"\nurl = "/privacy"\n'
_SITE = (
    '[[site]]\nname = "www"\nhosts = ["www.example.com"]\n'
    'upstream = "http://127.0.0.1:9000"\naudience = "marketing"\n'
)


@dataclass(frozen=True)
class Expected:
    line: int
    severity: str
    parts: tuple[str, ...]

    def is_met_by(self, problem: LocatedProblem) -> bool:
        return (
            problem.line == self.line
            and problem.severity == self.severity
            and all(part in problem.message for part in self.parts)
        )


@dataclass(frozen=True)
class Case:
    name: str
    text: str
    expected: tuple[Expected, ...]


def _cases() -> list[Case]:
    table = (Path(__file__).parent / "cases.txt").read_text(encoding="utf-8")
    return [_case(block) for block in re.split(r"^=== ", table, flags=re.MULTILINE)[1:]]


def _case(block: str) -> Case:
    name, _, text = block.partition("\n")
    text = text.rstrip("\n").replace("@HUGE@", "f" * 5000) + "\n"
    expected: list[Expected] = []
    for number, line in enumerate(text.split("\n"), start=1):
        _, mark, said = line.partition("#! ")
        if not mark:
            continue
        place, said = re.fullmatch(r"(?:@(\d+) )?(.*)", said).groups()  # type: ignore[union-attr]
        for one in said.split(" || "):
            severity, _, rest = one.partition(": ")
            if severity not in {"warning", "expired"}:
                severity, rest = "error", one
            parts = tuple(part.strip() for part in rest.split(" | "))
            expected.append(Expected(int(place or number), severity, parts))
    if not name.startswith("bare: "):
        text += "" if re.search(r"^\[policy\]", text, re.MULTILINE) else _POLICY
        text += "" if "[[site]]\n" in text or "[[site]] #" in text else _SITE
    return Case(name, text, tuple(expected))


CASES = _cases()


def test_the_table_is_large_enough() -> None:
    wrong = [case for case in CASES if any(e.severity == "error" for e in case.expected)]
    assert len(wrong) >= 60
    assert all(case.expected for case in CASES)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
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
