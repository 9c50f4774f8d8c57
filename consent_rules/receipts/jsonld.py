"""A receipt in JSON-LD, by the W3C community group's profile of ISO/IEC TS 27560.

https://w3id.org/dpv/schema/dpv-27560#record and its guide
(https://w3id.org/dpv/guides/consent-27560): what is published of the schema is the profile's name
and a table of fields. Its mandatory ones are here, but for two that only the operator knows: the
controller's postal address, and the place of storage.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from consent_rules.categories import Category
from consent_rules.receipts.receipt import Receipt, timestamp

CONTEXT: Mapping[str, str] = {
    "dpv": "https://w3id.org/dpv#",
    "dct": "http://purl.org/dc/terms/",
    "loc": "https://w3id.org/dpv/loc#",
    "xsd": "http://www.w3.org/2001/XMLSchema#",
}
PROFILE = "https://w3id.org/dpv/schema/dpv-27560#record"

PURPOSES: Mapping[str, str] = {
    Category.NECESSARY: "dpv:ServiceProvision",
    Category.FUNCTIONAL: "dpv:ServicePersonalisation",
    Category.ANALYTICS: "dpv:ServiceUsageAnalytics",
    Category.SESSION_REPLAY: "dpv:ServiceUsageAnalytics",
    Category.ADVERTISING: "dpv:Advertising",
    Category.SOCIAL: "dpv:SocialMediaMarketing",
}
"""Our categories as purposes of DPV 2."""


@dataclass(frozen=True, slots=True)
class RecordTerms:
    """What the config says of all records: for how long a receipt is stored and a choice is valid,
    in days, and whom to ask ("": nobody is named).
    """

    keep_days: int
    valid_days: int
    contact: str = ""


def consent_record(
    receipt: Receipt, notice: Mapping[str, Any], origin: str, terms: RecordTerms
) -> dict[str, Any]:
    """The record of one choice. `notice` is the content of the notice that was shown ({} where it
    is not stored), `origin` the log's name.
    """
    base = f"https://{origin}/receipts"
    endpoints = origin.partition("/log")[0]
    visitor = f"{base}/{receipt.receipt_id}#visitor"
    named = {one["category"]: one for one in notice.get("purposes", ())}
    when = {"@type": "xsd:dateTime", "@value": timestamp(receipt.made_at)}
    record: dict[str, Any] = {
        "@context": dict(CONTEXT),
        "@id": f"{base}/{receipt.receipt_id}",
        "@type": "dpv:ConsentRecord",
        "dct:conformsTo": {"@id": PROFILE},
        "dct:identifier": receipt.receipt_id,
        # The visitor is known by the receipt alone: it has no other identifier.
        "dpv:hasDataSubject": {"@id": visitor, "@type": "dpv:DataSubject"},
        "dpv:hasDataController": {
            "@type": "dpv:DataController",
            "dct:identifier": f"https://{endpoints.partition('/')[0]}/",
            "dpv:hasName": notice.get("controller", ""),
            **({"dpv:hasContact": terms.contact} if terms.contact else {}),
        },
        "dpv:hasConsentControl": {
            "@id": f"https://{endpoints}/preferences",
            "@type": "dpv:WithdrawConsent",
        },
        "dpv:hasNotice": {
            "@id": f"https://{origin}/notices/{receipt.notice}",
            "@type": "dpv:ConsentNotice",
            "dct:language": notice.get("language", ""),
            "dct:hasVersion": receipt.policy_version,
        },
        "dpv:hasProcess": [
            _process(category, allowed, receipt, named.get(category, {}), terms.keep_days)
            for category, allowed in receipt.after.categories.items()
        ],
    }
    events = [
        _event(allowed, receipt.before.categories.get(category, False), receipt)
        for category, allowed in receipt.after.categories.items()
    ]
    for one in events:
        one["dct:date"] = one["dpv:isIndicatedAtTime"] = dict(when)
        one["dct:valid"] = {"@type": "xsd:duration", "@value": f"P{terms.valid_days}D"}
        one["dpv:isIndicatedBy"] = one["dpv:isImplementedByEntity"] = {"@id": visitor}
    for process, event in zip(record["dpv:hasProcess"], events, strict=True):
        process["dpv:hasConsentStatus"] = event
    record["dpv:hasConsentStatus"] = events
    if receipt.region:
        record["dpv:hasJurisdiction"] = {"@id": f"loc:{receipt.region}"}
    if receipt.previous:
        record["dct:replaces"] = {"@id": f"{base}/{receipt.previous}"}
    return record


def _process(
    category: str,
    allowed: bool,
    receipt: Receipt,
    named: Mapping[str, Any],
    keep_days: int,
) -> dict[str, Any]:
    """One purpose, with its recipients and the state that the choice left it in."""
    recipients = [
        {"@type": ["dpv:Recipient", "dpv:ThirdParty"], "dct:identifier": vendor["id"],
         "dpv:hasName": vendor["company"] or vendor["name"],
         "dpv:hasConsentStatus": {
             "@id": _status_type(receipt.after.vendors.get(vendor["id"], False), False),
         }}
        for vendor in named.get("vendors", ())
    ]  # fmt: skip
    return {
        "@type": "dpv:Process",
        "dct:identifier": category,
        "dct:title": named.get("title", category),
        "dpv:hasPurpose": {"@id": PURPOSES.get(category, "dpv:Purpose")},
        "dpv:hasPersonalData": {"@id": "dpv:PersonalData"},
        "dpv:hasLegalBasis": {"@id": "dpv:ExplicitlyExpressedConsent"},
        "dpv:hasRecipient": recipients,
        "dpv:hasStorageCondition": {
            "@type": "dpv:StorageDuration", "dpv:hasDuration": f"P{keep_days}D",
        },
    }  # fmt: skip


def _event(allowed: bool, before: bool, receipt: Receipt) -> dict[str, Any]:
    return {
        "@type": _status_type(allowed, before and not allowed),
        "dpv:hasIndicationMethod": f"{receipt.surface}: {receipt.action}",
    }


def _status_type(allowed: bool, withdrawn: bool) -> str:
    if allowed:
        return "dpv:ConsentGiven"
    return "dpv:ConsentWithdrawn" if withdrawn else "dpv:ConsentRefused"
