"""Faults of a config file: what is wrong, where, and what to do."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from consent_rules.patterns import quoted

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
