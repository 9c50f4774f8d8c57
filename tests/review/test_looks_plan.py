"""Who may serve parts of a site's pages unasked, and how it is written in the config."""

from __future__ import annotations

import datetime
import tomllib

import pytest

from consent_rules.catalogue.load import catalogue
from consent_rules.config.load import all_vendors, load_config
from proxy.observability.discovered import Discovery
from proxy.review.looks_plan import Step, looks_plan

TODAY = datetime.date(2026, 11, 30)
CONFIG = """
[policy]
controller = "Example"
version = "1"
url = "/privacy"
[[site]]
name = "www"
hosts = ["www.example.com", "example.github.io"]
upstream = "http://127.0.0.1:9"
audience = "marketing"
"""
FIRST_PARTY = 'first_party = ["own.example.net"]\n'
PATIENTS = '[[site.page]]\npath = "/patients/*"\naudience = "patient"\n'
TAKEN = (
    '[[vendor]]\nid = "a-b-example-net"\nname = "A"\ncategory = "social"\ninline = ["aaaaaa("]\n'
)

SHEET = ("style sheet", 1)
IMAGES = ("image", 24)
SCRIPT = ("script", 2)
PIXEL = ("pixel", 1)


def seen(
    name: str,
    *kinds: tuple[str, int],
    folders: tuple[str, ...] = (),
    pages: tuple[str, ...] = ("/a",),
) -> Discovery:
    """What was seen of a host, or of a vendor by its id."""
    host, owner = (name, "") if "." in name else ("", name)
    return Discovery(
        "www", host, owner, pages, 1, 0, "2026-11-30", kinds=kinds, folders=folders
    )  # fmt: skip


def planned(more: str, *found: Discovery) -> tuple[Step, ...]:
    config = load_config(CONFIG + more, "c.toml", today=TODAY).config
    return looks_plan(config.sites[0], found, all_vendors(config, catalogue()), TODAY)


WIX = "static.wixstatic.com/x/*"
SHOP = "cdn.shopify.com/s/files/1/1/2/*"


@pytest.mark.parametrize(
    ("more", "found", "expected"),
    [
        ("", (), []),
        # The site's own: by the domain that is registered, not by a suffix that others have too.
        ("", (seen("img.example.com", IMAGES),), [("site", 'first_party = ["img.example.com"]')]),
        ("", (seen("img.example.com", SCRIPT),), [("site", 'first_party = ["img.example.com"]')]),
        (
            FIRST_PARTY,
            (seen("img.example.com", IMAGES), seen("css.example.com", SHEET)),
            [("site", 'first_party = ["own.example.net", "img.example.com", "css.example.com"]')],
        ),
        (
            "",
            (seen("other.github.io", IMAGES),),
            [("site", 'first_party = ["other.github.io"]'), ("config", "# [[vendor]]")],
        ),
        # Public files.
        (
            "",
            (seen("cdn.jsdelivr.net", SCRIPT), seen("google-fonts", SHEET)),
            [("shell", "consent-proxy library add --page https://www.example.com/a --of ")],
        ),
        # No page is known, or images alone: the site cannot be told how to serve them.
        (
            "",
            (seen("google-fonts", SHEET, pages=("(patient pages)",)),),
            [("config", "[[vendor]]")],
        ),
        ("", (seen("google-user-content", IMAGES),), [("config", "[[vendor]]")]),
        # Builders, with the folder that is the site's own.
        ("", (seen("wix-content", SHEET, IMAGES),), [("config", 'id = "wix-content"')]),
        (
            "",
            (seen("shopify-content", SHEET), seen("cdn.shopify.com", IMAGES, folders=(SHOP,))),
            [("config", f'paths = ["{SHOP}"]')],
        ),
        # Where anybody publishes, and nobody knows whose the files are.
        ("", (seen("cdn.shopify.com", IMAGES),), []),
        (
            "",
            (seen("storage.googleapis.com", IMAGES, folders=("storage.googleapis.com/acme/*",)),),
            [("config", 'paths = ["storage.googleapis.com/acme/*"]')],
        ),
        # Hosts that nobody knows, with ids that nobody has.
        (
            TAKEN,
            (seen("a.b.example.net", SHEET), seen("a-b.example.net", SHEET)),
            [
                ("site", 'first_party = ["a.b.example.net", "a-b.example.net"]'),
                ("config", '# id = "a-b-example-net-files-2"'),
            ],
        ),
        (
            FIRST_PARTY + PATIENTS,
            (seen("static.example.org", IMAGES), seen("img.example.com", IMAGES)),
            [
                ("site", 'first_party = ["own.example.net", "img.example.com"]'),
                (
                    "site",
                    'first_party = ["own.example.net", "img.example.com", "static.example.org"]',
                ),
                ("config", '# pages = ["/*", "!/patients/*"]'),
            ],
        ),
        # Of images alone a step of its own: what a page needs can be had without them.
        (
            "",
            (
                seen("i.example.net", IMAGES),
                seen("css.example.net", SHEET),
                seen("both.example.net", IMAGES, SCRIPT),
                seen("px.example.net", IMAGES, PIXEL),
            ),
            [
                ("site", 'first_party = ["css.example.net", "both.example.net"]'),
                ("site", 'first_party = ["css.example.net", "both.example.net", "i.example.net"]'),
                ("config", "# [[vendor]]"),
            ],
        ),
        # What tracks, or may.
        ("", (seen("i.example.net", PIXEL), seen("i.example.com", PIXEL)), []),
        ("", (seen("i.example.net", PIXEL, SCRIPT),), []),
        ("", (seen("meta-pixel", ("image", 1)), seen("hotjar", SCRIPT)), []),
        ("", (seen("scripts.example.org", SCRIPT),), []),
        # On the site's own domain, too, where the name is one of trackers: first_party would open
        # them on pages for patients.
        ("", (seen("metrics2.example.com", IMAGES), seen("sgtm.example.com", SCRIPT)), []),
        (
            "",
            (seen("stats.example.com", SCRIPT), seen("img.example.com", IMAGES)),
            [("site", 'first_party = ["img.example.com"]')],
        ),
        ("", (seen("frames.example.org", ("frame", 1)),), []),
    ],
)
def test_the_steps(
    more: str, found: tuple[Discovery, ...], expected: list[tuple[str, str]]
) -> None:
    steps = planned(more, *found)
    assert [step.where for step in steps] == [where for where, _ in expected]
    for step, (_, line) in zip(steps, expected, strict=True):
        assert any(one.startswith(line) for one in step.lines), step
        assert step.price


@pytest.mark.parametrize(
    "found",
    [
        (seen("wix-content", SHEET, IMAGES),),
        tuple(seen(one.id, SHEET) for one in catalogue().values() if one.builder),
        tuple(seen(f"h{number}.example.org", IMAGES) for number in range(14)),
        (seen("storage.googleapis.com", IMAGES, folders=("storage.googleapis.com/acme/*",)),),
        (seen("xn--bcher-kva.example.org", IMAGES), seen("wordpress.com.example.org", IMAGES)),
    ],
    ids=["one", "all builders", "many hosts", "a folder", "odd names"],
)
def test_what_is_proposed_is_a_config_to_which_check_has_little_to_say(
    found: tuple[Discovery, ...],
) -> None:
    steps = [step for step in planned(PATIENTS, *found) if step.where == "config"]
    lines = (line.removeprefix("# ") for step in steps for line in step.lines)
    tables = "\n".join(line for line in lines if not line.startswith("policy_url"))
    pasted = CONFIG + PATIENTS + tables.replace('"..."', '"Ann"')
    problems = load_config(pasted, "c.toml", today=TODAY, catalogue=catalogue()).problems
    assert [one.message for one in problems if "policy_url" not in one.message] == []
    assert len(problems) <= 1
    assert len(tomllib.loads(tables)["vendor"]) == len(found)
