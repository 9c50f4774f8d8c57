"""JSON-LD records by the profile of ISO/IEC TS 27560, held against what is published of it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from consent_rules.categories import Category
from consent_rules.receipts.jsonld import CONTEXT, PROFILE, RecordTerms, consent_record
from consent_rules.receipts.receipt import ConsentState
from tests.support.receipt_logs import ORIGIN, RECEIPT

TERMS = {
    line
    for line in Path(__file__).with_name("dpv_terms.txt").read_text("utf-8").splitlines()
    if not line.startswith("#")
}
NOTICE = {
    "controller": "Acme",
    "language": "en",
    "purposes": [
        {
            "category": str(category),
            "title": str(category),
            "vendors": [{"id": f"vendor-{category}", "company": "", "name": "Vendor"}],
        }
        for category in Category
    ],
}
OPEN = ConsentState({str(c): True for c in Category}, {f"vendor-{c}": True for c in Category})
CLOSED = ConsentState({str(c): False for c in Category}, {f"vendor-{c}": False for c in Category})
GIVEN = replace(RECEIPT, before=CLOSED, after=OPEN, previous="before")
WITHDRAWN = replace(RECEIPT, before=OPEN, after=CLOSED, region="US-CA", action="reject_all")
REFUSED = replace(RECEIPT, before=CLOSED, after=CLOSED)


def record(receipt: Any, notice: dict[str, Any] | None = None) -> dict[str, Any]:
    terms = RecordTerms(1095, 180, "privacy@acme.example")
    return consent_record(receipt, NOTICE if notice is None else notice, ORIGIN, terms)


ALL = [record(GIVEN), record(WITHDRAWN), record(REFUSED), record(GIVEN, {})]


def words(value: Any) -> Iterator[str]:
    """Names of members, and what `@id` and `@type` name, with a prefix."""
    if isinstance(value, dict):
        for name, one in value.items():
            if name == "@context":
                continue
            yield name
            if name in {"@id", "@type"}:
                yield from [one] if isinstance(one, str) else one
            else:
                yield from words(one)
    elif isinstance(value, list):
        for one in value:
            yield from words(one)


@pytest.mark.parametrize("made", ALL)
def test_each_term_is_one_of_the_vocabulary(made: dict[str, Any]) -> None:
    used = [word.partition(":") for word in words(made) if re.match(r"[a-z]+:(?!//)", word)]
    assert {prefix for prefix, _, _ in used} <= CONTEXT.keys()
    assert {name for prefix, _, name in used if prefix == "dpv"} <= TERMS
    names = {name for prefix, _, name in used if prefix == "dct"}
    assert names <= {
        "conformsTo", "identifier", "language", "hasVersion", "replaces", "title", "date", "valid",
    }  # fmt: skip
    json.dumps(made)


def test_no_term_of_the_list_is_unused() -> None:
    used = {word.removeprefix("dpv:") for made in ALL for word in words(made)}
    assert used >= TERMS - {"Purpose"}  # of a category that is none of ours


MANDATORY = {
    # https://w3id.org/dpv/guides/consent-27560, the table of fields: "required" by ISO/IEC 27560
    "schema version": "dct:conformsTo",
    "record id": "dct:identifier",
    "pii principal id": "dpv:hasDataSubject",
    "privacy notice": "dpv:hasNotice",
    "language": "dpv:hasNotice/dct:language",
    "purpose": "dpv:hasProcess/0/dpv:hasPurpose",
    "pii information, pii type": "dpv:hasProcess/0/dpv:hasPersonalData",
    "pii controllers": "dpv:hasDataController",
    "retention period": "dpv:hasProcess/0/dpv:hasStorageCondition/dpv:hasDuration",
    "jurisdiction": "dpv:hasJurisdiction",
    "recipient third parties, party type": "dpv:hasProcess/0/dpv:hasRecipient/0/@type",
    "withdrawal method": "dpv:hasConsentControl/@id",
    "party id": "dpv:hasDataController/dct:identifier",
    "party name": "dpv:hasDataController/dpv:hasName",
    "party contact": "dpv:hasDataController/dpv:hasContact",
    "event time": "dpv:hasConsentStatus/0/dct:date",
    "validity duration": "dpv:hasConsentStatus/0/dct:valid",
    "entity id": "dpv:hasConsentStatus/0/dpv:isImplementedByEntity/@id",
    "event type": "dpv:hasProcess/0/dpv:hasLegalBasis",
    "event state": "dpv:hasConsentStatus/0/@type",
}
"""The rest, "storage locations" and "party address", only the operator knows."""


@pytest.mark.parametrize("field", MANDATORY)
def test_a_mandatory_field_is_there(field: str) -> None:
    found: Any = record(GIVEN)
    for step in MANDATORY[field].split("/"):
        found = found[int(step) if step.isdigit() else step]
    assert found


def test_what_it_says_of_a_choice() -> None:
    assert record(GIVEN)["dct:conformsTo"] == {"@id": PROFILE}
    for made, state in ((GIVEN, "Given"), (WITHDRAWN, "Withdrawn"), (REFUSED, "Refused")):
        states = {one["@type"] for one in record(made)["dpv:hasConsentStatus"]}
        assert states == {f"dpv:Consent{state}"}
    assert record(WITHDRAWN)["dpv:hasJurisdiction"] == {"@id": "loc:US-CA"}
    control = record(GIVEN)["dpv:hasConsentControl"]["@id"]
    assert control == "https://www.example.com/.consent/preferences"
