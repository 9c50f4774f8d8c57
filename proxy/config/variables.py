"""Environment variables that a config names: their values never stand in the log."""

from __future__ import annotations

import json
import logging
import time
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


class LogLines(logging.Formatter):
    """A record, with what it says of errors, as a line of JSON without the values of variables.

    Of the same form as the access log's lines, with which it shares a stream.
    """

    def format(self, record: logging.LogRecord) -> str:
        line = {
            "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(record.created)),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": hidden(super().format(record)),
        }
        return json.dumps(line, ensure_ascii=True, separators=(",", ":"))
