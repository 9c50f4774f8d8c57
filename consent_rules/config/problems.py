"""Problems of a config file: what is wrong, where, and what to do."""

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
    """One problem. `line` and `column` count from 1; columns count characters. `file` is the
    included file in which it is, "" for the config file itself.

    error    the file is rejected
    expired  a tag's approval has expired: `check` fails, `run` goes on with the tag closed
    warning  a risk; nothing is rejected
    """

    line: int
    column: int
    message: str
    severity: Severity = "error"
    file: str = ""


class Spot(NamedTuple):
    """A position in one of the files; `file` is "" for the config file itself."""

    file: str
    line: int
    column: int


class Places(Protocol):
    """Positions of a config's values. Paths are those of all its files, merged."""

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
    """A problem whose position is still a path of the file. `at`: the position of the key, or of
    its value.
    """

    path: Path
    message: str
    severity: Severity = "error"
    at: Literal["key", "value"] = "value"


def located(
    problems: Iterable[Problem], places: Places, more: Iterable[LocatedProblem] = ()
) -> tuple[LocatedProblem, ...]:
    """The problems with their lines, and those that have lines already: in the order of files and
    lines, without duplicates.
    """
    found: dict[LocatedProblem, None] = dict.fromkeys(more)
    for problem in problems:
        place = places.key if problem.at == "key" else places.value
        file, line, column = place(problem.path)
        found[LocatedProblem(line, column, problem.message, problem.severity, file)] = None
    return tuple(sorted(found, key=lambda one: (places.order(one.file), one.line, one.column)))


class ConfigError(Exception):
    """The config file is invalid. `problems` holds all of them, sorted by line."""

    def __init__(self, problems: Sequence[LocatedProblem], filename: str = "") -> None:
        self.problems: tuple[LocatedProblem, ...] = tuple(problems)
        self.filename = filename
        super().__init__("\n".join(format_problem(problem, filename) for problem in self.problems))


def format_problem(problem: LocatedProblem, filename: str) -> str:
    """`file:line: message`, with "warning:" before warnings."""
    label = "warning: " if problem.severity == "warning" else ""
    return f"{problem.file or filename}:{problem.line}: {label}{problem.message}"


def nearest(word: str, known: Iterable[str]) -> str | None:
    """The known word closest to a misspelt one, or None."""
    word = word[:100]  # no known word is longer, and the comparison takes quadratic time
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
