"""`rewrite` and `explain`: one page, as a visitor would get it."""

from __future__ import annotations

import http.client
import json
import sys
import urllib.error
import urllib.request
from dataclasses import asdict
from email.message import Message
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import quote, urlsplit

import typer
from rich.text import Text

from consent_rules.config.load import LoadedConfig
from consent_rules.wording import printable, quoted
from proxy.cli.options import (
    CONFIG_FILE,
    PROBLEMS,
    USAGE,
    JsonOption,
    MaybeConfigOption,
    console,
    open_config,
    region_code,
    stop,
    today,
)
from proxy.cli.overview import explain_site
from proxy.enforcement.consent_header import CONSENT_HEADER
from proxy.html import UndecodableError, scan
from proxy.html.boundary import base_urls
from proxy.html.compile import own_frames
from proxy.http.content_coding import CodingError, decoded
from proxy.review.explain import ExplainedResource, consent_dialogs, explain_page
from proxy.review.preview import (
    InvalidRequestError,
    PreviewRequest,
    preview_request,
    rewrite_page,
    source_of,
)

GpcOption = Annotated[bool, typer.Option("--gpc", help="The browser sends Sec-GPC: 1.")]
RegionOption = Annotated[str, typer.Option("--region", help="The visitor's region: US, US-CA.")]
TypeOption = Annotated[str, typer.Option("--content-type", help="The page's Content-Type.")]

_FETCH_LIMIT = 50_000_000
_URL_CHARACTERS = "%/:=&?~#+!$,;'@()*[]"


def _request(
    config: Path | None, url: str, accept: str | None, gpc: bool, region: str
) -> tuple[PreviewRequest, LoadedConfig | None]:
    if config is None and CONFIG_FILE.is_file():
        config = CONFIG_FILE
    loaded = open_config(config)[0] if config is not None else None
    known = loaded.config if loaded is not None else None
    region = region_code(region)
    try:
        request = preview_request(known, url, accept=accept, gpc=gpc, region=region, today=today())
    except InvalidRequestError as error:
        stop(str(error), USAGE)
    if not request.site_given:
        typer.echo(
            f"note: no site of {config} has the host {urlsplit(url).netloc}; "
            f"the rules of site {request.site.name!r} are used",
            err=True,
        )
    return request, loaded


def rewrite(
    url: Annotated[str, typer.Option("--url", help="The page's address.")],
    config: MaybeConfigOption = None,
    accept: Annotated[
        str | None,
        typer.Option(
            "--accept",
            help="What the visitor allowed: categories with commas, all, or none; unreadable: "
            "there is a preference cookie that cannot be read. Default: no choice yet.",
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
    request, _ = _request(config, url, accept, gpc, region)
    body = sys.stdin.buffer.read()
    try:
        page = rewrite_page(request, body, content_type, language=language, bare=bare)
    except UndecodableError as error:
        stop(f"the page cannot be gated: {error}", PROBLEMS)
    sys.stdout.buffer.write(page)


def explain(
    url: Annotated[str, typer.Argument(help="The page's address.")] = "",
    config: MaybeConfigOption = None,
    site: Annotated[
        str,
        typer.Option("--site", "-s", help="No page, but what each vendor may do on this site."),
    ] = "",
    preferences: Annotated[
        str | None,
        typer.Option(
            "--preferences",
            help="What the visitor allowed: categories with commas, all, or none; unreadable: "
            "there is a preference cookie that cannot be read. Default: no choice yet.",
        ),
    ] = None,
    html: Annotated[
        Path | None,
        typer.Option(
            "--html", help="The page's file, - for stdin. Default: fetched from the upstream."
        ),
    ] = None,
    gpc: GpcOption = False,
    region: RegionOption = "",
    content_type: TypeOption = "",
    as_json: JsonOption = False,
) -> None:
    """Explain every resource of a page: kept or gated, by which rule, and where."""
    if site:
        loaded, _ = open_config(config or CONFIG_FILE)
        names = [one.name for one in loaded.config.sites]
        if site not in names:
            stop(f"unknown site {quoted(site)}; the sites are {', '.join(names)}", USAGE)
        explain_site(loaded.config, site, as_json=as_json)
        return
    if not url:
        stop("name a page's address, or a site with --site", USAGE)
    request, known = _request(config, url, preferences, gpc, region)
    body, found_type, marks = page_body(request, html)
    try:
        source = source_of(body, content_type or found_type)
    except UndecodableError as error:
        stop(f"the page cannot be gated: {error}", PROBLEMS)
    scanned = scan(source)
    marks_seen = (*marks, *scanned.marks)
    frames = own_frames(scanned, base_urls(scanned, url), request.boundary)
    decision = request.decision(marks_seen, frames)
    places = _tag_places(request, config, known)
    resources = explain_page(source, url, request.boundary, request.rules, decision, places)
    dialogs = consent_dialogs(resources)
    summary = {
        "url": url,
        "site": request.site.name,
        "audience": decision.audience,
        "patient_because": request.why_patient(marks_seen, frames),
        "regime": decision.regime,
        "banner": decision.show_banner,
        "open": sorted(decision.open),
        "consent_header": request.consent_header(decision),
        "consent_dialogs": [name for name, _ in dialogs],
    }
    if as_json:
        typer.echo(json.dumps({**summary, "resources": [asdict(f) for f in resources]}, indent=2))
    else:
        _print_resources(summary, resources)
        for name, is_open in dialogs:
            state = "is open: visitors are asked twice" if is_open else "is closed"
            typer.echo(
                f"this page has a consent dialog of its own, {name}, which {state}. The proxy asks "
                "already: take it out of the page"
            )


def page_body(request: PreviewRequest, html: Path | None) -> tuple[bytes, str, list[str]]:
    """Bytes, Content-Type and the origin's audience marks."""
    if html is not None:
        try:
            data = sys.stdin.buffer.read() if str(html) == "-" else html.read_bytes()
        except OSError as error:
            stop(f"{html}: cannot be read: {error.strerror}", USAGE)
        return data, "text/html", []
    upstream = request.site.upstream
    if upstream.startswith("unix:"):
        stop(f"{upstream} is a Unix socket; give the page with --html FILE", PROBLEMS)
    there = upstream.rstrip("/") + request.target
    try:
        data, headers = _fetched(there, host=urlsplit(request.url).netloc)
    except (OSError, ValueError, http.client.HTTPException) as error:
        stop(f"{there}: no response ({error}); give the page with --html FILE", PROBLEMS)
    try:
        data = decoded(data, headers.get("Content-Encoding", ""), _FETCH_LIMIT)
    except CodingError as error:
        stop(f"{there}: {error}", PROBLEMS)
    marks = headers.get_all("X-Page-Audience") or []
    return data, headers.get("Content-Type", "text/html"), marks


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """A redirect is the page: where it leads is another page, and maybe another server."""

    def redirect_request(self, *_: Any) -> None:
        return None


def _fetched(url: str, *, host: str) -> tuple[bytes, Message]:
    """Ask the upstream as the proxy would. Raises OSError, ValueError or HTTPException."""
    message = urllib.request.Request(  # noqa: S310 - the config allows http and https only
        quote(url, safe=_URL_CHARACTERS), headers={"Host": host, "Accept-Encoding": "identity"}
    )
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), _NoRedirect)
    try:
        with opener.open(message, timeout=30) as reply:
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


def _tag_places(
    request: PreviewRequest, config: Path | None, loaded: LoadedConfig | None
) -> dict[str, str]:
    """Where in the config each vendor's tag for this site stands."""
    if loaded is None:
        return {}
    places: dict[str, str] = {}
    for index, tag in enumerate(request.config.tags):
        if request.site.name in tag.sites:
            spot = loaded.places.key(("tag", index))
            places.setdefault(tag.vendor, f"{spot.file or config or CONFIG_FILE}:{spot.line}")
    return places


def _print_resources(summary: dict[str, Any], resources: list[ExplainedResource]) -> None:
    out = console()
    out.print(
        f"{summary['url']}  site {summary['site']}, {summary['audience']} page, "
        f"regime {summary['regime']}"
    )
    if summary["patient_because"]:
        out.print(f"for patients: {printable(summary['patient_because'])}")
    out.print(f"open here: {', '.join(summary['open']) or 'no third party'}")
    if summary["consent_header"]:
        out.print(f"the site gets: {CONSENT_HEADER}: {summary['consent_header']}")
    for one in resources:
        line = Text(f"{one.line}:{one.column}".ljust(10))
        line.append(one.fate.ljust(6), style="red" if one.fate == "gated" else "green")
        line.append(
            f" {printable(one.element)}  {printable(one.what)}\n",
            style="bold" if one.owner else "",
        )
        owner = f"{one.owner}: " if one.owner and not one.owner.startswith("@") else ""
        line.append(printable(f"          {owner}{one.reason} [{one.rule}]"), style="dim")
        out.print(line)
    gated = sum(one.fate == "gated" for one in resources)
    out.print(f"{len(resources)} resources, {gated} gated")
