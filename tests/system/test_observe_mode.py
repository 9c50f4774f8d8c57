"""Observe mode closes nothing but patient pages, and tells what enforcing would close."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from proxy.observability.discovered import read_discovered
from tests.support.commands import run
from tests.support.site import HOSTS, PAGE, config_text, proxied, reply

pytestmark = pytest.mark.slow


async def test_what_is_observed_is_told(tmp_path: Path) -> None:
    pages = {"blog/a": reply(PAGE), "patients/bill": reply(PAGE)}
    async with proxied(tmp_path, pages, mode="observe") as site:
        for path in ("/", "/blog/a"):
            answer = await site.ask(path)
            # All that is ours is what keeps scripts out of the patient pages.
            assert re.sub(rb"(?s)<script.*?</script>", b"", answer.body, count=1) == PAGE
            assert answer.all("Content-Security-Policy") == []
        patient = await site.ask("/patients/bill")
        for mark in HOSTS.values():
            assert mark not in patient.body
        site.running.sightings.write()
    config = tmp_path / "c.toml"
    config.write_text(config_text(1, ["google-analytics", "youtube"], mode="observe"))
    assert read_discovered(tmp_path / "discovered.db")
    done = run("discovered", "--config", config, "--report")
    assert done.exit_code == 0, done.output
    for words in (
        "www (only observed now): what enforcing closes on its marketing pages",
        "Google Analytics: opens with: analytics",
        "nobody-knows.example",
        "seen on      /, /blog/a",
        "It is on patient pages, too, where it is closed already.",
        '# hosts = ["nobody-knows.example"]',
    ):
        assert words in done.stdout, done.stdout
    (told,) = json.loads(run("discovered", "--config", config, "--report", "--json").stdout)
    assert [one["host"] for one in told["closed"]] == ["nobody-knows.example"]
    assert {one["id"] for one in told["waiting"]} == {"google-analytics", "youtube"}
