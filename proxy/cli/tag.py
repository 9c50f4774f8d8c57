"""`tag add`, `tag list`, `tag expire`, `tag remove`: edit the approved tags."""

from __future__ import annotations

import datetime
import re
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer
from rich.table import Table
from rich.text import Text

from consent_rules.catalogue.load import catalogue
from consent_rules.config.load import Config, LoadedConfig, Site, Tag, all_vendors, format_problem
from consent_rules.config.problems import did_you_mean
from consent_rules.config.toml.editing import (
    UneditableError,
    Value,
    with_table,
    with_value,
    without_tables,
)
from consent_rules.config.values import normal_page_pattern
from consent_rules.config.vendor_search import closest_vendors, sure_vendor
from consent_rules.review.diff import Change, diff_configs, pages_of, rules_of_tags
from consent_rules.review.tag_summary import TagSummary, covered_tags, state_of, summarise_tag
from consent_rules.vendors import Vendor
from consent_rules.wording import category_words, counted, quoted
from proxy.cli.changes import print_changes
from proxy.cli.config_edit import ConfigEdit, read_for_change
from proxy.cli.options import (
    CONFIG_FILE,
    PROBLEMS,
    USAGE,
    ConfigOption,
    JsonOption,
    confirm,
    console,
    print_json,
    stop,
    today,
)
from proxy.cli.vendor_completion import tagged_vendor_ids, vendor_ids
from proxy.review.inventory import inventory_csv

tags = typer.Typer(
    name="tag",
    help="Add, list, end and remove tags: who may act on which pages.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

SitesOption = Annotated[
    list[str] | None, typer.Option("--site", "-s", help="A site's name; may be given again.")
]
_VENDOR_HELP = (
    "A vendor: its id or name, or what you have of it: a host, an id such as G-..., code."
)
VendorArgument = Annotated[str, typer.Argument(help=_VENDOR_HELP, autocompletion=vendor_ids)]
TaggedVendorArgument = Annotated[
    str, typer.Argument(help=_VENDOR_HELP, autocompletion=tagged_vendor_ids)
]
DryOption = Annotated[
    bool, typer.Option("--dry-run", help="Show what would change, and write nothing.")
]
YesOption = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask before writing.")]

_T = TypeVar("_T")
_SPAN = re.compile(r"([0-9]{1,4}) ?(d|days?|w|weeks?|m|months?|y|years?)")


@tags.command("add")
def add(
    vendor: VendorArgument,
    site: SitesOption = None,
    pages: Annotated[
        list[str] | None,
        typer.Option(
            "--pages",
            "-p",
            help='Paths, "*" for anything, "!" before those to leave out; may be given again.',
        ),
    ] = None,
    expires: Annotated[
        str | None,
        typer.Option("--expires", help='The day from which it is closed: 2027-11-02, or "1 year".'),
    ] = None,
    approved_by: Annotated[
        str | None, typer.Option("--approved-by", help="Who approved it: a name or mail address.")
    ] = None,
    owner: Annotated[
        str | None, typer.Option("--owner", help="Who is responsible for it day by day.")
    ] = None,
    purpose: Annotated[str | None, typer.Option("--purpose", help="What it is for.")] = None,
    baa: Annotated[
        bool,
        typer.Option("--baa", help="A business associate agreement covers it (patient pages)."),
    ] = False,
    into: Annotated[
        Path | None,
        typer.Option("--into", help="Write it into this file, one that the config includes."),
    ] = None,
    config: ConfigOption = CONFIG_FILE,
    yes: YesOption = False,
    dry_run: DryOption = False,
    as_json: JsonOption = False,
) -> None:
    """Approve a vendor on a site. Asks for what is missing, shows what it means, then writes it."""
    file = read_for_change(config)
    interactive = _is_interactive(as_json)
    found = _vendor(vendor, file, interactive)
    values: dict[str, Value] = {
        "vendor": found.id,
        "sites": _sites(site, file.loaded.config, interactive),
        "pages": tuple(pages) if pages else _pages(interactive),
        "approved_by": approved_by
        or _required("--approved-by", "Who approved it", interactive, read=_text),
        "approved_on": today(),
        "expires": _day(expires, interactive),
    }
    for key, given, question in (
        ("purpose", purpose, "What is it for (Enter to leave out)"),
        ("owner", owner, "Who is responsible for it day by day (Enter to leave out)"),
    ):
        text = given if given is not None or not interactive else _prompt(question, "")
        if text:
            values[key] = text
    if baa:
        values["baa"] = True
    target = _target(into, file)
    file.change(target, _edit_text(with_table, file.text(target), "tag", values))
    loaded = file.checked(_how_to_replace(file.loaded.config, values))
    number, line = _last_tag(loaded, "" if target == config else str(target))
    tag = loaded.config.tags[number]
    rules = rules_of_tags(loaded.config, catalogue())
    summaries = [summarise_tag(loaded.config, rules, tag, name, today()) for name in tag.sites]
    changes = diff_configs(file.loaded.config, loaded.config, catalogue(), today=today())
    notes = _notes(loaded, number, str(config))
    if not as_json:
        for summary in summaries:
            _print_summary(summary, tag)
        for note in notes:
            typer.echo(f"Note: {note}")
    written = _confirm_and_write(
        file, loaded, changes, interactive=interactive and not yes, dry_run=dry_run, quiet=as_json
    )
    if as_json:
        _print_json_result(
            written,
            target,
            changes,
            line=line,
            means=[asdict(one) for one in summaries],
            notes=notes,
        )
    else:
        typer.echo(f"Written: {target}:{line}" if written else "Nothing was written.")


def _how_to_replace(config: Config, values: Mapping[str, Value]) -> str:
    """What to do about a tag in force that the new one of `values` would repeat; "" for none."""
    sites, pages = set(_texts(values["sites"])), set(_texts(values["pages"]))
    for tag in config.tags:
        shared = sites.intersection(tag.sites)
        if tag.vendor != values["vendor"] or tag.expires <= today() or not shared:
            continue
        if pages.intersection(tag.pages):
            command = "expire" if tag.approved_on < today() else "remove"
            where = " ".join(f"--site {site}" for site in sorted(shared))
            return (
                f"  To change what is approved, edit that tag; to replace it, first run: "
                f"consent-proxy tag {command} {tag.vendor} {where}"
            )
    return ""


def _texts(value: Value) -> tuple[str, ...]:
    return tuple(map(str, value)) if isinstance(value, tuple | list) else (str(value),)


@tags.command("list")
def list_tags(
    config: ConfigOption = CONFIG_FILE,
    site: Annotated[str, typer.Option("--site", "-s", help="Only this site.")] = "",
    as_csv: Annotated[
        bool, typer.Option("--csv", help="Print the whole inventory as CSV, for spreadsheets.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """List the tags: who may act where, what opens it, and until when."""
    file = read_for_change(config)
    found = file.loaded.config
    if site and site not in {one.name for one in found.sites}:
        stop(_unknown_site(site, found.sites), USAGE)
    if as_csv:
        typer.echo(inventory_csv(found, today(), site), nl=False)
        return
    rules = rules_of_tags(found, catalogue())
    rows = []
    for number, tag in enumerate(found.tags):
        if site and site not in tag.sites:
            continue
        vendor = rules.vendors[tag.vendor]
        state = state_of(found, rules, tag, today())
        spot = file.loaded.places.key(("tag", number))
        rows.append(
            {
                "vendor": tag.vendor,
                "name": vendor.name,
                "category": str(vendor.category),
                "sites": list(tag.sites),
                "pages": list(tag.pages),
                "state": state.state,
                "acts": state.acts,
                "expires": tag.expires.isoformat(),
                "days_left": state.days,
                "approved_by": tag.approved_by,
                "approved_on": tag.approved_on.isoformat(),
                "owner": tag.owner or "",
                "purpose": tag.purpose or "",
                "file": spot.file or str(config),
                "line": spot.line,
            }
        )
    if as_json:
        print_json(rows)
    elif rows:
        _print_rows(rows, str(config))
    else:
        typer.echo("no tags" + (f" on {site}" if site else ""))


@tags.command("expire")
def expire(
    vendor: TaggedVendorArgument,
    on: Annotated[
        str | None, typer.Option("--on", help="The day from which it is closed. Default: today.")
    ] = None,
    site: SitesOption = None,
    config: ConfigOption = CONFIG_FILE,
    yes: YesOption = False,
    dry_run: DryOption = False,
    as_json: JsonOption = False,
) -> None:
    """Close a vendor's tag from a day on. The tag stays in the file, as a record."""
    file = read_for_change(config)
    interactive = _is_interactive(as_json)
    day = read_day(on, "--on") if on is not None else today()
    chosen = _tags_of(vendor, site, file, interactive)
    for number, tag in chosen:
        if day <= tag.approved_on:
            stop(
                f"the tag {quoted(tag.vendor)} was approved on {tag.approved_on}, so it cannot end "
                f'on {day}; take it out with "consent-proxy tag remove {tag.vendor}"',
                PROBLEMS,
            )
        where, at = file.place_of("tag", number)
        file.change(where, _edit_text(with_value, file.text(where), "tag", at, "expires", day))
    _change(file, as_json, interactive and not yes, dry_run, f"ends on {day}", chosen)


@tags.command("remove")
def remove(
    vendor: TaggedVendorArgument,
    site: SitesOption = None,
    config: ConfigOption = CONFIG_FILE,
    yes: YesOption = False,
    dry_run: DryOption = False,
    as_json: JsonOption = False,
) -> None:
    """Take a vendor's tag out of the file, with the comment right above it."""
    file = read_for_change(config)
    interactive = _is_interactive(as_json)
    chosen = _tags_of(vendor, site, file, interactive)
    numbers: dict[Path, list[int]] = {}
    for number, _ in chosen:
        where, at = file.place_of("tag", number)
        numbers.setdefault(where, []).append(at)
    for where, found in numbers.items():
        file.change(where, _edit_text(without_tables, file.text(where), "tag", found))
    _change(file, as_json, interactive and not yes, dry_run, "is taken out", chosen)


# --- Asking


def _is_interactive(as_json: bool) -> bool:
    """Whether a person can be asked: on a terminal, not in a script or pipe."""
    return sys.stdin.isatty() and sys.stdout.isatty() and not as_json


def _prompt(question: str, default: str | None = None) -> str:
    answer: str = typer.prompt(question, default=default, show_default=bool(default))
    return answer.strip()


def _required(
    flag: str,
    question: str,
    interactive: bool,
    default: str | None = None,
    *,
    read: Callable[[str], _T],
) -> _T:
    if not interactive:
        stop(f"{flag} is missing: {question[0].lower()}{question[1:]}? Give it with {flag}", USAGE)
    return _ask_until(question, default, read)


def _ask_until(question: str, default: str | None, read: Callable[[str], _T]) -> _T:
    """The first answer that `read` takes. One that it refuses (ValueError) is asked for again: the
    earlier answers stay.
    """
    while True:
        try:
            return read(_prompt(question, default))
        except ValueError as error:
            typer.echo(f"{error}. Once more, please", err=True)


def _listed(read: Callable[[str], str]) -> Callable[[str], tuple[str, ...]]:
    """Reads values with commas between them."""

    def listed(answer: str) -> tuple[str, ...]:
        found = tuple(read(part.strip()) for part in answer.split(",") if part.strip())
        if not found:
            raise ValueError("nothing is named")
        return found

    return listed


def _text(answer: str) -> str:
    if not answer:
        raise ValueError("an answer is needed")
    return answer


def _pages(interactive: bool) -> tuple[str, ...]:
    if not interactive:
        return ("/*",)
    question = 'On which pages (with commas; "*" for anything, "!" before those to leave out)'
    return _ask_until(question, "/*", _listed(normal_page_pattern))


def _vendor(word: str, file: ConfigEdit, interactive: bool) -> Vendor:
    vendors = all_vendors(file.loaded.config, catalogue())
    sure = sure_vendor(word, vendors)
    if sure is not None:
        if sure != word:
            typer.echo(f"{quoted(word)} is {sure} ({vendors[sure].name})", err=True)
        return vendors[sure]
    meant = closest_vendors(word, vendors)
    if not meant:
        stop(
            f"no vendor {quoted(word)} is known; look for it with "
            '"consent-proxy catalogue search WORDS", or describe it in a [[vendor]] table',
            PROBLEMS,
        )
    named = " or ".join(f"{vendor} ({vendors[vendor].name})" for vendor in meant)
    first = vendors[meant[0]]
    if not (interactive and confirm(f"Do you mean {first.name} ({first.id})?")):
        stop(f"no vendor {quoted(word)} is known; did you mean {named}?", PROBLEMS)
    return first


def _sites(given: list[str] | None, config: Config, interactive: bool) -> tuple[str, ...]:
    names = [site.name for site in config.sites]
    if given:
        return tuple(dict.fromkeys(given))
    if len(names) == 1:
        return tuple(names)
    listed = ", ".join(names)

    def read_site(name: str) -> str:
        if name not in names:
            raise ValueError(_unknown_site(name, config.sites))
        return name

    question = f"On which site (the sites are {listed})"
    return _required("--site", question, interactive, read=_listed(read_site))


def _unknown_site(name: str, sites: Iterable[Site]) -> str:
    names = [site.name for site in sites]
    listed = f"; the sites are {', '.join(names)}"
    return f"unknown site {quoted(name)}{did_you_mean(name, names, else_say=listed)}"


def _day(given: str | None, interactive: bool) -> datetime.date:
    if given is not None:
        return read_day(given, "--expires")
    question = 'Until when is it approved (a day such as 2027-11-02, or "6 months")'
    return _required("--expires", question, interactive, "1 year", read=_future_day)


def _future_day(text: str) -> datetime.date:
    day = parse_day(text)
    if day <= today():
        raise ValueError(f"{day} is past already, so the tag would be closed")
    return day


def read_day(text: str, flag: str) -> datetime.date:
    """A day, or a span from today on. Ends the command if it is neither."""
    try:
        return parse_day(text)
    except ValueError as error:
        stop(f"{flag}: {error}", USAGE)


def parse_day(text: str) -> datetime.date:
    """A day, or a span from today on. Raises ValueError that says how to write one."""
    words = " ".join(text.lower().split())
    span = _SPAN.fullmatch(words)
    try:
        if span is not None:
            return _after(today(), int(span[1]), span[2][0])
        return datetime.date.fromisoformat(words)
    except (ValueError, OverflowError):
        raise ValueError(
            f"{quoted(text)} is not a day; write it like 2027-11-02, or say how long, such as "
            '"6 months" or "1 year"'
        ) from None


def _after(day: datetime.date, count: int, unit: str) -> datetime.date:
    if unit in "dw":
        return day + datetime.timedelta(days=count * (7 if unit == "w" else 1))
    months = day.month - 1 + count * (12 if unit == "y" else 1)
    year, month = day.year + months // 12, months % 12 + 1
    # The 31st of a month that has none is its last day.
    for last in (day.day, 30, 29, 28):
        try:
            return datetime.date(year, month, last)
        except ValueError:
            if year > datetime.MAXYEAR:
                raise
    raise ValueError(f"no day in {year}-{month}")


def _tags_of(
    word: str, sites: list[str] | None, file: ConfigEdit, interactive: bool
) -> list[tuple[int, Tag]]:
    """The tags of a vendor that are meant, with their numbers in the file."""
    config = file.loaded.config
    known = {site.name for site in config.sites}
    for name in sites or ():
        if name not in known:
            stop(_unknown_site(name, config.sites), USAGE)
    here = {tag.vendor for tag in config.tags}
    vendor = word if word in here else _vendor(word, file, interactive).id
    all_of_it = [(n, tag) for n, tag in enumerate(config.tags) if tag.vendor == vendor]
    if not all_of_it:
        stop(f"there is no tag of {quoted(vendor)} in {file.path}", PROBLEMS)
    chosen = [(n, tag) for n, tag in all_of_it if not sites or set(sites) & set(tag.sites)]
    if not chosen:
        stop(f"there is no tag of {quoted(vendor)} for {', '.join(sites or ())}", PROBLEMS)
    wider = [tag for _, tag in chosen if sites and set(tag.sites) - set(sites)]
    if wider:
        stop(
            f"the tag of {quoted(vendor)} is for {', '.join(wider[0].sites)} together; name all of "
            "them with --site, or split it into two tags by hand",
            PROBLEMS,
        )
    places = {(site, page) for _, tag in chosen for site in tag.sites for page in tag.pages}
    if not sites and len({site for site, _ in places}) > 1 and len(chosen) > 1:
        listed = ", ".join(sorted({site for site, _ in places}))
        stop(f"{quoted(vendor)} has tags on {listed}; name one with --site", USAGE)
    return chosen


# --- Changing the file


def _edit_text(edit: Any, *arguments: Any) -> str:
    try:
        text: str = edit(*arguments)
    except UneditableError as error:
        stop(f"{error}. Nothing was written.", PROBLEMS)
    return text


def _confirm_and_write(
    file: ConfigEdit,
    loaded: LoadedConfig,
    changes: tuple[Change, ...],
    *,
    interactive: bool,
    dry_run: bool,
    quiet: bool,
) -> bool:
    """Show what changes, ask, write. Whether it was written."""
    if not quiet:
        print_changes(changes)
        before = {problem.message for problem in file.loaded.problems}
        for problem in loaded.problems:
            if problem.message not in before:
                typer.echo(format_problem(problem, str(file.path)))
    if dry_run or (interactive and not confirm(f"Write this to {file.path}?")):
        return False
    file.write()
    return True


def _change(
    file: ConfigEdit,
    as_json: bool,
    interactive: bool,
    dry_run: bool,
    what: str,
    chosen: list[tuple[int, Tag]],
) -> None:
    loaded = file.checked()
    changes = diff_configs(file.loaded.config, loaded.config, catalogue(), today=today())
    if not as_json:
        for _, tag in chosen:
            typer.echo(f"the tag of {tag.vendor} on {', '.join(tag.sites)} {what}")
    written = _confirm_and_write(
        file, loaded, changes, interactive=interactive, dry_run=dry_run, quiet=as_json
    )
    if as_json:
        _print_json_result(written, file.path, changes)
    else:
        typer.echo(f"Written: {file.path}" if written else "Nothing was written.")


def _print_json_result(written: bool, file: Path, changes: tuple[Change, ...], **more: Any) -> None:
    print_json(
        {
            "written": written,
            "file": str(file),
            **more,
            "changes": [asdict(change) for change in changes],
        }
    )


def _target(into: Path | None, file: ConfigEdit) -> Path:
    """The file to write into: the config itself, or one of those that it includes."""
    if into is None or into.resolve() == file.path.resolve():
        return file.path
    if not file.includes(into):
        stop(
            f"{into} is no file that {file.path} includes, so a tag in it would have no effect; "
            f'make the file, and add include = ["{into.parent.name or "tags"}/*.toml"] to '
            f"{file.path}",
            USAGE,
        )
    return into


def _last_tag(loaded: LoadedConfig, file: str) -> tuple[int, int]:
    """Number and line of the last tag of a file ("": of the config itself)."""
    spots = [loaded.places.key(("tag", n)) for n in range(len(loaded.config.tags))]
    real = Path(file).resolve()
    return max(
        (n, spot.line)
        for n, spot in enumerate(spots)
        if (spot.file and Path(spot.file).resolve() == real) or (not file and not spot.file)
    )


def _notes(loaded: LoadedConfig, number: int, config: str) -> list[str]:
    """What a person who adds tag `number` should know about the vendor's other tags."""
    tags = loaded.config.tags
    found = covered_tags(tags, number, today())

    def place(at: int) -> str:
        spot = loaded.places.key(("tag", at))
        return f"{spot.file or config}:{spot.line}"

    notes = [
        f"this tag has no effect: the one at {place(at)} opens {tags[at].vendor} on these pages "
        f"already, until {tags[at].expires}. Change that one instead"
        for at in found.by
    ]
    # Equal ones cover each other: it is said once.
    return notes + [
        f"the tag at {place(at)} has no effect any more: this one has its pages and its "
        "days. It may stay as a record, or be taken out"
        for at in found.others
        if at not in found.by
    ]


# --- Showing


def _print_summary(summary: TagSummary, tag: Tag) -> None:
    out = console()
    company = summary.company
    by = f" ({company})" if company and company not in summary.name else ""
    out.print(Text(f"{summary.name}{by} on {summary.site}", style="bold"))
    left = counted((tag.expires - today()).days, "day")
    rows: Mapping[str, str] = {
        "what it is": summary.what,
        "pages": pages_of(summary.pages, summary.site),
        "when": summary.opens,
        "patient pages": summary.patient,
        "records visits": summary.records,
        "cookies": _cookies(summary),
        "policy": summary.policy_url or "not known; add policy_url in a [[vendor]] table",
        "approved": f"by {tag.approved_by} on {tag.approved_on}, until {tag.expires} ({left})",
    }
    for label, text in rows.items():
        line = Text(f"  {label.ljust(15)}", style="dim")
        line.append(text, style="none")
        out.print(line)


def _cookies(summary: TagSummary) -> str:
    if not summary.cookies:
        return "none that we know of on your own domain"
    return ", ".join(
        f"{cookie.name} ({cookie.lifetime})" if cookie.lifetime else cookie.name
        for cookie in summary.cookies
    )


def _print_rows(rows: list[dict[str, Any]], file: str) -> None:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in (
        "vendor",
        "sites",
        "pages",
        "category",
        "state",
        "expires",
        "approved by",
        "line",
    ):
        table.add_column(column, overflow="fold", no_wrap=column in {"vendor", "expires", "line"})
    for row in rows:
        style = "" if row["acts"] else "red"
        if row["acts"] and "expires in" in row["state"]:
            style = "yellow"
        table.add_row(
            row["vendor"],
            ", ".join(row["sites"]),
            ", ".join(row["pages"]),
            category_words(row["category"]),
            Text(row["state"], style=style),
            row["expires"],
            f"{row['approved_by']}, {row['approved_on']}",
            str(row["line"]),
        )
    console(plain_width=200).print(table)
