"""The table of wrong configs, each line with the problem that it must give."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from consent_rules.config.load import LocatedProblem

_POLICY = '[policy]\ncontroller = "Acme"\nversion = "1"\nurl = "/privacy"\n'
_SITE = (
    '[[site]]\nname = "www"\nhosts = ["www.example.com"]\n'
    'upstream = "http://127.0.0.1:9000"\naudience = "marketing"\n'
)


FOLDER = Path(__file__).parents[1] / "consent_rules" / "config"


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
    table = (FOLDER / "cases.txt").read_text(encoding="utf-8")
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


CONFIG_CASES = _cases()
