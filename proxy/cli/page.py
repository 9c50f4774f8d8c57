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
from proxy.cli.options import (
    FAULTS,
    USAGE,
    JsonOption,
    MaybeConfigOption,
    console,
    open_config,
    stop,
    today,
)
from proxy.html import UndecodableError, scan
from proxy.http.content_coding import CodingError, decoded
from proxy.review.explain import Fate, explain_page
from proxy.review.preview import BadQuestionError, Question, ask_offline, rewritten, source_of

GpcOption = Annotated[bool, typer.Option("--gpc", help="The browser sends Sec-GPC: 1.")]
RegionOption = Annotated[str, typer.Option("--region", help="The visitor's region: US, US-CA.")]
TypeOption = Annotated[str, typer.Option("--content-type", help="The page's Content-Type.")]

_FETCH_LIMIT = 50_000_000
_URL_CHARACTERS = "%/:=&?~#+!$,;'@()*[]"


def _question(
    config: Path | None, url: str, accept: str | None, gpc: bool, region: str
) -> tuple[Question, LoadedConfig | None]:
    loaded = open_config(config)[0] if config is not None else None
    known = loaded.config if loaded is not None else None
    try:
        question = ask_offline(known, url, accept=accept, gpc=gpc, region=region, today=today())
    except BadQuestionError as error:
        stop(str(error), USAGE)
    if not question.site_given:
        typer.echo(
            f"note: no site of {config} answers to {urlsplit(url).netloc}; "
            f"the rules of site {question.site.name!r} are taken",
            err=True,
        )
    return question, loaded


def rewrite(
    url: Annotated[str, typer.Option("--url", help="The page's address.")],
    config: MaybeConfigOption = None,
    accept: Annotated[
        str | None,
        typer.Option(
            "--accept",
            help="What the visitor allowed: categories with commas, all, or none; unreadable: there "
            "is a preference cookie that cannot be read. Left out: no choice yet.",
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
        stop(f"the page cannot be gated: {error}", FAULTS)
    sys.stdout.buffer.write(page)


def explain(
    url: Annotated[str, typer.Argument(help="The page's address.")],
    config: MaybeConfigOption = None,
    preferences: Annotated[
        str | None,
        typer.Option(
            "--preferences",
            help="What the visitor allowed: categories with commas, all, or none; unreadable: there "
            "is a preference cookie that cannot be read. Left out: no choice yet.",
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
    question, loaded = _question(config, url, preferences, gpc, region)
    body, found_type, marks = _page_body(question, html)
    try:
        source = source_of(body, content_type or found_type)
    except UndecodableError as error:
        stop(f"the page cannot be gated: {error}", FAULTS)
    decision = question.decision((*marks, *scan(source).marks))
    places = _tag_places(question, config, loaded)
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
            stop(f"{html}: cannot be read: {error.strerror}", USAGE)
        return data, "text/html", []
    there = question.site.upstream.rstrip("/") + question.target
    try:
        data, headers = _fetched(there, host=urlsplit(question.url).netloc)
    except (OSError, ValueError, http.client.HTTPException) as error:
        stop(f"{there}: no answer ({error}); give the page with --html FILE", FAULTS)
    try:
        data = decoded(data, headers.get("Content-Encoding", ""), _FETCH_LIMIT)
    except CodingError as error:
        stop(f"{there}: {error}", FAULTS)
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


def _tag_places(
    question: Question, config: Path | None, loaded: LoadedConfig | None
) -> dict[str, str]:
    """Where in the config each vendor's tag for this site stands."""
    if loaded is None:
        return {}
    places: dict[str, str] = {}
    for index, tag in enumerate(question.config.tags):
        if question.site.name in tag.sites:
            spot = loaded.places.key(("tag", index))
            places.setdefault(tag.vendor, f"{spot.file or config}:{spot.line}")
    return places


def _print_fates(summary: dict[str, Any], fates: list[Fate]) -> None:
    out = console()
    out.print(
        f"{summary['url']}  site {summary['site']}, {summary['audience']} page, "
        f"regime {summary['regime']}"
    )
    out.print(f"open here: {', '.join(summary['open']) or 'no third party'}")
    for fate in fates:
        line = Text(f"{fate.line}:{fate.column}".ljust(10))
        line.append(fate.fate.ljust(6), style="red" if fate.fate == "gated" else "green")
        line.append(f" {fate.element}  {fate.what}\n", style="bold" if fate.owner else "")
        owner = f"{fate.owner}: " if fate.owner and not fate.owner.startswith("@") else ""
        line.append(f"          {owner}{fate.reason} [{fate.rule}]", style="dim")
        out.print(line)
    gated = sum(fate.fate == "gated" for fate in fates)
    out.print(f"{len(fates)} resources, {gated} gated")
