"""judge(): the findings in what a browser was seen to do."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from urllib.parse import parse_qsl, urlsplit

from consent_rules.audit.encodings import MIN_LENGTH, Reading, encoding_of, readings_of
from consent_rules.audit.findings import AuditFinding, Evidence, Rule, Severity
from consent_rules.audit.observations import (
    Channel,
    ObservedCookie,
    ObservedRequest,
    PageVisit,
    StorageEntry,
)
from consent_rules.audit.receivers import Receiver, receiver_of
from consent_rules.audit.remedies import (
    contact_remedy,
    contact_severity,
    cookie_remedy,
    data_remedy,
)
from consent_rules.audit.scope import AuditScope, target_of
from consent_rules.audit.states import AuditState
from consent_rules.catalogue.cookie_details import details_of
from consent_rules.categories import Audience, Category
from consent_rules.decision import VendorDecision
from consent_rules.matching.click_ids import is_click_id
from consent_rules.vendors import Vendor

_SERVICES = frozenset({Category.NECESSARY, Category.FUNCTIONAL})
_MAX_EVIDENCE = 5
_MIN_ID = 8
"""Characters of an identifier: a shorter value ("true", "1") identifies nobody."""
_SECONDS = {
    "second": 1, "minute": 60, "hour": 3600, "day": 86_400, "week": 604_800,
    "month": 2_678_400, "year": 31_622_400,
}  # fmt: skip
_LONGEST = 400 * 86_400
"""Seconds that browsers keep a cookie at most (RFC 6265bis, 5.5)."""


@dataclass(slots=True)
class _Open:
    """A finding that still grows."""

    severity: Severity
    receiver: str
    category: Category | None
    reason: str
    remedy: str
    hosts: dict[str, None] = field(default_factory=dict)
    channels: dict[Channel, None] = field(default_factory=dict)
    subjects: dict[str, None] = field(default_factory=dict)
    pages: dict[str, None] = field(default_factory=dict)
    evidence: list[Evidence] = field(default_factory=list)


_Key = tuple[Rule, AuditState, Audience | None, str]


class _Collected:
    """Findings by what makes them one: rule, state, audience and receiver."""

    def __init__(self) -> None:
        self._open: dict[_Key, _Open] = {}

    def add(
        self,
        rule: Rule,
        state: AuditState,
        audience: Audience | None,
        vendor: Vendor | None,
        host: str,
        severity: Severity,
        reason: str,
        remedy: str,
        evidence: Evidence,
        *,
        channel: Channel | None = None,
        subjects: Iterable[str] = (),
    ) -> None:
        key = (rule, state, audience, vendor.id if vendor else f"?{host}")
        found = self._open.get(key)
        if found is None:
            name = vendor.name if vendor else host
            category = vendor.category if vendor else None
            found = self._open[key] = _Open(severity, name, category, reason, remedy)
        if severity.rank < found.severity.rank:
            found.severity, found.reason, found.remedy = severity, reason, remedy
        found.hosts[host] = None
        if channel is not None:
            found.channels[channel] = None
        found.subjects |= dict.fromkeys(subjects)
        if evidence.page not in found.pages or len(found.evidence) < 2:
            found.evidence.append(evidence)
        found.pages[evidence.page] = None

    def findings(self) -> Iterator[AuditFinding]:
        for (rule, state, audience, vendor), found in self._open.items():
            yield AuditFinding(
                rule=rule,
                severity=found.severity,
                state=state,
                vendor="" if vendor.startswith("?") else vendor,
                receiver=found.receiver,
                hosts=tuple(sorted(found.hosts)),
                audience=audience,
                channels=tuple(sorted(found.channels)),
                subjects=tuple(sorted(found.subjects)),
                pages=tuple(sorted(found.pages)),
                reason=found.reason,
                remedy=found.remedy,
                evidence=tuple(found.evidence[:_MAX_EVIDENCE]),
                category=found.category,
            )


def judge(visits: Iterable[PageVisit], scope: AuditScope) -> tuple[AuditFinding, ...]:
    """All findings, the worst first. Each request is judged by the state in which it was sent."""
    collected = _Collected()
    for visit in _with_all_typed(tuple(visits)):
        _judge_requests(visit, scope, collected)
        _judge_jar(visit, scope, collected)
    order = list(AuditState)
    return tuple(
        sorted(
            collected.findings(),
            key=lambda f: (f.severity.rank, order.index(f.state), f.receiver, f.rule),
        )
    )


def _with_all_typed(visits: Sequence[PageVisit]) -> Iterator[PageVisit]:
    """The visits, each with what was typed on any page: another page, or a worker of several, may
    be what sends it.
    """
    typed = tuple(dict.fromkeys(one for visit in visits for one in visit.typed))
    for visit in visits:
        yield visit if visit.typed == typed else replace(visit, typed=typed)


def _judge_requests(visit: PageVisit, scope: AuditScope, collected: _Collected) -> None:
    audience = scope.audience_of(visit)
    target = target_of(visit.url)
    ids = tuple(_closed_ids(visit, scope))
    for request in sent_in(visit):
        if request.state is None:
            continue
        receiver = receiver_of_request(request, scope)
        if receiver is None:
            _judge_own_request(visit, request, ids, audience, scope, collected)
            continue
        decision = scope.decision(request.state, audience, target)
        decided = decision.for_vendor(receiver.id or None)
        if not decided.open and not _is_in_open_frame(request, audience, target, scope):
            _add_contact(visit, request, receiver, decided, audience, scope, collected)
        _judge_data(visit, request, receiver, decided, audience, scope, collected)


def sent_in(visit: PageVisit) -> Iterator[ObservedRequest]:
    """What a page sent: nothing that was blocked, and no hint that a request followed, which tells
    more.
    """
    asked = {urlsplit(r.url).netloc for r in visit.requests if r.channel is not Channel.HINT}
    for request in visit.requests:
        is_followed = request.channel is Channel.HINT and urlsplit(request.url).netloc in asked
        if not (request.blocked or is_followed):
            yield request


def _is_in_open_frame(
    request: ObservedRequest, audience: Audience, target: str, scope: AuditScope
) -> bool:
    """Whether a request was made by the document of an open vendor, in that vendor's frame: the
    site does not decide what happens there, only whether the frame stands there.
    """
    if not request.document or request.channel is Channel.FRAME:
        return False
    owner = receiver_of(request.document, "", scope.rules, scope.site, {})
    if owner is None or owner.vendor is None or request.state is None:
        return False
    return scope.decision(request.state, audience, target).for_vendor(owner.id).open


def _add_contact(
    visit: PageVisit,
    request: ObservedRequest,
    receiver: Receiver,
    decided: VendorDecision,
    audience: Audience,
    scope: AuditScope,
    collected: _Collected,
) -> None:
    assert request.state is not None
    severity = contact_severity(receiver.vendor, decided, request.state, audience)
    if request.channel is Channel.HINT:
        severity = Severity.LOW
    disclosed = ", ".join(_page_data(visit, request))
    detail = "; ".join(
        filter(None, (receiver.detail, f"it holds the {disclosed}" if disclosed else ""))
    )
    collected.add(
        receiver.rule,
        request.state,
        audience,
        receiver.vendor,
        receiver.host,
        severity,
        str(decided.reason),
        contact_remedy(receiver.vendor, receiver.host, decided.reason, audience, scope),
        _evidence(visit, request, detail),
        channel=request.channel,
    )


def _evidence(visit: PageVisit, request: ObservedRequest, detail: str) -> Evidence:
    return Evidence(
        page=visit.url,
        url=request.url,
        at=request.at,
        initiator=request.initiator or request.redirected_from,
        detail=detail,
        screenshot=visit.screenshot,
    )


# --- Data in requests


def _sent(
    request: ObservedRequest, *, besides: frozenset[str] = frozenset()
) -> tuple[Reading, ...]:
    """Every reading of what a request carries. Cookies are the receiver's own, and left out;
    `besides` are more fields to leave out.
    """
    left_out = {"cookie", "user-agent", *besides}
    fields = (v for n, v in request.headers if n.lower() not in left_out)
    return readings_of(request.url, request.body, *fields)


def _page_data(visit: PageVisit, request: ObservedRequest) -> Iterator[str]:
    """What a request discloses of the page that it was sent from."""
    target = target_of(visit.url)
    path = target.partition("?")[0]
    referrer = next((v for n, v in request.headers if n.lower() == "referer"), "")
    if len(target_of(referrer)) > 1 and referrer:
        yield "page's address, as the referrer"
    if request.url.partition("#")[0] == visit.url.partition("#")[0]:
        return
    readings = readings_of(request.url, request.body)
    if len(path) > MIN_LENGTH and encoding_of(path, readings):
        yield "page's address"
    if len(visit.title) > MIN_LENGTH and encoding_of(visit.title, readings):
        yield "page's title"


def _query_values(url: str) -> Iterator[tuple[str, str]]:
    for name, value in parse_qsl(urlsplit(url).query):
        is_word = any(character.isalpha() for character in value)
        if len(value) >= MIN_LENGTH and is_word and not is_click_id(name):
            yield name, value


def _judge_data(
    visit: PageVisit,
    request: ObservedRequest,
    receiver: Receiver,
    decided: VendorDecision,
    audience: Audience,
    scope: AuditScope,
    collected: _Collected,
) -> None:
    assert request.state is not None
    is_service = (
        decided.open and receiver.vendor is not None and receiver.vendor.category in _SERVICES
    )
    if is_service:  # what it is for
        return

    def add(rule: Rule, severity: Severity, subjects: Iterable[str], detail: str) -> None:
        assert request.state is not None
        collected.add(
            rule,
            request.state,
            audience,
            receiver.vendor,
            receiver.host,
            severity,
            _DATA_REASONS[rule],
            data_remedy(rule),
            _evidence(visit, request, detail),
            channel=request.channel,
            subjects=subjects,
        )

    values = tuple(dict.fromkeys((*visit.typed, *scope.watched)))
    sent = _sent(request) if values else ()
    for kind, value in values:
        how = encoding_of(value, sent)
        if how:
            subject = kind if how == "plain" else f"{kind} ({how})"
            add(Rule.FORM_DATA, Severity.CRITICAL, [subject], f"it holds the {subject}")
    if audience is Audience.PATIENT:
        found = tuple(_page_data(visit, request))
        if found:
            add(Rule.PAGE_DATA, Severity.CRITICAL, found, f"it holds the {', '.join(found)}")
    elif decided.open:
        named = [n for n, v in _query_values(visit.url) if encoding_of(v, _sent(request))]
        if named:
            detail = f"it holds the page's query: {', '.join(named)}"
            add(Rule.QUERY_DATA, Severity.MEDIUM, named, detail)


_DATA_REASONS = {
    Rule.PAGE_DATA: "what a patient reads tells of their health",
    Rule.QUERY_DATA: "a query may hold what the visitor looked for or typed",
    Rule.FORM_DATA: "no choice of a category covers what is typed into a form",
    Rule.STORED_ID: "the identifier is the third party's, whoever receives it",
}


def _judge_own_request(
    visit: PageVisit,
    request: ObservedRequest,
    ids: tuple[tuple[str, Vendor, str], ...],
    audience: Audience,
    scope: AuditScope,
    collected: _Collected,
) -> None:
    """A request to the site itself: identifiers of closed vendors in it, and hashed form fields."""
    assert request.state is not None
    # The referrer is the site's own address, told to the site.
    readings = _sent(request, besides=frozenset({"referer"}))
    host = urlsplit(request.url).netloc
    for name, vendor, value in ids:
        if any(_stands_in(value, reading.text) for reading in readings):
            collected.add(
                Rule.STORED_ID,
                request.state,
                audience,
                vendor,
                host,
                Severity.HIGH,
                _DATA_REASONS[Rule.STORED_ID],
                data_remedy(Rule.STORED_ID),
                _evidence(visit, request, f"it holds the value of {name}"),
                channel=request.channel,
                subjects=[name],
            )
    for kind, value in dict.fromkeys((*visit.typed, *scope.watched)):
        how = encoding_of(value, readings)
        if how and how not in {"plain", "encoded"}:
            collected.add(
                Rule.FORM_DATA,
                request.state,
                audience,
                None,
                host,
                Severity.HIGH,
                "a site does not hash what it asks for; whoever matches people does",
                data_remedy(Rule.FORM_DATA),
                _evidence(visit, request, f"it holds the {kind} ({how})"),
                channel=request.channel,
                subjects=[f"{kind} ({how})"],
            )


def _stands_in(identifier: str, text: str) -> bool:
    """Whether an identifier stands in a text by itself: not as a part of a longer one."""
    at = text.find(identifier)
    while at >= 0:
        end = at + len(identifier)
        if not (text[at - 1 : at].isalnum() or text[end : end + 1].isalnum()):
            return True
        at = text.find(identifier, at + 1)
    return False


def _closed_ids(visit: PageVisit, scope: AuditScope) -> Iterator[tuple[str, Vendor, str]]:
    """Name, vendor and value of the identifiers that closed vendors left on the site's own host."""
    named = [(c.name, c.value) for c in visit.cookies if _is_own_host(c.domain, scope)]
    named += [(e.key, e.value) for e in visit.storage if _is_own_url(e.origin, scope)]
    for name, value in named:
        vendor = _closed_owner(name, visit.state, scope)
        if vendor is not None:
            for identifier in _identifiers(value):
                yield name, vendor, identifier


def _identifiers(value: str) -> Iterator[str]:
    """A cookie's value, and what of it vendors send on: `123.456` of `GA1.1.123.456`."""
    if len(value) >= _MIN_ID:
        yield value
    parts = value.split(".")
    if len(parts) > 3 and len(tail := ".".join(parts[2:])) >= _MIN_ID:
        yield tail


# --- Cookies and storage


def _judge_jar(visit: PageVisit, scope: AuditScope, collected: _Collected) -> None:
    for cookie in visit.cookies:
        _judge_cookie(visit, cookie, scope, collected)
    for entry in visit.storage:
        _judge_entry(visit, entry, scope, collected)
    for request in visit.requests:
        if request.state is None or not request.set_cookies:
            continue
        for field_value in request.set_cookies:
            name, value = _name_and_value(field_value)
            cookie = ObservedCookie(name, value, urlsplit(request.url).hostname or "")
            _judge_cookie(visit, cookie, scope, collected, request)


def _name_and_value(set_cookie: str) -> tuple[str, str]:
    name, _, value = set_cookie.partition(";")[0].partition("=")
    return name.strip(), value.strip()


def _judge_cookie(
    visit: PageVisit,
    cookie: ObservedCookie,
    scope: AuditScope,
    collected: _Collected,
    request: ObservedRequest | None = None,
) -> None:
    state = visit.state if request is None else request.state
    assert state is not None
    detail = f"{cookie.name}, of {cookie.domain.lstrip('.')}"
    evidence = Evidence(visit.url, detail=detail, screenshot=visit.screenshot)
    if request is not None:
        evidence = _evidence(visit, request, f"{detail}, set by the response")
    if _is_own_host(cookie.domain, scope):
        vendor = _closed_owner(cookie.name, state, scope)
        if vendor is not None:
            _add_stored(
                Rule.COOKIE, cookie.name, vendor, cookie.domain, state, evidence, scope, collected
            )
        elif request is None:
            _judge_lifetime(cookie, state, evidence, scope, collected)
        return
    receiver = receiver_of(f"https://{cookie.domain.lstrip('.')}/", "", scope.rules, scope.site, {})
    if request is not None:
        receiver = receiver_of(request.url, "", scope.rules, scope.site, {})
    if receiver is not None and not scope.site_decision(state).for_vendor(receiver.id or None).open:
        _add_stored(
            Rule.COOKIE,
            cookie.name,
            receiver.vendor,
            receiver.host,
            state,
            evidence,
            scope,
            collected,
        )


def _judge_entry(
    visit: PageVisit, entry: StorageEntry, scope: AuditScope, collected: _Collected
) -> None:
    evidence = Evidence(
        visit.url,
        detail=f"{entry.key} in {entry.kind} of {entry.origin}",
        screenshot=visit.screenshot,
    )
    host = urlsplit(entry.origin).netloc
    if _is_own_url(entry.origin, scope):
        vendor = _closed_owner(entry.key, visit.state, scope)
        if vendor is not None:
            _add_stored(
                Rule.STORAGE, entry.key, vendor, host, visit.state, evidence, scope, collected
            )
        return
    receiver = receiver_of(f"{entry.origin}/", "", scope.rules, scope.site, {})
    decision = scope.site_decision(visit.state)
    if receiver is not None and not decision.for_vendor(receiver.id or None).open:
        _add_stored(
            Rule.STORAGE, entry.key, receiver.vendor, host, visit.state, evidence, scope, collected
        )


def _add_stored(
    rule: Rule,
    name: str,
    vendor: Vendor | None,
    host: str,
    state: AuditState,
    evidence: Evidence,
    scope: AuditScope,
    collected: _Collected,
) -> None:
    decided = scope.site_decision(state).for_vendor(vendor.id if vendor else None)
    collected.add(
        rule,
        state,
        None,
        vendor,
        host.lstrip("."),
        contact_severity(vendor, decided, state, None),
        str(decided.reason),
        cookie_remedy(vendor, host.lstrip("."), scope),
        evidence,
        subjects=[name],
    )


def _judge_lifetime(
    cookie: ObservedCookie,
    state: AuditState,
    evidence: Evidence,
    scope: AuditScope,
    collected: _Collected,
) -> None:
    """A cookie of an open vendor, against the declaration."""
    for vendor_id in scope.cookie_vendors(cookie.name):
        vendor = scope.rules.vendors[vendor_id]
        declared = declared_lifetime(vendor, cookie.name)
        if declared is None or cookie.lifetime is None:
            continue
        if cookie.lifetime > min(declared, _LONGEST) * 1.05 + 60:
            collected.add(
                Rule.LIFETIME,
                state,
                None,
                vendor,
                cookie.domain.lstrip("."),
                Severity.LOW,
                "the cookie declaration names a shorter time",
                f"Set {cookie.name} for the time that is declared, or declare the time that it is "
                "set for.",
                evidence,
                subjects=[cookie.name],
            )


def declared_lifetime(vendor: Vendor, name: str) -> float | None:
    """The declared lifetime of a cookie in seconds; None where none is declared. 0: the session."""
    matching = []
    for detail in details_of(vendor):
        head, star, _ = detail.name.partition("*")
        if detail.name == name or (star and name.startswith(head)):
            matching.append((not star, len(head), detail.lifetime))
    lifetime = max(matching)[2] if matching else ""
    if not lifetime:
        return None
    if lifetime == "session":
        return 0.0
    number, unit = lifetime.split()
    return float(number) * _SECONDS[unit.rstrip("s")]


def _closed_owner(name: str, state: AuditState, scope: AuditScope) -> Vendor | None:
    """The vendor of a cookie's or an entry's name, where none of its vendors is open."""
    owners = scope.cookie_vendors(name)
    decision = scope.site_decision(state)
    if not owners or any(decision.for_vendor(owner).open for owner in owners):
        return None
    return scope.rules.vendors[owners[0]]


def _is_own_host(domain: str, scope: AuditScope) -> bool:
    host = domain.lstrip(".")
    if scope.site.own.holds(host, None):
        return True
    # A pattern with a port is of that host all the same: cookies know no ports.
    named = {pattern.partition(":")[0] for pattern in scope.site.own_patterns}
    return host in named or any(name.removeprefix("*.").endswith(f".{host}") for name in named)


def _is_own_url(origin: str, scope: AuditScope) -> bool:
    parts = urlsplit(origin)
    return scope.site.own.holds(parts.hostname or "", parts.port)


def receiver_of_request(request: ObservedRequest, scope: AuditScope) -> Receiver | None:
    """The receiver of a request; None for the site itself."""
    return receiver_of(request.url, request.body, scope.rules, scope.site, scope.aliases)
