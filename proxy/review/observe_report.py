"""`discovered --report`: what enforcement would close, after a time in observe mode.

Made from the tags and from the resources in pages and CSP reports
(`proxy.observability.discovered`).
"""

from __future__ import annotations

import datetime
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from consent_rules.config.load import Config, Site
from consent_rules.matching.shared_hosts import shared_host_of
from consent_rules.review.tag_summary import WHAT_IT_DOES, state_of
from consent_rules.rules import Rules
from consent_rules.vendors import Vendor
from consent_rules.wording import category_words
from proxy.observability.discovered import (
    PATIENT_PAGES,
    Discovery,
    as_config,
    library_command,
    may_be_library,
    serves_looks,
    vendor_id_for,
)
from proxy.review.looks_plan import Step, counted_kinds, looks_plan, own_host, shared_domain

_EMBEDS = {
    "video": "its videos become placeholders of the same size, with a button to load them",
    "map": "its maps become placeholders of the same size, with a button to load them",
    "form": "its forms become placeholders: visitors must load them before they can write to you",
}
_OTHER_EMBED = "what it shows becomes a placeholder of the same size, with a button to load it"


@dataclass(frozen=True, slots=True)
class UnapprovedHost:
    """A third party without approval: where it was seen, what closing it does, what to do.

    `id` is the vendor's, or `host` one that no vendor has; the other is "". `toml` is config to
    paste.
    """

    host: str
    id: str
    name: str
    what: str
    pages: tuple[str, ...]
    in_patient_pages: bool
    effect: str
    advice: str
    toml: str
    kinds: tuple[tuple[str, int], ...] = ()
    """The most of each kind of resource on one page."""
    ways: tuple[str, ...] = ()
    """What keeps the look of the pages, the best one first, each with its price."""


@dataclass(frozen=True, slots=True)
class ApprovedTag:
    """An approved tag, and the choice that opens it once the site is enforced."""

    id: str
    name: str
    state: str


@dataclass(frozen=True, slots=True)
class SiteReport:
    """What enforcing closes on the marketing pages of a site; `mode` is the present one."""

    site: str
    mode: str
    waiting: tuple[ApprovedTag, ...]
    closed: tuple[UnapprovedHost, ...]
    looks: tuple[Step, ...] = ()
    """What to do so that the pages look whole before a choice."""


def report(
    config: Config, rules: Rules, found: Iterable[Discovery], today: datetime.date
) -> tuple[SiteReport, ...]:
    """One report for each site. `rules` know the whole catalogue."""
    seen = list(found)
    return tuple(_site(site, config, rules, seen, today) for site in config.sites)


def _site(
    site: Site, config: Config, rules: Rules, found: Iterable[Discovery], today: datetime.date
) -> SiteReport:
    waiting = [
        ApprovedTag(
            tag.vendor, rules.vendors[tag.vendor].name, state_of(config, rules, tag, today).state
        )
        for tag in config.tags
        if site.name in tag.sites
    ]
    tagged = {one.id for one in waiting}
    here = [
        one for one in found if one.site == site.name and (one.owner not in tagged or one.script)
    ]
    closed = [_closed(site, one, rules.vendors, today) for one in here]
    plan = looks_plan(site, here, rules.vendors, today)
    return SiteReport(site.name, str(site.mode), tuple(waiting), tuple(closed), plan)


def _closed(
    site: Site, found: Discovery, vendors: Mapping[str, Vendor], today: datetime.date
) -> UnapprovedHost:
    ways = _ways(site, found, vendors)
    vendor = vendors.get(found.owner)
    pages = tuple(page for page in found.pages if page != PATIENT_PAGES)
    toml = as_config(found, today)
    in_patient_pages = len(pages) < len(found.pages)
    if vendor is None:
        return UnapprovedHost(
            found.host,
            "",
            found.host,
            "unknown to the catalogue",
            pages,
            in_patient_pages,
            "whatever it loads or shows stays away",
            "find out who it is: if it is your own, add it to first_party; if it is needed, "
            "describe it and approve it; else take it off the page",
            toml,
            found.kinds,
            ways,
        )
    if found.script:
        return UnapprovedHost(
            "",
            vendor.id,
            vendor.name,
            f"an inline script of it that is not approved ({found.script})",
            pages,
            in_patient_pages,
            "what it does stays away, though its vendor is approved",
            "look at it; if it is right, add its hash to inline_hashes of the tag",
            toml,
        )
    effect = "nothing that visitors see changes"
    if vendor.embed:
        effect = _EMBEDS.get(vendor.embed, _OTHER_EMBED)
    elif vendor.category in {"functional", "necessary", "social"}:
        effect = "what it adds to the page is missing until it is approved and allowed"
    return UnapprovedHost(
        found.host,
        vendor.id,
        vendor.name,
        f"{category_words(vendor.category)}: {WHAT_IT_DOES[vendor.category]}",
        pages,
        in_patient_pages,
        effect,
        f"to keep it{', once a visitor allows it' if ways else ''}: consent-proxy tag add "
        f"{vendor.id} --site {found.site}; "
        + ("before a choice: at the end" if ways else "else take it off the page"),
        toml,
        found.kinds,
        ways,
    )


def _ways(site: Site, found: Discovery, vendors: Mapping[str, Vendor]) -> tuple[str, ...]:
    """How the pages keep their look, where a host serves parts of them: `first_party`, own hosting,
    or `necessary`, each with what it costs the visitors' privacy.
    """
    vendor = vendors.get(found.owner)
    tracks = vendor is not None and not vendor.looks
    if tracks or not serves_looks(found):
        return ()
    ways = []
    if vendor is None and shared_host_of(found.host) is None:
        related = shared_domain(site, found.host)
        own = (
            f"it shares the domain {related} with the site"
            if related
            else "only if it is your own, or the place where the site itself lies"
        )
        ways.append(
            f'first_party = ["{found.host}"] in the [[site]]: {own}. No choice holds for it then'
        )
    command = library_command(found, own_host(site)) if may_be_library(found) else ""
    ways.append(
        "serve these files from the site itself: nobody else learns of the visits"
        + (f". For public ones: {command}" if command else "")
    )
    wanted = found.owner or vendor_id_for(found.host, vendors)
    ways.append(
        f'[[vendor]] id = "{wanted}", category = "necessary", and a [[tag]]: it loads for '
        "everybody, unasked, and learns each visitor's address; for what pages cannot do without"
    )
    return tuple(ways)


def as_text(reports: Iterable[SiteReport]) -> str:
    """The reports for people, with the config to paste."""
    return "\n\n".join("\n".join(_lines(one)) for one in reports)


def _lines(one: SiteReport) -> list[str]:
    now = "only observed now" if one.mode == "observe" else "enforced already"
    lines = [f"{one.site} ({now}): what enforcing closes on its marketing pages"]
    lines += ["", "  Approved, and held to the visitor's choice:"]
    lines += [f"    {waiting.name}: {waiting.state}" for waiting in one.waiting] or ["    none"]
    lines += ["", "  Closed for everyone, since it is not approved:"]
    if not one.closed:
        lines.append("    nothing was seen so far")
    for closed in one.closed:
        where = f"{', '.join(closed.pages[:5])}{' ...' if len(closed.pages) > 5 else ''}"
        lines += [
            f"    {closed.name}" + (f" ({closed.id})" if closed.id else ""),
            f"      what it is   {closed.what}",
            f"      seen on      {where or 'patient pages only'}",
            *([f"      what closes  {counted_kinds(closed.kinds)}"] if closed.kinds else []),
            f"      closing it   {closed.effect}",
            f"      what to do   {closed.advice}",
            *(f"      {at}. {way}" for at, way in enumerate(closed.ways, 1)),
            *(f"      {line}" for line in closed.toml.splitlines()[2:]),
        ]
        if closed.in_patient_pages:
            lines.append("      It is on patient pages, too, where it is closed already.")
    if one.looks:
        lines += ["", "  So that these pages look whole before a choice:"]
    for number, step in enumerate(one.looks, 1):
        lines += [f"    {number}. {step.what}", f"       price: {step.price}"]
        lines += [f"         {line}" for line in step.lines]
    if one.looks:
        lines += [
            '    Then `consent-proxy check`, and look at a page before mode = "enforce":',
            "    `consent-proxy explain URL` tells what is closed. Trackers stay closed.",
        ]
    lines += [
        "",
        "  Patient pages are enforced whatever the mode.",
    ]
    return lines
