"""A visitor's preferences: what was allowed and refused, when, and under which policy version."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from types import MappingProxyType

from consent_rules.categories import Category

_NO_EXCEPTIONS: Mapping[str, bool] = MappingProxyType({})


class ChoiceSource(StrEnum):
    """The surface on which a choice was made."""

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

    `lapsed` is set where only the refusals hold: the choice is out of date, dated in the future, or
    another site's. `ask_again` is set where it is past its end, so that the visitor is asked anew
    even after refusing everything.
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
    lapsed: bool = False
    ask_again: bool = False

    @property
    def key(self) -> tuple[str, ...]:
        """Equal keys, equal decisions."""
        return (
            self.policy_version,
            "gpc" if self.under_gpc else "",
            "only" if self.only_vendors else "",
            "lapsed" if self.lapsed else "",
            "again" if self.ask_again else "",
            *sorted(self.allowed),
            *(f"{vendor}={int(yes)}" for vendor, yes in sorted(self.vendors.items())),
        )

    @property
    def allows_something(self) -> bool:
        return bool(self.allowed) or any(self.vendors.values())


def strictest(choices: Sequence[Preferences]) -> Preferences | None:
    """The strictest of several choices that one request carries; None of none.

    A vendor or category that any of them refuses is refused. Allowed is what the latest allows (one
    in force before a lapsed one) and none of the others refuses. Where one allows a vendor as an
    exception and another refuses its category, the vendor is refused as well.
    """
    if len(choices) < 2:
        return choices[0] if choices else None
    of_categories = [choice for choice in choices if not choice.only_vendors]
    latest = max(of_categories or choices, key=lambda one: (not one.lapsed, one.made_at, one.key))
    refused = {vendor for one in choices for vendor, yes in one.vendors.items() if not yes}
    vendors = dict.fromkeys(sorted(refused), False)
    for vendor, yes in sorted(latest.vendors.items()):
        if yes and vendor not in refused and all(one.vendors.get(vendor) for one in of_categories):
            vendors[vendor] = True
    return replace(
        latest,
        allowed=latest.allowed.intersection(*(one.allowed for one in of_categories)),
        vendors=vendors,
        under_gpc=all(one.under_gpc for one in choices),
    )
