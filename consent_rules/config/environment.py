"""Environment variables in a config: `"postgresql://consent:${DB_PASSWORD}@db/consent"`.

Only in values that say where the proxy runs and what it reaches (fields marked FROM_ENVIRONMENT):
what visitors read, and what decides about them, stands in the file, where it can be reviewed.
`$${` is a plain `${`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from consent_rules.config.model_paths import field_of, header_of, model_at
from consent_rules.config.models import FROM_ENVIRONMENT
from consent_rules.config.problems import LocatedProblem, Problem
from consent_rules.config.toml.positions import Path
from consent_rules.wording import quoted

_VARIABLE = re.compile(r"\$\$\{|\$\{([^{}]*)\}|\$\{")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_SHORTEST_HIDDEN = 3
"""Characters. A shorter value is no secret, and stands in half of all words."""


@dataclass(frozen=True, slots=True)
class Environed:
    """What was put in, and where. Values of variables are never told: see `hidden`."""

    findings: tuple[Problem, ...]
    _paths: frozenset[Path]
    _incomplete: frozenset[Path]
    _values: Mapping[str, str]

    def shape(self, finding: Problem) -> Problem | None:
        """A finding about the shape of a value: without the value, if variables are in it. None
        where a variable is missing, which is told already.
        """
        if finding.path in self._incomplete:
            return None
        if finding.path not in self._paths:
            return finding
        key = str(finding.path[-1])
        model = model_at(finding.path[:-1])
        field = field_of(model, key) if model else None
        help_text = " ".join((field.description or "").split()) if field else ""
        return replace(
            finding,
            message=f"{key}: with the environment variables put in, this value cannot stand here. "
            f"What is wanted: {help_text}",
        )

    def written_passwords(self, store: str) -> Iterator[Problem]:
        """A warning where the address of the receipts has a password that is in the file itself."""
        path: Path = ("receipts", "store")
        if path not in self._paths and re.match(r"[a-z+]+://[^/@:]*:[^/@]+@", store):
            yield Problem(
                path,
                "store: there is a password in the file, for everyone who may read it; put it into "
                'an environment variable, as in "postgresql://consent:${DB_PASSWORD}@..."',
                "warning",
            )

    def hidden(self, fault: LocatedProblem) -> LocatedProblem:
        """The fault with the names of variables in place of their values."""
        message = fault.message
        for name, value in self._values.items():
            if len(value) >= _SHORTEST_HIDDEN:
                shown = f"${{{name}}}"
                message = re.sub(f"(?i){re.escape(value)}", shown.replace("\\", ""), message)
        return fault if message == fault.message else replace(fault, message=message)


def with_environment(data: dict[str, Any], environment: Mapping[str, str]) -> Environed:
    """Put the variables' values into `data`, and tell of those that are missing or out of place."""
    findings: list[Problem] = []
    paths: set[Path] = set()
    incomplete: set[Path] = set()
    values: dict[str, str] = {}
    # The code of a vendor may well hold the same characters.
    looked_at = {key: value for key, value in data.items() if key not in {"vendor", "include"}}
    for path, table, key in _texts(looked_at, ()):
        if "${" not in table[key]:
            continue
        if not _is_open(path):
            if _VARIABLE.search(table[key]):
                findings.append(Problem(path, _out_of_place(path)))
            continue
        problems: list[str] = []

        def put_in(found: re.Match[str], problems: list[str] = problems) -> str:
            if found[0] == "$${":
                return "${"
            name = found[1] or ""
            value = environment.get(name, "")
            if not _NAME.fullmatch(name):
                problems.append(
                    f"{quoted(found[0])} names no environment variable; write one like "
                    '"${DB_PASSWORD}", or "$${" for these two characters'
                )
            elif not value:
                what = "is empty" if name in environment else "is not set"
                problems.append(
                    f"the environment variable {name} {what}; set it where the proxy is started"
                )
            else:
                values[name] = value
            return value

        made = _VARIABLE.sub(put_in, table[key])
        if problems:
            findings += [Problem(path, f"{path[-1]}: {problem}") for problem in problems]
            incomplete.add(path)
        elif made != table[key]:
            table[key] = made
            paths.add(path)
    return Environed(tuple(findings), frozenset(paths), frozenset(incomplete), values)


def _texts(value: Any, path: Path) -> Iterator[tuple[Path, Any, Any]]:
    """Each text with its path, and the table or list that holds it."""
    pending = [(value, path)]
    while pending:
        holder, here = pending.pop()
        items = list(holder.items()) if isinstance(holder, dict) else list(enumerate(holder))
        for key, item in items:
            if isinstance(item, str):
                yield (*here, key), holder, key
            elif isinstance(item, dict | list):
                pending.append((item, (*here, key)))


def _is_open(path: Path) -> bool:
    model = model_at(path[:-1])
    field = field_of(model, str(path[-1])) if model else None
    return field is not None and FROM_ENVIRONMENT in field.metadata


def _out_of_place(path: Path) -> str:
    key = next((part for part in reversed(path) if isinstance(part, str)), "")
    model = model_at(path[:-1])
    where = f" of {header_of(path[:-1])}" if path[:-1] and model is not None else ""
    return (
        f"{key}: an environment variable cannot stand in this key{where}: what visitors see, and "
        "what decides about them, is written out in the file"
    )
