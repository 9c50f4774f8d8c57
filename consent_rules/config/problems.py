"""Faults of a config file: what is wrong, where, and what to do."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple, Protocol

from consent_rules.config.toml.positions import Path
from consent_rules.wording import quoted

Severity = Literal["error", "warning", "expired"]


@dataclass(frozen=True, slots=True)
class LocatedProblem:
    """One thing wrong. `line` and `column` count from 1; columns count characters. `file` is the
    included file in which it stands, "" for the config file itself.

    error    the file is refused
    expired  a tag's approval has run out: `check` fails, `run` goes on with the tag closed
    warning  a risk; nothing is refused
    """

    line: int
    column: int
    message: str
    severity: Severity = "error"
    file: str = ""


class Spot(NamedTuple):
    """A place in one of the files; `file` is "" for the config file itself."""

    file: str
    line: int
    column: int


class Places(Protocol):
    """Where the values of a config stand. Paths are those of all its files taken as one."""

    def key(self, path: Path) -> Spot:
        """Of the key, or of the header of a table."""
        ...

    def value(self, path: Path) -> Spot:
        """Of the value; of the header for a table that has one."""
        ...

    def has(self, path: Path) -> bool:
        """Whether the files themselves give the value."""
        ...

    def order(self, file: str) -> int:
        """The place of a file among the files, in the order in which they were read."""
        ...


@dataclass(frozen=True, slots=True)
class Problem:
    """A fault whose place is still a path of the file. `at` tells whether its key is shown, or
    its value."""

    path: Path
    message: str
    severity: Severity = "error"
    at: Literal["key", "value"] = "value"


def located(
    findings: Iterable[Problem], places: Places, told: Iterable[LocatedProblem] = ()
) -> tuple[LocatedProblem, ...]:
    """The findings with their lines, and what is `told` already: in the order of the files and
    lines, none twice.
    """
    faults: dict[LocatedProblem, None] = dict.fromkeys(told)
    for finding in findings:
        place = places.key if finding.at == "key" else places.value
        file, line, column = place(finding.path)
        faults[LocatedProblem(line, column, finding.message, finding.severity, file)] = None
    return tuple(
        sorted(faults, key=lambda fault: (places.order(fault.file), fault.line, fault.column))
    )


class ConfigError(Exception):
    """The config file is refused. `faults` holds everything found, sorted by line."""

    def __init__(self, faults: Sequence[LocatedProblem], filename: str = "") -> None:
        self.faults: tuple[LocatedProblem, ...] = tuple(faults)
        self.filename = filename
        super().__init__("\n".join(format_fault(fault, filename) for fault in self.faults))


def format_fault(fault: LocatedProblem, filename: str) -> str:
    """`file:line: what is wrong`, with "warning:" before what is none."""
    label = "warning: " if fault.severity == "warning" else ""
    return f"{fault.file or filename}:{fault.line}: {label}{fault.message}"


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
