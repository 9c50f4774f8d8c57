"""Environment variables that a config names: their values never stand in the log."""

from __future__ import annotations

import logging
from collections.abc import Mapping

from consent_rules.config.environment import without_values

_values: dict[str, str] = {}
"""By name, of every config that this process has read. Its environment does not change."""


def note_variables(values: Mapping[str, str]) -> None:
    """Hide these values, by name, from now on."""
    _values.update(values)


def hidden(text: str) -> str:
    """The text with `${NAME}` in place of the values."""
    return without_values(text, _values)


class VariablesFormatter(logging.Formatter):
    """Formats a record, with what it says of errors, and hides the values of variables."""

    def format(self, record: logging.LogRecord) -> str:
        return hidden(super().format(record))
