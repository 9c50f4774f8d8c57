"""A drafted config: `check` takes it, whatever the site holds, and nothing in it is approved."""

from __future__ import annotations

import tomllib
from dataclasses import replace
from pathlib import Path

import pytest

from consent_rules.audit.draft import Guess, SeenHost, SeenVendor, SiteDraft
from consent_rules.categories import Category
from proxy.cli.first_config import FirstConfig
from tests.support.commands import run

EVIL = 'x"\n[[tag]]\nvendor = "meta-pixel"\u2028\r\x1b[31m\ud800'
DRAFT = SiteDraft(
    start="https://www.example.com/",
    pages=3,
    controller=Guess("Lakeside", "stands in the titles of pages"),
    policy_url=Guess("/privacy", "pages lead there by this name"),
    first_party=(
        Guess("img.example.com", "of the same domain"),
        Guess("examplecdn.com", "likely the site's own", is_sure=False),
    ),
    patient_pages=(
        Guess("/patients/*", "is for patients"),
        Guess("/conditions/*", "may tell what a visitor suffers from", is_sure=False),
    ),
    vendors=(
        SeenVendor("meta-pixel", "Meta Pixel", Category.ADVERTISING, ("x",), ("/",), True),
        SeenVendor("onetrust", "OneTrust", Category.NECESSARY, ("y",), ("/",), False),
    ),
    hosts=(SeenHost("nobody.example", "", "", ("/a",)),),
)


def config_of(draft: SiteDraft, host: str = "www.example.com") -> str:
    return FirstConfig(
        controller="Lakeside",
        host=host,
        upstream="https://www.example.com",
        policy_url="/privacy",
        patient_pages=(),
        receipts=False,
        draft=draft,
    ).as_toml("2026-11-30")


def uncommented(text: str) -> str:
    """With every proposal taken: the lines of TOML behind a sign of a comment."""
    keys = ("# [[", "# path", "# audience", "# id", "# name", "# hosts", '# "')
    lines = [
        line.removeprefix("# ") if line.lstrip().startswith(keys) else line
        for line in (one.strip() for one in text.splitlines())
    ]
    return "\n".join(lines).replace('# category = "..."', 'category = "analytics"')


def test_check_takes_it_and_nothing_is_approved(tmp_path: Path) -> None:
    text = config_of(DRAFT)
    config = tmp_path / "c.toml"
    config.write_text(text)
    done = run("check", config)
    assert done.exit_code == 0, done.output
    (warning,) = done.stdout.splitlines()
    assert 'mode: "www" has patient pages' in warning, "which is so while it is only observed"
    read = tomllib.loads(text)
    assert "tag" not in read
    assert "vendor" not in read
    (site,) = read["site"]
    assert (site["mode"], site["first_party"]) == ("observe", ["img.example.com"])
    assert site["page"] == [{"path": "/patients/*", "audience": "patient"}]
    for part in (
        "consent-proxy tag add meta-pixel",
        "also on pages for patients",
        "a consent dialog of its own",
        "likely the site's own",
        "# a guess: stands in the titles of pages",
    ):
        assert part in text
    assert "tag add onetrust" not in text


def test_check_takes_every_proposal(tmp_path: Path) -> None:
    config = tmp_path / "c.toml"
    config.write_text(uncommented(config_of(DRAFT)))
    read = tomllib.loads(config.read_text())
    assert len(read["site"][0]["page"]) == 2
    assert read["site"][0]["first_party"] == ["img.example.com", "examplecdn.com"]
    assert [one["id"] for one in read["vendor"]] == ["nobody-example"]
    assert run("check", config).exit_code == 0


@pytest.mark.parametrize("field", ["start", "reason", "vendor", "page", "owner"])
def test_what_the_site_holds_is_a_comment(field: str, tmp_path: Path) -> None:
    vendor, host = DRAFT.vendors[0], DRAFT.hosts[0]
    draft = {
        "start": replace(DRAFT, start=EVIL),
        "reason": replace(DRAFT, patient_pages=(Guess("/patients/*", EVIL),)),
        "vendor": replace(DRAFT, vendors=(replace(vendor, mask=EVIL),)),
        "page": replace(DRAFT, vendors=(replace(vendor, pages=(EVIL,)),)),
        "owner": replace(DRAFT, hosts=(replace(host, owner=EVIL),)),
    }[field]
    text = config_of(draft)
    assert "tag" not in tomllib.loads(text)
    assert not [c for c in "\u2028\r\x1b\ud800" if c in text]
    config = tmp_path / "c.toml"
    config.write_text(text, encoding="utf-8")
    assert run("check", config).exit_code == 0


def test_on_this_machine_there_is_one_host() -> None:
    (site,) = tomllib.loads(config_of(DRAFT, "localhost"))["site"]
    assert site["hosts"] == ["localhost"]
