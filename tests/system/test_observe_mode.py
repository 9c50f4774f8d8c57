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


LOOKS = reply(
    b"<!doctype html><title>x</title><link rel=stylesheet href=https://static.example.net/a.css>"
    b"<link rel=stylesheet href=https://cdn.jsdelivr.net/npm/bootstrap@5/b.css>"
    b"<img src=https://static.example.net/1.png srcset='https://static.example.net/2.png 2x'>"
    b"<img src=https://img.example.com/2.png><img src=https://i0.wp.com/a/b.png>"
    b"<script src=https://wordpress.com/x.js></script>"
    b"<script src=https://scripts.example.org/atrk.js></script>"
    b"<img src=https://px.ads.linkedin.com/collect>"
    b"<img src=https://i.example.net/1.gif width=1 height=1>"
    b"<img src=https://i.example.net/2.gif style='display: none'>"
)


async def test_what_the_pages_lose_is_told_with_the_ways_out(tmp_path: Path) -> None:
    async with proxied(tmp_path, {"": LOOKS}, mode="observe") as site:
        await site.ask("/")
        site.running.sightings.write()
        found = {one.name: one for one in read_discovered(tmp_path / "discovered.db")}
    assert found["static.example.net"].kinds == (("image", 1), ("style sheet", 1))
    assert found["i.example.net"].kinds == (("pixel", 2),)
    config = tmp_path / "c.toml"
    config.write_text(config_text(1, ["google-analytics", "youtube"], mode="observe"))
    told = run("discovered", "--config", config, "--report").stdout
    parts = {part.splitlines()[0].strip(): part for part in re.split(r"\n    (?=\S)", told)}
    stranger = parts["static.example.net"]
    assert "what closes  1 image, 1 style sheet" in stranger
    ways = [stranger.index(way) for way in (
        '1. first_party = ["static.example.net"]', "2. serve these files from the site itself",
        '3. [[vendor]] id = "static-example-net", category = "necessary"',
    )]  # fmt: skip
    assert ways == sorted(ways)
    assert "it shares the domain example.com with the site" in parts["img.example.com"]
    assert "what closes  2 pixels" in parts["i.example.net"]
    assert "first_party = " not in parts["i.example.net"].partition("# ")[0]
    assert "i.example.net" not in told.partition("So that these pages look whole")[2]
    assert "1. serve these files" in parts["cdn.jsdelivr.net"]
    command = "consent-proxy library add --page https://www.example.com/ --of cdn.jsdelivr.net"
    assert command in parts["cdn.jsdelivr.net"]
    shown = run("discovered", "--config", config).stdout
    assert f"#   {command}\n" in shown
    # An unknown host's script may be a tracker's, and an image a pixel: neither is proposed.
    proposed = {line.split()[-1] for line in shown.splitlines() if "library add" in line}
    assert proposed == {"static.example.net", "cdn.jsdelivr.net"}
    assert "For public ones" not in parts["img.example.com"] + parts["scripts.example.org"]
    assert '# paths = ["cdn.jsdelivr.net/npm/' in parts["cdn.jsdelivr.net"]
    (builder,) = (part for name, part in parts.items() if name.endswith("(wordpress-com)"))
    assert '2. [[vendor]] id = "wordpress-com", category = "necessary"' in builder
    assert "first_party" not in builder
    # An id of the catalogue would stand for that vendor.
    assert '# id = "wordpress-com-files"' in parts["wordpress.com"]
    (tracker,) = (part for name, part in parts.items() if name.endswith("(linkedin-insight)"))
    assert "necessary" not in tracker
