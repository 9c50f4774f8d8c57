"""`explain --site` and `tag list --csv`: who is approved, and what each may do where."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

import typer
from rich.text import Text

from consent_rules.catalogue.load import catalogue
from consent_rules.config.load import Config
from consent_rules.review.diff import pages_of, rules_of_tags
from consent_rules.review.tag_summary import state_of, summarise_tag
from proxy.cli.options import console, print_json, today

COLUMNS = (
    "site", "vendor", "name", "company", "category", "pages", "not_on", "state", "patient_pages",
    "records_visits", "cookies", "approved_by", "approved_on", "expires", "days_left", "baa",
    "owner", "purpose", "hosts", "policy",
)  # fmt: skip
"""Of the inventory. One row for each tag and site."""

_FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""A cell that begins so is run by spreadsheets (OWASP, CSV injection)."""


def inventory(config: Config, site: str = "") -> Iterator[dict[str, Any]]:
    """A row for each tag and site, by the names of COLUMNS."""
    rules = rules_of_tags(config, catalogue())
    for tag in config.tags:
        state = state_of(config, rules, tag, today())
        vendor = rules.vendors[tag.vendor]
        for name in tag.sites:
            if site not in {"", name}:
                continue
            summary = summarise_tag(config, rules, tag, name, today())
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
            }


def inventory_csv(config: Config, site: str = "") -> str:
    """The inventory as CSV (RFC 4180), for spreadsheets."""
    out = io.StringIO()
    writer = csv.DictWriter(out, COLUMNS)
    writer.writeheader()
    for row in inventory(config, site):
        writer.writerow({name: _cell(value) for name, value in row.items()})
    return out.getvalue()


def _cell(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return "; ".join(one["name"] if isinstance(one, dict) else str(one) for one in value)
    text = str(value)
    return f"'{text}" if text.startswith(_FORMULA) and not isinstance(value, int) else text


def explain_site(config: Config, site: str, *, as_json: bool) -> None:
    """Print what each approved vendor may do on a site, by page."""
    rows = list(inventory(config, site))
    if as_json:
        print_json(rows)
        return
    out = console()
    for row in rows:
        out.print(Text(f"{row['name']} ({row['category'].replace('_', ' ')})", style="bold"))
        pages = [*row["pages"], *(f"!{page}" for page in row["not_on"])]
        lines = {
            "pages": pages_of(pages, site),
            "when": row["state"],
            "patient pages": row["patient_pages"],
            "records visits": row["records_visits"],
            "cookies": _cell(row["cookies"]) or "none that we know of on your own domain",
            "sends data to": _cell(row["hosts"]),
            "approved": f"by {row['approved_by']} on {row['approved_on']}, until {row['expires']}",
        }
        for label, text in lines.items():
            line = Text(f"  {label.ljust(15)}", style="dim")
            line.append(text, style="none")
            out.print(line)
    if not rows:
        typer.echo(f"no tags on {site}: every third party is closed")
    out.print("Every other third party is closed, whatever the visitor chooses.")
