"""Environment variables in a config: `"postgresql://consent:${DB_PASSWORD}@db/consent"`.

Only in values that define where the proxy runs and what it connects to (fields marked
FROM_ENVIRONMENT): texts for visitors, and values that decisions depend on, are written in the file,
where they can be reviewed. `$${` is a literal `${`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from consent_rules.config.descriptions import description_of
from consent_rules.config.model_paths import field_of, header_of, model_at
from consent_rules.config.models import FROM_ENVIRONMENT
from consent_rules.config.problems import LocatedProblem, Problem
from consent_rules.config.toml.positions import Path
from consent_rules.wording import quoted

_VARIABLE = re.compile(r"\$\$\{|\$\{([^{}]*)\}|\$\{")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
MIN_REDACTED_LENGTH = 3
"""Characters. A shorter value is no secret, and stands in half of all words."""


@dataclass(frozen=True, slots=True)
class Substitutions:
    """The substituted variables and their positions. No message shows a variable's value: see
    `redacted`.
    """

    problems: tuple[Problem, ...]
    _paths: frozenset[Path]
    _incomplete: frozenset[Path]
    values: Mapping[str, str]

    def schema_problem(self, problem: Problem) -> Problem | None:
        """A schema problem of a value, without the value if variables are in it. None where a
        variable is missing, which is reported already.
        """
        if problem.path in self._incomplete:
            return None
        if problem.path not in self._paths:
            return problem
        path = problem.path[:-1] if isinstance(problem.path[-1], int) else problem.path
        key = str(path[-1])
        model = model_at(path[:-1])
        help_text = " ".join(description_of(model, key).split()) if model else ""
        return replace(
            problem,
            message=f"{key}: with the environment variables put in, this value cannot stand here. "
            f"What is wanted: {help_text}",
        )

    def written_secrets(self, store: str, token: str) -> Iterator[Problem]:
        """Warnings where the receipts' address has a password, or the dashboard a token, that is
        written in the file itself.
        """
        path: Path = ("receipts", "store")
        if path not in self._paths and re.match(r"[a-z+]+://[^/@:]*:[^/@]+@", store):
            yield Problem(
                path,
                "store: there is a password in the file, for everyone who may read it; put it into "
                'an environment variable, as in "postgresql://consent:${DB_PASSWORD}@..."',
                "warning",
            )
        path = ("dashboard", "token")
        if token and path not in self._paths:
            yield Problem(
                path,
                "token: it is written in the file, for everyone who may read it; put it into an "
                'environment variable ("${DASHBOARD_TOKEN}"), or into a file of its own with '
                "token_file",
                "warning",
            )

    def redacted(self, problem: LocatedProblem) -> LocatedProblem:
        """The problem with the names of variables in place of their values."""
        message = without_values(problem.message, self.values)
        return problem if message == problem.message else replace(problem, message=message)


def without_values(text: str, values: Mapping[str, str]) -> str:
    """The text with `${NAME}` in place of each variable's value, whatever its letter case."""
    for name, value in sorted(values.items(), key=lambda item: -len(item[1])):
        if len(value) >= MIN_REDACTED_LENGTH:
            text = re.sub(f"(?i){re.escape(value)}", f"${{{name}}}", text)
    return text


def with_environment(data: dict[str, Any], environment: Mapping[str, str]) -> Substitutions:
    """Put the variables' values into `data`, and report those that are missing or out of place."""
    problems: list[Problem] = []
    paths: set[Path] = set()
    incomplete: set[Path] = set()
    values: dict[str, str] = {}
    # A vendor's code may contain the same characters.
    looked_at = {key: value for key, value in data.items() if key not in {"vendor", "include"}}
    for path, table, key in _texts(looked_at, ()):
        if "${" not in table[key]:
            continue
        if not _is_open(path):
            if _VARIABLE.search(table[key]):
                problems.append(Problem(path, _not_allowed_here(path)))
            continue
        messages: list[str] = []

        def substitute(found: re.Match[str], messages: list[str] = messages) -> str:
            if found[0] == "$${":
                return "${"
            name = found[1] or ""
            value = environment.get(name, "")
            if not _NAME.fullmatch(name):
                messages.append(
                    f"{quoted(found[0])} names no environment variable; write one like "
                    '"${DB_PASSWORD}", or "$${" for these two characters'
                )
            elif not value:
                what = "is empty" if name in environment else "is not set"
                messages.append(
                    f"the environment variable {name} {what}; set it where the proxy is started"
                )
            else:
                values[name] = value
            return value

        made = _VARIABLE.sub(substitute, table[key])
        if messages:
            named = next(part for part in reversed(path) if isinstance(part, str))
            problems += [Problem(path, f"{named}: {message}") for message in messages]
            incomplete.add(path)
        elif made != table[key]:
            table[key] = made
            paths.add(path)
    return Substitutions(tuple(problems), frozenset(paths), frozenset(incomplete), values)


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
    if isinstance(path[-1], int):
        path = path[:-1]
    model = model_at(path[:-1])
    field = field_of(model, str(path[-1])) if model else None
    return field is not None and FROM_ENVIRONMENT in field.metadata


def _not_allowed_here(path: Path) -> str:
    key = next((part for part in reversed(path) if isinstance(part, str)), "")
    model = model_at(path[:-1])
    where = f" of {header_of(path[:-1])}" if path[:-1] and model is not None else ""
    return (
        f"{key}: an environment variable cannot stand in this key{where}: what visitors see, and "
        "what decides about them, is written out in the file"
    )
