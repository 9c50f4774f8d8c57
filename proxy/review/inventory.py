"""The inventory of tags: who is approved, and what each may do where."""

from __future__ import annotations

import csv
import datetime
import io
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from consent_rules.catalogue.load import catalogue
from consent_rules.config.load import Config
from consent_rules.review.diff import rules_of_tags
from consent_rules.review.tag_summary import state_of, summarise_tag
from consent_rules.wording import spreadsheet_text

COLUMNS = (
    "site", "vendor", "name", "company", "category", "pages", "not_on", "state", "patient_pages",
    "records_visits", "cookies", "approved_by", "approved_on", "expires", "days_left", "baa",
    "owner", "purpose", "hosts", "policy", "opens",
)  # fmt: skip
"""Of the inventory. One row for each tag and site."""


def inventory(config: Config, today: datetime.date, site: str = "") -> Iterator[dict[str, Any]]:
    """A row for each tag and site, by the names of COLUMNS."""
    rules = rules_of_tags(config, catalogue())
    for tag in config.tags:
        state = state_of(config, rules, tag, today)
        vendor = rules.vendors[tag.vendor]
        for name in tag.sites:
            if site not in {"", name}:
                continue
            summary = summarise_tag(config, rules, tag, name, today)
            yield {
                "site": name,
                "vendor": vendor.id,
                "name": vendor.name,
                "company": vendor.company,
                "category": str(vendor.category),
                "pages": list(tag.named_pages),
                "not_on": list(tag.except_pages),
                "state": state.state,
                "patient_pages": summary.patient,
                "records_visits": summary.records,
                "cookies": [asdict(cookie) for cookie in summary.cookies],
                "approved_by": tag.approved_by,
                "approved_on": tag.approved_on.isoformat(),
                "expires": tag.expires.isoformat(),
                "days_left": state.days,
                "baa": tag.baa,
                "owner": tag.owner or "",
                "purpose": tag.purpose or "",
                "hosts": [*vendor.hosts, *vendor.paths],
                "policy": vendor.policy_url,
                "opens": summary.opens,
            }


def inventory_csv(config: Config, today: datetime.date, site: str = "") -> str:
    """The inventory as CSV (RFC 4180), for spreadsheets."""
    out = io.StringIO()
    writer = csv.DictWriter(out, COLUMNS)
    writer.writeheader()
    for row in inventory(config, today, site):
        writer.writerow({name: cell_text(value) for name, value in row.items()})
    return out.getvalue()


def cell_text(value: Any) -> str:
    """A value of the inventory as the text of a spreadsheet's cell."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return "; ".join(one["name"] if isinstance(one, dict) else str(one) for one in value)
    return str(value) if isinstance(value, int) else spreadsheet_text(str(value))
