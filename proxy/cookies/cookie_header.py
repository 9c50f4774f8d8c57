"""Parse the `Cookie` header."""

from __future__ import annotations

from collections.abc import Iterator


def names_in(header: str) -> list[str]:
    """The cookie names of a Cookie header, in order."""
    return [pair.partition("=")[0].strip() for pair in header.split(";") if pair.strip()]


def value_in(header: str, name: str) -> str | None:
    """A cookie's value: the first of that name, as most servers read it."""
    return next(values_in(header, name), None)


def values_in(header: str, name: str) -> Iterator[str]:
    """The values of all cookies of a name, in order."""
    for pair in header.split(";"):
        key, found, value = pair.partition("=")
        if found and key.strip() == name:
            yield value.strip()
