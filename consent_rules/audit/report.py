"""AuditReport: an audit as values, ready to be written in any format."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from consent_rules.audit.findings import AuditFinding, Severity
from consent_rules.audit.inventory import InventoryRow
from consent_rules.audit.judge import declared_lifetime, receiver_of_request, sent_in
from consent_rules.audit.observations import PageVisit, SkipCause, SkippedState
from consent_rules.audit.owners import Ownership, owner_of_host
from consent_rules.audit.scope import AuditScope
from consent_rules.audit.states import AuditState
from consent_rules.categories import Audience, Category

_OUR_COOKIE = re.compile(r"(?:__Host-|__Secure-)?consent(?:-once|-kept)?")
_PORT = re.compile(r":\d+$")
_OURS = "consent-proxy, for the choice itself"


@dataclass(frozen=True, slots=True)
class ReceiverRow:
    """A receiver, with the number of requests that it was sent in each state; `findings` are the
    states in which one of them is a finding. `owner` says whose a host is that is no vendor's (""
    where nobody knows), and `ownership` how that is known.
    """

    id: str
    name: str
    category: Category | None
    hosts: tuple[str, ...]
    requests: tuple[tuple[AuditState, int], ...]
    findings: tuple[AuditState, ...]
    owner: str = ""
    ownership: Ownership | None = None


@dataclass(frozen=True, slots=True)
class CookieRow:
    """A cookie, its owner, and its longest lifetime against the declared one, in seconds (None: for
    the session, or not declared).
    """

    name: str
    domain: str
    owners: tuple[str, ...]
    category: Category | None
    lifetime: float | None
    declared: float | None
    is_declared: bool
    states: tuple[AuditState, ...]


@dataclass(frozen=True, slots=True)
class TimelineEntry:
    """A request to a receiver, `at` seconds after the page was asked for. `state` is None while the
    choice was being made.
    """

    at: float
    receiver: str
    url: str
    state: AuditState | None


@dataclass(frozen=True, slots=True)
class Timeline:
    """The requests around choices, which were made at the moments `choices`."""

    state: AuditState
    page: str
    choices: tuple[float, ...]
    entries: tuple[TimelineEntry, ...]


@dataclass(frozen=True, slots=True)
class PageRow:
    """A page, whom it is for, and the errors on its console."""

    url: str
    audience: Audience
    title: str
    errors: tuple[str, ...]
    failed: str


@dataclass(frozen=True, slots=True)
class AuditReport:
    """`made_at` is in ISO 8601. `config` is the config's name, "" where the catalogue judged.
    `unvisited` says what the crawl left out, and why. `inventory` is empty where the proxy's
    discoveries were not read.
    """

    start: str
    made_at: str
    version: str
    config: str
    seconds: float
    visits: int
    states: tuple[AuditState, ...]
    skipped: tuple[SkippedState, ...]
    unvisited: tuple[str, ...]
    own_hosts: tuple[str, ...]
    pages: tuple[PageRow, ...]
    findings: tuple[AuditFinding, ...]
    receivers: tuple[ReceiverRow, ...]
    cookies: tuple[CookieRow, ...]
    timelines: tuple[Timeline, ...]
    inventory: tuple[InventoryRow, ...] = ()

    def count(self, severity: Severity) -> int:
        return sum(finding.severity is severity for finding in self.findings)

    @property
    def reached(self) -> tuple[AuditState, ...]:
        """The states that were audited."""
        skipped = {one.state for one in self.skipped}
        return tuple(state for state in self.states if state not in skipped)

    @property
    def failure(self) -> str:
        """Why this is no audit of the site, as a sentence; "" where it is one."""
        unopened = [one for one in self.skipped if one.cause is SkipCause.NOT_OPENED]
        if unopened:
            where = f" in {len(unopened)} of {len(self.states)} states" if self.reached else ""
            return f"The site could not be opened{where}: {unopened[0].reason}."
        return "" if self.reached else "Nothing was audited: none of the states could be reached."


@dataclass(frozen=True, slots=True)
class AuditChanges:
    """What differs from an earlier audit of the site."""

    since: str
    new: tuple[AuditFinding, ...]
    gone: tuple[AuditFinding, ...]
    new_receivers: tuple[str, ...]
    gone_receivers: tuple[str, ...]


def changes_since(earlier: AuditReport, now: AuditReport) -> AuditChanges:
    """Findings are the same by rule, state, audience and receiver, whatever the page."""
    before = {finding.key for finding in earlier.findings}
    after = {finding.key for finding in now.findings}
    known = {row.name for row in earlier.receivers} | {row.name for row in earlier.inventory}
    seen = {row.name for row in now.receivers} | {row.name for row in now.inventory}
    return AuditChanges(
        since=earlier.made_at,
        new=tuple(f for f in now.findings if f.key not in before),
        gone=tuple(f for f in earlier.findings if f.key not in after),
        new_receivers=tuple(sorted(seen - known)),
        gone_receivers=tuple(sorted(known - seen)),
    )


def is_at_least(findings: Iterable[AuditFinding], worst: Severity) -> bool:
    """Whether a finding is as severe as `worst`, or worse."""
    return any(finding.severity.rank <= worst.rank for finding in findings)


def skipped_states(
    states: Iterable[AuditState],
    start: str,
    visits: Sequence[PageVisit],
    skipped: Iterable[SkippedState],
) -> tuple[SkippedState, ...]:
    """`skipped`, and each state in which the first page did not open or none was visited."""
    known = {one.state: one for one in skipped}
    for state in states:
        if state in known:
            continue
        seen = [visit for visit in visits if visit.state is state]
        first = [visit.failure for visit in seen if visit.url == start]
        if first and all(first):
            known[state] = SkippedState(state, first[-1], SkipCause.NOT_OPENED)
        elif not seen:
            reason = "the time limit was reached"
            known[state] = SkippedState(state, reason, SkipCause.NOT_VISITED)
    return tuple(known[state] for state in AuditState if state in known)


def receiver_rows(
    visits: Iterable[PageVisit], findings: Sequence[AuditFinding], scope: AuditScope
) -> tuple[ReceiverRow, ...]:
    """Every third party that was sent a request, those with findings first."""
    counts: dict[str, dict[AuditState, int]] = {}
    hosts: dict[str, dict[str, None]] = {}
    names: dict[str, tuple[str, Category | None]] = {}
    for visit in visits:
        for request in sent_in(visit):
            receiver = receiver_of_request(request, scope)
            if receiver is None or request.state is None:
                continue
            key = receiver.id or f"?{receiver.host}"
            vendor = receiver.vendor
            names[key] = (receiver.name, None if vendor is None else vendor.category)
            hosts.setdefault(key, {})[receiver.host] = None
            states = counts.setdefault(key, {})
            states[request.state] = states.get(request.state, 0) + 1
    rows = []
    for key, states in counts.items():
        name, category = names[key]
        found = {f.state for f in findings if f.channels and (f.vendor or f"?{f.receiver}") == key}
        is_host = key.startswith("?")
        owner = owner_of_host(_PORT.sub("", name), scope.site.own_patterns) if is_host else None
        rows.append(
            ReceiverRow(
                id="" if is_host else key,
                name=name,
                category=category,
                hosts=tuple(sorted(hosts[key])),
                requests=tuple((s, states[s]) for s in AuditState if s in states),
                findings=tuple(s for s in AuditState if s in found),
                owner="" if owner is None else owner.words,
                ownership=None if owner is None else owner.how,
            )
        )
    return tuple(sorted(rows, key=lambda row: (-len(row.findings), row.name.lower())))


def cookie_rows(visits: Iterable[PageVisit], scope: AuditScope) -> tuple[CookieRow, ...]:
    """Every cookie of the browser's jar."""
    states: dict[tuple[str, str], dict[AuditState, None]] = {}
    lifetimes: dict[tuple[str, str], float | None] = {}
    for visit in visits:
        for cookie in visit.cookies:
            key = (cookie.name, cookie.domain.lstrip("."))
            states.setdefault(key, {})[visit.state] = None
            known = lifetimes.get(key)
            if cookie.lifetime is not None and (known is None or cookie.lifetime > known):
                known = cookie.lifetime
            lifetimes[key] = known
    rows = []
    for (name, domain), seen in states.items():
        vendors = [scope.rules.vendors[v] for v in scope.cookie_vendors(name)]
        declared = [declared_lifetime(vendor, name) for vendor in vendors]
        is_ours = _OUR_COOKIE.fullmatch(name) is not None
        known_ones = [one for one in declared if one is not None]
        rows.append(
            CookieRow(
                name=name,
                domain=domain,
                owners=(_OURS,) if is_ours else tuple(vendor.name for vendor in vendors),
                category=vendors[0].category if vendors else None,
                lifetime=lifetimes[(name, domain)],
                declared=max(known_ones) if known_ones else None,
                is_declared=is_ours or bool(vendors),
                states=tuple(s for s in AuditState if s in seen),
            )
        )
    return tuple(sorted(rows, key=lambda row: (row.domain, row.name)))


def timelines(visits: Iterable[PageVisit], scope: AuditScope) -> tuple[Timeline, ...]:
    """The requests around each choice."""
    found = []
    for visit in visits:
        if not visit.choices:
            continue
        entries = []
        for request in sent_in(visit):
            receiver = receiver_of_request(request, scope)
            if receiver is not None:
                entries.append(
                    TimelineEntry(request.at, receiver.name, request.url[:300], request.state)
                )
        found.append(Timeline(visit.state, visit.url, visit.choices, tuple(entries)))
    return tuple(found)


def page_rows(visits: Iterable[PageVisit], scope: AuditScope) -> tuple[PageRow, ...]:
    """Every page once, with what went wrong on it in any state."""
    found: dict[str, PageRow] = {}
    for visit in visits:
        known = found.get(visit.url)
        errors = dict.fromkeys(known.errors if known else ())
        errors |= dict.fromkeys(visit.console_errors)
        audience = scope.audience_of(visit)
        if known is not None and known.audience is Audience.PATIENT:
            audience = Audience.PATIENT
        found[visit.url] = PageRow(
            visit.url,
            audience,
            visit.title or (known.title if known else ""),
            tuple(errors)[:20],
            visit.failure or (known.failed if known else ""),
        )
    return tuple(found.values())


def own_hosts_in(visits: Iterable[PageVisit], scope: AuditScope) -> tuple[str, ...]:
    """The site's own hosts that were sent a request."""
    hosts = set()
    for visit in visits:
        for request in visit.requests:
            parts = urlsplit(request.url)
            try:
                port = parts.port
            except ValueError:
                continue
            if parts.hostname and scope.site.own.holds(parts.hostname, port):
                hosts.add(parts.hostname)
    return tuple(sorted(hosts))
