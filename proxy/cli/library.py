"""`library add`, `library list`, `library restore`: other hosts' files, served by the site itself.

Fetched here, by the operator, once: the running proxy asks nobody for them, so no visit causes a
request, and what it serves is what somebody has looked at.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from consent_rules.config.load import Config
from consent_rules.config.models import LibraryTable
from consent_rules.config.toml.editing import UneditableError, Value, with_table
from consent_rules.matching.libraries import library_type
from consent_rules.matching.script_hashes import file_hash, matches
from consent_rules.matching.urls import schemeless
from consent_rules.wording import counted, quoted
from proxy.cli.config_edit import ConfigEdit, read_for_change
from proxy.cli.library_fetch import Fetched, NotFetchedError, fetch, named_in
from proxy.cli.options import (
    CONFIG_FILE,
    PROBLEMS,
    USAGE,
    ConfigOption,
    JsonOption,
    open_config,
    print_json,
    stop,
    today,
)
from proxy.cli.page import page_body
from proxy.cli.vendor_completion import vendor_ids
from proxy.config.file import ConfigFile, folder_of
from proxy.html import UndecodableError
from proxy.libraries import (
    LibraryFileError,
    libraries_in,
    read_library,
    store_library,
)
from proxy.review.preview import InvalidRequestError, preview_request, source_of
from proxy.review.third_party_files import third_party_files

libraries = typer.Typer(
    name="library",
    help="Serve public libraries, fonts and their like from the site's own address.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

_MAX_FILES = 300


@libraries.command("add")
def add(
    urls: Annotated[
        list[str] | None, typer.Argument(help="Addresses, as the pages name them.")
    ] = None,
    page: Annotated[
        str,
        typer.Option("--page", help="A page of the site: all that it has of --of is added."),
    ] = "",
    of: Annotated[
        list[str] | None,
        typer.Option(
            "--of",
            help="With --page: a host or a vendor's id; may be given again.",
            autocompletion=vendor_ids,
        ),
    ] = None,
    html: Annotated[
        Path | None,
        typer.Option("--html", help="The page's file. Default: fetched from the upstream."),
    ] = None,
    integrity: Annotated[
        str, typer.Option("--integrity", help='The hash that the one file must have: "sha384-...".')
    ] = "",
    file: Annotated[
        Path | None,
        typer.Option("--file", help="Take the one file from here, and ask no network."),
    ] = None,
    config: ConfigOption = CONFIG_FILE,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show what would be added, and write nothing.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Fetch files once, with what their style sheets name, and add them to the config by hash."""
    edit = read_for_change(config)
    wanted = [*(urls or ())]
    if page:
        wanted += _files_of_page(page, html, of or [], edit.loaded.config)
    if not wanted:
        stop("name the address of a file, or a page with --page and --of", USAGE)
    if len(wanted) > 1 and (file is not None or integrity):
        stop("--file and --integrity are for one address", USAGE)
    tables, bodies = _tables(wanted, edit.loaded.config, file, integrity)
    if not tables and not as_json:
        typer.echo("all of them are in the config already; nothing to do")
        return
    if not tables:
        print_json([])
        return
    text = edit.text(edit.path)
    try:
        for table in tables:
            text = with_table(text, "library", _values(table))
    except UneditableError as error:
        stop(f"{edit.path}: {error}", PROBLEMS)
    if not dry_run:
        _write(edit, text, tables, bodies)
    if as_json:
        print_json([{"url": one.url, "integrity": one.integrity} for one in tables])
    elif dry_run:
        typer.echo("\n".join(f"{one.url}\n  {one.integrity}" for one in tables))
    else:
        typer.echo(f"added {_counted(tables)}: served from the site's own address on every page")


def _write(
    edit: ConfigEdit, text: str, tables: Sequence[LibraryTable], bodies: Sequence[bytes]
) -> None:
    """The files first: a config that names a file which is not there is none."""
    folder = folder_of(edit.path) / edit.loaded.config.proxy.libraries
    edit.change(edit.path, text)
    edit.checked()
    try:
        for table, body in zip(tables, bodies, strict=True):
            store_library(body, table.integrity, folder)
    except OSError as error:
        stop(f"{folder}: cannot be written: {error.strerror}. Nothing was added.", PROBLEMS)
    edit.write()


@libraries.command("restore")
def restore(config: ConfigOption = CONFIG_FILE, as_json: JsonOption = False) -> None:
    """Fetch again what the folder of libraries lacks. Only the content that the config names is
    taken.
    """
    loaded, _ = open_config(config, ConfigFile(config, needs_libraries=False))
    settings = loaded.config
    folder = folder_of(config) / settings.proxy.libraries
    listed = libraries_in(settings.libraries, settings.proxy.prefix).by_key.values()
    fetched = 0
    for table, one in zip(settings.libraries, listed, strict=True):
        try:
            read_library(one, folder)
        except LibraryFileError:
            fetched += 1
        else:
            continue
        try:
            body = fetch(table.url).body
            if not matches(body, one.integrity):
                stop(
                    f"{table.url}: is another file now ({file_hash(body)}). Copy the one with "
                    f"{one.integrity} from a machine that has it, or take the [[library]] out and "
                    "add it anew",
                    PROBLEMS,
                )
            store_library(body, one.integrity, folder)
        except NotFetchedError as error:
            stop(str(error), PROBLEMS)
        except OSError as error:
            stop(f"{folder}: cannot be written: {error.strerror}", PROBLEMS)
    if as_json:
        print_json({"fetched": fetched, "there": len(settings.libraries)})
    else:
        typer.echo(f"{fetched} fetched, {len(settings.libraries)} there")


@libraries.command("list")
def list_libraries(config: ConfigOption = CONFIG_FILE, as_json: JsonOption = False) -> None:
    """List the libraries: where each is from, its size, and where the site serves it."""
    loaded, _ = open_config(config)
    settings = loaded.config
    listed = libraries_in(settings.libraries, settings.proxy.prefix)
    folder = folder_of(config) / settings.proxy.libraries
    rows = []
    for key, one in listed.by_key.items():
        try:
            size = len(read_library(one, folder))
        except LibraryFileError as error:
            stop(str(error), PROBLEMS)
        own = listed.address_of(key)
        rows.append({"url": key, "integrity": one.integrity, "bytes": size, "served_at": own})
    if as_json:
        print_json(rows)
    elif not rows:
        typer.echo("none; `consent-proxy library add` adds them")
    else:
        typer.echo("\n".join(f"{row['url']}  {row['bytes']:,} bytes" for row in rows))


def _files_of_page(
    page: str, html: Path | None, of: Sequence[str], config: Config
) -> Iterator[str]:
    """The addresses of a page's files of these hosts and vendors, as its markup names them."""
    if not of:
        stop("say whose files with --of: a host or a vendor's id, as `discovered` names it", USAGE)
    try:
        request = preview_request(config, page, accept=None, gpc=False, region="", today=today())
    except InvalidRequestError as error:
        stop(str(error), USAGE)
    body, content_type, _ = page_body(request, html)
    try:
        found = third_party_files(source_of(body, content_type), page, request.boundary, of)
    except UndecodableError as error:
        stop(f"{page}: cannot be read: {error}", PROBLEMS)
    if not found:
        stop(
            f"{page}: has no style sheet, script, font or image of {', '.join(map(quoted, of))} in "
            "its own markup. What its scripts load, they load from where they are: name their "
            "addresses, or change the scripts",
            PROBLEMS,
        )
    yield from found


def _tables(
    urls: Sequence[str], config: Config, file: Path | None, integrity: str
) -> tuple[list[LibraryTable], list[bytes]]:
    """The tables to add and their files: those named, and what their style sheets ask for."""
    known = {schemeless(one.url, one.url) for one in config.libraries}
    waiting = [_absolute(url) for url in urls]
    asked = frozenset(waiting)
    tables: list[LibraryTable] = []
    bodies: list[bytes] = []
    while waiting:
        url = waiting.pop(0)
        key = schemeless(url, url)
        if key in known:
            continue
        known.add(key)
        if len(tables) >= _MAX_FILES:
            stop(f"more than {_MAX_FILES} files: add fewer at once. Nothing was added.", PROBLEMS)
        try:
            got = _from_file(url, file) if file is not None else fetch(url)
        except NotFetchedError as error:
            if url in asked:
                stop(f"{error}. Nothing was added.", PROBLEMS)
            typer.echo(f"left out, though a style sheet names it: {error}", err=True)
            continue
        table = _table(got, integrity)
        tables.append(table)
        bodies.append(got.body)
        if file is None and (table.type or library_type(url)) == "text/css":
            waiting += named_in(got)
    return tables, bodies


def _absolute(url: str) -> str:
    """An address as a person writes it, with its scheme and without its fragment."""
    written = url if "://" in url else f"https://{url.removeprefix('//')}"
    return written.partition("#")[0]


def _table(got: Fetched, integrity: str) -> LibraryTable:
    try:
        values: dict[str, Any] = {"url": got.url, "integrity": integrity or file_hash(got.body)}
        if not library_type(got.url, got.media_type):
            stop(
                f"{got.url}: neither its name nor its server says that it is a script, a style "
                "sheet, a font or an image. Nothing was added.",
                PROBLEMS,
            )
        if not library_type(got.url):
            values["type"] = got.media_type
        table = LibraryTable.model_validate(values)
    except ValueError as error:
        stop(f"{got.url}: cannot be a library: {_reason(error)}. Nothing was added.", PROBLEMS)
    if not matches(got.body, table.integrity):
        stop(
            f"{got.url}: its content is not the one with the hash {table.integrity}; it has "
            f"{file_hash(got.body)}. Nothing was added.",
            PROBLEMS,
        )
    return table


def _reason(error: ValueError) -> str:
    found = getattr(error, "errors", None)
    if found is None:
        return str(error)
    first = found(include_url=False)[0]
    return str(first["msg"]).removeprefix("Value error, ")


def _values(table: LibraryTable) -> dict[str, Value]:
    values: dict[str, Value] = {"url": table.url, "integrity": table.integrity}
    return {**values, "type": table.type} if table.type else values


def _from_file(url: str, file: Path) -> Fetched:
    try:
        body = file.read_bytes()
    except OSError as error:
        stop(f"{file}: cannot be read: {error.strerror}", USAGE)
    return Fetched(url, body, library_type(url) or library_type(f"https://x/{file.name}"))


def _counted(tables: Sequence[LibraryTable]) -> str:
    number = len(tables)
    return f"{counted(number, 'file')} ({tables[0].url}{' ...' if number > 1 else ''})"
