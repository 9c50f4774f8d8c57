"""A receipt in JSON-LD, by the W3C community group's profile of ISO/IEC TS 27560.

https://w3id.org/dpv/schema/dpv-27560#record and its guide
(https://w3id.org/dpv/guides/consent-27560): what is published of the schema is the profile's name
and a table of fields, of which the mandatory ones are all here.
"""

from __future__ import annotations

from collections.abc import Mapping
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


def consent_record(
    receipt: Receipt, notice: Mapping[str, Any], origin: str, keep_days: int
) -> dict[str, Any]:
    """The record of one choice. `notice` is the content of the notice that was shown ({} where it
    is not stored), `origin` the log's name.
    """
    base = f"https://{origin}/receipts"
    named = {one["category"]: one for one in notice.get("purposes", ())}
    when = {"@type": "xsd:dateTime", "@value": timestamp(receipt.made_at)}
    record: dict[str, Any] = {
        "@context": dict(CONTEXT),
        "@id": f"{base}/{receipt.receipt_id}",
        "@type": "dpv:ConsentRecord",
        "dct:conformsTo": {"@id": PROFILE},
        "dct:identifier": receipt.receipt_id,
        # The visitor is known by the receipt alone: it has no other identifier.
        "dpv:hasDataSubject": {
            "@id": f"{base}/{receipt.receipt_id}#visitor",
            "@type": "dpv:DataSubject",
        },
        "dpv:hasDataController": {
            "@type": "dpv:DataController",
            "dpv:hasName": notice.get("controller", ""),
        },
        "dpv:hasNotice": {
            "@id": f"https://{origin}/notices/{receipt.notice}",
            "@type": "dpv:ConsentNotice",
            "dct:language": notice.get("language", ""),
            "dct:hasVersion": receipt.policy_version,
        },
        "dpv:hasProcess": [
            _process(category, allowed, receipt, named.get(category, {}), when, keep_days)
            for category, allowed in receipt.after.categories.items()
        ],
        "dpv:hasConsentStatus": [
            _status(allowed, receipt.before.categories.get(category, False), receipt, when)
            for category, allowed in receipt.after.categories.items()
        ],
    }
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
    when: Mapping[str, str],
    keep_days: int,
) -> dict[str, Any]:
    """One purpose, with its recipients and the state that the choice left it in."""
    recipients = [
        {"@type": ["dpv:Recipient", "dpv:ThirdParty"], "dct:identifier": vendor["id"],
         "dpv:hasName": vendor["company"] or vendor["name"],
         "dpv:hasStatus": _status_type(receipt.after.vendors.get(vendor["id"], False), False)}
        for vendor in named.get("vendors", ())
    ]  # fmt: skip
    return {
        "@type": "dpv:Process",
        "dct:identifier": category,
        "dct:title": named.get("title", category),
        "dpv:hasPurpose": {"@id": PURPOSES.get(category, "dpv:Purpose")},
        "dpv:hasLegalBasis": {"@id": "dpv:Consent"},
        "dpv:hasRecipient": recipients,
        "dpv:hasStorageCondition": {
            "@type": "dpv:StorageDuration", "dpv:hasDuration": f"P{keep_days}D",
        },
        "dpv:hasConsentStatus": _status(
            allowed, receipt.before.categories.get(category, False), receipt, when
        ),
    }  # fmt: skip


def _status(
    allowed: bool, before: bool, receipt: Receipt, when: Mapping[str, str]
) -> dict[str, Any]:
    return {
        "@type": [_status_type(allowed, before and not allowed), "dpv:ExplicitlyExpressedConsent"],
        "dpv:isIndicatedBy": {"@id": "dpv:DataSubject"},
        "dpv:hasIndicationMethod": f"{receipt.surface}: {receipt.action}",
        "dpv:isIndicatedAtTime": dict(when),
    }


def _status_type(allowed: bool, withdrawn: bool) -> str:
    if allowed:
        return "dpv:ConsentGiven"
    return "dpv:ConsentWithdrawn" if withdrawn else "dpv:ConsentRefused"
