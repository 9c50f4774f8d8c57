"""Compare two configs by the decisions that they lead to, not by their text.

For every site, every vendor with a tag there and every pattern of pages, both configs decide for
the states that a visitor can be in: nothing chosen, one category allowed, all of them, in each
region that a rule names. The states in which a vendor is open are its `ExposureCondition`; two
conditions that differ are a `Change`.
"""

from __future__ import annotations

import datetime
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from consent_rules.categories import CHOOSABLE, Audience, Category
from consent_rules.config.build_rules import build_rules
from consent_rules.config.models import Config, Site, Tag
from consent_rules.decision import Visitor, decide
from consent_rules.matching.paths import path_covers
from consent_rules.preferences import Preferences
from consent_rules.rules import Rules, SiteRules
from consent_rules.vendors import Vendor
from consent_rules.wording import category_words, join_and, join_or

Effect = Literal["more", "less", "same"]
ChangeKind = Literal[
    "sends", "stops", "opens_with", "site", "audience", "mode", "policy", "vendor", "tag"
]

ELSEWHERE = ""
"""The region of visitors for whom no region rule stands."""

_WITNESS = "\ue000"
"""Stands in a path for what a star of its pattern matches, and nothing else does."""


@dataclass(frozen=True, slots=True)
class ExposureCondition:
    """When a vendor is open on some pages.

    `with_any` are the categories of which one is enough. `unasked` are the regions where it is open
    before any choice (ELSEWHERE for all others). `always` needs no choice at all.
    """

    always: bool = False
    with_any: tuple[Category, ...] = ()
    unasked: tuple[str, ...] = ()

    @property
    def never(self) -> bool:
        return self == ExposureCondition()

    def as_text(self) -> str:
        """`opens with: advertising`, as people say it."""
        if self.always:
            return "open for everyone, without a choice"
        parts = []
        if self.with_any:
            parts.append(f"opens with: {join_or(map(category_words, self.with_any))}")
        if self.unasked:
            parts.append(f"before any choice: open {_where(self.unasked)}")
        return "; ".join(parts) or "closed"

    def is_wider_than(self, other: ExposureCondition) -> bool:
        """Whether it opens for visitors for whom the other stays closed."""
        if self.always or other.always:
            return self.always and not other.always
        return bool(
            set(self.with_any) - set(other.with_any) or set(self.unasked) - set(other.unasked)
        )


@dataclass(frozen=True, slots=True)
class Change:
    """One thing that is different for visitors.

    `effect` is "more" where a vendor newly receives data or a visitor is asked less, "less" where
    the reverse. `pages` are patterns of paths.
    """

    kind: ChangeKind
    effect: Effect
    message: str
    site: str = ""
    vendor: str = ""
    pages: tuple[str, ...] = ()
    before: str = ""
    after: str = ""


def diff_configs(
    old: Config,
    new: Config,
    catalogue: Mapping[str, Vendor],
    *,
    today: datetime.date,
) -> tuple[Change, ...]:
    """Everything that `new` changes for visitors, what opens more first."""
    old_rules, new_rules = rules_of_tags(old, catalogue), rules_of_tags(new, catalogue)
    found = [*_vendors(old, new, old_rules, new_rules, today)]
    found += _sites(old, new)
    found += _policy(old, new)
    found += _recognition(old, new, old_rules, new_rules)
    found += _approvals(old, new, today)
    order: dict[Effect, int] = {"more": 0, "less": 1, "same": 2}
    return tuple(sorted(found, key=lambda change: order[change.effect]))


def rules_of_tags(config: Config, catalogue: Mapping[str, Vendor]) -> Rules:
    """The rules with only the vendors that the config names: enough for decisions, and made in a
    fraction of the time that an index of the whole catalogue takes."""
    named = {*(tag.vendor for tag in config.tags), *(vendor.id for vendor in config.vendors)}
    return build_rules(config, {id_: catalogue[id_] for id_ in named if id_ in catalogue})


# --- Vendors on pages


def _vendors(
    old: Config, new: Config, old_rules: Rules, new_rules: Rules, today: datetime.date
) -> Iterator[Change]:
    before = {site.name: site for site in old_rules.sites}
    after = {site.name: site for site in new_rules.sites}
    regions = _regions(old, new)
    for name in dict.fromkeys((*before, *after)):
        tags = [tag for config in (old, new) for tag in config.tags if name in tag.sites]
        for vendor_id in dict.fromkeys(tag.vendor for tag in tags):
            vendor = new_rules.vendors.get(vendor_id) or old_rules.vendors.get(vendor_id)
            if vendor is None:
                continue
            pages = _patterns(vendor_id, tags, _patient_globs(old, new, name))
            was, will = (
                {
                    page: exposure_of(rules, sites[name], vendor_id, page, today, regions)
                    if name in sites
                    else ExposureCondition()
                    for page in pages
                }
                for rules, sites in ((old_rules, before), (new_rules, after))
            )
            yield from _vendor(vendor, name, was, will, after.get(name))


def exposure_of(
    rules: Rules,
    site: SiteRules,
    vendor_id: str,
    page: str,
    today: datetime.date,
    regions: Iterable[str] = (ELSEWHERE,),
) -> ExposureCondition:
    """When a vendor is open on the pages of a pattern. What a site only observes counts as closed
    here all the same: so its decision has it."""
    path = page.replace("*", _WITNESS)
    context = rules.page(site, path, site.audience_of(path, ()), today)

    def is_open(preferences: Preferences | None, region: str = ELSEWHERE) -> bool:
        decision = decide(rules, context, Visitor(preferences, region=region))
        return vendor_id in decision.open

    def chosen(*allowed: Category) -> Preferences:
        return Preferences(frozenset(allowed), rules.policy_version)

    if is_open(chosen()):
        return ExposureCondition(always=True)
    return ExposureCondition(
        with_any=tuple(c for c in CHOOSABLE if is_open(chosen(c))),
        unasked=tuple(region for region in regions if is_open(None, region)),
    )


def _patterns(vendor_id: str, tags: Iterable[Tag], patient: tuple[str, ...]) -> tuple[str, ...]:
    named = dict.fromkeys(page for tag in tags if tag.vendor == vendor_id for page in tag.pages)
    within = (glob for glob in patient if any(path_covers(page, glob) for page in named))
    return tuple(dict.fromkeys((*named, *within)))


def _patient_globs(old: Config, new: Config, site: str) -> tuple[str, ...]:
    return tuple(
        dict.fromkeys(
            rule.path
            for config in (old, new)
            for one in config.sites
            if one.name == site
            for rule in one.pages
            if rule.path is not None and rule.audience is Audience.PATIENT
        )
    )


def _vendor(
    vendor: Vendor,
    site: str,
    was: Mapping[str, ExposureCondition],
    will: Mapping[str, ExposureCondition],
    rules: SiteRules | None,
) -> Iterator[Change]:
    grouped: dict[tuple[ExposureCondition, ExposureCondition], list[str]] = {}
    for page, before in was.items():
        if before != will[page]:
            grouped.setdefault((before, will[page]), []).append(page)
    for (before, after), pages in grouped.items():
        shown = _widest(pages)
        where, who = pages_of(shown, site), _who(vendor)
        kind: ChangeKind
        effect: Effect
        if before.never:
            kind, effect = "sends", "more"
            message = (
                f"from now on, {where} send data to {who}; {after.as_text()}"
                f"{_besides(was, will, shown)}{_not_for(rules, shown)}"
            )
        elif after.never:
            kind, effect = "stops", "less"
            message = f"from now on, {where} no longer send data to {who}{_still(will, shown)}"
        else:
            kind, effect = "opens_with", "more" if after.is_wider_than(before) else "less"
            now, then = after.as_text(), before.as_text()
            message = f"{vendor.name} on {where}: {now} (until now: {then})"
        yield Change(
            kind,
            effect,
            message,
            site,
            vendor.id,
            shown,
            before=before.as_text(),
            after=after.as_text(),
        )


def _besides(
    was: Mapping[str, ExposureCondition],
    will: Mapping[str, ExposureCondition],
    shown: Iterable[str],
) -> str:
    already = [
        page
        for page, before in was.items()
        if not before.never
        and not will[page].never
        and any(path_covers(wide, page) for wide in shown)
    ]
    return f" (on {join_and(_widest(already))} they do so already)" if already else ""


def _still(will: Mapping[str, ExposureCondition], shown: Iterable[str]) -> str:
    remaining = [
        page
        for page, after in will.items()
        if not after.never and any(path_covers(wide, page) for wide in shown)
    ]
    return f"; only {join_and(_widest(remaining))} still do" if remaining else ""


def _not_for(site: SiteRules | None, shown: Iterable[str]) -> str:
    if site is None:
        return ""
    globs = site.patient_paths.patterns
    patient = [glob for glob in globs if any(path_covers(page, glob) for page in shown)]
    return f"; never on the patient pages {join_and(patient)}" if patient else ""


def _widest(pages: Iterable[str]) -> tuple[str, ...]:
    """The patterns that no other one of them takes in."""
    every = list(pages)
    return tuple(
        page
        for number, page in enumerate(every)
        if not any(
            path_covers(other, page) and (not path_covers(page, other) or at < number)
            for at, other in enumerate(every)
            if at != number
        )
    )


# --- Sites


def _sites(old: Config, new: Config) -> Iterator[Change]:
    before = {site.name: site for site in old.sites}
    after = {site.name: site for site in new.sites}
    for name in dict.fromkeys((*before, *after)):
        if name not in before:
            hosts = join_and(after[name].hosts)
            yield Change("site", "same", f"new site {name}: {hosts}", site=name, after=hosts)
        elif name not in after:
            hosts = join_and(before[name].hosts)
            message = f"the site {name} ({hosts}) is no longer served"
            yield Change("site", "less", message, site=name, before=hosts)
        else:
            yield from _site(name, before[name], after[name])


def _site(name: str, old: Site, new: Site) -> Iterator[Change]:
    if old.mode != new.mode:
        observes = new.mode == "observe"
        what = (
            "only observed from now on: on marketing pages trackers run for everyone, unasked"
            if observes
            else "enforced from now on: what is not approved and allowed is closed"
        )
        yield Change(
            "mode",
            "more" if observes else "less",
            f"{name} is {what}",
            site=name,
            before=str(old.mode),
            after=str(new.mode),
        )
    yield from _audience(name, old, new)
    for host in _added(old.first_party, new.first_party):
        yield Change(
            "site",
            "more",
            f"{host} counts as {name}'s own: whatever it receives needs no choice any more",
            site=name,
            after=host,
        )
    for host in _added(new.first_party, old.first_party):
        message = f"{host} no longer counts as {name}'s own: it is closed unless a tag opens it"
        yield Change("site", "less", message, site=name, before=host)
    for host in _added(old.hosts, new.hosts):
        yield Change("site", "same", f"{host} is now a host of {name}", site=name, after=host)
    for host in _added(new.hosts, old.hosts):
        message = f"{host} is no longer a host of {name}"
        yield Change("site", "same", message, site=name, before=host)
    if old.upstream != new.upstream:
        message = f"{name} is fetched from {new.upstream} (until now: {old.upstream})"
        yield Change("site", "same", message, site=name, before=old.upstream, after=new.upstream)


def _audience(name: str, old: Site, new: Site) -> Iterator[Change]:
    if old.audience is not new.audience:
        patient = new.audience is Audience.PATIENT
        yield Change(
            "audience",
            "less" if patient else "more",
            f"all of {name} is for patients: no tracker runs there, whatever visitors choose"
            if patient
            else f"{name} is no longer for patients as a whole: trackers may run where allowed",
            site=name,
            before=str(old.audience),
            after=str(new.audience),
        )
    was, will = _patient_rules(old), _patient_rules(new)
    for path, pages in will.items():
        if path not in was:
            message = f"{pages} of {name} are for patients from now on: no tracker runs there"
            yield Change("audience", "less", message, site=name, pages=_path_of(path))
    for path, pages in was.items():
        if path not in will:
            message = f"{pages} of {name} are no longer marked as patient pages"
            yield Change("audience", "more", message, site=name, pages=_path_of(path))


def _patient_rules(site: Site) -> dict[tuple[str, str], str]:
    rules: dict[tuple[str, str], str] = {}
    for rule in site.pages:
        if rule.audience is not Audience.PATIENT:
            continue
        if rule.path is not None:
            rules["path", rule.path.lower()] = f"pages {rule.path}"
        elif rule.when_cookie is not None:
            rules["cookie", rule.when_cookie] = f"pages seen with the cookie {rule.when_cookie}"
    return rules


def _path_of(rule: tuple[str, str]) -> tuple[str, ...]:
    return (rule[1],) if rule[0] == "path" else ()


# --- Policy


def _policy(old: Config, new: Config) -> Iterator[Change]:
    was, will = old.policy, new.policy
    if was.version != will.version:
        yield Change(
            "policy",
            "same",
            f"the policy version is {will.version} (until now: {was.version}): visitors who "
            "allowed something are asked again, and until then nothing they allowed is open; who "
            "refused everything stays refused and is not asked",
            before=was.version,
            after=will.version,
        )
    by_regime: dict[tuple[str, str], list[str]] = {}
    for region in _regions(old, new):
        regimes = (_regime(old, region), _regime(new, region))
        if regimes[0] != regimes[1]:
            by_regime.setdefault(regimes, []).append(region)
    for (before, after), regions in by_regime.items():
        yield Change(
            "policy",
            "less" if after == "opt_in" else "more",
            f"{_where(regions)}, visitors who have not chosen: {_REGIMES.get(after, after)} "
            f"(until now: {_REGIMES.get(before, before)})",
            before=before,
            after=after,
        )
    if was.max_age_days != will.max_age_days:
        yield Change(
            "policy",
            "same",
            f"new choices are remembered for {will.max_age_days} days (until now: "
            f"{was.max_age_days})",
            before=str(was.max_age_days),
            after=str(will.max_age_days),
        )
    if was.controller != will.controller:
        yield Change(
            "policy",
            "same",
            f"the banner names {will.controller} (until now: {was.controller})",
            before=was.controller,
            after=will.controller,
        )
    if was.url != will.url:
        message = f"the banner links to {will.url or 'no policy'} (until now: {was.url or 'none'})"
        yield Change("policy", "same", message, before=was.url or "", after=will.url or "")


_REGIMES = {
    "opt_in": "closed until they say yes",
    "opt_out": "open until they say no",
    "mixed": "open until they say no, but advertising and social ask first",
}


def _regions(old: Config, new: Config) -> tuple[str, ...]:
    """The regions that a rule of either config names, and ELSEWHERE."""
    named = (
        region for config in (old, new) for rule in config.policy.regions for region in rule.regions
    )
    return (*dict.fromkeys(named), ELSEWHERE)


def _regime(config: Config, region: str) -> str:
    rules = {code: rule.regime for rule in config.policy.regions for code in rule.regions}
    found = rules.get(region) or rules.get(region.partition("-")[0]) or config.policy.regime
    return str(found)


# --- How vendors are recognised, and how long they are approved


_KNOWN_BY = {
    "hosts": "hosts",
    "paths": "paths",
    "inline": "inline texts",
    "cookies": "cookies",
    "serves": "categories that it may load",
}


def _recognition(old: Config, new: Config, before: Rules, after: Rules) -> Iterator[Change]:
    tagged = {tag.vendor for config in (old, new) for tag in config.tags}
    for vendor_id in dict.fromkeys(v.id for config in (old, new) for v in config.vendors):
        was, will = before.vendors.get(vendor_id), after.vendors.get(vendor_id)
        if was is None or will is None:
            continue  # the tags show which vendors come and go
        for key, words in _KNOWN_BY.items():
            gained = _added(getattr(was, key), getattr(will, key))
            lost = _added(getattr(will, key), getattr(was, key))
            if gained:
                message = f"{will.name} is also known by the {words} {join_and(gained)}"
                effect: Effect = "more" if vendor_id in tagged else "same"
                yield Change("vendor", effect, message, vendor=vendor_id)
            if lost:
                message = f"{will.name} is no longer known by the {words} {join_and(lost)}"
                yield Change("vendor", "same", message, vendor=vendor_id)


def _approvals(old: Config, new: Config, today: datetime.date) -> Iterator[Change]:
    """Approvals that run longer or shorter. Those that begin or end today change conditions."""
    was, will = _last_days(old, today), _last_days(new, today)
    for key in was.keys() & will.keys():
        if was[key] == will[key]:
            continue
        vendor, site = key
        yield Change(
            "tag",
            "same",
            f"the approval of {vendor} on {site} ends on {will[key]} (until now: {was[key]})",
            site=site,
            vendor=vendor,
            before=was[key].isoformat(),
            after=will[key].isoformat(),
        )


def _last_days(config: Config, today: datetime.date) -> dict[tuple[str, str], datetime.date]:
    last: dict[tuple[str, str], datetime.date] = {}
    for tag in config.tags:
        for site in tag.sites:
            if tag.expires > today:
                key = (tag.vendor, site)
                last[key] = max(tag.expires, last.get(key, tag.expires))
    return last


# --- Words


def pages_of(pages: Iterable[str], site: str) -> str:
    """`all pages of www`, `pages /blog/* and /news of www`."""
    shown = tuple(pages)
    return f"all pages of {site}" if shown == ("/*",) else f"pages {join_and(shown)} of {site}"


def _who(vendor: Vendor) -> str:
    company = vendor.company
    if not company or company.lower() in vendor.name.lower():
        return vendor.name
    return f"{company} ({vendor.name})"


def _where(regions: Iterable[str]) -> str:
    named = list(regions)
    if named == [ELSEWHERE]:
        return "everywhere without a rule of its own"
    return "in " + join_and(region or "every region without a rule" for region in named)


def _added(old: Iterable[str], new: Iterable[str]) -> tuple[str, ...]:
    known = set(old)
    return tuple(item for item in new if item not in known)
