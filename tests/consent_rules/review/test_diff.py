"""What a new config changes, by a table: the right changes, no other, in plain words."""

from __future__ import annotations

import datetime
import re
from collections.abc import Mapping
from pathlib import Path

import pytest

from consent_rules.config.load import Config, load_config
from consent_rules.review.diff import Change, diff_configs
from consent_rules.vendors import Vendor

TODAY = datetime.date(2026, 12, 1)

_SITE = """
[[site]]
name = "{name}"
hosts = ["{name}.example.com"]
upstream = "http://127.0.0.1:9000"
audience = "marketing"
"""


def _config(lines: str, catalogue: Mapping[str, Vendor]) -> Config:
    """The base config with what the words in braces say."""
    policy = {"version": "1", "regime": "opt_in"}
    regions = '[[policy.region]]\nregions = ["US"]\nregime = "opt_out"\n'
    www, after = "", ""
    for said in re.findall(r"\{(.+)\}", lines):
        match said.split():
            case ["tag", vendor, *rest]:
                after += _tag(vendor, rest)
            case ["vendor", vendor, category]:
                after += f'[[vendor]]\nid = "{vendor}"\ncategory = "{category}"\n'
            case ["hosts", vendor, host]:
                after += f'[[vendor]]\nid = "{vendor}"\nhosts = ["{host}"]\n'
            case ["patient", path]:
                www += f'[[site.page]]\npath = "{path}"\naudience = "patient"\n'
            case ["signed-in", cookie]:
                www += f'[[site.page]]\nwhen_cookie = "{cookie}"\naudience = "patient"\n'
            case ["observe"]:
                www = 'mode = "observe"\n' + www
            case ["first_party", host]:
                www = f'first_party = ["{host}"]\n' + www
            case ["policy", key, value]:
                policy[key] = value
            case ["no", "regions"]:
                regions = ""
            case ["theme"]:
                after += '[theme]\naccent = "#0b6e4f"\n'
            case ["site", name]:
                after = _SITE.format(name=name) + after
            case _:
                raise AssertionError(said)
    www += '[[site.page]]\npath = "/patients/*"\naudience = "patient"\n'
    text = (
        f'[policy]\ncontroller = "Acme"\nurl = "/p"\nversion = "{policy["version"]}"\n'
        f'regime = "{policy["regime"]}"\n{regions}{_SITE.format(name="www")}{www}'
        f"{_SITE.format(name='shop')}{after}"
    )
    return load_config(text, "c.toml", today=TODAY, catalogue=catalogue).config


def _tag(vendor: str, rest: list[str]) -> str:
    site, expires, pages = "www", "2027-11-02", []
    words = iter(rest)
    for word in words:
        if word == "expires":
            expires = next(words)
        elif word.startswith("@"):
            site = word[1:]
        else:
            pages.append(word)
    return (
        f'[[tag]]\nvendor = "{vendor}"\nsites = ["{site}"]\npages = {pages}\n'
        f'approved_by = "a@example.com"\napproved_on = 2026-11-02\nexpires = {expires}\n'
    ).replace("'", '"')


def _cases() -> list[tuple[str, str, str, list[str]]]:
    table = (Path(__file__).parent / "differences.txt").read_text(encoding="utf-8")
    cases = []
    for block in re.split(r"^=== ", table, flags=re.MULTILINE)[1:]:
        name, _, rest = block.partition("\n")
        configs, _, said = rest.partition("===>\n")
        old, _, new = configs.partition("---\n")
        cases.append((name, old, new, [line for line in said.splitlines() if line]))
    return cases


def _meets(change: Change, expected: str) -> bool:
    head, *parts = (part.strip() for part in expected.split(" | "))
    return head == f"{change.effect} {change.kind}" and all(p in change.message for p in parts)


@pytest.mark.parametrize(
    ("name", "old", "new", "said"), _cases(), ids=lambda value: str(value)[:40]
)
def test_changes(
    name: str, old: str, new: str, said: list[str], catalogue: Mapping[str, Vendor]
) -> None:
    found = diff_configs(_config(old, catalogue), _config(new, catalogue), catalogue, today=TODAY)
    told = "\n".join(f"{change.effect} {change.kind} | {change.message}" for change in found)
    left = list(said)
    for change in found:
        met = next((expected for expected in left if _meets(change, expected)), None)
        assert met is not None, f"{name}: not expected: {change.message}\n\nall:\n{told}"
        left.remove(met)
    assert not left, f"{name}: not said: {left}\n\nall:\n{told}"


@pytest.mark.parametrize(
    ("name", "old", "new", "said"), _cases(), ids=lambda value: str(value)[:40]
)
def test_a_config_differs_in_nothing_from_itself(
    name: str, old: str, new: str, said: list[str], catalogue: Mapping[str, Vendor]
) -> None:
    for lines in (old, new):
        config = _config(lines, catalogue)
        assert diff_configs(config, config, catalogue, today=TODAY) == (), name
