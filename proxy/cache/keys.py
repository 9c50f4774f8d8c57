"""Cache keys: the URL, and the fields that `Vary` names (RFC 9111, 4.1)."""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

from multidict import MultiMapping

from proxy.http.quality import weighted


class Key(NamedTuple):
    """The resource, as the upstream distinguishes it.

    `authority` and `target` are exactly as requested: an upstream may build links from either, and
    one visitor's spelling must not reach another.
    """

    upstream: str
    scheme: str
    authority: str
    target: str
    origin: str = ""
    """The `Origin` field: servers send it back in CORS fields, often without saying `Vary`."""
    objection: str = ""
    """The fields `Sec-GPC` and `DNT`: what is made for a visitor who objects is no other's."""
    consent: str = ""
    """What the upstream gets of the visitor's decision: the `Consent` field of its request."""


Selecting = tuple[tuple[str, str | None], ...]
"""The request fields that a response was selected by: lower-case name, normalised value or None."""


def vary_names(headers: MultiMapping[str]) -> tuple[str, ...] | None:
    """The field names of `Vary`, lower case, sorted, each once. None for `*`, which
    never matches.
    """
    names: set[str] = set()
    for value in headers.getall("Vary", ()):
        names.update(name.strip().lower() for name in value.split(","))
    if "*" in names:
        return None
    return tuple(sorted(names - {""}))


def selecting(names: tuple[str, ...], request: MultiMapping[str]) -> Selecting:
    """A request's values of the named fields."""
    return tuple((name, _value(name, request.getall(name, ()))) for name in names)


def _value(name: str, values: list[str] | tuple[()]) -> str | None:
    if not values:
        return None
    text = ",".join(values)
    if len(text) > 1000:
        return text
    return _weighted(text) if name in _WEIGHTED else _listed(text)


_WEIGHTED = frozenset({"accept-language", "accept-encoding", "accept-charset"})


@lru_cache(maxsize=1024)
def _listed(text: str) -> str:
    if '"' in text:
        return text.strip()
    return ",".join(part.strip() for part in text.split(","))


@lru_cache(maxsize=1024)
def _weighted(text: str) -> str:
    """Preferences in normal form: neither order (RFC 9110, 12.5.4) nor case counts."""
    return ",".join(f"{what};q={weight:g}" for weight, what in _preferences(text))


def _preferences(text: str) -> list[tuple[float, str]]:
    """Weights and members, by descending weight, then by name."""
    return sorted(
        ((weight, what) for what, weight in weighted(text)), key=lambda one: (-one[0], one[1])
    )


def wants_language(request: MultiMapping[str], language: str) -> bool:
    """Whether exactly this language is a request's first choice. Then a response in it is the one
    that the origin would select, whatever the second choice is.
    """
    text = ",".join(request.getall("Accept-Language", ()))
    if not text or not language or len(text) > 300:
        return False
    wanted = _preferences(text)
    if not wanted or wanted[0][1] != language.strip().lower():
        return False
    return len(wanted) == 1 or wanted[1][0] < wanted[0][0]
