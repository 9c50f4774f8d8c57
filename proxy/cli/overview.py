"""`explain --site`: what each approved vendor may do on a site."""

from __future__ import annotations

import typer
from rich.text import Text

from consent_rules.config.load import Config
from consent_rules.review.diff import pages_of
from proxy.cli.options import console, print_json, today
from proxy.review.inventory import cell_text, inventory


def explain_site(config: Config, site: str, *, as_json: bool) -> None:
    """Print what each approved vendor may do on a site, by page."""
    rows = list(inventory(config, today(), site))
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
            "cookies": cell_text(row["cookies"]) or "none that we know of on your own domain",
            "sends data to": cell_text(row["hosts"]),
            "approved": f"by {row['approved_by']} on {row['approved_on']}, until {row['expires']}",
        }
        for label, text in lines.items():
            line = Text(f"  {label.ljust(15)}", style="dim")
            line.append(text, style="none")
            out.print(line)
    if not rows:
        typer.echo(f"no tags on {site}: every third party is closed")
    out.print("Every other third party is closed, whatever the visitor chooses.")
