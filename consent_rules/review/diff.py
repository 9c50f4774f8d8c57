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

from consent_rules.categories import Audience, Regime
from consent_rules.config.build_rules import build_rules
from consent_rules.config.models import Config, Site
from consent_rules.matching.paths import path_covers, paths_overlap, widest
from consent_rules.review.exposure import (
    ELSEWHERE,
    ExposureCondition,
    PageGroup,
    exposure_of,
    page_groups,
    regions_text,
)
from consent_rules.rules import Rules, SiteRules
from consent_rules.vendors import Vendor
from consent_rules.wording import counted, join_and, join_or

Effect = Literal["more", "less", "same"]
ChangeKind = Literal[
    "sends", "stops", "opens_with", "site", "audience", "mode", "policy", "vendor", "tag"
]


@dataclass(frozen=True, slots=True)
class Change:
    """One thing that is different for visitors.

    `effect` is "more" where a vendor newly receives data or a visitor is asked less, "less" where
    the reverse. `pages` are patterns of paths, `except_pages` those of them for which it is not so,
    because nothing changes there.

    Of a vendor's change, `audience` tells for whom the pages are: of `pages`, only those that are
    for that audience are meant. A page that its path does not tell to be one for patients, but one
    of `cookies` or (`marked`) the origin, is meant where `pages_then` name it.
    """

    kind: ChangeKind
    effect: Effect
    message: str
    site: str = ""
    vendor: str = ""
    pages: tuple[str, ...] = ()
    before: str = ""
    after: str = ""
    audience: str = ""
    except_pages: tuple[str, ...] = ()
    cookies: tuple[str, ...] = ()
    marked: bool = False
    pages_then: tuple[str, ...] = ()


def diff_configs(
    old: Config,
    new: Config,
    catalogue: Mapping[str, Vendor],
    *,
    today: datetime.date,
) -> tuple[Change, ...]:
    """Everything that `new` changes for visitors: what opens more first, and of that what opens
    more on patient pages."""
    old_rules, new_rules = rules_of_tags(old, catalogue), rules_of_tags(new, catalogue)
    found = [*_vendors(old, new, old_rules, new_rules, today)]
    found += _sites(old, new)
    found += _policy(old, new, old_rules, new_rules)
    found += _recognition(old, new, old_rules, new_rules)
    found += _approvals(old, new, today)
    order: dict[Effect, int] = {"more": 0, "less": 1, "same": 2}
    return tuple(
        sorted(
            found, key=lambda change: (order[change.effect], change.audience != Audience.PATIENT)
        )
    )


def rules_of_tags(config: Config, catalogue: Mapping[str, Vendor]) -> Rules:
    """The rules with only the vendors that the config names: enough for decisions, and made in a
    fraction of the time that an index of the whole catalogue takes."""
    named = {*(tag.vendor for tag in config.tags), *(vendor.id for vendor in config.vendors)}
    return build_rules(config, {id_: catalogue[id_] for id_ in named if id_ in catalogue})


# --- Vendors on pages


@dataclass(frozen=True, slots=True)
class _Exposure:
    audience: Audience
    when: ExposureCondition


_NO_SITE = _Exposure(Audience.MARKETING, ExposureCondition())

_Exposures = Mapping[PageGroup, _Exposure]


def _vendors(
    old: Config, new: Config, old_rules: Rules, new_rules: Rules, today: datetime.date
) -> Iterator[Change]:
    before = {site.name: site for site in old_rules.sites}
    after = {site.name: site for site in new_rules.sites}
    regions = _regions(old, new)
    for name in dict.fromkeys((*before, *after)):
        tags = [tag for config in (old, new) for tag in config.tags if name in tag.sites]
        sites = [found[name] for found in (before, after) if name in found]
        for vendor_id in dict.fromkeys(tag.vendor for tag in tags):
            vendor = new_rules.vendors.get(vendor_id) or old_rules.vendors.get(vendor_id)
            if vendor is None:
                continue
            named = (
                page
                for tag in tags
                if tag.vendor == vendor_id
                for page in (*tag.named_pages, *tag.except_pages)
            )
            groups = page_groups(named, sites)
            was, will = (
                {
                    group: _Exposure(
                        group.audience_on(sites[name]),
                        exposure_of(rules, sites[name], vendor_id, group, today, regions),
                    )
                    if name in sites
                    else _NO_SITE
                    for group in groups
                }
                for rules, sites in ((old_rules, before), (new_rules, after))
            )
            yield from _vendor(vendor, name, was, will, before.get(name), after.get(name))


def _vendor(
    vendor: Vendor,
    site: str,
    was: _Exposures,
    will: _Exposures,
    old_site: SiteRules | None,
    new_site: SiteRules | None,
) -> Iterator[Change]:
    grouped: dict[tuple[ExposureCondition, ExposureCondition, Audience], list[PageGroup]] = {}
    for group, before in was.items():
        after = will[group]
        if before.when != after.when:
            audience = before.audience if after.when.never else after.audience
            grouped.setdefault((before.when, after.when, audience), []).append(group)
    who = _who(vendor)
    for (old, new, audience), groups in grouped.items():
        where_open = old_site if new.never else new_site
        whole_site = where_open is not None and where_open.audience is Audience.PATIENT
        for shown in _lines(groups, was, will, excepting=old.never or new.never):
            where, same = shown.as_text(site, audience, whole_site=whole_site), shown.same
            kind: ChangeKind
            effect: Effect
            if old.never:
                kind, effect = "sends", "more"
                besides = f" (on {join_and(same)} they do so already)" if same else ""
                closed = _never_on(new_site, will, shown.pages, audience)
                never = f"; never on the patient pages {join_and(closed)}" if closed else ""
                every = f"all pages of {site}"
                if closed and where.startswith(every):
                    where = f"all marketing pages of {site}{where.removeprefix(every)}"
                says = f"send data to {who}; {new.as_text()}{besides}{never}"
                message = f"from now on, {where} {says}"
            elif new.never:
                kind, effect = "stops", "less"
                still = f"; only {join_and(same)} still do" if same else ""
                message = f"from now on, {where} no longer send data to {who}{still}"
            else:
                kind, effect = "opens_with", "more" if new.is_wider_than(old) else "less"
                message = f"{vendor.name} on {where}: {new.as_text()} (until now: {old.as_text()})"
            yield Change(
                kind,
                effect,
                message,
                site,
                vendor.id,
                shown.pages,
                before=old.as_text(),
                after=new.as_text(),
                audience=str(audience),
                except_pages=(*same, *shown.left_out),
                cookies=shown.cookies,
                marked=shown.marked,
                pages_then=shown.pages_then,
            )


@dataclass(frozen=True, slots=True)
class _Shown:
    """The pages of a change. `same` are those among them where the vendor is open before and
    after, `left_out` those where it is closed before and after; the other fields are those of
    `Change`."""

    same: tuple[str, ...]
    pages: tuple[str, ...] = ()
    cookies: tuple[str, ...] = ()
    marked: bool = False
    pages_then: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()

    def as_text(self, site: str, audience: Audience, *, whole_site: bool) -> str:
        shown = self._as_text(site, audience, whole_site=whole_site)
        return f"{shown}, but not {join_and(self.left_out)}," if self.left_out else shown

    def _as_text(self, site: str, audience: Audience, *, whole_site: bool) -> str:
        seen = [f"seen with the cookie {cookie}" for cookie in self.cookies]
        if self.marked:
            seen.append("that the site itself marks as such")
        if audience is Audience.MARKETING:
            named = [pages_of(self.pages, site)] if self.pages else []
            if not all(any(path_covers(p, then) for p in self.pages) for then in self.pages_then):
                named.append(f"{pages_of(self.pages_then, site)} {join_or(seen)}")
            return join_and(named)
        if whole_site and self.pages:
            return f"{pages_of(self.pages, site)}, which are for patients,"
        # A mark or a cookie can make any page of the tag one for patients.
        within = "" if self.pages_then == ("/*",) else f" among {join_and(self.pages_then)}"
        others = f"those{within} {join_or(seen)}" if seen else ""
        if not self.pages:
            return f"patient pages of {site} ({others})"
        patient = f"the patient pages {join_and(self.pages)} of {site}"
        return f"{patient} (and {others})" if others else patient


def _lines(
    groups: Iterable[PageGroup], was: _Exposures, will: _Exposures, *, excepting: bool
) -> list[_Shown]:
    """One line for all groups of which the same can be said."""
    by_kind: dict[tuple[str, bool], list[PageGroup]] = {}
    for group in groups:
        by_kind.setdefault((group.cookie, group.marked), []).append(group)
    lines: list[_Shown] = []
    waiting = list(by_kind.items())
    while waiting:
        (cookie, marked), alike = waiting.pop(0)
        pages = widest(group.pattern for group in alike)
        same = _unchanged(was, will, alike[0], pages, closed=False) if excepting else ()
        out = _unchanged(was, will, alike[0], pages, closed=True)
        # What changes within pages that are excepted has a line of its own.
        within = [g for g in alike if any(path_covers(page, g.pattern) for page in (*same, *out))]
        if within and len(within) < len(alike):
            waiting.append(((cookie, marked), within))
        if alike[0].by_path:
            lines.append(_Shown(same, pages, left_out=out))
            continue
        cookies = (cookie,) if cookie else ()
        for number, line in enumerate(lines):
            if (line.same, line.left_out) == (same, out) and line.pages_then in {(), pages}:
                seen = (*line.cookies, *cookies)
                lines[number] = _Shown(same, line.pages, seen, line.marked or marked, pages, out)
                break
        else:
            lines.append(_Shown(same, (), cookies, marked, pages, out))
    return lines


def _unchanged(
    was: _Exposures, will: _Exposures, alike: PageGroup, pages: Iterable[str], *, closed: bool
) -> tuple[str, ...]:
    """The pages among those named, told in the way that `alike` is, where it stays open, or
    (`closed`) where it is left out of before and after. Patient pages are told of elsewhere.
    """
    return widest(
        group.pattern
        for group, before in was.items()
        if (group.cookie, group.marked) == (alike.cookie, alike.marked)
        and before.when.never is closed
        and will[group].when.never is closed
        and not (closed and before.audience is not was[alike].audience)
        and any(path_covers(page, group.pattern) for page in pages)
    )


def _never_on(
    site: SiteRules | None, will: _Exposures, pages: Iterable[str], audience: Audience
) -> list[str]:
    """The patient pages among those named, as their rules have them, where all stays closed."""
    if site is None or audience is Audience.PATIENT:
        return []
    opens = [
        group.pattern
        for group, after in will.items()
        if group.by_path and not after.when.never and after.audience is Audience.PATIENT
    ]
    named = tuple(pages)
    return [
        rule
        for rule in site.patient_paths.patterns
        if any(paths_overlap(page.lower(), rule.lower()) for page in named)
        and not any(paths_overlap(page.lower(), rule.lower()) for page in opens)
    ]


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
        before, after = ", ".join(old.upstream), ", ".join(new.upstream)
        message = f"{name} is fetched from {after} (until now: {before})"
        yield Change("site", "same", message, site=name, before=before, after=after)


def _audience(name: str, old: Site, new: Site) -> Iterator[Change]:
    if old.audience is not new.audience:
        patient = new.audience is Audience.PATIENT
        yield Change(
            "audience",
            "less" if patient else "more",
            f"all of {name} is for patients: {_CLOSED_THERE}"
            if patient
            else f"{name} is no longer for patients as a whole: trackers may run where allowed",
            site=name,
            before=str(old.audience),
            after=str(new.audience),
        )
    was, will = _patient_rules(old), _patient_rules(new)
    for path, pages in will.items():
        if path not in was:
            message = f"{pages} of {name} are for patients from now on: {_CLOSED_THERE}"
            yield Change("audience", "less", message, site=name, pages=_path_of(path))
    for path, pages in was.items():
        if path not in will:
            message = f"{pages} of {name} are no longer marked as patient pages"
            yield Change("audience", "more", message, site=name, pages=_path_of(path))


_CLOSED_THERE = "no tracker runs there, whatever visitors choose, but for tags with baa = true"


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


def _policy(old: Config, new: Config, old_rules: Rules, new_rules: Rules) -> Iterator[Change]:
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
    by_regime: dict[tuple[Regime, Regime], list[str]] = {}
    for region in _regions(old, new):
        regimes = (old_rules.terms_of(region).regime, new_rules.terms_of(region).regime)
        if regimes[0] != regimes[1]:
            by_regime.setdefault(regimes, []).append(region)
    for (before, after), regions in by_regime.items():
        yield Change(
            "policy",
            "less" if _STRICTEST.index(after) < _STRICTEST.index(before) else "more",
            f"{regions_text(regions)}, visitors who have not chosen: {_REGIMES[after]} "
            f"(until now: {_REGIMES[before]})",
            before=str(before),
            after=str(after),
        )
    if was.max_age_days != will.max_age_days:
        yield Change(
            "policy",
            "same",
            f"new choices are remembered for {counted(will.max_age_days, 'day')} (until now: "
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
    Regime.OPT_IN: "closed until they say yes",
    Regime.OPT_OUT: "open until they say no, but session replay asks first",
    Regime.MIXED: "open until they say no, but advertising, social and session replay ask first",
}

_STRICTEST = (Regime.OPT_IN, Regime.MIXED, Regime.OPT_OUT)


def _regions(old: Config, new: Config) -> tuple[str, ...]:
    """The regions that a rule of either config names, and ELSEWHERE."""
    named = (
        region for config in (old, new) for rule in config.policy.regions for region in rule.regions
    )
    return (*dict.fromkeys(named), ELSEWHERE)


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
    """`all pages of www`, `pages /blog/* and /news of www`; patterns with "!" are left out."""
    every = tuple(pages)
    shown = tuple(page for page in every if not page.startswith("!"))
    out = [page[1:] for page in every if page.startswith("!")]
    named = f"all pages of {site}" if shown == ("/*",) else f"pages {join_and(shown)} of {site}"
    return f"{named}, but not {join_and(out)}" if out else named


def _who(vendor: Vendor) -> str:
    company = vendor.company
    if not company or company.lower() in vendor.name.lower():
        return vendor.name
    return f"{company} ({vendor.name})"


def _added(old: Iterable[str], new: Iterable[str]) -> tuple[str, ...]:
    known = set(old)
    return tuple(item for item in new if item not in known)
