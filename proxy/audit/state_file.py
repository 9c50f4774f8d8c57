"""The state file: what was seen so far, one visit a line, so that a broken audit goes on."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from consent_rules.audit.observations import PageVisit
from consent_rules.wording import quoted

_FORMAT = 1
_VISIT = TypeAdapter(PageVisit)


class StateFileError(Exception):
    """The state file cannot be used; the message says why, and what to do."""


@dataclass(frozen=True, slots=True)
class StateFile:
    """An open state file. It holds what pages sent, cookie values among it: only its owner may
    read it.
    """

    path: Path

    def read(self, start: str) -> list[PageVisit]:
        """The visits of an earlier run of the same audit; none where there is no file."""
        try:
            lines = self.path.read_text(encoding="utf-8").splitlines()
        except FileNotFoundError:
            return []
        except (OSError, UnicodeDecodeError) as error:
            raise StateFileError(f"{self.path}: cannot be read: {error}") from None
        try:
            head = json.loads(lines[0])
            known = head["format"], head["start"]
        except (IndexError, ValueError, KeyError, TypeError):
            raise StateFileError(f"{self.path}: is no state file of an audit") from None
        if known != (_FORMAT, start):
            raise StateFileError(
                f"{self.path}: is of an audit of {quoted(str(known[1]))}. Name another file with "
                "--state, or delete it"
            )
        visits = []
        for line in lines[1:]:
            try:
                visits.append(_VISIT.validate_json(line))
            except ValidationError:  # the last line of a run that was cut off
                break
        return visits

    def begin(self, start: str, visits: Iterable[PageVisit]) -> None:
        """Write the file anew, with the visits that are known."""
        text = json.dumps({"format": _FORMAT, "start": start}) + "\n"
        text += "".join(_line(visit) for visit in visits)
        try:
            self.path.touch(mode=0o600)
            self.path.write_text(text, encoding="utf-8")
        except OSError as error:
            raise StateFileError(f"{self.path}: cannot be written: {error.strerror}") from None

    def add(self, visit: PageVisit) -> None:
        try:
            with self.path.open("a", encoding="utf-8") as file:
                file.write(_line(visit))
        except OSError as error:
            raise StateFileError(f"{self.path}: cannot be written: {error.strerror}") from None


def _line(visit: PageVisit) -> str:
    return _VISIT.dump_json(visit).decode() + "\n"
