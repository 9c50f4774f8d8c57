"""Who is approved, and what each may do where: for the privacy officer."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest
import typer

from proxy.cli.app import app
from proxy.review.inventory import COLUMNS
from tests.support.commands import run
from tests.support.tags_config import CONFIG, EARLIER, LATER

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
MORE = f"""
[[tag]]
vendor = "stripe"
sites = ["www"]
pages = ["/*", "!/careers/*"]
approved_by = "=cmd|' /C calc'!A0"
approved_on = {EARLIER}
expires = {LATER}
baa = true
purpose = "payments, by card"
"""


@pytest.fixture
def config(tmp_path: Path) -> Path:
    file = tmp_path / "c.toml"
    file.write_text(CONFIG + MORE)
    return file


def test_the_inventory_as_csv(config: Path) -> None:
    done = run("tag", "list", "--csv", "--config", config)
    assert done.exit_code == 0, done.output
    rows = list(csv.DictReader(io.StringIO(done.stdout)))
    assert tuple(rows[0]) == COLUMNS
    (stripe,) = [row for row in rows if row["vendor"] == "stripe"]
    assert (stripe["pages"], stripe["not_on"], stripe["baa"]) == ("/*", "/careers/*", "yes")
    assert stripe["purpose"] == "payments, by card"
    assert stripe["approved_by"].startswith("'="), "no spreadsheet runs it"
    assert "it runs there too (/patients/*" in stripe["patient_pages"]
    assert "js.stripe.com" in stripe["hosts"] or "stripe.com" in stripe["hosts"]
    only = run("tag", "list", "--csv", "--site", "shop", "--config", config).stdout
    assert "stripe" not in only


def test_what_each_vendor_may_do_on_a_site(config: Path) -> None:
    done = run("explain", "--site", "www", "--config", config)
    assert done.exit_code == 0, done.output
    assert "all pages of www, but not /careers/*" in done.stdout
    assert "open for everyone, without a choice" in done.stdout
    assert "Every other third party is closed" in done.stdout
    rows = json.loads(run("explain", "--site", "www", "--config", config, "--json").stdout)
    assert {row["site"] for row in rows} == {"www"}
    unknown = run("explain", "--site", "wwww", "--config", config)
    assert unknown.exit_code == 2
    assert "the sites are www, shop" in unknown.stderr
    assert run("explain", "--config", config).exit_code == 2


WITHOUT_JSON = {
    "run", "rewrite", "schema", "completion", "init", "receipts export", "receipts checkpoint",
    "receipts key", "receipts prove",
}  # fmt: skip
"""What they print is a log, a page, JSON in any case, or in a format of its own."""


def test_every_command_that_answers_has_json() -> None:
    """docs/marketing.md says so."""
    group = typer.main.get_command(app)
    without = set()
    for name, command in group.commands.items():  # type: ignore[attr-defined]
        for one, sub in getattr(command, "commands", {"": command}).items():
            if not any("--json" in parameter.opts for parameter in sub.params):
                without.add(f"{name} {one}".strip())
    assert without == WITHOUT_JSON
    said = (ROOT / "docs" / "marketing.md").read_text("utf-8")
    assert "Every command that answers has `--json`" in said
