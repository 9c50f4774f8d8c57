"""Categories of purposes, audiences and regimes: the enumerations of the domain."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType


class Category(StrEnum):
    """The purpose of a vendor. Every vendor has exactly one."""

    NECESSARY = "necessary"
    FUNCTIONAL = "functional"
    ANALYTICS = "analytics"
    SESSION_REPLAY = "session_replay"
    ADVERTISING = "advertising"
    SOCIAL = "social"


class Regime(StrEnum):
    """The default while a visitor has not chosen."""

    OPT_IN = "opt_in"
    OPT_OUT = "opt_out"
    MIXED = "mixed"
    """As opt_out, but advertising and social ask first, as session replay does everywhere."""


class Audience(StrEnum):
    """Whom a page is for."""

    MARKETING = "marketing"
    PATIENT = "patient"


CHOOSABLE: tuple[Category, ...] = tuple(c for c in Category if c is not Category.NECESSARY)
"""The categories with a switch; `necessary` has none."""

SALE_OR_SHARING: frozenset[Category] = frozenset({Category.ADVERTISING, Category.SOCIAL})
"""What an opt-out preference signal (GPC) closes. 11 CCR 7025; design rule 4."""

LIMITED: frozenset[Category] = frozenset({Category.FUNCTIONAL})
"""What may stay open once a visitor limits the use of sensitive information (11 CCR 7027): the
pages that a visitor reads can reveal a health condition, so no vendor that uses this for its own
purposes.
"""

PATIENT_CATEGORIES: frozenset[Category] = frozenset({Category.NECESSARY, Category.FUNCTIONAL})
"""What may act on a patient page, given a business associate agreement (design rule 1)."""

ALWAYS_ASKS: frozenset[Category] = frozenset({Category.SESSION_REPLAY})
"""Never open without consent, in any regime: recordings draw wiretap suits (CIPA and
similar laws).
"""

FOREIGN_NAMES: Mapping[str, Category] = MappingProxyType(
    {
        "necessary": Category.NECESSARY,
        "essential": Category.NECESSARY,
        "functional": Category.FUNCTIONAL,
        "functionality": Category.FUNCTIONAL,
        "preferences": Category.FUNCTIONAL,
        "analytics": Category.ANALYTICS,
        "statistics": Category.ANALYTICS,
        "performance": Category.ANALYTICS,
        "marketing": Category.ADVERTISING,
        "advertising": Category.ADVERTISING,
        "advertisement": Category.ADVERTISING,
        "ads": Category.ADVERTISING,
        "targeting": Category.ADVERTISING,
        "social": Category.SOCIAL,
    }
)
"""How other consent tools call the categories, lower case."""
