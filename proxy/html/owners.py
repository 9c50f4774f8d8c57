"""The owner of a resource, as a value. A gate is open when each of its owners may act.

An owner is one of seven kinds, distinguished by class: a vendor of the catalogue or the config, an
unknown host, or a rule of our own in place of a vendor. Equal owners are one object, so that sets
of them compare by identity and cost what sets of strings do.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from threading import Lock
from typing import Self
from weakref import WeakValueDictionary

from consent_rules.categories import Category


class _Interned:
    """One object for each class and values. Subclasses are frozen dataclasses with `eq=False`."""

    __slots__ = ("__weakref__",)

    def __new__(cls, *values: object) -> Self:
        key = (cls.__name__, *values)
        known = _KNOWN.get(key)
        if isinstance(known, cls):
            return known
        with _LOCK:  # pages are compiled in threads, too
            known = _KNOWN.get(key)
            if not isinstance(known, cls):
                known = _KNOWN[key] = super().__new__(cls)
            return known

    def __reduce__(self) -> tuple[type[Self], tuple[object, ...]]:
        return type(self), tuple(getattr(self, name) for name in self.__match_args__)  # type: ignore[attr-defined]


_LOCK = Lock()
_KNOWN: WeakValueDictionary[tuple[object, ...], _Interned] = WeakValueDictionary()


@dataclass(frozen=True, slots=True, eq=False)
class KnownVendor(_Interned):
    """A vendor, by its id in the catalogue or the config; open when the decision opens it."""

    id: str

    def __str__(self) -> str:
        return self.id


@dataclass(frozen=True, slots=True, eq=False)
class UnknownHost(_Interned):
    """A host that no vendor has and that is not the site's own: never open. `host` is "" for a URL
    without a valid host.
    """

    host: str

    def __str__(self) -> str:
        return f"?{self.host}"


@dataclass(frozen=True, slots=True, eq=False)
class AllowedCategory(_Interned):
    """A category that another consent tool's mark on a script of the site's own requires; open on
    marketing pages when the visitor allows the category.
    """

    category: Category

    def __str__(self) -> str:
        return f"@{self.category}"


@dataclass(frozen=True, slots=True, eq=False)
class MarketingOnly(_Interned):
    """A resource that would disclose a patient page's URL: open on marketing pages."""

    def __str__(self) -> str:
        return "@marketing"


@dataclass(frozen=True, slots=True, eq=False)
class ChangedScript(_Interned):
    """An inline script of a pinned vendor that is not pinned, by the vendor's id and the script's
    hash (`sha256-...`): never open.
    """

    vendor: str
    digest: str

    def __str__(self) -> str:
        return f"?changed inline script of {self.vendor}: {self.digest}"


@dataclass(frozen=True, slots=True, eq=False)
class UnheldPin(_Interned):
    """A pinned script whose hash no browser checks: never open."""

    def __str__(self) -> str:
        return "?script whose pin cannot be held"


@dataclass(frozen=True, slots=True, eq=False)
class Reserved(_Interned):
    """Markup that would pass for a part of our own, or break it: never open."""

    def __str__(self) -> str:
        return "@reserved"


Owner = (
    KnownVendor
    | UnknownHost
    | AllowedCategory
    | MarketingOnly
    | ChangedScript
    | UnheldPin
    | Reserved
)

MARKETING_ONLY = MarketingOnly()
UNHELD_PIN = UnheldPin()
RESERVED = Reserved()
UNREADABLE_HOST = UnknownHost("")
"""The owner of a URL that no browser can be said to read in one way."""


# A page has few distinct owners.
known_vendor = lru_cache(maxsize=8192)(KnownVendor)
unknown_host = lru_cache(maxsize=4096)(UnknownHost)


def vendor_ids(owners: Iterable[Owner]) -> frozenset[str]:
    """The ids of the vendors among owners."""
    return frozenset(owner.id for owner in owners if isinstance(owner, KnownVendor))
