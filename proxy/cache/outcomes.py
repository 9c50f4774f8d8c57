"""What a cache lookup ends in."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from aiohttp import ClientResponse
from multidict import CIMultiDict

from proxy.cache.shared_body import SharedBody
from proxy.cache.store import Entry


class ReadPage(Protocol):
    """A page that was read and made ready. `kept` is its body as the upstream sent it, or None
    where the page may not be kept; `size` are the bytes that the `attachment` takes. `begun` is
    what has come of a page that is sent while it comes, and may be kept once it is whole.
    """

    @property
    def begun(self) -> bytes | None: ...

    @property
    def stored(self) -> bytes | None: ...
    @property
    def attachment(self) -> object: ...
    @property
    def size(self) -> int: ...


@dataclass(frozen=True, slots=True, eq=False)
class Stored:
    """An answer that is here as a whole. `headers` are the upstream's for whoever fetched it."""

    entry: Entry
    why: str
    status: int | None = None
    stored: bool = False
    headers: CIMultiDict[str] | None = None
    covers_error: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Streaming:
    """An answer to be kept whose body is still coming. `entry` has no body yet; `read` is set where
    it is a page.
    """

    entry: Entry
    why: str
    headers: CIMultiDict[str]
    growing: SharedBody
    reserved: int
    upstream: ClientResponse
    protocol: object
    read: ReadPage | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Uncacheable:
    """An answer that is not kept: for the one who asked."""

    upstream: ClientResponse
    headers: CIMultiDict[str]
    why: str
    reason: str
    read: ReadPage | None = None


Outcome = Stored | Streaming | Uncacheable
