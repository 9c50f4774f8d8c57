"""What a new config changes, by a table: the right changes, no other, in plain words."""

from __future__ import annotations

import datetime
import re
from collections.abc import Mapping
from itertools import product
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from consent_rules.categories import CHOOSABLE, Audience
from consent_rules.config.load import Config, ConfigError, load_config
from consent_rules.config.models import Tag
from consent_rules.decision import Visitor, decide
from consent_rules.matching.paths import path_glob
from consent_rules.preferences import Preferences
from consent_rules.review.diff import Change, diff_configs, rules_of_tags
from consent_rules.review.tag_summary import summarise_tag
from consent_rules.rules import Rules
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
    www, after, audience = "", "", "marketing"
    for said in re.findall(r"\{(.+)\}", lines):
        match said.split():
            case ["tag", vendor, *rest]:
                after += _tag(vendor, rest)
            case ["vendor", vendor, category]:
                after += f'[[vendor]]\nid = "{vendor}"\ncategory = "{category}"\n'
            case ["hosts", vendor, host]:
                after += f'[[vendor]]\nid = "{vendor}"\nhosts = ["{host}"]\n'
            case ["for-patients"]:
                audience = "patient"
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
    site = _SITE.format(name="www").replace("marketing", audience)
    text = (
        f'[policy]\ncontroller = "Acme"\nurl = "/p"\nversion = "{policy["version"]}"\n'
        f'regime = "{policy["regime"]}"\n{regions}{site}{www}'
        f"{_SITE.format(name='shop')}{after}"
    )
    return load_config(text, "c.toml", today=TODAY, catalogue=catalogue).config


def _tag(vendor: str, rest: list[str]) -> str:
    site, expires, pages, baa = "www", "2027-11-02", [], ""
    words = iter(rest)
    for word in words:
        if word == "expires":
            expires = next(words)
        elif word == "baa":
            baa = "baa = true\n"
        elif word.startswith("@"):
            site = word[1:]
        else:
            pages.append(word)
    return (
        f'[[tag]]\nvendor = "{vendor}"\nsites = ["{site}"]\npages = {pages}\n'
        f'approved_by = "a@example.com"\napproved_on = 2026-11-02\nexpires = {expires}\n{baa}'
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


# --- What it says is what decide() does, whatever the two configs

_WORDS = ("blog", "patients", "x")
_PATHS = (
    *("/" + "/".join(parts) for count in range(3) for parts in product(_WORDS, repeat=count)),
    "/x/patients/x",
    "/blog/patients/x",
)
_SEEN = tuple(product((frozenset[str](), frozenset({"sid"})), ((), ("patient",))))
_GLOBS = st.sampled_from(
    ["/*", "/blog/*", "/patients/*", "/blog/x", "/*/x", "/p*", "/*/patients/*", "/x/*", "/blog/p*"]
)
_TAGS = st.builds(
    lambda vendor, pages, out, end: (
        f"{{tag {vendor} {' '.join(pages)} {' '.join(f'!{page}' for page in out)} expires {end}}}"
    ),
    st.sampled_from(
        ["stripe baa", "stripe", "zendesk baa", "zendesk", "matomo", "meta-pixel",
         "google-tag-manager"]
    ),
    st.lists(_GLOBS, min_size=1, max_size=2, unique=True),
    st.lists(_GLOBS, max_size=1),
    st.sampled_from(["2027-11-02", "2027-11-02", "2026-11-30"]),
)  # fmt: skip
_SITES = st.lists(
    st.one_of(
        _GLOBS.map("{{patient {}}}".format),
        st.just("{signed-in sid}"),
        st.just("{for-patients}"),
        st.just("{no regions}"),
        st.just("{policy regime opt_out}"),
        st.just("{policy regime mixed}"),
        st.just("{vendor matomo advertising}"),
        st.just("{vendor zendesk analytics}"),
    ),
    max_size=2,
    unique=True,
)
_CONFIGS = st.builds(
    lambda site, tags: "\n".join((*site, *tags)), _SITES, st.lists(_TAGS, max_size=3)
)

_WHO = (
    Visitor(Preferences(frozenset(), "1")),
    *(Visitor(Preferences(frozenset({category}), "1")) for category in CHOOSABLE),
    Visitor(region="US"),
    Visitor(region=""),
)


def _open(rules: Rules, vendor: str, path: str, seen: tuple) -> tuple[Audience, list[bool]]:  # type: ignore[type-arg]
    site = rules.sites[0]
    audience = site.audience_of(path, *seen)
    page = rules.page(site, path, audience, TODAY)
    return audience, [vendor in decide(rules, page, who).open for who in _WHO]


def _means(change: Change, audience: Audience, path: str, seen: tuple) -> bool:  # type: ignore[type-arg]
    """Whether a change speaks of a page."""

    def named(globs: tuple[str, ...]) -> bool:
        return any(path_glob(glob).match(path) for glob in globs)

    if change.audience != audience:
        return False
    cookies, marks = seen
    if named(change.except_pages):
        return False
    return named(change.pages) or (
        named(change.pages_then)
        and bool(cookies.intersection(change.cookies) or (marks and change.marked))
    )


def _who_is_meant(said: str) -> list[bool]:
    """For whom a vendor is open, as a change's words have it."""
    if said == "open for everyone, without a choice":
        return [True] * len(_WHO)
    parts = dict(part.split(": ") for part in said.split("; ") if ": " in part)
    with_any = re.split(", | or ", parts.get("opens with", ""))
    unasked = parts.get("before any choice", "")
    return [
        False,
        *(category.replace("_", " ") in with_any for category in CHOOSABLE),
        "US" in unasked or ("everywhere" in unasked and "US" not in unasked),
        "every" in unasked,
    ]


def _agree(change: Change, was: list[bool], will: list[bool]) -> bool:
    return _who_is_meant(change.before) == was and _who_is_meant(change.after) == will


@given(old=_CONFIGS, new=_CONFIGS)
@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_what_it_says_opens_is_what_opens(
    old: str, new: str, catalogue: Mapping[str, Vendor]
) -> None:
    before, after = _config_or_none(old, catalogue), _config_or_none(new, catalogue)
    if before is None or after is None:
        return
    changes = diff_configs(before, after, catalogue, today=TODAY)
    was, will = rules_of_tags(before, catalogue), rules_of_tags(after, catalogue)
    told = "\n".join(f"{one.message} {one}" for one in changes)
    for vendor, path, seen in product(
        {tag.vendor for config in (before, after) for tag in config.tags}, _PATHS, _SEEN
    ):
        (was_for, was_open), (will_be_for, will_open) = (
            _open(rules, vendor, path, seen) for rules in (was, will)
        )
        audience = will_be_for if any(will_open) else was_for
        said = [
            change
            for change in changes
            if change.vendor == vendor
            and change.pages + change.pages_then
            and _means(change, was_for if change.kind == "stops" else will_be_for, path, seen)
        ]
        here = f"{vendor} {path} {seen} {was_open} {will_open}\n{told}"
        if was_open != will_open:
            assert any(_agree(change, was_open, will_open) for change in said), here
            patient_gain = audience is Audience.PATIENT and not any(was_open)
            assert not patient_gain or changes[0].audience == "patient", here
        else:
            assert not said, here
        for change in changes:
            never = re.search(r"never on the patient pages (.+)$", change.message)
            if never and change.vendor == vendor and will_be_for is Audience.PATIENT:
                globs = re.split(", | and ", never[1])
                within = any(path_glob(glob).match(path) for glob in globs)
                assert not (within and any(will_open)), f"{change.message}\n{here}"


@given(text=_CONFIGS)
@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_what_a_summary_says_of_patient_pages_is_so(
    text: str, catalogue: Mapping[str, Vendor]
) -> None:
    config = _config_or_none(text, catalogue)
    if config is None:
        return
    rules = rules_of_tags(config, catalogue)
    for tag in config.tags:
        said = summarise_tag(config, rules, tag, "www", TODAY)
        for path, seen in product(_PATHS, _SEEN):
            if not _is_named(tag, path):
                continue
            audience, is_open = _open(rules, tag.vendor, path, seen)
            here = f"{tag} {path} {seen} {said.patient} | {said.opens}"
            if audience is Audience.PATIENT and any(is_open):
                assert "it runs " in said.patient, here
            if audience is Audience.PATIENT and not seen[1] and not any(is_open):
                assert "it stays closed there" in said.patient, here
            if any(is_open):
                assert _who_is_meant(said.opens) == is_open, here
        assert said.opens != "closed" or not any(
            any(_open(rules, tag.vendor, path, seen)[1])
            for path, seen in product(_PATHS, _SEEN)
            if not seen[1] and _is_named(tag, path)
        )


def _is_named(tag: Tag, path: str) -> bool:
    named, out = (
        any(path_glob(page).match(path) for page in pages)
        for pages in (tag.named_pages, tag.except_pages)
    )
    return named and not out


def _config_or_none(lines: str, catalogue: Mapping[str, Vendor]) -> Config | None:
    try:
        return _config(lines, catalogue)
    except ConfigError:
        return None
