"""Faults of a config file: what is wrong, where, and what to do."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from consent_rules.patterns import quoted
from consent_rules.toml_lines import Path, TomlLines

Severity = Literal["error", "warning", "expired"]


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing wrong. `line` and `column` count from 1; columns count characters.

    error    the file is refused
    expired  a tag's approval has run out: `check` fails, `run` goes on with the tag closed
    warning  a risk; nothing is refused
    """

    line: int
    column: int
    message: str
    severity: Severity = "error"


@dataclass(frozen=True, slots=True)
class Finding:
    """A fault whose place is still a path of the file. `at` tells whether its key is shown, or
    its value."""

    path: Path
    message: str
    severity: Severity = "error"
    at: Literal["key", "value"] = "value"


def located(findings: Iterable[Finding], lines: TomlLines) -> tuple[Fault, ...]:
    """The findings with their lines, in the order of the file, none twice."""
    faults: dict[Fault, None] = {}
    for finding in findings:
        place = lines.key if finding.at == "key" else lines.value
        line, column = place(finding.path)
        faults[Fault(line, column, finding.message, finding.severity)] = None
    return tuple(sorted(faults, key=lambda fault: (fault.line, fault.column)))


class ConfigError(Exception):
    """The config file is refused. `faults` holds everything found, sorted by line."""

    def __init__(self, faults: Sequence[Fault], filename: str = "") -> None:
        self.faults: tuple[Fault, ...] = tuple(faults)
        self.filename = filename
        super().__init__("\n".join(format_fault(fault, filename) for fault in self.faults))


def format_fault(fault: Fault, filename: str) -> str:
    """`file:line: what is wrong`, with "warning:" before what is none."""
    label = "warning: " if fault.severity == "warning" else ""
    return f"{filename}:{fault.line}: {label}{fault.message}"


def nearest(word: str, known: Iterable[str]) -> str | None:
    """The known word that is most likely meant, or None."""
    word = word[:100]  # no word of ours is longer, and closeness costs the square
    by_form = {_form(candidate): candidate for candidate in known}
    if (same := by_form.get(_form(word))) is not None:
        return same
    close = difflib.get_close_matches(_form(word), list(by_form), n=1, cutoff=0.6)
    return by_form[close[0]] if close else None


def did_you_mean(word: str, known: Iterable[str], *, else_say: str = "") -> str:
    """`; did you mean "x"?`, or `else_say` when nothing comes near."""
    meant = nearest(word, known)
    return f"; did you mean {quoted(meant)}?" if meant is not None else else_say


def _form(word: str) -> str:
    return word.casefold().replace("-", "").replace("_", "").replace(" ", "")
