"""A visitor's preferences: what was allowed and refused, when, under which policy version."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType

from consent_rules.categories import Category

_NO_EXCEPTIONS: Mapping[str, bool] = MappingProxyType({})


class ChoiceSource(StrEnum):
    """How a choice was made."""

    BANNER = "banner"
    PREFERENCES = "preferences"
    GPC = "gpc"
    IMPORT = "import"


@dataclass(frozen=True, slots=True)
class Preferences:
    """One visitor's explicit choice, as read from a verified preference cookie.

    `allowed` are the accepted categories; every other one was refused. `vendors` are the
    exceptions: vendor id -> yes or no, whatever its category says. `under_gpc` is set where the
    browser sent an opt-out preference signal while the visitor chose: only then is the choice
    later than the signal. `only_vendors` is set where the choice was of single
    vendors alone: the categories are as if not chosen. Times are seconds since 1970.
    """

    allowed: frozenset[Category]
    policy_version: str
    source: ChoiceSource = ChoiceSource.BANNER
    vendors: Mapping[str, bool] = field(default_factory=lambda: _NO_EXCEPTIONS)
    under_gpc: bool = False
    only_vendors: bool = False
    receipt_id: str = ""
    made_at: int = 0
    expires_at: int = 0

    @property
    def key(self) -> tuple[str, ...]:
        """What the choice comes down to: equal keys, equal decisions."""
        return (
            self.policy_version,
            "gpc" if self.under_gpc else "",
            "only" if self.only_vendors else "",
            *sorted(self.allowed),
            *(f"{vendor}={int(yes)}" for vendor, yes in sorted(self.vendors.items())),
        )
