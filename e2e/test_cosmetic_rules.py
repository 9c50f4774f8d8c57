"""What generic rules of filter lists look like does not hit the banner or what else is ours."""

from __future__ import annotations

import pytest

from e2e.conftest import NewVisitor
from e2e.cosmetic_rules import generic_selectors, hits_of, screens

# Of the kinds that EasyList's Cookie List and Fanboy's Annoyances have.
RULES = """
! Title: of our own
###cookie-banner
###consent
###privacy-notice
##.banner
##.consent-banner
##.cookie-preferences
##[aria-label="Cookie banner"]
##[class*="cookie"]
##[class^="consent"]
##[data-consent]
##[id*="consent-banner"]
##[id^="gdpr"]
##[role="dialog"][aria-label*="cookie" i]
##a[href^="/cookie"]
##body > [class*="consent"]
##div[style*="position: fixed"]
##form[action*="cookie"]
##form[action^="/consent"]
##iframe[src*="consent"]
example.com##section
##^script:has-text(consent)
###yc-taken-back
#@##yc-taken-back
"""
OUR_OWN = ["#yc", "#yc-l", ".yc-h", "form[action='/.consent/choice']"]


def test_reads_generic_rules_only() -> None:
    lines = ["##.a", "*##.b", "x.example##.c", "#@#.d", "##.d", "##+js(x)", "##.e:style(top: 0)"]
    assert generic_selectors(lines) == [".a", ".b", ".e"]
    assert len(generic_selectors(RULES.splitlines())) == 19


@pytest.mark.parametrize(
    ("selectors", "expected"),
    [(generic_selectors(RULES.splitlines()), set()), (OUR_OWN, set(OUR_OWN))],
    ids=["of the lists' kinds", "of our own names"],
)
def test_no_rule_hits(new_visitor: NewVisitor, selectors: list[str], expected: set[str]) -> None:
    visitor = new_visitor()
    found: set[str] = set()
    for _ in screens(visitor):
        hits, known = hits_of(visitor.page.frames, selectors)
        assert known == len(selectors)
        found |= hits
    assert found == expected
