"""The report as one HTML file that stands for itself: no script, no file and no host besides it.

Everything in it that comes from the audited site is text: the templates escape it, it is in no
`href`, and the page's own policy runs and fetches nothing.
"""

from __future__ import annotations

import base64
import datetime
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from consent_rules.audit.findings import AuditFinding, Rule, Severity
from consent_rules.audit.observations import SkipCause
from consent_rules.audit.owners import Ownership
from consent_rules.audit.report import AuditChanges, AuditReport, ReceiverRow, Timeline
from consent_rules.audit.states import AuditState
from consent_rules.categories import Audience, Category
from consent_rules.wording import category_words, counted, join_and, printable

_MAX_LANES = 14
_MAX_PATHS = 3
"""Pages that a sentence names."""
_MANY_STATES = 3
_MAX_NAMELESS = 12
_MAX_NAMES = 7
_DAY = 86_400


@dataclass(frozen=True, slots=True)
class MergedFinding:
    """Findings that differ in their state alone: the first stands for all of them."""

    first: AuditFinding
    when: str
    channels: tuple[str, ...]
    subjects: tuple[str, ...]
    hosts: tuple[str, ...]
    pages: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ReceiverSummary:
    """A receiver on the first page: everything about it in one row."""

    name: str
    category: str
    severity: Severity
    when: str
    pages: tuple[str, ...]
    more_pages: int
    remedies: tuple[str, ...]
    findings: tuple[MergedFinding, ...]


@dataclass(frozen=True, slots=True)
class Cell:
    """A receiver in a state: how many requests, and whether that is a finding."""

    requests: int
    is_finding: bool


@dataclass(frozen=True, slots=True)
class Lane:
    """A receiver's requests on a timeline: positions in per cent, each with a text."""

    name: str
    dots: tuple[tuple[float, str, str], ...]


@dataclass(frozen=True, slots=True)
class TimelineView:
    state: str
    page: str
    choices: tuple[float, ...]
    seconds: float
    lanes: tuple[Lane, ...]


def as_html(
    report: AuditReport,
    pictures: Mapping[str, bytes],
    changes: AuditChanges | None = None,
) -> str:
    """The whole file."""
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "path": path_of,
        "span": span_words,
        "moment": moment_words,
        "shown": printable,
        "category": lambda category: category_words(category) if category else "unknown",
    }
    return environment.get_template("report.html").render(
        report=report,
        changes=changes,
        changed=_changed(changes) if changes else (),
        severities=tuple(Severity),
        verdict=tuple(verdict(report)),
        steps=tuple(first_steps(report)),
        receivers=receiver_summaries(report),
        matrix=matrix(report),
        columns=_columns(report),
        unreached="; ".join(s.words for s in report.states if s not in _columns(report)),
        is_fine=not report.findings and not report.failure,
        states=state_words(report),
        timelines=tuple(timeline_view(one) for one in report.timelines if one.entries),
        pictures={name: base64.b64encode(data).decode() for name, data in pictures.items()},
        pictures_of=_pictures_of(report),
        naming=tuple(_naming_in_words(report)),
        site=urlsplit(report.start).netloc,
    )


def verdict(report: AuditReport) -> Iterable[str]:
    """What the audit says, in sentences: who got data, when, and on which pages."""
    if report.failure:
        yield report.failure
    elif not report.findings:
        yield (
            "Nobody received data about a visitor without a basis for it, in any state that was "
            "audited."
        )
    yield from _findings_in_words(report.findings, len(report.pages))
    yield from _unreached_in_words(report)


_REFUSED = frozenset({AuditState.REJECTED, AuditState.WITHDRAWN})


def _findings_in_words(findings: Iterable[AuditFinding], whole: int) -> Iterable[str]:
    findings = tuple(findings)
    received = [f for f in findings if f.is_receipt and f.rule is not Rule.STORED_ID]
    before = _names(f for f in received if f.state.allowed is None)
    refused = _names(f for f in received if f.state in _REFUSED)
    allowed = _names(f for f in received if f.state.allowed)
    patient = _names(f for f in received if f.audience is Audience.PATIENT)
    stored = _names(
        f
        for f in findings
        if f.rule in {Rule.COOKIE, Rule.STORAGE} and printable(f.receiver) not in _names(received)
    )
    if before:
        where = _pages_in_words((f for f in received if f.state.allowed is None), whole)
        yield f"Before any choice, {_companies(before)} received data about visitors, on {where}."
    if refused:
        who = _the_same(refused, before) or _companies(refused)
        did = "still did" if before else "received data"
        yield f"After a refusal or a withdrawal, {who} {did}."
    if allowed:
        who = _the_same(allowed, before) or _companies(allowed)
        yield (f"After the visitor allowed something, {who} received data that this did not cover.")
    if patient:
        where = _pages_in_words((f for f in received if f.audience is Audience.PATIENT), 0)
        yield f"On pages for patients ({where}), {_companies(patient)} learned of the visit."
    if stored:
        yield (
            f"{_companies(stored)} left cookies or entries in the browser's storage without a "
            "basis."
        )
    if findings and not (received or stored):
        worst = min(findings, key=lambda f: f.severity.rank).severity
        yield (
            "No third party was seen to receive data about a visitor without a basis; "
            f"{counted(len(findings), 'finding')} of {worst} severity "
            f"{'is' if len(findings) == 1 else 'are'} below."
        )


def first_steps(report: AuditReport) -> Iterable[str]:
    """What to do, in the order in which it matters: a sentence for all who need the same."""
    if any(skipped.cause is SkipCause.NO_TOOL for skipped in report.skipped):
        yield "Ask visitors before anything is sent: no button to accept or to refuse was seen."
    received = [f for f in report.findings if f.is_receipt]
    contacts = [f for f in received if f.rule is not Rule.FORM_DATA]
    typed = _names(f for f in received if f.rule is Rule.FORM_DATA)
    patient = _names(f for f in contacts if f.audience is Audience.PATIENT)
    others = [f for f in contacts if f.audience is not Audience.PATIENT]
    unknown = _names(f for f in others if not f.vendor)
    early = _names(f for f in others if f.vendor and not f.state.allowed)
    unapproved = [n for n in _names(f for f in others if f.vendor) if n not in early]
    if typed:
        yield f"Send nothing that visitors type to {_shortened(typed)}."
    if patient:
        yield f"Take {_shortened(patient)} off the pages for patients."
    if early:
        them = "it" if len(early) == 1 else "them"
        yield f"Hold {_shortened(early)} back until the visitor allows {them}."
    if unknown:
        them = "it" if len(unknown) == 1 else "them"
        yield f"Find out who runs {_shortened(unknown)}, and take {them} off until you know."
    if unapproved:
        them = "it" if len(unapproved) == 1 else "them"
        yield f"Decide about {_shortened(unapproved)}: approve {them}, or take {them} off."


def _shortened(names: Sequence[str]) -> str:
    more = len(names) - _MAX_NAMES
    return join_and(names if more < 2 else (*names[:_MAX_NAMES], f"{more} more"))


def _unreached_in_words(report: AuditReport) -> Iterable[str]:
    """The states that were not audited, by what kept the audit from them."""
    if not report.reached and report.failure and not report.findings:
        reasons = dict.fromkeys(printable(skipped.reason) for skipped in report.skipped)
        if any(skipped.cause is not SkipCause.NOT_OPENED for skipped in report.skipped):
            yield f"Why: {'; '.join(reasons)}."
        return
    states: dict[tuple[SkipCause, str], list[str]] = {}
    for skipped in report.skipped:
        key = (skipped.cause, printable(skipped.reason))
        states.setdefault(key, []).append(skipped.state.words)
    for (cause, reason), words in states.items():
        named = "; ".join(words)
        if cause is SkipCause.NOT_OFFERED:
            yield f"Not audited, because the site offers no such choice: {named}."
        elif cause is SkipCause.NO_TOOL:
            yield (
                "Visitors cannot refuse here: no button for a choice was seen. Not audited: "
                f"{named}."
            )
        else:
            yield f"Not audited: {named} ({reason})."


def _names(findings: Iterable[AuditFinding]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(printable(finding.receiver) for finding in findings))


def _the_same(names: tuple[str, ...], before: tuple[str, ...]) -> str:
    """What stands for names that were listed a sentence before; "" where they are others."""
    if set(names) != set(before):
        return ""
    return "it" if len(names) == 1 else "all of them"


def _pages_in_words(findings: Iterable[AuditFinding], whole: int) -> str:
    """The pages of findings: up to three by their paths, else their number of `whole`."""
    pages = tuple(dict.fromkeys(path_of(page) for f in findings for page in f.pages))
    if len(pages) <= _MAX_PATHS:
        return join_and(pages)
    if not whole:
        return f"{join_and((*pages[: _MAX_PATHS - 1], f'{len(pages) - _MAX_PATHS + 1} more'))}"
    return f"all {whole} pages" if len(pages) >= whole else f"{len(pages)} of {whole} pages"


def _companies(names: tuple[str, ...]) -> str:
    shown = join_and(names[:8]) if len(names) <= 8 else join_and((*names[:7], "others"))
    return f"{len(names)} third part{'y' if len(names) == 1 else 'ies'} ({shown})"


def state_words(report: AuditReport) -> str:
    """`3 of 11 states`: how many were audited."""
    whole = len(report.states)
    of_all = f"{len(report.reached)} of " if len(report.reached) < whole else ""
    return of_all + counted(whole, "state")


def receiver_summaries(report: AuditReport) -> tuple[ReceiverSummary, ...]:
    """One row for each receiver with findings: the worst first, and those with the most."""
    grouped: dict[str, list[AuditFinding]] = {}
    for finding in report.findings:
        grouped.setdefault(finding.receiver, []).append(finding)
    known = {row.name: row for row in report.receivers}
    rows = []
    for name, findings in grouped.items():
        states = dict.fromkeys(s for s in AuditState for f in findings if f.state is s)
        pages = tuple(dict.fromkeys(page for f in findings for page in f.pages))
        rows.append(
            ReceiverSummary(
                name=name,
                category=_what_it_is(known.get(name), findings[0].category),
                severity=findings[0].severity,
                when=_when(states, report),
                pages=pages[:4],
                more_pages=max(0, len(pages) - 4),
                remedies=_remedies(findings),
                findings=_merged(findings),
            )
        )
    return tuple(
        sorted(
            rows,
            key=lambda row: (row.severity.rank, -len(grouped[row.name]), row.name.lower()),
        )
    )


def _merged(findings: Iterable[AuditFinding]) -> tuple[MergedFinding, ...]:
    """One for all states in which the same was found, for the same reason."""
    same: dict[tuple[object, ...], list[AuditFinding]] = {}
    for f in findings:
        same.setdefault((f.rule, f.severity, f.audience, f.reason, f.remedy), []).append(f)
    return tuple(
        MergedFinding(
            first=group[0],
            when="; ".join(dict.fromkeys(f.state.words for f in group)),
            channels=tuple(dict.fromkeys(one for f in group for one in f.channels)),
            subjects=tuple(dict.fromkeys(one for f in group for one in f.subjects)),
            hosts=tuple(dict.fromkeys(one for f in group for one in f.hosts)),
            pages=tuple(dict.fromkeys(one for f in group for one in f.pages)),
        )
        for group in same.values()
    )


def _changed(
    changes: AuditChanges,
) -> tuple[tuple[str, int, tuple[tuple[AuditFinding, str], ...]], ...]:
    """Title, number, and each change once with the states in which it is."""
    lists = (("New findings", changes.new), ("Findings that are gone", changes.gone))
    rows = []
    for title, findings in lists:
        same: dict[tuple[object, ...], list[AuditFinding]] = {}
        for f in findings:
            same.setdefault((f.severity, f.receiver, f.rule, f.audience), []).append(f)
        merged = tuple(
            (group[0], "; ".join(dict.fromkeys(f.state.words for f in group)))
            for group in same.values()
        )
        rows.append((title, len(findings), merged))
    return tuple(rows)


def _remedies(findings: Iterable[AuditFinding]) -> tuple[str, ...]:
    """What mends the contact on each audience's pages, else whatever mends the worst."""
    first: dict[Audience | None, str] = {}
    for finding in findings:
        if finding.channels:
            first.setdefault(finding.audience, finding.remedy)
    return tuple(dict.fromkeys(first.values())) or tuple(f.remedy for f in findings)[:1]


def matrix(report: AuditReport) -> tuple[tuple[str, str, tuple[Cell | None, ...]], ...]:
    """Name, category and a cell for each column; None where nothing was sent."""
    rows = []
    columns = _columns(report)
    for row in report.receivers:
        counts = dict(row.requests)
        cells = tuple(
            Cell(counts[state], state in row.findings) if state in counts else None
            for state in columns
        )
        rows.append((row.name, _what_it_is(row), cells))
    return tuple(rows)


def _when(states: Iterable[AuditState], report: AuditReport) -> str:
    """The states in words; one word for all where they are many."""
    states = tuple(states)
    if len(states) >= _MANY_STATES and set(states) >= set(report.reached):
        return "in every state that was audited"
    return "; ".join(state.words for state in states)


def _what_it_is(row: ReceiverRow | None, category: Category | None = None) -> str:
    """A receiver's category, or whose its host is."""
    if row is not None:
        category = row.category or category
    if category is not None:
        return category_words(category)
    return printable(row.owner) if row is not None and row.owner else "unknown"


def _columns(report: AuditReport) -> tuple[AuditState, ...]:
    """The states that were reached, and any other in which something was sent."""
    seen = {state for row in report.receivers for state, _ in row.requests}
    return tuple(state for state in report.states if state in {*report.reached, *seen})


def timeline_view(timeline: Timeline) -> TimelineView:
    """Positions in per cent of the whole."""
    end = max([*timeline.choices, *(entry.at for entry in timeline.entries)]) * 1.03 or 1.0
    lanes: dict[str, list[tuple[float, str, str]]] = {}
    for entry in timeline.entries:
        if entry.receiver not in lanes and len(lanes) >= _MAX_LANES:
            continue
        kind = "choosing" if entry.state is None else "before"
        if entry.state is not None and entry.at >= timeline.choices[0]:
            kind = "late" if entry.state is AuditState.WITHDRAWN else "after"
        text = f"{entry.at:.2f} s: {printable(entry.url)}"
        lanes.setdefault(entry.receiver, []).append((round(100 * entry.at / end, 2), kind, text))
    return TimelineView(
        timeline.state.words,
        timeline.page,
        tuple(round(100 * moment / end, 2) for moment in timeline.choices),
        round(end, 1),
        tuple(Lane(name, tuple(dots)) for name, dots in lanes.items()),
    )


_HOW_NAMED = {
    Ownership.COMPANY: "by the list of companies' domains",
    Ownership.LIKELY_COMPANY: "likely, as a company's name stands in theirs, which is a guess",
    Ownership.SHARED: "as a host of anybody's files",
    Ownership.LIKELY_OWN: "as likely the site's own, which is a guess from its name",
}


def _naming_in_words(report: AuditReport) -> Iterable[str]:
    """How it is known whose the hosts of third parties are, and which nobody knows."""
    hosts: dict[Ownership | None, list[str]] = {}
    vendors = 0
    for row in report.receivers:
        if row.id:
            vendors += len(row.hosts)
        else:
            hosts.setdefault(row.ownership, []).extend(row.hosts)
    if vendors:
        yield f"{counted(vendors, 'host')} by the catalogue of vendors and the config"
    for how, words in _HOW_NAMED.items():
        if how in hosts:
            yield f"{counted(len(hosts[how]), 'host')} {words}"
    if None in hosts:
        shown = ", ".join(printable(host) for host in hosts[None][:_MAX_NAMELESS])
        more = len(hosts[None]) - _MAX_NAMELESS
        rest = f" and {more} more" if more > 0 else ""
        yield f"{counted(len(hosts[None]), 'host')} not at all: {shown}{rest}"


def _pictures_of(report: AuditReport) -> dict[str, str]:
    """Page -> the name of its picture."""
    return {
        evidence.page: evidence.screenshot
        for finding in report.findings
        for evidence in finding.evidence
        if evidence.screenshot
    }


_MONTHS = (
    "January", "February", "March", "April", "May", "June", "July", "August", "September",
    "October", "November", "December",
)  # fmt: skip


def moment_words(text: str) -> str:
    """A moment of ISO 8601 in words, as `29 November 2026, 20:00 UTC`; what is none as it is."""
    try:
        moment = datetime.datetime.fromisoformat(text).astimezone(datetime.UTC)
    except ValueError:
        return printable(text)
    return f"{moment.day} {_MONTHS[moment.month - 1]} {moment.year}, {moment:%H:%M} UTC"


def path_of(url: str) -> str:
    """A page's address without its host, for people."""
    parts = urlsplit(url)
    return printable((parts.path or "/") + (f"?{parts.query}" if parts.query else ""))


def span_words(seconds: float | None) -> str:
    """A lifetime: "2 years", "30 minutes", "session"."""
    if not seconds:
        return "session"
    for unit, size in (("year", 365 * _DAY), ("day", _DAY), ("hour", 3600), ("minute", 60)):
        number = round(seconds / size, 1)
        if number >= 1:
            number = int(number) if number == int(number) else number
            return f"{number} {unit}{'' if number == 1 else 's'}"
    return f"{seconds:.0f} seconds"
