"""The GPP string against those of the reference encoder, and which sections a visitor gets."""

from __future__ import annotations

from pathlib import Path

import pytest

from consent_rules.signals.gpp import OPT_OUTS, SECTIONS, GppApproach, gpp, sections_for

_LINES = (Path(__file__).parent / "gpp_vectors.txt").read_text(encoding="ascii").splitlines()
VECTORS = [line.split() for line in _LINES if not line.startswith("#")]


@pytest.mark.parametrize(("sections", "choice", "signal", "string"), VECTORS)
def test_reference_vectors(sections: str, choice: str, signal: str, string: str) -> None:
    made = gpp(sections.split(","), opted_out=choice == "out", signal=signal == "gpc")
    assert made.string == string


def test_every_section_has_vectors() -> None:
    assert {sections for sections, *_ in VECTORS} >= set(SECTIONS)


def test_what_the_string_says_is_told_as_values() -> None:
    said = gpp(["usnat"], opted_out=True, signal=True).sections["usnat"]
    assert said["Version"] == 2
    assert said["SaleOptOut"] == said["SharingOptOut"] == said["TargetedAdvertisingOptOut"] == 1
    assert said["SensitiveDataProcessing"] == [0] * 16
    assert said["Gpc"] is True
    assert len(said) == 18


def test_who_sells_nothing_has_nothing_to_opt_out_of() -> None:
    said = gpp(["usca"], opted_out=None, signal=False).sections["usca"]
    assert {said[name] for name in OPT_OUTS & set(said)} == {0}
    assert said["SaleOptOutNotice"] == 0


@pytest.mark.parametrize(
    ("approach", "region", "sections"),
    [
        ("off", "US-CA", ()),
        ("national", "US-CA", ("usnat",)),
        ("national", "US", ("usnat",)),
        ("national", "", ("usnat",)),
        ("national", "DE", ()),
        ("national", "CA", ()),
        ("state", "US-CA", ("usca",)),
        ("state", "US-TX", ("ustx",)),
        ("state", "US-NY", ("usnat",)),
        ("state", "US", ("usnat",)),
        ("state", "", ("usnat",)),
        ("state", "CA-BC", ()),
    ],
)
def test_sections_for_a_visitor(approach: str, region: str, sections: tuple[str, ...]) -> None:
    assert sections_for(GppApproach(approach), region) == sections
