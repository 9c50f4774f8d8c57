"""How a site's pages look whole before a choice: what `discovered` has seen, by who may serve it
unasked and at what price for the visitors' privacy, as config to paste and commands to run.
"""

from __future__ import annotations

import datetime
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from consent_rules.catalogue.load import catalogue
from consent_rules.categories import Audience
from consent_rules.config.checks.public_suffixes import public_suffixes
from consent_rules.config.load import Site
from consent_rules.matching.libraries import PUBLIC_HOSTS
from consent_rules.matching.shared_hosts import shared_host_of
from consent_rules.matching.tracker_names import tracker_label
from consent_rules.vendors import Vendor
from consent_rules.wording import counted, join_and, quoted
from proxy.observability.discovered import (
    Discovery,
    library_command,
    may_be_library,
    serves_looks,
    vendor_id_for,
)


@dataclass(frozen=True, slots=True)
class Step:
    """One thing to do: whose files, what it costs the visitors' privacy, and the lines to paste or
    to run. `where` is "site" for lines of the [[site]], "config" for tables, "shell" for commands.
    """

    what: str
    price: str
    where: str
    lines: tuple[str, ...]


@dataclass(slots=True)
class _Sorted:
    """What was seen, by who it is."""

    own: list[Discovery] = field(default_factory=list)
    public: list[Discovery] = field(default_factory=list)
    builders: dict[str, list[Discovery]] = field(default_factory=dict)
    strangers: list[Discovery] = field(default_factory=list)
    picturing: list[Discovery] = field(default_factory=list)
    """Strangers of which the pages have images only."""


def looks_plan(
    site: Site, found: Iterable[Discovery], vendors: Mapping[str, Vendor], today: datetime.date
) -> tuple[Step, ...]:
    """The steps for a site, the one that costs the visitors least first. `found` is what was seen
    there without an approval, `vendors` are all that the config knows.
    """
    seen = _Sorted()
    for one in found:
        if serves_looks(one):
            _sort(one, site, vendors, seen)
    steps: list[Step] = []
    own = [one.host for one in seen.own]
    if own:
        domains = sorted({shared_domain(site, host) for host in own})
        steps.append(
            Step(
                f"Hosts under the site's own domain ({join_and(domains)}): {_named(seen.own)}. "
                f"Write in the [[site]] {quoted(site.name)}:",
                "nobody else learns of a visit, if the servers are yours; no choice holds for them",
                "site",
                (_first_party(site, own),),
            )
        )
    if seen.public:
        host = own_host(site)
        steps.append(
            Step(
                f"Public files, which the site can serve itself: {_named(seen.public)}. Run:",
                "nobody else learns of a visit",
                "shell",
                tuple(library_command(one, host) for one in seen.public),
            )
        )
    for id_, parts in seen.builders.items():
        vendor = vendors[id_]
        paths = sorted({folder for one in parts for folder in one.folders})
        steps.append(
            Step(
                f"{vendor.name}{', where sites and their images lie' if vendor.builder else ''}: "
                f"{_named(parts)}. Paste, with the name of who approves it:",
                f"{vendor.company or vendor.name} learns the address of each visitor, unasked"
                + ("; where the site itself lies there, it does so already" * vendor.builder),
                "config",
                (
                    *_vendor_lines(id_, paths=paths),
                    *_tag_lines(id_, site, parts, today),
                ),
            )
        )
    if seen.strangers or seen.picturing:
        steps += _for_strangers(site, own, seen, vendors, today)
    return tuple(steps)


def _sort(one: Discovery, site: Site, vendors: Mapping[str, Vendor], seen: _Sorted) -> None:
    vendor = vendors.get(one.owner)
    if vendor is not None:
        if vendor.looks and not vendor.builder and _can_be_served(one, site):
            seen.public.append(one)
        elif vendor.looks:
            seen.builders.setdefault(vendor.id, []).append(one)
        return
    shared = shared_host_of(one.host)
    if one.host in PUBLIC_HOSTS and _can_be_served(one, site):
        seen.public.append(one)
    elif shared is not None and shared.vendor in vendors and one.folders:
        seen.builders.setdefault(shared.vendor, []).append(one)
    elif shared is None and shared_domain(site, one.host):
        if not tracker_label(one.host):
            seen.own.append(one)
    elif shared is None or one.folders:
        _sort_stranger(one, seen)


def _sort_stranger(one: Discovery, seen: _Sorted) -> None:
    """Of a script alone nobody can say that it is no tracker's, nor of an image of a host that is
    named like one.
    """
    kinds = {kind for kind, _ in one.kinds}
    if kinds - {"script"} - _IMAGES:
        seen.strangers.append(one)
    elif "image" in kinds and not tracker_label(one.host):
        (seen.strangers if "script" in kinds else seen.picturing).append(one)


_IMAGES = frozenset({"image", "pixel"})


def _can_be_served(one: Discovery, site: Site) -> bool:
    """Whether a command can be told by which the site serves these files itself."""
    return may_be_library(one) and bool(library_command(one, own_host(site)))


def _for_strangers(
    site: Site,
    own: Sequence[str],
    seen: _Sorted,
    vendors: Mapping[str, Vendor],
    today: datetime.date,
) -> Iterable[Step]:
    """The two ways for hosts that nobody knows: they are the site's own, or somebody else's."""
    strangers = [*seen.strangers, *seen.picturing]
    may_be_own = [one.host for one in seen.strangers if shared_host_of(one.host) is None]
    if may_be_own:
        yield Step(
            f"Hosts that nobody knows: {_named(seen.strangers)}. Find out whose they are. For "
            f"those that are yours, or that you rent, write in the [[site]] {quoted(site.name)}:",
            "nobody else learns of a visit, if the servers are yours; no choice holds for them",
            "site",
            (_first_party(site, [*own, *may_be_own]),),
        )
    pictures = [one for one in seen.picturing if shared_host_of(one.host) is None]
    if pictures:
        may_be_own += [one.host for one in pictures]
        yield Step(
            f"Hosts that nobody knows, of which the pages have images only: {_named(pictures)}. "
            "Closed, an image keeps its place and its alternative text, and some count visitors. "
            "For hosts that are yours, or that you rent, write in the [[site]] "
            f"{quoted(site.name)}:",
            "who has the server learns the address of each visitor, unasked; scripts of that host "
            "run, too, and no choice holds for them",
            "site",
            (_first_party(site, [*own, *may_be_own]),),
        )
    taken = set(vendors)
    lines: list[str] = []
    for one in strangers:
        id_ = vendor_id_for(one.host, taken)
        taken.add(id_)
        hosts = () if one.folders else (one.host,)
        lines += _vendor_lines(id_, name=one.host, hosts=hosts, paths=one.folders)
        lines += _tag_lines(id_, site, (one,), today)
    instead = "Those of somebody else that the pages cannot do without" if may_be_own else (
        f"Folders on hosts where anybody publishes: {_named(strangers)}. If they are yours"
    )  # fmt: skip
    yield Step(
        f"{instead}: {'write' if may_be_own else 'paste'}, with the name of who approves it:",
        "each of them learns the address of each visitor, unasked",
        "config",
        # Pasted with the rest, it changes nothing: one of the two ways has to be chosen.
        tuple(f"# {line}" for line in lines) if may_be_own else tuple(lines),
    )


def _named(found: Iterable[Discovery]) -> str:
    """Names with what is there: "cdn.example.com (1 style sheet, 24 images)"."""
    return ", ".join(f"{one.name} ({counted_kinds(one.kinds)})" for one in found)


def counted_kinds(kinds: Iterable[tuple[str, int]]) -> str:
    """Kinds with their numbers, for people: "1 style sheet, 24 images"."""
    return ", ".join(counted(number, kind) for kind, number in kinds)


def own_host(site: Site) -> str:
    """A host of a site under which a page can be asked for; "" where it has patterns only."""
    return next((host for host in site.hosts if "*" not in host), "")


def shared_domain(site: Site, host: str) -> str:
    """The registrable domain that a host and the site have in common; "" for none."""
    domains = {public_suffixes().privatesuffix(one.partition(":")[0]) for one in site.hosts}
    domain = public_suffixes().privatesuffix(host.partition(":")[0])
    return domain if domain is not None and domain in domains else ""


def _first_party(site: Site, hosts: Iterable[str]) -> str:
    """The whole line, with what is there already: a key may stand once only."""
    return f"first_party = {_toml(dict.fromkeys((*site.first_party, *hosts)))}"


def _toml(values: Iterable[str]) -> str:
    return json.dumps(list(values), ensure_ascii=False)


def _vendor_lines(
    id_: str, *, name: str = "", hosts: Sequence[str] = (), paths: Sequence[str] = ()
) -> Iterable[str]:
    yield "[[vendor]]"
    yield f'id = "{id_}"'
    if name:
        yield f"name = {json.dumps(name, ensure_ascii=False)}"
    yield 'category = "necessary"'
    if hosts:
        yield f"hosts = {_toml(hosts)}"
    if paths:
        yield f"paths = {_toml(paths)}"
    if id_ not in catalogue():
        yield '# policy_url = "https://..."   # where visitors can read what it does with data'


def _tag_lines(
    id_: str, site: Site, found: Iterable[Discovery], today: datetime.date
) -> Iterable[str]:
    kinds: dict[str, int] = {}
    for one in found:
        for kind, number in one.kinds:
            kinds[kind] = kinds.get(kind, 0) + number
    purpose = f"parts of the site's own pages: {counted_kinds(sorted(kinds.items()))}"
    patient = [
        f"!{rule.path}" for rule in site.pages if rule.path and rule.audience is Audience.PATIENT
    ]
    yield "[[tag]]"
    yield f'vendor = "{id_}"'
    yield f'sites = ["{site.name}"]'
    if patient:
        yield f"pages = {_toml(('/*', *patient))}"
    yield f'purpose = "{purpose}"'
    yield 'approved_by = "..."'
    yield f"approved_on = {today.isoformat()}"
    yield f"expires = {(today + datetime.timedelta(days=365)).isoformat()}"
