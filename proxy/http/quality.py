"""Quality values of Accept-* fields (RFC 9110, 12.4.2). Pure functions."""

from __future__ import annotations

import re

_QVALUE = re.compile(r"(?:0(?:\.[0-9]*)?|1(?:\.0*)?|\.[0-9]+)", re.ASCII)
"""The grammar, with any number of digits, and none required before the point."""


def weighted(value: str) -> list[tuple[str, float]]:
    """The members of a field in their order, lower case, without parameters, with their weights
    from 0 (not acceptable) to 1. A weight that cannot be read is 0.
    """
    found: list[tuple[str, float]] = []
    for part in value.split(","):
        name, _, parameters = part.partition(";")
        name = name.strip().lower()
        if name:
            found.append((name, _weight(parameters) if parameters else 1.0))
    return found


def most_wanted(value: str) -> list[str]:
    """The acceptable members by descending weight; of equal ones the first named."""
    wanted = [(name, weight) for name, weight in weighted(value) if weight > 0]
    return [name for name, _ in sorted(wanted, key=lambda one: -one[1])]


def _weight(parameters: str) -> float:
    for parameter in parameters.split(";"):
        name, _, number = parameter.partition("=")
        if name.strip().lower() == "q":
            number = number.strip()
            return float(number) if _QVALUE.fullmatch(number) else 0.0
    return 1.0
