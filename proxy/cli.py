"""The commands. Exit codes: 0 fine, 1 found faults, 2 used wrongly."""

from __future__ import annotations

import datetime
import http.client
import json
import logging
import sqlite3
import sys
import urllib.error
import urllib.request
from dataclasses import asdict
from email.message import Message
from pathlib import Path
from typing import Annotated, Any, NoReturn
from urllib.parse import quote, urlencode, urlsplit

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from consent_rules.config import (
    Config,
    ConfigError,
    LoadedConfig,
    decode_config,
    format_fault,
    json_schema,
    load_config,
)
from consent_rules.toml_lines import TomlLines
from consent_rules.vendors import Vendor, catalogue
from proxy.compression import CodingError, decoded
from proxy.discovered import as_config, read_discovered
from proxy.explain import Fate, explain_page
from proxy.html import UndecodableError, scan
from proxy.offline import BadQuestionError, Question, ask_offline, rewritten, source_of

app = typer.Typer(
    name="consent-proxy",
    help="A reverse proxy that makes the visitor's cookie choice true.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

ConfigOption = Annotated[Path, typer.Option("--config", "-c", help="The config file.")]
MaybeConfigOption = Annotated[
    Path | None,
    typer.Option("--config", "-c", help="The config file. Without it: the catalogue, no tags."),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]
GpcOption = Annotated[bool, typer.Option("--gpc", help="The browser sends Sec-GPC: 1.")]
RegionOption = Annotated[str, typer.Option("--region", help="The visitor's region: US, US-CA.")]
TypeOption = Annotated[str, typer.Option("--content-type", help="The page's Content-Type.")]

_FETCH_LIMIT = 50_000_000
_URL_CHARACTERS = "%/:=&?~#+!$,;'@()*[]"
_USAGE, _FAULTS = 2, 1


def _stop(message: str, code: int) -> NoReturn:
    typer.echo(message, err=True)
    raise typer.Exit(code)


def _today() -> datetime.date:
    return datetime.datetime.now(datetime.UTC).date()


def _read(path: Path) -> tuple[LoadedConfig, str]:
    """The config and its text. Raises ConfigError; an unreadable file is a usage error."""
    try:
        content = path.read_bytes()
    except OSError as error:
        _stop(f"{path}: cannot be read: {error.strerror}", _USAGE)
    text = decode_config(content, str(path))
    return load_config(text, str(path), today=_today()), text


def _config(path: Path) -> tuple[LoadedConfig, str]:
    try:
        return _read(path)
    except ConfigError as error:
        _stop(str(error), _FAULTS)


@app.command()
def run(config: ConfigOption) -> None:
    """Serve. SIGHUP reads the config again, SIGTERM finishes what is under way and stops."""
    from proxy.serving import serve_config

    logging.basicConfig(
        level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s", stream=sys.stderr
    )
    loaded, _ = _config(config)
    for fault in loaded.faults:
        typer.echo(format_fault(fault, str(config)), err=True)
    code, message = serve_config(loaded.config, config)
    if message:
        _stop(message, code)
    raise typer.Exit(code)


@app.command()
def check(
    config: Annotated[Path, typer.Argument(help="The config file.")], as_json: JsonOption = False
) -> None:
    """Check a config: every mistake at once, each with its line. Exit 1 if there is one."""
    try:
        loaded, _ = _read(config)
        faults = loaded.faults
    except ConfigError as error:
        faults = error.faults
    wrong = [fault for fault in faults if fault.severity != "warning"]
    if as_json:
        rows = [{"file": str(config), **asdict(fault)} for fault in faults]
        typer.echo(json.dumps({"ok": not wrong, "faults": rows}, indent=2))
    else:
        for fault in faults:
            typer.echo(format_fault(fault, str(config)))
        if not faults:
            typer.echo(f"{config}: fine")
    if wrong:
        raise typer.Exit(_FAULTS)


def _question(
    config: Path | None, url: str, accept: str | None, gpc: bool, region: str
) -> tuple[Question, str]:
    loaded: Config | None = None
    text = ""
    if config is not None:
        found, text = _config(config)
        loaded = found.config
    try:
        question = ask_offline(loaded, url, accept=accept, gpc=gpc, region=region, today=_today())
    except BadQuestionError as error:
        _stop(str(error), _USAGE)
    if not question.site_given:
        typer.echo(
            f"note: no site of {config} answers to {urlsplit(url).netloc}; "
            f"the rules of site {question.site.name!r} are taken",
            err=True,
        )
    return question, text


@app.command()
def rewrite(
    url: Annotated[str, typer.Option("--url", help="The page's address.")],
    config: MaybeConfigOption = None,
    accept: Annotated[
        str | None,
        typer.Option(
            "--accept",
            help="What the visitor allowed: categories with commas, all, or none. "
            "Left out: no choice yet.",
        ),
    ] = None,
    gpc: GpcOption = False,
    region: RegionOption = "",
    language: Annotated[
        str, typer.Option("--language", help="The visitor's Accept-Language.")
    ] = "",
    content_type: TypeOption = "text/html",
    bare: Annotated[
        bool, typer.Option("--bare", help="Gate only: no banner, no link, no signals.")
    ] = False,
) -> None:
    """Rewrite a page from stdin to stdout, as a visitor would get it."""
    question, _ = _question(config, url, accept, gpc, region)
    body = sys.stdin.buffer.read()
    try:
        page = rewritten(question, body, content_type, language=language, bare=bare)
    except UndecodableError as error:
        _stop(f"the page cannot be gated: {error}", _FAULTS)
    sys.stdout.buffer.write(page)


@app.command()
def explain(
    url: Annotated[str, typer.Argument(help="The page's address.")],
    config: MaybeConfigOption = None,
    preferences: Annotated[
        str | None,
        typer.Option(
            "--preferences",
            help="What the visitor allowed: categories with commas, all, or none. "
            "Left out: no choice yet.",
        ),
    ] = None,
    html: Annotated[
        Path | None,
        typer.Option(
            "--html", help="The page's file, - for stdin. Left out: asked of the upstream."
        ),
    ] = None,
    gpc: GpcOption = False,
    region: RegionOption = "",
    content_type: TypeOption = "",
    as_json: JsonOption = False,
) -> None:
    """Tell the fate of every resource of a page: kept or gated, by which rule, and where."""
    question, text = _question(config, url, preferences, gpc, region)
    body, found_type, marks = _page_body(question, html)
    try:
        source = source_of(body, content_type or found_type)
    except UndecodableError as error:
        _stop(f"the page cannot be gated: {error}", _FAULTS)
    decision = question.decision((*marks, *scan(source).marks))
    places = _tag_places(question, config, text)
    fates = explain_page(source, url, question.boundary, question.rules, decision, places)
    summary = {
        "url": url,
        "site": question.site.name,
        "audience": decision.audience,
        "regime": decision.regime,
        "banner": decision.show_banner,
        "open": sorted(decision.open),
    }
    if as_json:
        typer.echo(json.dumps({**summary, "resources": [asdict(f) for f in fates]}, indent=2))
    else:
        _print_fates(summary, fates)


def _page_body(question: Question, html: Path | None) -> tuple[bytes, str, list[str]]:
    """Bytes, Content-Type and the origin's audience marks."""
    if html is not None:
        try:
            data = sys.stdin.buffer.read() if str(html) == "-" else html.read_bytes()
        except OSError as error:
            _stop(f"{html}: cannot be read: {error.strerror}", _USAGE)
        return data, "text/html", []
    there = question.site.upstream.rstrip("/") + question.target
    try:
        data, headers = _fetched(there, host=urlsplit(question.url).netloc)
    except (OSError, ValueError, http.client.HTTPException) as error:
        _stop(f"{there}: no answer ({error}); give the page with --html FILE", _FAULTS)
    try:
        data = decoded(data, headers.get("Content-Encoding", ""), _FETCH_LIMIT)
    except CodingError as error:
        _stop(f"{there}: {error}", _FAULTS)
    marks = headers.get_all("X-Page-Audience") or []
    return data, headers.get("Content-Type", "text/html"), marks


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """A redirect is the page: where it leads is another page, and maybe another server."""

    def redirect_request(self, *_: Any) -> None:
        return None


def _fetched(url: str, *, host: str) -> tuple[bytes, Message]:
    """Ask the upstream as the proxy would. Raises OSError, ValueError or HTTPException."""
    asked = urllib.request.Request(  # noqa: S310 - the config allows http and https only
        quote(url, safe=_URL_CHARACTERS), headers={"Host": host, "Accept-Encoding": "identity"}
    )
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), _NoRedirect)
    try:
        with opener.open(asked, timeout=30) as reply:
            return _whole(reply), reply.headers
    except urllib.error.HTTPError as error:
        with error:
            return _whole(error), error.headers


def _whole(reply: Any) -> bytes:
    data: bytes = reply.read(_FETCH_LIMIT + 1)
    if len(data) > _FETCH_LIMIT:
        raise ValueError(f"the page is larger than {_FETCH_LIMIT} bytes")
    if getattr(reply, "length", 0):
        raise OSError(f"the page breaks off after {len(data)} bytes")
    return data


def _tag_places(question: Question, config: Path | None, text: str) -> dict[str, str]:
    """Where in the config each vendor's tag for this site stands."""
    if config is None:
        return {}
    lines = TomlLines(text)
    places: dict[str, str] = {}
    for index, tag in enumerate(question.config.tags):
        if question.site.name in tag.sites:
            line, _ = lines.key(("tag", index))
            places.setdefault(tag.vendor, f"{config}:{line}")
    return places


def _print_fates(summary: dict[str, Any], fates: list[Fate]) -> None:
    # Without a terminal nothing is cut to its width: the lines go to a file or to grep.
    wide = None if sys.stdout.isatty() else 10_000
    console = Console(highlight=False, markup=False, soft_wrap=wide is not None, width=wide)
    console.print(
        f"{summary['url']}  site {summary['site']}, {summary['audience']} page, "
        f"regime {summary['regime']}"
    )
    console.print(f"open here: {', '.join(summary['open']) or 'no third party'}")
    for fate in fates:
        line = Text(f"{fate.line}:{fate.column}".ljust(10))
        line.append(fate.fate.ljust(6), style="red" if fate.fate == "gated" else "green")
        line.append(f" {fate.element}  {fate.what}\n", style="bold" if fate.owner else "")
        owner = f"{fate.owner}: " if fate.owner and not fate.owner.startswith("@") else ""
        line.append(f"          {owner}{fate.reason} [{fate.rule}]", style="dim")
        console.print(line)
    gated = sum(fate.fate == "gated" for fate in fates)
    console.print(f"{len(fates)} resources, {gated} gated")


@app.command()
def schema() -> None:
    """Print the JSON Schema of the config file, for editors."""
    typer.echo(json.dumps(json_schema(), indent=2))


@app.command("catalogue")
def catalogue_command(
    vendor_id: Annotated[str | None, typer.Argument(help="A vendor's id.")] = None,
    as_json: JsonOption = False,
) -> None:
    """List the vendors that we know, or show one of them."""
    known = catalogue()
    if vendor_id is None:
        if as_json:
            typer.echo(json.dumps([asdict(vendor) for vendor in known.values()], indent=2))
        else:
            _print_vendors(list(known.values()))
        return
    vendor = known.get(vendor_id)
    if vendor is None:
        from consent_rules.config_faults import did_you_mean

        _stop(f"no vendor {vendor_id!r} in the catalogue{did_you_mean(vendor_id, known)}", _FAULTS)
    if as_json:
        typer.echo(json.dumps(asdict(vendor), indent=2))
        return
    for name, value in asdict(vendor).items():
        shown = ", ".join(map(str, value)) if isinstance(value, tuple) else str(value)
        if shown:
            typer.echo(f"{name.ljust(11)} {shown}")


@app.command()
def discovered(
    config: ConfigOption,
    site: Annotated[str, typer.Option("--site", help="Only this site.")] = "",
    as_json: JsonOption = False,
) -> None:
    """List what was closed because nobody approved it, as config that is ready to paste."""
    loaded, _ = _config(config)
    name = loaded.config.proxy.discovered
    if not name:
        _stop(f"{config}: proxy.discovered is empty, so nothing is counted", _FAULTS)
    try:
        found = read_discovered(config.resolve().parent / name, site)
    except sqlite3.Error as error:
        _stop(f"{name}: cannot be read: {error}", _FAULTS)
    if as_json:
        typer.echo(json.dumps([asdict(one) for one in found], indent=2))
    elif found:
        typer.echo("\n\n".join(as_config(one, _today()) for one in found))
    else:
        typer.echo("nothing yet")


@app.command()
def purge(
    url: Annotated[
        str, typer.Argument(help="A URL, or the beginning of URLs with * at its end; * is all.")
    ],
    config: ConfigOption,
    as_json: JsonOption = False,
) -> None:
    """Throw a URL out of the running proxy's cache."""
    loaded, _ = _config(config)
    listen = loaded.config.proxy.admin_listen
    if listen.startswith("unix:"):
        _stop(f"{config}: ask {listen} yourself: POST /purge?{urlencode({'url': url})}", _USAGE)
    host, _, port = listen.rpartition(":")
    host = {"": "127.0.0.1", "*": "127.0.0.1", "0.0.0.0": "127.0.0.1", "[::]": "[::1]"}.get(  # noqa: S104
        host, host
    )
    there = f"http://{host}:{port}/purge?{urlencode({'url': url})}"
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(urllib.request.Request(there, method="POST"), timeout=10) as reply:
            told = json.load(reply)
    except urllib.error.HTTPError as error:
        _stop(error.read(1000).decode("utf-8", "replace").strip(), _FAULTS)
    except (OSError, ValueError) as error:
        _stop(f"{there}: no answer ({error}): is the proxy running?", _FAULTS)
    if as_json:
        typer.echo(json.dumps(told, indent=2))
    else:
        typer.echo(f"{url}: thrown out in all workers ({told['entries']} in one of them)")


def _print_vendors(vendors: list[Vendor]) -> None:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("id", "name", "category", "hosts"):
        table.add_column(column, overflow="fold")
    for vendor in vendors:
        hosts = [*vendor.hosts, *vendor.paths]
        shown = ", ".join(hosts[:3]) + (f" +{len(hosts) - 3}" if len(hosts) > 3 else "")
        table.add_row(vendor.id, vendor.name, vendor.category, shown)
    Console(highlight=False, width=None if sys.stdout.isatty() else 160).print(table)


def main() -> None:
    """The console script."""
    app()
