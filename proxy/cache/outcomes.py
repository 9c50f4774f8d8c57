"""Outcomes of a fetch for the cache."""

from __future__ import annotations

from dataclasses import dataclass

from multidict import CIMultiDict

from proxy.cache.origin_response import LiveResponse
from proxy.cache.shared_body import SharedBody
from proxy.cache.store import Entry


@dataclass(frozen=True, slots=True, eq=False)
class Stored:
    """A complete response. `headers` are the upstream's, for the leader."""

    entry: Entry
    why: str
    status: int | None = None
    stored: bool = False
    headers: CIMultiDict[str] | None = None
    covers_error: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Streaming:
    """A response to be stored whose body is still arriving. `entry` has no body yet; `reserved` are
    the bytes that the store has reserved for it.
    """

    entry: Entry
    why: str
    live: LiveResponse
    body: SharedBody
    reserved: int


@dataclass(frozen=True, slots=True, eq=False)
class Uncacheable:
    """A response that is not stored: for the leader only."""

    live: LiveResponse
    why: str


Outcome = Stored | Streaming | Uncacheable
