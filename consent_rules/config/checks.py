"""What several values of the config must be together.

Each check looks at drafts, so it also runs on what is valid in a broken file. What is only a
risk is in `review`.
"""

from __future__ import annotations

import datetime
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from publicsuffixlist import PublicSuffixList

from consent_rules.catalogue.search import meant_vendors
from consent_rules.categories import SALE_OR_SHARING, Audience, Category
from consent_rules.config.models import PageRule, VendorTable
from consent_rules.config.partial import Draft, Drafts
from consent_rules.config.problems import Places, Problem, Spot, did_you_mean
from consent_rules.config.theme import contrast_errors
from consent_rules.config.toml.positions import Path
from consent_rules.config.values import is_loopback, split_address
from consent_rules.config.vendor_overlay import merged
from consent_rules.host_owners import HostOwners
from consent_rules.matching.hosts import HostSet, host_covers, hosts_meet
from consent_rules.matching.paths import glob_regex, path_covers
from consent_rules.matching.urls import resolve
from consent_rules.vendors import BaaOffer, Vendor
from consent_rules.wording import quoted

PATIENT_SAFE = frozenset({Category.NECESSARY, Category.FUNCTIONAL})
"""What may act on a patient page, given a business associate agreement (design, rule 1)."""


@dataclass(frozen=True, slots=True)
class Checked:
    """What the checks look at."""

    drafts: Drafts
    catalogue: Mapping[str, Vendor]
    vendors: Mapping[str, Vendor]
    today: datetime.date
    places: Places
    site_names_given: frozenset[str]
    vendor_ids_given: frozenset[str]
    """Names as the files give them, valid or not: one mistake is told once."""
    filename: str = ""
    whole: bool = True
    """False where an included file could not be read: what is missing may stand there."""

    def line(self, path: Path, seen_from: Path) -> str:
        """Where a value stands, as told to somebody who looks at another one."""
        return self._line(self.places.value(path), seen_from)

    def header_line(self, path: Path, seen_from: Path) -> str:
        return self._line(self.places.key(path), seen_from)

    def _line(self, spot: Spot, seen_from: Path) -> str:
        if spot.file == self.places.value(seen_from).file:
            return f"line {spot.line}"
        return f"line {spot.line} of {spot.file or self.filename}"


def check_all(checked: Checked) -> Iterator[Problem]:
    """Every error and expired tag that is not a matter of shape."""
    for check in (
        _listeners,
        _cookie_domain,
        _regions,
        _theme,
        _site_names,
        _site_hosts,
        _wide_hosts,
        _first_party,
        _page_rules,
        _vendor_ids,
        _new_vendors,
        _loosened_vendors,
        _vendor_claims,
        _tag_vendors,
        _tag_sites,
        _tag_dates,
        _tag_pages,
        _tag_baa,
        _tag_pins,
        _tags_twice,
    ):
        yield from check(checked)


def vendors_of(drafts: Drafts, catalogue: Mapping[str, Vendor]) -> Mapping[str, Vendor]:
    """As `all_vendors`, of the drafts; a vendor that is not whole is left out."""
    vendors = dict(catalogue)
    for draft in drafts.vendors:
        if draft.get("id") is None:
            continue
        values: dict[str, Any] = {
            name: tuple(item for item in value if item is not None)
            if isinstance(value, tuple)
            else value
            for name, value in draft.values.items()
        }
        vendor = merged(vendors.get(values["id"]), VendorTable.model_construct(**values))
        if vendor is not None:
            vendors[vendor.id] = vendor
    return vendors


# --- Proxy, preferences, policy


def _listeners(c: Checked) -> Iterator[Problem]:
    proxy = c.drafts.proxy
    if proxy.get("listen") is None or proxy.get("admin_listen") is None:
        return
    host, port = split_address(proxy.get("listen"))
    admin_host, admin_port = split_address(proxy.get("admin_listen"))
    everywhere = {"0.0.0.0", "::"}  # noqa: S104 - compared, not bound
    same = host == admin_host or not everywhere.isdisjoint({host, admin_host})
    if (port or host.startswith("unix:")) and port == admin_port and same:
        yield Problem(
            proxy.at("admin_listen"),
            f'admin_listen: "{proxy.get("admin_listen")}" is where visitors come in (listen); '
            "give the admin pages a port of their own",
        )


def _cookie_domain(c: Checked) -> Iterator[Problem]:
    path = c.drafts.preferences.at("cookie_domain")
    domain = c.drafts.preferences.get("cookie_domain")
    if not domain:
        return
    if domain.replace(".", "").isdigit():
        yield Problem(
            path, f'cookie_domain: "{domain}" is an IP address; browsers share no cookies there'
        )
        return
    if _public_suffixes().is_public(domain):
        yield Problem(
            path,
            f'cookie_domain: "{domain}" is a public suffix, under which anyone may have a site; '
            f'write your own domain below it, such as ".example.{domain}"',
        )
        return
    for site in c.drafts.sites:
        for host_path, host in site.items("hosts"):
            if not is_loopback(host) and not host_covers(f"*.{domain}", host):
                yield Problem(
                    path,
                    f'cookie_domain: "{domain}" does not cover the host "{host}" '
                    f"({c.line(host_path, path)}): browsers would drop the cookie there; "
                    'write a domain of all hosts, or "" for each host its own',
                )


def _regions(c: Checked) -> Iterator[Problem]:
    seen: dict[str, Path] = {}
    for rule in c.drafts.regions:
        for path, region in rule.items("regions"):
            if region in seen:
                yield Problem(
                    path,
                    f'regions: "{region}" already stands at {c.line(seen[region], path)}; '
                    "a region has one regime",
                )
            seen.setdefault(region, path)


def _theme(c: Checked) -> Iterator[Problem]:
    theme = c.drafts.theme
    if not theme.model.model_fields.keys() <= theme.values.keys():
        return  # the broken value may be the one that would make it readable
    for key, message in contrast_errors(theme.values):
        yield Problem(theme.at(key), message)


# --- Sites


def _site_names(c: Checked) -> Iterator[Problem]:
    seen: dict[str, Path] = {}
    for site in c.drafts.sites:
        name = site.get("name")
        if name is None:
            continue
        if name in seen:
            yield Problem(
                site.at("name"),
                f"name: {quoted(name)} already names the site at "
                f"{c.line(seen[name], site.at('name'))}; "
                "tags refer to sites by name, so each needs its own",
            )
        seen.setdefault(name, site.at("name"))


def _site_hosts(c: Checked) -> Iterator[Problem]:
    seen: list[tuple[Draft, Path, str]] = []
    for site in c.drafts.sites:
        for path, host in site.items("hosts"):
            for other, other_path, other_host in seen:
                if other is site or not hosts_meet(host, other_host):
                    continue
                how = "is also" if host == other_host else f'overlaps "{other_host}",'
                yield Problem(
                    path,
                    f'hosts: "{host}" {how} a host of the site {_name(other)} '
                    f"({c.line(other_path, path)}); a host belongs to one site",
                )
                break
            seen.append((site, path, host))


def _wide_hosts(c: Checked) -> Iterator[Problem]:
    for site in c.drafts.sites:
        for key in ("hosts", "first_party"):
            for path, host in site.items(key):
                if _is_wide(host, _known_suffixes()):
                    yield Problem(
                        path,
                        f'{key}: "{host}" would take in sites of strangers: "{host[2:]}" is a '
                        "public suffix; write the hosts that are yours",
                    )
    for vendor in c.drafts.vendors:
        for path, host in vendor.items("hosts"):
            if _is_wide(host, _country_suffixes()):
                yield Problem(
                    path,
                    f'hosts: "{host}" would take in sites of strangers; '
                    "write the hosts of the vendor",
                )


def _is_wide(host: str, suffixes: PublicSuffixList) -> bool:
    return host.startswith("*.") and bool(suffixes.is_public(host[2:].partition(":")[0]))


def _first_party(c: Checked) -> Iterator[Problem]:
    if not any(site.get("first_party") for site in c.drafts.sites):
        return
    owners = HostOwners((h, v.id) for v in c.catalogue.values() for h in v.hosts)
    for site in c.drafts.sites:
        for path, host in site.items("first_party"):
            for owner in owners.meeting(host):
                yield Problem(
                    path,
                    f'first_party: "{host}" belongs to {_vendor(owner, c)}; as a first party it '
                    "would escape every choice. Remove it here; what may act is said by a [[tag]]",
                )
                break


def _page_rules(c: Checked) -> Iterator[Problem]:
    for site in c.drafts.sites:
        for path, rule in site.items("pages"):
            if rule.path is None and rule.when_cookie is None:
                yield Problem(
                    path,
                    "[[site.page]] says for no page what it is; add "
                    'path = "/patients/*" or when_cookie = "session"',
                    at="key",
                )
            elif rule.path is not None and rule.when_cookie is not None:
                yield Problem(
                    (*path, "when_cookie"),
                    "a [[site.page]] has a path or a when_cookie, not both; write two of them",
                    at="key",
                )


# --- Vendors


def _vendor_ids(c: Checked) -> Iterator[Problem]:
    seen: dict[str, Path] = {}
    for vendor in c.drafts.vendors:
        key = vendor.get("id")
        if key is None:
            continue
        if key in seen:
            yield Problem(
                vendor.at("id"),
                f"id: {quoted(key)} already stands at {c.line(seen[key], vendor.at('id'))}; "
                "put both into one [[vendor]]",
            )
        seen.setdefault(key, vendor.at("id"))


def _new_vendors(c: Checked) -> Iterator[Problem]:
    seen: set[str] = set()
    for draft in c.drafts.vendors:
        key = draft.get("id")
        if key is None or key in c.catalogue or key in seen:
            continue
        seen.add(key)
        for name, example in (("name", '"Acme Chat"'), ("category", '"functional"')):
            # A broken value is not in the draft and has its own fault already.
            if name in draft.values and draft.get(name) is None:
                yield Problem(
                    draft.path,
                    f"[[vendor]] {quoted(key)} is not in the catalogue, so it needs a {name}; "
                    f"add {name} = {example}{_perhaps_known(draft, c)}",
                    at="key",
                )
        lists = ("hosts", "paths", "inline")
        if all(name in draft.values and not draft.values[name] for name in lists):
            yield Problem(
                draft.path,
                f"[[vendor]] {quoted(key)} has no hosts, paths or inline texts: nothing on a page "
                "would be known as its own; add at least one",
                at="key",
            )


def _perhaps_known(draft: Draft, c: Checked) -> str:
    """The search looks at the whole catalogue: for a vendor at fault only."""
    if "name" not in draft.values:
        return ""
    near = meant_vendors(draft.get("id"), c.catalogue)[:1]
    return f'; to add to {_vendor(near[0], c)} write id = "{near[0]}"' if near else ""


def _loosened_vendors(c: Checked) -> Iterator[Problem]:
    for draft in c.drafts.vendors:
        known = c.catalogue.get(draft.get("id") or "")
        category = draft.get("category")
        if known is None or category is None:
            continue
        if known.category in SALE_OR_SHARING and category in PATIENT_SAFE:
            yield Problem(
                draft.at("category"),
                f"category: {known.name} is {_word(known.category)} in the catalogue and cannot "
                f"be made {_word(category)}: it could then act without consent, or for patients",
            )


def _vendor_claims(c: Checked) -> Iterator[Problem]:
    """A host, path or inline text has one vendor, and a vendor's host is not the site's own."""
    if not c.drafts.vendors:
        return
    owners = HostOwners((h, v.id) for v in c.catalogue.values() for h in v.hosts)
    texts = {
        (key, text): vendor.id
        for vendor in c.catalogue.values()
        for key in ("paths", "inline")
        for text in getattr(vendor, key)
    }
    own = [
        (path, host)
        for site in c.drafts.sites
        for key in ("hosts", "first_party")
        for path, host in site.items(key)
    ]
    for draft in c.drafts.vendors:
        vendor_id = draft.get("id")
        if vendor_id is None:
            continue
        for path, host in draft.items("hosts"):
            if _is_wide(host, _country_suffixes()):
                continue  # told already; it would meet half of the catalogue
            other = next((o for o in owners.meeting(host) if o != vendor_id), None)
            if other is not None:
                yield Problem(
                    path,
                    f'hosts: "{host}" belongs to {_vendor(other, c)}{_add_to(other, c, path)}',
                )
            hider = next((p for p, mine in own if host_covers(mine, host)), None)
            if hider is not None:
                yield Problem(
                    path,
                    f'hosts: "{host}" is a host of your own site ({c.line(hider, path)}), where '
                    "nothing is a third party; name what is the vendor's there: "
                    'paths = ["/path/*"]',
                )
        for key in ("paths", "inline"):
            for path, text in draft.items(key):
                other = texts.get((key, text))
                if other is not None and other != vendor_id:
                    yield Problem(
                        path,
                        f"{key}: {quoted(text)} belongs to {_vendor(other, c)}"
                        f"{_add_to(other, c, path)}",
                    )
                texts.setdefault((key, text), vendor_id)
        owners.add((host, vendor_id) for _, host in draft.items("hosts"))


def _add_to(vendor_id: str, c: Checked, path: Path) -> str:
    if vendor_id not in c.catalogue:
        there = next(v.path for v in c.drafts.vendors if v.get("id") == vendor_id)
        return f" at {c.header_line(there, path)}; one of the two must let go of it"
    return f'; to change that vendor, write id = "{vendor_id}"'


# --- Tags


def _tag_vendors(c: Checked) -> Iterator[Problem]:
    if not c.whole:
        return
    found: dict[str, str] = {}
    for tag in c.drafts.tags:
        vendor = tag.get("vendor")
        if vendor is None or vendor in c.vendors or vendor in c.vendor_ids_given:
            continue
        if vendor not in found:
            found[vendor] = _meant_vendor(vendor, c)
        yield Problem(tag.at("vendor"), f"unknown vendor {quoted(vendor)}{found[vendor]}")


def _meant_vendor(word: str, c: Checked) -> str:
    meant = meant_vendors(word, c.vendors)
    if meant:
        named = " or ".join(f'"{vendor}" ({c.vendors[vendor].name})' for vendor in meant)
        return f"; did you mean {named}?"
    return (
        '; "consent-proxy catalogue" lists the known ones, and a [[vendor]] table adds one '
        "that is not known"
    )


def _tag_sites(c: Checked) -> Iterator[Problem]:
    names = [name for site in c.drafts.sites if (name := site.get("name")) is not None]
    for tag in c.drafts.tags:
        for path, name in tag.items("sites"):
            if name in names or name in c.site_names_given:
                continue
            listed = ", ".join(quoted(known) for known in names)
            otherwise = f"; the sites are {listed}" if names else "; there is no site with a name"
            hint = did_you_mean(name, names, else_say=otherwise)
            yield Problem(path, f"unknown site {quoted(name)}{hint}")


def _tag_dates(c: Checked) -> Iterator[Problem]:
    for tag in c.drafts.tags:
        approved: datetime.date | None = tag.get("approved_on")
        expires: datetime.date | None = tag.get("expires")
        if approved is not None and approved > c.today:
            yield Problem(
                tag.at("approved_on"),
                f"approved_on: {approved} is in the future (today is {c.today}); "
                "write the day on which it was approved",
            )
        if approved is not None and expires is not None and expires <= approved:
            yield Problem(
                tag.at("expires"),
                f"expires: {expires} is not after approved_on ({approved}), "
                "so the tag would never act",
            )
        elif expires is not None and expires <= c.today:
            yield Problem(
                tag.at("expires"),
                f"the tag {quoted(tag.get('vendor') or '')} expired on {expires} and is closed; "
                "have it approved again and write new dates, or remove it",
                severity="expired",
            )


def _tag_pages(c: Checked) -> Iterator[Problem]:
    prefix = c.drafts.proxy.get("prefix")
    sites = {site.get("name"): site for site in c.drafts.sites}
    for tag in c.drafts.tags:
        pages = list(tag.items("pages"))
        for path, page in pages:
            if prefix and path_covers(f"{prefix}/*", page):
                yield Problem(
                    path,
                    f'pages: {quoted(page)} lies under "{prefix}", which is not the site\'s; '
                    "the tag would never act there",
                )
        # A broken page or an unknown site may well be the marketing one that is meant.
        whole = None not in tag.values.get("pages", (None,))
        named = [sites.get(name) for _, name in tag.items("sites")]
        rules = [
            _patient_rule(site, page) if site and whole else None
            for site in named
            for _, page in pages
        ]
        vendor = c.vendors.get(tag.get("vendor") or "")
        if vendor is None or not rules or None in rules:
            continue
        patient_safe = vendor.category in PATIENT_SAFE
        if patient_safe and tag.get("baa") is not False:
            continue
        # What is at fault is the pages, or the sites when the pages are left at their default.
        path = pages[0][0] if c.places.has(pages[0][0]) else tag.at("sites")
        where = f"all its pages are patient pages ({c.line(rules[0] or (), path)})"
        if patient_safe:
            yield Problem(
                path,
                f"the tag {quoted(vendor.id)} would never act: {where}, where a "
                f"{_word(vendor.category)} vendor needs baa = true, that is, a business associate "
                "agreement",
            )
            continue
        yield Problem(
            path,
            f"the tag {quoted(vendor.id)} is refused: {where}, and {_word(vendor.category)} never "
            "acts on patient pages, whatever the visitor chooses; "
            "name marketing pages or remove it",
        )


def _patient_rule(site: Draft, page: str) -> Path | None:
    """The place in the config by which all of `page` is for patients, or None."""
    if site.get("audience") is Audience.PATIENT:
        return site.at("audience")
    for path, rule in site.items("pages"):
        if is_patient_path(rule) and path_covers(rule.path.lower(), page.lower()):
            return path
    return None


def is_patient_path(rule: PageRule) -> bool:
    return rule.audience is Audience.PATIENT and rule.path is not None


def _tag_baa(c: Checked) -> Iterator[Problem]:
    for tag in c.drafts.tags:
        vendor = c.vendors.get(tag.get("vendor") or "")
        if vendor is None or tag.get("baa") is not True:
            continue
        unsafe = [cat for cat in (vendor.category, *vendor.serves) if cat not in PATIENT_SAFE]
        if not unsafe and vendor.baa is BaaOffer.NO:
            yield _no_agreement(tag, vendor)
        if not unsafe:
            continue
        what = _word(unsafe[0])
        how = (
            f"{vendor.name} is {what}"
            if vendor.category in unsafe
            else (f"{vendor.name} loads tags of others, {what} among them")
        )
        yield Problem(
            tag.at("baa"),
            f"baa: {how}, and only necessary and functional vendors may act on patient pages; "
            "no agreement changes that. Remove baa = true",
        )


def _no_agreement(tag: Draft, vendor: Vendor) -> Problem:
    says = f" ({vendor.baa_source})" if vendor.baa_source else ""
    return Problem(
        tag.at("baa"),
        f"baa: {vendor.name} offers no business associate agreement{says}, so it may not act on "
        "patient pages. Remove baa = true; if it did sign one, say so in a [[vendor]]: "
        f'id = "{vendor.id}", baa = "yes"',
    )


def _tag_pins(c: Checked) -> Iterator[Problem]:
    """A pin on a script that is not the vendor's would never be looked at."""
    for tag in c.drafts.tags:
        vendor = c.vendors.get(tag.get("vendor") or "")
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
        if there and glob_regex(f"/{rest}").match(target.path):
            return True
    return False


def _tags_twice(c: Checked) -> Iterator[Problem]:
    seen: dict[tuple[str, str, str], Draft] = {}
    for tag in c.drafts.tags:
        expires = tag.get("expires")
        # Who renews a tag may leave the old one standing until it is tidied away.
        if tag.get("vendor") is None or (expires is not None and expires <= c.today):
            continue
        twice: tuple[Path, str, str, Draft] | None = None
        for path, site in tag.items("sites"):
            for _, page in tag.items("pages"):
                first = seen.setdefault((tag.get("vendor"), site, page), tag)
                if first is not tag and twice is None:
                    twice = (path, site, page, first)
        if twice is not None:
            path, site, page, first = twice
            yield Problem(
                tag.at("vendor"),
                f"the tag {quoted(tag.get('vendor'))} for {quoted(page)} of {quoted(site)} "
                f"already stands at {c.header_line(first.path, tag.path)}; keep one of them",
            )


# --- Words


def _name(site: Draft) -> str:
    return quoted(site.get("name") or "?")


def _vendor(vendor_id: str, c: Checked) -> str:
    vendor = c.vendors.get(vendor_id)
    return f'"{vendor_id}" ({vendor.name})' if vendor else f'"{vendor_id}"'


def _word(category: Category) -> str:
    return category.value.replace("_", " ")


@cache
def _public_suffixes() -> PublicSuffixList:
    return PublicSuffixList()


@cache
def _known_suffixes() -> PublicSuffixList:
    # Names such as "localhost" or "internal" are nobody's suffix: they may have a star.
    return PublicSuffixList(accept_unknown=False)


@cache
def _country_suffixes() -> PublicSuffixList:
    # A vendor may own a private suffix of the list ("*.hubspotpagebuilder.com").
    return PublicSuffixList(accept_unknown=False, only_icann=True)
