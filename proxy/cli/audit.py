"""`audit`: visit a site in a browser, in each state of a visitor, and tell who gets what."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Annotated
from urllib.parse import urljoin

import typer
from rich.console import Console
from rich.text import Text

from consent_rules.audit.findings import AuditFinding, Severity
from consent_rules.audit.inventory import inventory_of
from consent_rules.audit.report import AuditChanges, AuditReport, changes_since, is_at_least
from consent_rules.audit.scope import AuditScope
from consent_rules.audit.states import AuditState
from consent_rules.categories import Regime
from consent_rules.config.load import Config
from consent_rules.wording import counted, printable, quoted
from proxy.audit.browser import MissingBrowserError
from proxy.audit.choosing import ACCEPT_BUTTONS, REJECT_BUTTONS, ChoiceWays
from proxy.audit.crawl import CrawlLimits, CrawlPlan
from proxy.audit.html_report import as_html, moment_words, state_words
from proxy.audit.json_report import ReportError, as_json, read_report
from proxy.audit.machine_reports import as_junit, as_sarif
from proxy.audit.run import FinishedAudit, run_audit
from proxy.audit.scopes import (
    InvalidAuditError,
    scope_by_catalogue,
    scope_by_config,
    start_url,
)
from proxy.audit.state_file import StateFile, StateFileError
from proxy.audit.visiting import VisitLimits, same_origin
from proxy.cli.options import (
    CONFIG_FILE,
    PROBLEMS,
    USAGE,
    MaybeConfigOption,
    console,
    open_config,
    region_code,
    stop,
    today,
)
from proxy.cli.progress import shown_progress
from proxy.config.file import folder_of
from proxy.observability.discovered import sightings_in

_NEVER, _LAST = "never", "last"


def audit(
    url: Annotated[str, typer.Argument(help="The site's address, such as https://example.com/.")],
    config: MaybeConfigOption = None,
    html: Annotated[
        Path | None, typer.Option("--html", help="Write the report as one HTML file.")
    ] = None,
    json_file: Annotated[
        Path | None, typer.Option("--json", help="Write the report as JSON, for --since.")
    ] = None,
    junit: Annotated[
        Path | None, typer.Option("--junit", help="Write the findings as JUnit XML.")
    ] = None,
    sarif: Annotated[
        Path | None, typer.Option("--sarif", help="Write the findings as SARIF.")
    ] = None,
    since: Annotated[
        str,
        typer.Option(
            "--since",
            help='An earlier report (JSON), or "last" for the one that --json replaces: tell what '
            "changed.",
        ),
    ] = "",
    fail_on: Annotated[
        str,
        typer.Option(
            "--fail-on",
            help="Exit 1 if a finding is so severe: critical, high, medium, low; or never.",
        ),
    ] = Severity.HIGH,
    states: Annotated[
        str, typer.Option("--states", help=f"Which, with commas: {', '.join(AuditState)}.")
    ] = ",".join(AuditState),
    pages: Annotated[int, typer.Option("--pages", min=1, help="Pages at most.")] = 30,
    depth: Annotated[
        int, typer.Option("--depth", min=0, help="Links from the first page at most.")
    ] = 3,
    minutes: Annotated[
        float, typer.Option("--minutes", min=0, help="Stop after so long. 0: no limit.")
    ] = 30,
    rate: Annotated[
        float, typer.Option("--rate", min=0, help="Pages a second at most. 0: no limit.")
    ] = 2,
    at_once: Annotated[
        int, typer.Option("--at-once", min=1, max=32, help="Pages open at the same time.")
    ] = 4,
    quiet: Annotated[
        float,
        typer.Option(
            "--quiet-seconds", min=0.1, help="So long without a request, a page counts as done."
        ),
    ] = 1.5,
    page: Annotated[
        list[str] | None, typer.Option("--page", help="Visit this page too. Repeatable.")
    ] = None,
    own: Annotated[
        list[str] | None,
        typer.Option("--own", help="Without a config: one more host of the site. Repeatable."),
    ] = None,
    patient: Annotated[
        list[str] | None,
        typer.Option(
            "--patient", help="Without a config: pages for patients, such as /portal/*. Repeatable."
        ),
    ] = None,
    regime: Annotated[
        Regime, typer.Option("--regime", help="Without a config: what holds before a choice.")
    ] = Regime.OPT_IN,
    region: Annotated[str, typer.Option("--region", help="Where the visitor is: US, US-CA.")] = "",
    ignore_robots: Annotated[
        bool, typer.Option("--ignore-robots", help="Visit what robots.txt asks to leave out.")
    ] = False,
    no_typing: Annotated[
        bool, typer.Option("--no-typing", help="Type nothing into form fields.")
    ] = False,
    watch: Annotated[
        list[str] | None,
        typer.Option("--watch", help="Look for this value in requests, hashed too. Repeatable."),
    ] = None,
    storage_state: Annotated[
        Path | None,
        typer.Option("--storage-state", help="A signed-in session, saved by Playwright."),
    ] = None,
    state: Annotated[
        Path | None,
        typer.Option("--state", help="Keep what was seen here; a broken audit goes on from it."),
    ] = None,
    accept: Annotated[
        str, typer.Option("--accept", help="CSS selector of another tool's accept button.")
    ] = "",
    reject: Annotated[
        str, typer.Option("--reject", help="CSS selector of another tool's reject button.")
    ] = "",
    chromium_flag: Annotated[
        list[str] | None,
        typer.Option("--chromium-flag", help="One more flag for the browser. Repeatable."),
    ] = None,
) -> None:
    """Audit a site in a browser: who gets what, before and after each choice. Exit 1 if a finding
    is as severe as --fail-on, or the site could not be opened.
    """
    worst = _severity(fail_on)
    region = region_code(region)
    loaded = _config(config)
    try:
        start = start_url(url)
        _check_pages(page or (), start)
        earlier = _earlier(since, json_file)
    except (InvalidAuditError, ReportError) as error:
        stop(str(error), USAGE)
    if storage_state is not None and not storage_state.is_file():
        stop(f"{storage_state}: cannot be read", USAGE)
    if loaded is None:
        scope = scope_by_catalogue(
            start,
            own=own or (),
            patient_pages=patient or (),
            regime=regime,
            region=region,
            today=today(),
            watched=watch or (),
        )
    else:
        scope, given = scope_by_config(
            loaded, start, region=region, today=today(), watched=watch or ()
        )
        if not given:
            typer.echo(
                f"note: no site of the config has the host of {start}; the rules of site "
                f"{scope.site.name!r} are used",
                err=True,
            )
    plan = CrawlPlan(
        start=start,
        states=_states(states),
        ways=ChoiceWays(
            loaded.proxy.prefix if loaded else "/.consent",
            (accept,) if accept else ACCEPT_BUTTONS,
            (reject,) if reject else REJECT_BUTTONS,
        ),
        limits=CrawlLimits(pages, depth, minutes * 60, rate, at_once, VisitLimits(quiet)),
        more_pages=tuple(page or ()),
        obey_robots=not ignore_robots,
        types_into_fields=not no_typing,
        storage_state=str(storage_state) if storage_state else None,
    )
    name = "" if loaded is None else str(config or CONFIG_FILE)
    finished = _run(plan, scope, name, state, tuple(chromium_flag or ()))
    report = finished.report
    if loaded is not None:
        report = _with_inventory(report, loaded, config or CONFIG_FILE, scope)
    changes = changes_since(earlier, report) if earlier is not None else None
    _write(html, lambda: as_html(report, finished.pictures, changes))
    _write(json_file, lambda: as_json(report))
    _write(junit, lambda: as_junit(report))
    _write(sarif, lambda: as_sarif(report))
    _print_report(report)
    if changes is not None:
        _print_changes(changes)
    if report.failure:  # whatever --fail-on is: it is of findings, and nobody looked for them
        raise typer.Exit(PROBLEMS)
    if worst is not None and is_at_least(report.findings, worst):
        raise typer.Exit(PROBLEMS)


def _severity(text: str) -> Severity | None:
    if text == _NEVER:
        return None
    try:
        return Severity(text)
    except ValueError:
        stop(f"--fail-on {quoted(text)}: write {', '.join(Severity)} or {_NEVER}", USAGE)


def _earlier(since: str, json_file: Path | None) -> AuditReport | None:
    """The report to compare with. Raises ReportError."""
    if since != _LAST:
        return read_report(Path(since)) if since else None
    if json_file is None:
        stop(
            '--since last: name the file of the last report, and of this one, with "--json"', USAGE
        )
    if not json_file.exists():
        typer.echo(f"note: there is no {json_file} yet, so nothing to compare with", err=True)
        return None
    return read_report(json_file)


def _with_inventory(
    report: AuditReport, config: Config, file: Path, scope: AuditScope
) -> AuditReport:
    """The report with what the proxy discovered on this site, where its file is here."""
    found = folder_of(file) / config.proxy.discovered
    if not config.proxy.discovered or not found.is_file():
        return report
    try:
        sightings = sightings_in(found, scope.site.name)
    except sqlite3.Error as error:
        typer.echo(f"note: {found}: cannot be read: {error}", err=True)
        return report
    audited = [(row.id, row.name) for row in report.receivers]
    return replace(report, inventory=inventory_of(audited, sightings, scope.rules.vendors))


def _check_pages(pages: Iterable[str], start: str) -> None:
    """Raises InvalidAuditError for a page of another site, which is not visited."""
    for page in pages:
        if not same_origin(urljoin(start, page), start):
            origin = urljoin(start, "/").rstrip("/")
            raise InvalidAuditError(
                f"--page {quoted(page)}: is not on {origin}; audit another site by itself"
            )


def _states(text: str) -> tuple[AuditState, ...]:
    names = [name.strip() for name in text.split(",") if name.strip()]
    try:
        chosen = {AuditState(name) for name in names}
    except ValueError:
        stop(f"--states {quoted(text)}: the states are {', '.join(AuditState)}", USAGE)
    if not chosen:
        stop("--states names none", USAGE)
    return tuple(state for state in AuditState if state in chosen)


def _config(file: Path | None) -> Config | None:
    if file is None and not CONFIG_FILE.is_file():
        return None
    return open_config(file or CONFIG_FILE)[0].config


def _run(
    plan: CrawlPlan,
    scope: AuditScope,
    config: str,
    state: Path | None,
    flags: tuple[str, ...],
) -> FinishedAudit:
    state_file = StateFile(state) if state else None
    try:
        with shown_progress("audit") as tell:
            return asyncio.run(
                run_audit(plan, scope, config=config, state_file=state_file, tell=tell, flags=flags)
            )
    except (MissingBrowserError, StateFileError) as error:
        stop(str(error), PROBLEMS)


def _write(file: Path | None, text: Callable[[], str]) -> None:
    if file is None:
        return
    try:
        file.write_text(text(), encoding="utf-8")
    except OSError as error:
        stop(f"{file}: cannot be written: {error.strerror}", USAGE)


_STYLES = {
    Severity.CRITICAL: "bold red",
    Severity.HIGH: "red",
    Severity.MEDIUM: "yellow",
    Severity.LOW: "cyan",
}


def _print_report(report: AuditReport) -> None:
    out = console()
    if report.failure:
        out.print(printable(report.failure), style="bold red")
    pages, visits = counted(len(report.pages), "page"), counted(report.visits, "visit")
    out.print(
        f"{report.start}: {pages}, {visits} in {state_words(report)}, {report.seconds:.0f} s; "
        "judged by "
        f"{report.config or 'the catalogue'}"
    )
    for skipped in report.skipped:
        out.print(f"not reached: {skipped.state.words}: {printable(skipped.reason)}")
    for reason in report.unvisited:
        out.print(f"left out: {reason}")
    owners = {row.name: row.owner for row in report.receivers}
    for finding in report.findings:
        _print_finding(out, finding, owners.get(finding.receiver, ""))
    counts = ", ".join(f"{report.count(one)} {one}" for one in Severity if report.count(one))
    out.print(f"{counted(len(report.findings), 'finding')}{': ' if counts else ''}{counts}")


def _print_finding(out: Console, finding: AuditFinding, owner: str) -> None:
    where = "" if finding.audience is None else f", {finding.audience} pages"
    line = Text(f"\n{finding.severity} ", style=_STYLES[finding.severity])
    name = printable(finding.receiver)
    line.append(f"{name}: {finding.rule.words[0].lower()}{finding.rule.words[1:]}", style="bold")
    out.print(line)
    if owner:
        out.print(f"  who    {printable(owner)}")
    what = ", ".join(map(printable, (*finding.channels, *finding.subjects)))
    out.print(f"  when   {finding.state.words}{where}")
    if what:
        out.print(f"  what   {what}")
    more = f" and {len(finding.pages) - 1} more" if len(finding.pages) > 1 else ""
    out.print(f"  where  {printable(finding.pages[0])}{more}")
    out.print(f"  why    {finding.reason}")
    out.print(f"  mend   {printable(finding.remedy)}")


def _print_changes(changes: AuditChanges) -> None:
    out = console()
    out.print(
        f"\nsince {moment_words(changes.since)}: {len(changes.new)} new, {len(changes.gone)} gone"
    )
    for sign, findings in (("+", changes.new), ("-", changes.gone)):
        for finding in findings:
            out.print(f"{sign} {finding.severity} {printable(finding.receiver)}: {finding.key}")
    for host in changes.new_receivers:
        out.print(f"+ {printable(host)} was not sent a request before")
