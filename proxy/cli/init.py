"""`init`: a first config, from a visit of the site, by questions on a terminal, or by flags."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import sys
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlsplit

import typer
from pydantic import TypeAdapter, ValidationError

from consent_rules.audit.draft import Guess, SiteDraft
from consent_rules.categories import Regime
from consent_rules.config.load import ConfigError, LoadedConfig, format_problem, load_config
from consent_rules.config.models import Host, Origin, PathGlob, PolicyUrl, Text
from consent_rules.wording import counted, quoted
from proxy.audit.browser import MissingBrowserError
from proxy.audit.crawl import CrawlLimits
from proxy.audit.drafting import NotOpenedError, draft_by_visiting, draft_plan, final_address
from proxy.audit.scopes import InvalidAuditError, scope_by_catalogue, start_url
from proxy.banner.texts import known_texts
from proxy.cli.first_config import FirstConfig
from proxy.cli.options import CONFIG_FILE, PROBLEMS, USAGE, confirm, stop, today
from proxy.cli.progress import shown_progress


@dataclass(frozen=True, slots=True)
class _Field:
    """A value of the first config: its flag, its question, and the type that reads it."""

    flag: str
    text: str
    kind: Any
    may_be_empty: bool = False


_CONTROLLER = _Field("--controller", "Who answers for the data", Text)
_HOST = _Field("--host", "Host name of the site", Host)
_UPSTREAM = _Field("--upstream", "Server behind (http://127.0.0.1:9000)", Origin)
_POLICY_URL = _Field(
    "--policy-url", "Privacy policy (/privacy), or nothing", PolicyUrl, may_be_empty=True
)
_PATIENT_PAGE = _Field(
    "--patient-pages",
    "Pages for patients, with blanks between (/patients/*), or nothing",
    PathGlob,
)


def init(
    words: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[URL] [FILE]",
            help="A site to draft from, such as https://www.example.com/, and the file to write "
            f"(default: {CONFIG_FILE}).",
            show_default=False,
        ),
    ] = None,
    controller: Annotated[
        str, typer.Option("--controller", help="Who answers for the data, as the banner says it.")
    ] = "",
    host: Annotated[
        str, typer.Option("--host", help="The site's host name, such as www.example.com.")
    ] = "",
    upstream: Annotated[
        str, typer.Option("--upstream", help="The server behind, such as http://127.0.0.1:9000.")
    ] = "",
    policy_url: Annotated[
        str, typer.Option("--policy-url", help="The privacy policy, such as /privacy; may follow.")
    ] = "",
    patient_pages: Annotated[
        list[str] | None,
        typer.Option("--patient-pages", help='A pattern of pages for patients: "/patients/*".'),
    ] = None,
    receipts: Annotated[
        bool | None,
        typer.Option("--receipts/--no-receipts", help="Keep a record of each choice, or not."),
    ] = None,
    pages: Annotated[
        int, typer.Option("--pages", min=1, help="With a URL: look at so many pages at most.")
    ] = 20,
    minutes: Annotated[
        float, typer.Option("--minutes", min=0, help="With a URL: stop after so long. 0: no limit.")
    ] = 5,
    ignore_robots: Annotated[
        bool,
        typer.Option("--ignore-robots", help="With a URL: visit what robots.txt excludes, too."),
    ] = False,
    chromium_flag: Annotated[
        list[str] | None,
        typer.Option("--chromium-flag", help="With a URL: one more flag for the browser."),
    ] = None,
) -> None:
    """Write a first config: drafted from a visit of the site, by questions on a terminal, or by
    flags. Overwrites no file.

    With a URL the site is looked at in a browser, as `audit` does it. What it finds is a guess with
    its reason, nothing is approved, and the site is only observed.
    """
    url, config = _url_and_file(words or [])
    if os.path.lexists(config):
        stop(f"{config}: exists already; nothing was written. Name another file", USAGE)
    interactive = sys.stdin.isatty() and sys.stdout.isatty()
    draft = None
    if url:
        flags = ((host, _HOST), (upstream, _UPSTREAM), (policy_url, _POLICY_URL))
        _stop_if_wrong([_problem_of_flag(text, one, True) for text, one in flags])
        limits = CrawlLimits(pages=pages, depth=2, seconds=minutes * 60)
        draft = _draft(url, limits, not ignore_robots, tuple(chromium_flag or ()))
        parts = urlsplit(draft.start)
        host = host or parts.hostname or ""
        upstream = upstream or f"{parts.scheme}://{parts.netloc}"
        controller = controller or _guessed(draft.controller, _CONTROLLER) or host
        policy_url = policy_url or _guessed(draft.policy_url, _POLICY_URL)
        patient_pages = patient_pages or []
        receipts = receipts is not False
    given = (
        (controller, _CONTROLLER), (host, _HOST), (upstream, _UPSTREAM), (policy_url, _POLICY_URL),
        *((one, _PATIENT_PAGE) for one in patient_pages or ()),
    )  # fmt: skip
    _stop_if_wrong([_problem_of_flag(text, one, interactive) for text, one in given])
    by_questions = interactive and draft is None
    try:
        wanted = FirstConfig(
            controller=_answer(controller, _CONTROLLER, by_questions),
            host=_answer(host, _HOST, by_questions),
            upstream=_answer(upstream, _UPSTREAM, by_questions),
            policy_url=_answer(policy_url, _POLICY_URL, by_questions),
            patient_pages=_patient_pages(patient_pages, by_questions),
            receipts=_receipts(receipts, by_questions),
            draft=draft,
        )
        text = wanted.as_toml(today().isoformat())
        loaded = _checked(text, config)
        if interactive:
            typer.echo(f"\n{text}")
            if not confirm(f"Write this to {config}?"):
                stop("Nothing was written.", PROBLEMS)
    except (typer.Abort, KeyboardInterrupt):
        stop("\nNothing was written.", PROBLEMS)
    _write_new(config, text)
    for problem in loaded.problems:
        typer.echo(format_problem(problem, str(config)), err=True)
    if draft is not None:
        typer.echo(_found(draft))
    typer.echo(f"{config}: written. Next: consent-proxy run --config {config}")


def _url_and_file(words: list[str]) -> tuple[str, Path]:
    """The arguments: an address has `://`, a file has not."""
    urls = [word for word in words if "://" in word]
    files = [word for word in words if "://" not in word]
    if len(urls) > 1 or len(files) > 1:
        stop(f"{words[-1]}: name one site and one file at most. Nothing was written.", USAGE)
    return "".join(urls), Path(files[0]) if files else CONFIG_FILE


def _stop_if_wrong(problems: list[str]) -> None:
    if wrong := [problem for problem in problems if problem]:
        stop("\n".join((*wrong, "Nothing was written.")), USAGE)


def _draft(url: str, limits: CrawlLimits, obey_robots: bool, flags: tuple[str, ...]) -> SiteDraft:
    """Look at the site. Ends the command where that is not possible."""
    try:
        asked = start_url(url)
        start = start_url(asyncio.run(final_address(asked)))
        scope = scope_by_catalogue(
            asked, own=(), patient_pages=(), regime=Regime.OPT_IN, region="", today=today()
        )
        host = urlsplit(start).hostname or ""
        if not scope.site.own.holds(host, None):
            stop(f"{asked} leads to {start}: name that one. Nothing was written.", USAGE)
        plan = draft_plan(start, limits, obey_robots=obey_robots)
        with shown_progress("init") as tell:
            draft = asyncio.run(draft_by_visiting(plan, scope, tell=tell, flags=flags))
    except InvalidAuditError as error:
        stop(f"{error}. Nothing was written.", USAGE)
    except (MissingBrowserError, NotOpenedError) as error:
        stop(f"{error}\nNothing was written.", PROBLEMS)
    return replace(
        draft,
        patient_pages=tuple(
            g for g in draft.patient_pages if not _normal(g.value, _PATIENT_PAGE)[1]
        ),
        first_party=tuple(g for g in draft.first_party if not _normal(g.value, _HOST)[1]),
    )


def _guessed(guess: Guess | None, wanted: _Field) -> str:
    """The value of a guess; "" where it is none that the config takes."""
    if guess is None:
        return ""
    value, problem = _normal(guess.value, wanted)
    return "" if problem or not value.isprintable() else value


def _found(draft: SiteDraft) -> str:
    """What was found, in a sentence."""
    sure = sum(one.is_sure for one in draft.patient_pages)
    return (
        f"{counted(draft.pages, 'page')} of {draft.start}: {counted(len(draft.vendors), 'vendor')} "
        f"and {counted(len(draft.hosts), 'unknown host')}; "
        f"{counted(len(draft.first_party), 'more host')} of the site's own; "
        f"{counted(sure, 'pattern')} of pages for patients, "
        f"{len(draft.patient_pages) - sure} more proposed"
    )


def _problem_of_flag(text: str, wanted: _Field, interactive: bool) -> str:
    """What is wrong with the value of a flag, or that it is missing; "" for nothing."""
    if text:
        _, problem = _normal(text, wanted)
        return f"{wanted.flag}: {problem}" if problem else ""
    if interactive or wanted.may_be_empty:
        return ""
    return f"{wanted.flag} is missing: without a terminal it cannot be asked"


def _answer(given: str, wanted: _Field, interactive: bool) -> str:
    """A value by its flag, or by a question that is asked until it has an answer that will do."""
    if given or not interactive:
        return _normal(given, wanted)[0] if given else ""
    while True:
        empty = "" if wanted.may_be_empty else None
        answer = typer.prompt(wanted.text, default=empty, show_default=False)
        if wanted.may_be_empty and not answer.strip():
            return ""
        value, problem = _normal(answer, wanted)
        if not problem:
            return value
        typer.echo(problem, err=True)


def _normal(text: str, wanted: _Field) -> tuple[str, str]:
    """The value as the config has it, and what is wrong with it, "" for nothing."""
    text = text.strip()
    adapter: TypeAdapter[str] = TypeAdapter(wanted.kind)
    try:
        return adapter.validate_python(text), ""
    except ValidationError as error:
        problem = str(error.errors()[0]["msg"]).removeprefix("Value error, ")
    if wanted is _PATIENT_PAGE and "did you mean" in problem and re.fullmatch(r"[\w/-]+", text):
        # A page alone leaves open what lies below it.
        problem = f'{quoted(text)} does not start with "/"; did you mean "/{text.strip("/")}/*"?'
    return "", problem


def _patient_pages(given: list[str] | None, interactive: bool) -> tuple[str, ...]:
    if given is not None or not interactive:
        return tuple(_normal(one, _PATIENT_PAGE)[0] for one in given or ())
    while True:
        answer = typer.prompt(_PATIENT_PAGE.text, default="", show_default=False)
        found = [_normal(one, _PATIENT_PAGE) for one in answer.split()]
        if not any(problem for _, problem in found):
            return tuple(value for value, _ in found)
        typer.echo("\n".join(problem for _, problem in found if problem), err=True)


def _receipts(given: bool | None, interactive: bool) -> bool:
    if given is None:
        return confirm("Keep a record of each choice?") if interactive else True
    return given


def _checked(text: str, config: Path) -> LoadedConfig:
    try:
        return load_config(text, str(config), today=today(), texts=known_texts())
    except ConfigError as error:
        stop(f"{error}\nNothing was written.", PROBLEMS)


def _write_new(config: Path, text: str) -> None:
    """Write a file that does not exist yet: as a whole, or not at all."""
    made = ""
    try:
        handle, made = tempfile.mkstemp(dir=config.parent, prefix=f".{config.name}.")
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            os.fchmod(handle, 0o644)
            file.write(text)
        os.link(made, config)  # fails where somebody has made one meanwhile
    except OSError as error:
        stop(f"{config}: cannot be written: {error.strerror}. Nothing was written.", PROBLEMS)
    finally:
        if made:
            with contextlib.suppress(OSError):
                Path(made).unlink()
