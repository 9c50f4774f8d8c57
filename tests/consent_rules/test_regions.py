"""What holds where: the config's rules over the table of laws."""

from __future__ import annotations

import pytest

from consent_rules.categories import Regime
from consent_rules.config.build_rules import regions_of
from consent_rules.config.countries import normal_region
from consent_rules.config.models import Policy, RegionRule
from consent_rules.regions import Regions, RegionTerms, region_laws

IN, OUT, MIXED = Regime.OPT_IN, Regime.OPT_OUT, Regime.MIXED
US = RegionRule(regions=("US",), regime=OUT)
SIGNAL_STATES = {"CA", "CO", "CT", "DE", "MD", "MN", "MT", "NE", "NH", "NJ", "OR", "TX"}


@pytest.mark.parametrize(
    ("default", "rules", "region", "terms"),
    [
        (IN, (), "", RegionTerms(IN)),
        (OUT, (), "", RegionTerms(OUT)),
        (IN, (), "DE", RegionTerms(IN)),
        (IN, (US,), "US", RegionTerms(OUT, True, True, 366)),
        (IN, (US,), "US-CA", RegionTerms(OUT, True, True, 366)),
        (IN, (US,), "us-co", RegionTerms(OUT, True, False)),
        # No law of its own: as the country's rule says, without links.
        (IN, (US,), "US-ID", RegionTerms(OUT)),
        # The state's law is stricter than the rule for the country.
        (IN, (US,), "US-WA", RegionTerms(IN)),
        (IN, (US,), "US-NV", RegionTerms(IN)),
        (OUT, (), "US-WA", RegionTerms(IN)),
        # A rule that names the state itself wins.
        (IN, (US, RegionRule(regions=("US-WA",), regime=MIXED)), "US-WA", RegionTerms(MIXED)),
        (
            IN,
            (RegionRule(regions=("US",), regime=OUT, opt_out_link=False, limit_link=False),),
            "US-CA",
            RegionTerms(OUT, ask_again_days=366),
        ),
        (
            IN,
            (RegionRule(regions=("BR",), regime=OUT, opt_out_link=True),),
            "BR",
            RegionTerms(OUT, True),
        ),
        (IN, (US,), "XX-YY", RegionTerms(IN)),
    ],
)
def test_terms(
    default: Regime, rules: tuple[RegionRule, ...], region: str, terms: RegionTerms
) -> None:
    policy = Policy(controller="Acme", version="1", regime=default, regions=rules)
    assert regions_of(policy).terms(region) == terms


def test_a_flood_of_regions_is_not_remembered() -> None:
    regions = Regions(IN, {})
    for number in range(5000):
        regions.terms(f"X{number}")
    assert len(regions._known) <= 4096


def test_u4_states_that_honour_the_signal_are_in_the_table() -> None:
    laws = region_laws()
    assert {code[3:] for code, law in laws.items() if law.signal} - {""} == SIGNAL_STATES
    assert all(laws[f"US-{state}"].opt_out_link for state in SIGNAL_STATES)


def test_california_waits_twelve_months_before_asking_again() -> None:
    """Civil Code 1798.135(c)(4). Where the state is not known, it may be California."""
    waits = {code: law.ask_again_days for code, law in region_laws().items() if law.ask_again_days}
    assert waits == {"US": 366, "US-CA": 366}


def test_u10_health_data_laws_ask_first() -> None:
    assert {code for code, law in region_laws().items() if law.regime is IN} == {"US-WA", "US-NV"}


@pytest.mark.parametrize("code", region_laws())
def test_every_row_is_a_region_with_its_law(code: str) -> None:
    assert normal_region(code) == code
    assert region_laws()[code].name and region_laws()[code].law
