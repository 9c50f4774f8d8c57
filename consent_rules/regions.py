"""Terms of a region: the table of laws (regions.toml) with the overrides of the config."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from types import MappingProxyType

from consent_rules.categories import Regime


@dataclass(frozen=True, slots=True)
class RegionLaw:
    """The requirements of a region's law. None: it has no such requirement.

    `signal` is set where opt-out preference signals must be honoured. For documentation only: we
    honour them everywhere.
    """

    name: str
    law: str
    regime: Regime | None = None
    opt_out_link: bool = False
    limit_link: bool = False
    signal: bool = False
    ask_again_days: int = 0


@dataclass(frozen=True, slots=True)
class RegionOverride:
    """The config's rule for a region. None: not given."""

    regime: Regime | None = None
    opt_out_link: bool | None = None
    limit_link: bool | None = None


@dataclass(frozen=True, slots=True)
class RegionTerms:
    """The terms for visitors of a region.

    `opt_out_link` requires "Your Privacy Choices" with its icon and a form that opts out of sale
    and sharing (11 CCR 7013, 7015, 7026), `limit_link` a form that limits the use of sensitive
    information (11 CCR 7014, 7027). `ask_again_days` is the time after an opt-out before the banner
    may be shown again (0: the law has no such time).
    """

    regime: Regime
    opt_out_link: bool = False
    limit_link: bool = False
    ask_again_days: int = 0


@cache
def region_laws() -> Mapping[str, RegionLaw]:
    """The built-in table, by code of ISO 3166-1 or 3166-2."""
    import tomli  # for the table only: the decision needs no parser

    text = files("consent_rules").joinpath("regions.toml").read_text(encoding="utf-8")
    found = {}
    for code, row in tomli.loads(text).items():
        regime = Regime(row.pop("regime")) if "regime" in row else None
        found[code] = RegionLaw(regime=regime, **row)
    return MappingProxyType(found)


class Regions:
    """The terms of every region under one config."""

    def __init__(self, default: Regime, overrides: Mapping[str, RegionOverride]) -> None:
        """`overrides` by code of the region, in upper case."""
        self._default = default
        self._overrides = overrides
        self._known: dict[str, RegionTerms] = {}

    def terms(self, region: str) -> RegionTerms:
        """The terms of a region ("US", "US-CA", or "" where it is not known).

        The regime is the config's for this very region, else the law's for it, else the config's
        for its country, else the default. For the links the config's rule for the country goes
        before the law.
        """
        region = region.upper()
        known = self._known.get(region)
        if known is None:
            known = self._terms(region)
            if len(self._known) < 4096:  # a proxy's header may hold any text
                self._known[region] = known
        return known

    def _terms(self, region: str) -> RegionTerms:
        country = region.partition("-")[0]
        own, wide = self._overrides.get(region), self._overrides.get(country)
        law = region_laws().get(region)
        regime = (own and own.regime) or (law and law.regime) or (wide and wide.regime)
        links: list[bool] = []
        for name in ("opt_out_link", "limit_link"):
            given = (getattr(row, name) for row in (own, wide, law) if row is not None)
            links.append(next((value for value in given if value is not None), False))
        days = law.ask_again_days if law else 0
        return RegionTerms(regime or self._default, links[0], links[1], ask_again_days=days)
