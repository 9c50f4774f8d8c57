"""The requests under /dashboard: pages, the files of their tables, style, sign-in.

Every reply has the dashboard's own policy: nothing from elsewhere, no script, in no frame, stored
nowhere. Nothing but sign-in and sign-out changes anything, and both are forms of its own pages.
"""

from __future__ import annotations

import asyncio
import datetime
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any

import jinja2
from aiohttp import web

from proxy import __version__
from proxy.banner.static_files import static_root
from proxy.dashboard.access import (
    HOME,
    SIGN_IN,
    SIGN_OUT,
    TRY_AGAIN_SECONDS,
    Access,
    Gatekeeper,
    TokenFileError,
)
from proxy.dashboard.choice_tables import OVER_TIME, Section, View, sections, view_of
from proxy.dashboard.choices import ChoiceNumbers, ChoiceStatistics
from proxy.dashboard.statistics import RECENT_DAYS, YEAR_DAYS
from proxy.dashboard.system_tables import (
    config_table,
    sum_of,
    traffic_table,
    upstream_table,
    version_table,
    worker_table,
)
from proxy.dashboard.tables import Table, shown
from proxy.dashboard.vendor_tables import MOST_ROWS, tag_table, third_party_table
from proxy.http.handler import Handler
from proxy.observability.metrics import Metrics
from proxy.observability.readiness import takes_connections
from proxy.runtime import Runtime

_HEADERS: Mapping[str, str] = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; img-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    # Not `no-referrer`: with that, browsers send the forms' `Origin` as "null".
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
_FRESH_SECONDS = 5.0
"""For so long tables that cost something are those of the last time."""

PAGES: Mapping[str, str] = {
    HOME: "Overview",
    f"{HOME}choices": "Choices",
    f"{HOME}third-parties": "Third parties",
    f"{HOME}tags": "Tags",
}
_DATA = f"{HOME}data/"
_FILES: Mapping[str, str] = {
    f"{HOME}style.css": "text/css",
    f"{HOME}icon.svg": "image/svg+xml",
}


@dataclass(frozen=True, slots=True)
class Sources:
    """What the dashboard reads, of one worker. `folder` is that of the config file."""

    runtime: Callable[[], Runtime]
    status: Callable[[], Mapping[str, Any]]
    metrics: Metrics
    choices: ChoiceStatistics
    folder: Path


def make_dashboard(sources: Sources, gatekeeper: Gatekeeper) -> Handler:
    """The handler of every path that begins with /dashboard. It leaves to its caller whether the
    request's host is one of the listener's.
    """
    reading = _Reading(sources)

    async def dashboard(request: web.BaseRequest) -> web.StreamResponse:
        await asyncio.sleep(0)
        try:
            reply = await _reply(request, reading, gatekeeper)
        except TokenFileError as error:
            reply = _page("closed", 503, title="Closed", problem=str(error))
        reply.headers.update(_HEADERS)
        return reply

    return dashboard


async def _reply(
    request: web.BaseRequest, reading: _Reading, gatekeeper: Gatekeeper
) -> web.StreamResponse:
    path = request.path
    if not reading.sources.runtime().config.dashboard.enabled:
        return web.Response(status=404, text="the dashboard is off ([dashboard] enabled)\n")
    if request.method == "POST":
        return await _changed(request, path, gatekeeper)
    if request.method not in {"GET", "HEAD"}:
        return web.Response(status=405, headers={"Allow": "GET, HEAD, POST"})
    if path in _FILES:
        return web.Response(body=_file(path), content_type=_FILES[path], charset="utf-8")
    if path == HOME.rstrip("/"):
        return _see(HOME)
    access = gatekeeper.access(request)
    if path == SIGN_IN and access in {Access.SIGN_IN, Access.ALLOWED}:
        return _page("sign_in", 200, title="Sign in", problem="")
    if access is not Access.ALLOWED:
        return _refused(request, access)
    if path.startswith(_DATA):
        return await _data(request, reading, path.removeprefix(_DATA))
    if path not in PAGES:
        return _page(
            "missing", 404, title="No such page", pages=PAGES, signs_out=gatekeeper.requires_token
        )
    content = await reading.page(path, request.query)
    return _page(
        content.pop("template"),
        200,
        title=PAGES[path],
        path=path,
        pages=PAGES,
        signs_out=gatekeeper.requires_token,
        **content,
    )


async def _changed(
    request: web.BaseRequest, path: str, gatekeeper: Gatekeeper
) -> web.StreamResponse:
    if path == SIGN_OUT:
        reply = gatekeeper.sign_out(request)
        return _page("closed", 403, title="Refused", problem=_FOREIGN) if reply is None else reply
    if path != SIGN_IN:
        return web.Response(status=405, headers={"Allow": "GET, HEAD"})
    found = await gatekeeper.sign_in(request)
    if isinstance(found, web.Response):
        return found
    if found is Access.SIGN_IN:
        return _page("sign_in", 403, title="Sign in", problem=_WRONG)
    return _refused(request, found)


_WRONG = "That is not the token, or the form came from elsewhere."
_FOREIGN = "This form came from another site."


def _refused(request: web.BaseRequest, access: Access) -> web.Response:
    is_data = request.path.startswith(_DATA)
    if access is Access.LIMITED:
        reply = _page("closed", 429, title="Too many wrong tokens", problem=_LIMITED)
        reply.headers["Retry-After"] = str(TRY_AGAIN_SECONDS)
        return reply
    if access is Access.CLOSED:
        return _page("closed", 403, title="Closed", problem=_CLOSED)
    if is_data or "Authorization" in request.headers:
        headers = {"WWW-Authenticate": "Bearer"}
        return web.Response(status=401, text="sign in, or send the token\n", headers=headers)
    return _see(SIGN_IN)


_LIMITED = f"Wait {TRY_AGAIN_SECONDS} seconds."
_CLOSED = (
    "Without a token the dashboard opens only on the proxy's own machine, at "
    "http://127.0.0.1, and where admin_listen is a loopback address. Set a token in the config: "
    '[dashboard] token = "${DASHBOARD_TOKEN}", or token_file.'
)


def _see(path: str) -> web.Response:
    return web.Response(status=303, headers={"Location": path})


async def _data(request: web.BaseRequest, reading: _Reading, name: str) -> web.Response:
    stem, _, form = name.rpartition(".")
    table = await reading.table(stem, request.query) if form in {"csv", "json"} else None
    if table is None:
        return web.Response(status=404, text="no such table\n")
    headers = {"Content-Disposition": f'attachment; filename="{table.name}.{form}"'}
    if form == "csv":
        return web.Response(
            text=table.as_csv(), content_type="text/csv", charset="utf-8", headers=headers
        )
    return web.Response(
        text=table.as_json(), content_type="application/json", charset="utf-8", headers=headers
    )


class _Reading:
    """Makes the pages' content. What reads files is read in a thread, and stored for seconds."""

    def __init__(self, sources: Sources) -> None:
        self.sources = sources
        self._stored: dict[str, tuple[float, object, Any]] = {}
        self._locks: dict[str, asyncio.Lock] = {}

    async def page(self, path: str, query: Mapping[str, str]) -> dict[str, Any]:
        """What a page's template needs, its own name among it."""
        match path.removeprefix(HOME):
            case "choices":
                return await self._choices_page(query)
            case "third-parties":
                table = await self._third_parties()
                return {"template": "third_parties", "table": table, "most": MOST_ROWS}
            case "tags":
                return {"template": "tags", "table": await self._tags()}
        return {"template": "overview", "tables": await self._system(), "status": self._status()}

    async def table(self, name: str, query: Mapping[str, str]) -> Table | None:
        """The table of a file; None where there is none of the name."""
        if name == "third-parties":
            return await self._third_parties()
        if name == "tags":
            return await self._tags()
        if name.startswith("choices-"):
            found = [one.table for one in (await self._sections(query))[2]]
        else:
            found = await self._system()
        return next((one for one in found if one.name == name), None)

    async def _choices_page(self, query: Mapping[str, str]) -> dict[str, Any]:
        numbers, view, made = await self._sections(query)
        known = None if numbers is None else numbers.statistics
        return {
            "template": "choices",
            "numbers": numbers,
            "counted": _time(numbers.counted_at) if numbers and numbers.counted_at else "",
            "sections": made,
            "view": view,
            "sites": known.sites if known and len(known.sites) > 1 else (),
            "periods": {"30": f"{RECENT_DAYS} days", "365": f"{YEAR_DAYS} days"},
            "over_time": OVER_TIME,
        }

    async def _sections(
        self, query: Mapping[str, str]
    ) -> tuple[ChoiceNumbers | None, View, list[Section]]:
        numbers = await self.sources.choices.current()
        if numbers is None or numbers.statistics is None:
            return numbers, View(), []
        view = view_of(query, numbers.statistics.sites)
        made = await self._once(
            f"sections{view.query}",
            numbers.statistics,
            partial(asyncio.to_thread, sections, numbers.statistics, view),
        )
        return numbers, view, made

    async def _third_parties(self) -> Table:
        config = self.sources.runtime().config
        reading = partial(third_party_table, config, self.sources.folder, _today())
        found: Table = await self._once(
            "third-parties", config, partial(asyncio.to_thread, reading)
        )
        return found

    async def _tags(self) -> Table:
        config = self.sources.runtime().config
        reading = partial(tag_table, config, _today())
        found: Table = await self._once("tags", config, partial(asyncio.to_thread, reading))
        return found

    async def _system(self) -> list[Table]:
        runtime, status = self.sources.runtime(), self.sources.status()
        reachable = await self._once("upstreams", runtime, partial(_tried, runtime))
        workers = self.sources.metrics.all_workers()
        return [
            config_table(status),
            upstream_table(runtime, reachable),
            traffic_table(runtime, sum_of(workers.values())),
            worker_table(workers),
            version_table(status),
        ]

    def _status(self) -> Mapping[str, Any]:
        return self.sources.status()

    async def _once(self, name: str, of: object, make: Callable[[], Any]) -> Any:
        """What was made a moment ago of the same thing, or what is made now; by one at a time."""
        async with self._locks.setdefault(name, asyncio.Lock()):
            stored = self._stored.get(name)
            if stored and stored[1] is of and time.monotonic() - stored[0] < _FRESH_SECONDS:
                return stored[2]
            made = await make()
            if len(self._stored) > 100:
                self._stored.clear()
            self._stored[name] = time.monotonic(), of, made
            return made


async def _tried(runtime: Runtime) -> dict[str, bool]:
    servers = {
        member.server.name: member.server
        for site in runtime.sites.values()
        for member in site.upstream.members
    }
    found = await asyncio.gather(*map(takes_connections, servers.values()))
    return dict(zip(servers, found, strict=True))


def _today() -> datetime.date:
    return datetime.datetime.now(datetime.UTC).date()


def _time(seconds: float) -> str:
    return datetime.datetime.fromtimestamp(seconds, datetime.UTC).strftime("%Y-%m-%d %H:%M UTC")


def _page(template: str, status: int, /, **content: Any) -> web.Response:
    html = _templates().get_template(f"{template}.html").render(version=__version__, **content)
    return web.Response(status=status, text=html, content_type="text/html", charset="utf-8")


@cache
def _templates() -> jinja2.Environment:
    found = jinja2.Environment(
        loader=jinja2.FileSystemLoader(static_root() / "dashboard"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    found.filters["shown"] = shown
    return found


@cache
def _file(path: str) -> bytes:
    return (static_root() / "dashboard" / path.rpartition("/")[2]).read_bytes()
