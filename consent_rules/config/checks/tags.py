"""Checks of `[[tag]]`: vendors, sites, dates, pages, agreements and pins."""

from __future__ import annotations

import datetime
from collections.abc import Iterator

from consent_rules.categories import PATIENT_CATEGORIES, Audience
from consent_rules.config.checks.context import CheckContext
from consent_rules.config.models import PageRule
from consent_rules.config.partial import PartialTable
from consent_rules.config.problems import Problem, did_you_mean
from consent_rules.config.toml.positions import Path
from consent_rules.config.vendor_search import closest_vendors
from consent_rules.decision import may_act_for_patients
from consent_rules.matching.hosts import HostSet
from consent_rules.matching.paths import path_covers, path_glob
from consent_rules.matching.shared_hosts import narrower_pattern, shared_hosts_named
from consent_rules.matching.urls import resolve
from consent_rules.vendors import BaaOffer, Vendor
from consent_rules.wording import category_words, quoted


def check_vendors(context: CheckContext) -> Iterator[Problem]:
    if not context.whole:
        return
    found: dict[str, str] = {}
    for tag in context.tables.tags:
        vendor = tag.get("vendor")
        if vendor is None or vendor in context.vendors or vendor in context.vendor_ids_given:
            continue
        if vendor not in found:
            found[vendor] = _suggestion(vendor, context)
        yield Problem(tag.at("vendor"), f"unknown vendor {quoted(vendor)}{found[vendor]}")


def _suggestion(word: str, context: CheckContext) -> str:
    for shared in shared_hosts_named(word):
        return (
            f": {shared.name} serves what anybody publishes, so it is no vendor; write a "
            f"[[vendor]] with the files that you use, such as {narrower_pattern(shared)}"
        )
    meant = closest_vendors(word, context.vendors)
    if meant:
        named = " or ".join(f'"{vendor}" ({context.vendors[vendor].name})' for vendor in meant)
        return f"; did you mean {named}?"
    return (
        '; "consent-proxy catalogue" lists the known ones, and a [[vendor]] table adds one '
        "that is not known"
    )


def check_sites(context: CheckContext) -> Iterator[Problem]:
    names = [name for site in context.tables.sites if (name := site.get("name")) is not None]
    for tag in context.tables.tags:
        for path, name in tag.items("sites"):
            if name in names or name in context.site_names_given:
                continue
            listed = ", ".join(quoted(known) for known in names)
            otherwise = f"; the sites are {listed}" if names else "; there is no site with a name"
            hint = did_you_mean(name, names, else_say=otherwise)
            yield Problem(path, f"unknown site {quoted(name)}{hint}")


def check_dates(context: CheckContext) -> Iterator[Problem]:
    for tag in context.tables.tags:
        approved: datetime.date | None = tag.get("approved_on")
        expires: datetime.date | None = tag.get("expires")
        if approved is not None and approved > context.today:
            yield Problem(
                tag.at("approved_on"),
                f"approved_on: {approved} is in the future (today is {context.today}): the tag is "
                "closed until then",
                severity="warning",
            )
        if approved is not None and expires is not None and expires <= approved:
            yield Problem(
                tag.at("expires"),
                f"expires: {expires} is not after approved_on ({approved}), "
                "so the tag would never act",
            )
        elif expires is not None and expires <= context.today:
            yield Problem(
                tag.at("expires"),
                f"the tag {quoted(tag.get('vendor') or '')} expired on {expires} and is closed; "
                "have it approved again and write new dates, or remove it",
                severity="expired",
            )


def check_pages(context: CheckContext) -> Iterator[Problem]:
    prefix = context.tables.proxy.get("prefix")
    sites = {site.get("name"): site for site in context.tables.sites}
    for tag in context.tables.tags:
        every = list(tag.items("pages"))
        pages = [(path, page) for path, page in every if not page.startswith("!")]
        left_out = [page[1:] for _, page in every if page.startswith("!")]
        if every and not pages and None not in tag.values.get("pages", (None,)):
            yield Problem(
                every[0][0],
                f"pages: {quoted(every[0][1])} leaves pages out, and none is named; put those that "
                f'it is left out of before it, such as pages = ["/*", {quoted(every[0][1])}]',
            )
            continue
        for path, page in pages:
            if any(path_covers(out.lower(), page.lower()) for out in left_out):
                yield Problem(
                    path,
                    f"pages: all of {quoted(page)} is left out again by a pattern with "
                    '"!"; remove one of them',
                )
            if prefix and path_covers(f"{prefix}/*", page):
                yield Problem(
                    path,
                    f'pages: {quoted(page)} lies under "{prefix}", which is not the site\'s; '
                    "the tag would never act there",
                )
        # An invalid page or an unknown site may be the intended marketing one.
        whole = None not in tag.values.get("pages", (None,))
        named = [sites.get(name) for _, name in tag.items("sites")]
        rules = [
            _patient_rule(site, page) if site and whole else None
            for site in named
            for _, page in pages
        ]
        vendor = context.vendors.get(tag.get("vendor") or "")
        if vendor is None or not rules or None in rules:
            continue
        if may_act_for_patients(vendor, baa=tag.get("baa") is not False):
            continue
        # The problem is at the pages, or at the sites where the pages are left at their default.
        path = pages[0][0] if context.places.has(pages[0][0]) else tag.at("sites")
        where = f"all its pages are patient pages ({context.line(rules[0] or (), path)})"
        if may_act_for_patients(vendor, baa=True):
            yield Problem(
                path,
                f"the tag {quoted(vendor.id)} would never act: {where}, where a "
                f"{category_words(vendor.category)} vendor needs baa = true, that is, a business "
                "associate agreement",
            )
            continue
        what = "a tag manager" if vendor.is_tag_manager else category_words(vendor.category)
        yield Problem(
            path,
            f"the tag {quoted(vendor.id)} is refused: {where}, and {what} never acts on patient "
            "pages, whatever the visitor chooses; name marketing pages or remove it",
        )


def _patient_rule(site: PartialTable, page: str) -> Path | None:
    """The path in the config that makes all of `page` a patient page, or None."""
    if site.get("audience") is Audience.PATIENT:
        return site.at("audience")
    for path, rule in site.items("pages"):
        if is_patient_path(rule) and path_covers(rule.path.lower(), page.lower()):
            return path
    return None


def is_patient_path(rule: PageRule) -> bool:
    return rule.audience is Audience.PATIENT and rule.path is not None


def check_agreements(context: CheckContext) -> Iterator[Problem]:
    for tag in context.tables.tags:
        vendor = context.vendors.get(tag.get("vendor") or "")
        if vendor is None or tag.get("baa") is not True:
            continue
        if may_act_for_patients(vendor, baa=True):
            if vendor.baa is BaaOffer.NO:
                yield _no_agreement(tag, vendor)
            continue
        yield Problem(
            tag.at("baa"),
            f"baa: {_why_not_for_patients(vendor)}, and only necessary and functional vendors may "
            "act on patient pages; no agreement changes that. Remove baa = true",
        )


def _why_not_for_patients(vendor: Vendor) -> str:
    unsafe = [c for c in (vendor.category, *vendor.serves) if c not in PATIENT_CATEGORIES]
    if vendor.category in unsafe:
        return f"{vendor.name} is {category_words(vendor.category)}"
    if unsafe:
        what = category_words(unsafe[0])
        return f"{vendor.name} loads tags of others, {what} among them"
    return f"{vendor.name} is a tag manager, and whatever it loads would come with it"


def _no_agreement(tag: PartialTable, vendor: Vendor) -> Problem:
    says = f" ({vendor.baa_source})" if vendor.baa_source else ""
    return Problem(
        tag.at("baa"),
        f"baa: {vendor.name} offers no business associate agreement{says}, so it may not act on "
        "patient pages. Remove baa = true; if it did sign one, say so in a [[vendor]]: "
        f'id = "{vendor.id}", baa = "yes"',
    )


def check_pins(context: CheckContext) -> Iterator[Problem]:
    """A pin on a script that is not the vendor's has no effect."""
    for tag in context.tables.tags:
        vendor = context.vendors.get(tag.get("vendor") or "")
        if vendor is None:
            continue
        for path, pin in tag.items("scripts"):
            if not _is_of(vendor, pin.url):
                yield Problem(
                    (*path, "url"),
                    f"url: {quoted(pin.url)} is not {vendor.name}'s: it is on none of its hosts "
                    "and paths, so this pin would hold nothing. Put it into the tag of its vendor",
                )


def _is_of(vendor: Vendor, url: str) -> bool:
    target = resolve(url, url)
    if target is None:
        return False
    if HostSet(vendor.hosts).holds(target.host, target.port):
        return True
    for pattern in vendor.paths:
        host, _, rest = pattern.partition("/")
        there = not host or HostSet((host,)).holds(target.host, target.port)
        if there and path_glob(f"/{rest}").match(target.path):
            return True
    return False


def check_duplicates(context: CheckContext) -> Iterator[Problem]:
    seen: dict[tuple[str, str, str], PartialTable] = {}
    for tag in context.tables.tags:
        expires = tag.get("expires")
        # A renewed tag's predecessor may remain in the file.
        if tag.get("vendor") is None or (expires is not None and expires <= context.today):
            continue
        twice: tuple[Path, str, str, PartialTable] | None = None
        for path, site in tag.items("sites"):
            named = (page for _, page in tag.items("pages") if not page.startswith("!"))
            for page in named:
                first = seen.setdefault((tag.get("vendor"), site, page), tag)
                if first is not tag and twice is None:
                    twice = (path, site, page, first)
        if twice is not None:
            path, site, page, first = twice
            yield Problem(
                tag.at("vendor"),
                f"the tag {quoted(tag.get('vendor'))} for {quoted(page)} of {quoted(site)} "
                f"already stands at {context.header_line(first.path, tag.path)}; keep one of them",
            )
