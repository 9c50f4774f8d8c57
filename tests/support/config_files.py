"""The table of configs of several files."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

from consent_rules.config.load import LocatedProblem

POLICY = '[policy]\ncontroller = "Acme"\nversion = "1"\nurl = "/privacy"\n'
SITE = (
    '[[site]]\nname = "www"\nhosts = ["www.example.com"]\n'
    'upstream = "http://127.0.0.1:9000"\naudience = "marketing"\n'
)
TAG = 'approved_by = "a@example.com"\napproved_on = 2026-11-02\nexpires = 2027-11-02'


FOLDER = Path(__file__).parents[1] / "consent_rules" / "config"


@dataclass(frozen=True)
class Expected:
    file: str
    line: int
    severity: str
    parts: tuple[str, ...]

    def is_met_by(self, problem: LocatedProblem, folder: Path) -> bool:
        message = problem.message.replace(str(folder), "@")
        return (
            (problem.file or str(folder / "c.toml")) == str(folder / self.file)
            and problem.line == self.line
            and problem.severity == self.severity
            and all(part in message for part in self.parts)
        )


@dataclass(frozen=True)
class Case:
    name: str
    blocks: tuple[tuple[str, str], ...]

    def write(self, folder: Path) -> list[Expected]:
        """Make the files; what is to be said of them."""
        expected: list[Expected] = []
        for head, body in self.blocks:
            kind, _, name = head.partition(" ")
            if kind == "link":
                link, _, target = name.partition(" -> ")
                (folder / link).parent.mkdir(parents=True, exist_ok=True)
                (folder / link).symlink_to(target)
            elif kind == "folder":
                (folder / name).mkdir(parents=True)
            elif kind == "pipe":
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                os.mkfifo(folder / name)
            else:
                (folder / head).parent.mkdir(parents=True, exist_ok=True)
                text = re.sub(r"^TAG$", TAG, body, flags=re.MULTILINE)
                expected += expected_of(head, text)
                if head == "c.toml":
                    text += "" if "[policy]" in text else POLICY
                    text += "" if "[[site]]" in text else SITE
                (folder / head).write_bytes(text.encode().replace(b"\\xff", b"\xff"))
        return expected


def expected_of(file: str, text: str) -> list[Expected]:
    found: list[Expected] = []
    for number, line in enumerate(text.split("\n"), start=1):
        _, mark, said = line.partition("#! ")
        for one in said.split(" || ") if mark else ():
            severity, _, rest = one.partition(": ")
            if severity not in {"warning", "expired"}:
                severity, rest = "error", one
            parts = tuple(part.strip() for part in rest.split(" | "))
            found.append(Expected(file, number, severity, parts))
    return found


def _cases() -> list[Case]:
    table = (FOLDER / "files.txt").read_text(encoding="utf-8")
    cases = []
    for block in re.split(r"^=== ", table, flags=re.MULTILINE)[1:]:
        name, *files = re.split(r"^--- ", block, flags=re.MULTILINE)
        blocks = [file.rstrip("\n").partition("\n") for file in files]
        cases.append(Case(name.strip(), tuple((head, f"{body}\n") for head, _, body in blocks)))
    return cases


FILE_CASES = _cases()
