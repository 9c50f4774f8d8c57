"""What holds in a region: the law's table (regions.toml), and what the config says over it."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from types import MappingProxyType

from consent_rules.categories import Regime
from consent_rules.config.models import RegionRule


@dataclass(frozen=True, slots=True)
class RegionLaw:
    """What the law of a region asks for. None: it says nothing of it.

    `signal` tells that opt-out preference signals must be honoured there. It is for people to
    read: we honour them everywhere.
    """

    name: str
    law: str
    regime: Regime | None = None
    opt_out_link: bool = False
    limit_link: bool = False
    signal: bool = False
    ask_again_days: int = 0


@dataclass(frozen=True, slots=True)
class RegionTerms:
    """What holds for a visitor of a region.

    `opt_out_link` asks for "Your Privacy Choices" with its icon and a form that opts out of sale
    and sharing (11 CCR 7013, 7015, 7026), `limit_link` for a form that limits the use of
    sensitive information (11 CCR 7014, 7027). `ask_again_days` must have passed after an opt-out
    before the visitor may be asked again (0: the law names no time).
    """

    regime: Regime
    opt_out_link: bool = False
    limit_link: bool = False
    ask_again_days: int = 0


@cache
def region_laws() -> Mapping[str, RegionLaw]:
    """The built-in table, by code of ISO 3166-1 or 3166-2."""
    text = files("consent_rules").joinpath("regions.toml").read_text(encoding="utf-8")
    found = {}
    for code, row in tomllib.loads(text).items():
        regime = Regime(row.pop("regime")) if "regime" in row else None
        found[code] = RegionLaw(regime=regime, **row)
    return MappingProxyType(found)


class Regions:
    """The terms of every region under one config."""

    def __init__(self, default: Regime, rules: Iterable[RegionRule]) -> None:
        self._default = default
        self._rules = {code.upper(): rule for rule in rules for code in rule.regions}
        self._known: dict[str, RegionTerms] = {}

    def terms(self, region: str) -> RegionTerms:
        """The terms of a region ("US", "US-CA", or "" where it is not known).

        The regime is what the config says of this very region, else what the law's table says of
        it, else what the config says of its country, else the default. For the links the config's
        word on the country goes before the table.
        """
        region = region.upper()
        known = self._known.get(region)
        if known is None:
            known = self._terms(region)
            if len(self._known) < 4096:  # headers of a proxy may hold anything
                self._known[region] = known
        return known

    def _terms(self, region: str) -> RegionTerms:
        country = region.partition("-")[0]
        own, wide = self._rules.get(region), self._rules.get(country)
        law = region_laws().get(region)
        regime = (own and own.regime) or (law and law.regime) or (wide and wide.regime)
        links = []
        for name in ("opt_out_link", "limit_link"):
            said = [getattr(row, name) for row in (own, wide, law) if row is not None]
            links.append(next((value for value in said if value is not None), False))
        days = law.ask_again_days if law else 0
        return RegionTerms(regime or self._default, *links, ask_again_days=days)
