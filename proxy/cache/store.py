"""The store: one worker's responses, within a budget of bytes."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import chain

from multidict import CIMultiDict, MultiMapping

from proxy.cache.invalidation import InvalidationTable
from proxy.cache.keys import Key, Selecting, selecting, vary_names, wants_language
from proxy.cache.policy import FreshnessPolicy
from proxy.html import Boundary, Page

_OVERHEAD = 1500
"""Approximate bytes of an entry without its texts."""
_MAX_VARIANTS = 64
"""Stored for one URL. `Vary: User-Agent` has thousands, each requested once."""
_SHARE = 16
"""A response larger than this part of the budget is not stored: it would evict too many others."""


@dataclass(frozen=True, slots=True)
class CompiledPage:
    """A stored page's compiled form. A reload makes new boundaries, for which it is
    compiled anew.
    """

    page: Page
    boundary: Boundary

    @property
    def content(self) -> bytes | None:
        """The origin's body without its content codings; None where the page was transcoded."""
        page = self.page
        return None if page.wire or page.transcoded else page.body

    def cost(self, body: bytes) -> int:
        """Approximate bytes, without the body."""
        page = self.page
        return 400 * len(page.gates) + 1024 + (0 if page.body is body else len(page.body))


Confirmation = tuple[tuple[str, str], ...]
"""The end-to-end fields of a response, without its date."""


@dataclass(slots=True, eq=False)
class Entry:
    """A stored response of the origin, the same for all visitors. Only `compiled` ever changes, and
    what `Store.renew` sets.

    `born` is when its age was 0 (seconds since 1970), `asked_at` when it was requested
    (CLOCK_MONOTONIC). `compiled` is the compiled form of a page. `confirmation` is that of the
    last 304, where another with the same changes no more than the entry's age and date.
    """

    key: Key
    selecting: Selecting
    status: int
    reason: str
    headers: CIMultiDict[str]
    body: bytes
    policy: FreshnessPolicy
    born: float
    asked_at: float
    is_page: bool = False
    has_credentials: bool = False
    """Fetched by a request with credentials or a session: never validated for another."""
    compiled: CompiledPage | None = None
    confirmation: Confirmation | None = None
    slot: int = field(default=0, init=False)
    gone: bool = field(default=False, init=False)

    @property
    def place(self) -> str:
        return place_of(self.key)

    @property
    def cost(self) -> int:
        """Approximate bytes."""
        texts = sum(map(len, chain.from_iterable(self.headers.items()))) + 200 * len(self.headers)
        chosen = sum(len(value or "") for _, value in self.selecting)
        compiled = self.compiled.cost(self.body) if self.compiled is not None else 0
        return len(self.body) + compiled + texts + chosen + sum(map(len, self.key)) + _OVERHEAD

    def age(self, now: float) -> float:
        return max(0.0, now - self.born)


def place_of(key: Key) -> str:
    """A URL without its scheme, as purges name it: "www.example.com/path?query"."""
    return f"{key.authority.lower()}{key.target}"


def selecting_names(headers: MultiMapping[str], *, is_page: bool) -> tuple[str, ...] | None:
    """The request fields that select among a URL's responses. None when no request matches another.

    A coded body is for those who can decode it, whether its origin declares so or not. A page is
    decoded here, so its coding does not matter.
    """
    names = vary_names(headers)
    if names is None:
        return None
    if is_page:
        return tuple(name for name in names if name != "accept-encoding")
    if headers.get("Content-Encoding") and "accept-encoding" not in names:
        return tuple(sorted((*names, "accept-encoding")))
    return names


class Store:
    """Entries, least recently used first. Not thread-safe."""

    def __init__(self, budget: int, invalidations: InvalidationTable | None = None) -> None:
        self.budget = budget
        self.invalidations = invalidations or InvalidationTable()
        self.size = 0
        self.in_flight = 0
        self._entries: OrderedDict[tuple[Key, Selecting], Entry] = OrderedDict()
        self._costs: dict[tuple[Key, Selecting], int] = {}
        # For each URL its responses, oldest first; and how many were selected by which fields.
        self._variants: dict[Key, dict[Selecting, None]] = {}
        self._names: dict[Key, dict[tuple[str, ...], int]] = {}
        self._purges_seen = self.invalidations.count()

    def __len__(self) -> int:
        return len(self._entries)

    @property
    def largest(self) -> int:
        """Bytes of the largest body that is stored."""
        return self.budget // _SHARE

    def selecting_of(self, key: Key, request: MultiMapping[str]) -> tuple[Selecting, ...]:
        """A request's values of the fields by which the stored responses of a URL were selected."""
        return tuple(selecting(names, request) for names in self._names.get(key, ()))

    def get(self, key: Key, request: Callable[[], MultiMapping[str]]) -> Entry | None:
        """The stored response for a request, if any. `request` returns its header fields, as the
        upstream would get them; it is only called where they matter.
        """
        if self.invalidations.count() != self._purges_seen:
            self._obey_purges()
        variants = self._variants.get(key)
        if variants is None:
            return None
        if len(variants) == 1 and () in variants:
            found: Entry | None = self._entries[(key, ())]
        else:
            found = self._matching(key, request())
        if found is None:
            return None
        if found.asked_at <= self.invalidations.invalidated_at(found.slot):
            self.remove(found)
            return None
        self._entries.move_to_end((key, found.selecting))
        return found

    def knows(self, key: Key) -> bool:
        """Whether any response of a URL is stored, valid or not."""
        return key in self._variants

    def still_has(self, entry: Entry) -> bool:
        """Whether an entry that was found earlier is still valid; counts as a use of it."""
        if self.invalidations.count() != self._purges_seen:
            self._obey_purges()
        if entry.gone or entry.asked_at <= self.invalidations.invalidated_at(entry.slot):
            return False
        self._entries.move_to_end((entry.key, entry.selecting))
        return True

    def _matching(self, key: Key, request: MultiMapping[str]) -> Entry | None:
        found: Entry | None = None
        for chosen in self.selecting_of(key, request):
            entry = self._entries.get((key, chosen))
            if entry is not None and (found is None or entry.asked_at > found.asked_at):
                found = entry
        return found or self._in_wanted_language(key, request)

    def _in_wanted_language(self, key: Key, request: MultiMapping[str]) -> Entry | None:
        if "Accept-Language" not in request:
            return None
        for chosen in self._variants[key]:
            entry = self._entries[(key, chosen)]
            language = entry.headers.get("Content-Language", "")
            if not language or not wants_language(request, language):
                continue
            others = tuple((n, v) for n, v in chosen if n != "accept-language")
            if others != chosen and others == selecting(tuple(n for n, _ in others), request):
                return entry
        return None

    def put(self, entry: Entry) -> bool:
        """Store a response, in place of the one that it replaces. False when it is not stored."""
        entry.slot = self.invalidations.slot(entry.place)
        cost = entry.cost
        if cost > self.largest + _OVERHEAD * 4 or self._is_out_of_date(entry):
            return False
        place = (entry.key, entry.selecting)
        self._forget(place)
        self._entries[place] = entry
        self._costs[place] = cost
        self.size += cost
        variants = self._variants.setdefault(entry.key, {})
        variants[entry.selecting] = None
        names = self._names.setdefault(entry.key, {})
        by = tuple(name for name, _ in entry.selecting)
        names[by] = names.get(by, 0) + 1
        if len(variants) > _MAX_VARIANTS:
            self._forget((entry.key, next(iter(variants))))
        self._make_room()
        return True

    def renew(self, entry: Entry, date: str, born: float, asked_at: float) -> bool:
        """Note that an entry was confirmed by a 304 that says nothing new. False where it is no
        longer valid.
        """
        if not self.still_has(entry):
            return False
        entry.headers["Date"], entry.born, entry.asked_at = date, born, asked_at
        return True

    def set_compiled(self, entry: Entry, compiled: CompiledPage) -> None:
        """Store the compiled form of a stored page."""
        entry.compiled = compiled
        place = (entry.key, entry.selecting)
        if self._entries.get(place) is entry:
            self.size -= self._costs[place]
            self._costs[place] = entry.cost
            self.size += self._costs[place]
            self._make_room()

    def remove(self, entry: Entry) -> None:
        place = (entry.key, entry.selecting)
        if self._entries.get(place) is entry:
            self._forget(place)

    def invalidate(self, key: Key) -> None:
        """Invalidate a URL in all workers."""
        self.invalidations.invalidate(place_of(key))

    def purge(self, url: str) -> int:
        """Purge one URL ("host/path?query") in all workers. Returns the number of its responses in
        this worker.
        """
        place = _lower_host(url)
        self.invalidations.invalidate(place)
        return self._remove_all(entry for entry in self._entries.values() if entry.place == place)

    def purge_prefix(self, prefix: str) -> int:
        """Purge all URLs with this prefix in all workers; "" is all of them."""
        place = _lower_host(prefix)
        self.invalidations.purge_prefix(place)
        before = len(self._entries)
        self._obey_purges()
        return before - len(self._entries)

    def reserve(self, size: int) -> bool:
        """Reserve bytes for a body in flight. False when too many are reserved already."""
        if self.in_flight + size > self.budget // 2:
            return False
        self.in_flight += size
        self._make_room()
        return True

    def release(self, size: int) -> None:
        self.in_flight -= size

    def _is_out_of_date(self, entry: Entry) -> bool:
        if entry.asked_at <= self.invalidations.invalidated_at(entry.slot):
            return True
        place = entry.place
        return any(
            entry.asked_at <= purge.at and place.startswith(purge.prefix)
            for purge in self.invalidations.prefixes()
        )

    def _obey_purges(self) -> None:
        purges = self.invalidations.prefixes(self._purges_seen)
        self._purges_seen = self.invalidations.count()
        self._remove_all(
            entry
            for entry in self._entries.values()
            if any(
                entry.asked_at <= purge.at and entry.place.startswith(purge.prefix)
                for purge in purges
            )
        )

    def _remove_all(self, entries: Iterator[Entry]) -> int:
        found = list(entries)
        for entry in found:
            self._forget((entry.key, entry.selecting))
        return len(found)

    def _forget(self, place: tuple[Key, Selecting]) -> None:
        entry = self._entries.pop(place, None)
        if entry is None:
            return
        entry.gone = True
        self.size -= self._costs.pop(place)
        key, chosen = place
        variants = self._variants[key]
        del variants[chosen]
        names = self._names[key]
        by = tuple(name for name, _ in chosen)
        names[by] -= 1
        if not names[by]:
            del names[by]
        if not variants:
            del self._variants[key], self._names[key]

    def _make_room(self) -> None:
        while self._entries and self.size + self.in_flight > self.budget:
            self._forget(next(iter(self._entries)))


def _lower_host(place: str) -> str:
    host, slash, path = place.partition("/")
    return f"{host.lower()}{slash}{path}"
