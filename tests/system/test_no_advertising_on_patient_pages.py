"""U9: orders of the FTC (GoodRx, BetterHelp and others) forbid to share health data for
advertising. `check` refuses such a tag; no choice, agreement or key of the config opens it."""

from __future__ import annotations

import datetime

import pytest

from consent_rules.catalogue.load import catalogue
from consent_rules.config.load import ConfigError, load_config

TODAY = datetime.date(2026, 12, 1)
CONFIG = """
[policy]
controller = "Acme"
version = "1"
url = "/privacy"
[[site]]
name = "www"
hosts = ["www.example.com"]
upstream = "http://127.0.0.1:9000"
audience = "marketing"
[[site.page]]
path = "/patients/*"
audience = "patient"
[[tag]]
vendor = "{vendor}"
sites = ["www"]
pages = ["{pages}"]
approved_by = "m@example.com"
approved_on = 2026-11-02
expires = 2027-11-02
{more}
"""


@pytest.mark.parametrize("vendor", ["meta-pixel", "google-ads", "linkedin-insight"])
@pytest.mark.parametrize(
    ("pages", "more", "line"),
    [("/patients/*", "", 17), ("/patients/pay", "", 17), ("/*", "baa = true", 21)],
)
def test_u9_advertising_on_patient_pages_is_refused(
    vendor: str, pages: str, more: str, line: int
) -> None:
    text = CONFIG.format(vendor=vendor, pages=pages, more=more)
    with pytest.raises(ConfigError) as caught:
        load_config(text, "c.toml", today=TODAY, catalogue=catalogue())
    (problem,) = caught.value.problems
    assert (problem.line, problem.severity) == (line, "error")
    assert "patient pages" in problem.message
