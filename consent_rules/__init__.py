"""The rules of consent: values in, decisions out. Imports nothing of the proxy."""

from consent_rules.categories import Audience, Category
from consent_rules.decision import Decision, Reason, Visitor, decide
from consent_rules.rules import Rules
from consent_rules.vendors import Vendor

__all__ = [
    "Audience",
    "Category",
    "Decision",
    "Reason",
    "Rules",
    "Vendor",
    "Visitor",
    "decide",
]
