"""One list of third parties, whoever saw them; what is new in it since an earlier report."""

from __future__ import annotations

from dataclasses import replace

from consent_rules.audit.inventory import InventoryRow, SeenBy, Sighting, inventory_of
from consent_rules.audit.report import changes_since
from consent_rules.catalogue.load import catalogue
from tests.support.audits import catalogue_scope, report_of, request, visit

PAGES = Sighting("", "hotjar", ("/a",), (SeenBy.PAGES,), "2026-11-02", "2026-11-20")
REPORTS = Sighting("", "hotjar", ("/b", "/a"), (SeenBy.REPORTS,), "2026-11-01", "2026-11-29")
STRANGER = Sighting("late.example", "", ("/",), (SeenBy.REPORTS,), "", "2026-11-29")


def test_each_third_party_is_one_row() -> None:
    audited = (("hotjar", "Hotjar"), ("", "nobody.example"))
    assert inventory_of(audited, (PAGES, REPORTS, STRANGER), catalogue()) == (
        InventoryRow("", "late.example", (SeenBy.REPORTS,), ("/",), "", "2026-11-29"),
        InventoryRow("hotjar", "Hotjar", tuple(SeenBy), ("/a", "/b"), "2026-11-01", "2026-11-29"),
        InventoryRow("", "nobody.example", (SeenBy.AUDIT,)),
    )


def test_what_visitors_saw_is_new_too() -> None:
    earlier = report_of(catalogue_scope(), visit(request("https://nobody.example/")))
    audited = [(row.id, row.name) for row in earlier.receivers]
    seen = replace(earlier, inventory=inventory_of(audited, (STRANGER,), catalogue()))
    assert changes_since(earlier, seen).new_receivers == ("late.example",)
    assert changes_since(seen, seen).new_receivers == ()
    assert changes_since(seen, earlier).gone_receivers == ("late.example",)
