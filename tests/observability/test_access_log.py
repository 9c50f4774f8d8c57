"""Logs name kinds of failures, not what a page or a header said, nor the path of a patient page."""

from __future__ import annotations

import asyncio
import contextlib
import io
import json
import logging
import re
import tracemalloc
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest
from multidict import CIMultiDict, CIMultiDictProxy

from proxy.http.access_record import Access
from proxy.observability.access_log import AccessLog
from proxy.upstream.errors import failure_kind
from tests.support.forwarding import Visit, get
from tests.support.one_connection import connected
from tests.support.processes import ask, running
from tests.support.site import HOST, Proxied, Reply, proxied, reply
from tests.support.site import PAGE as SITE_PAGE
from tests.support.slow_page import START, Slow, visiting
from tests.support.waiting import PATIENCE

SECRET = b"Patient Erika Mustermann owes 120 dollars. " * 20
PAGE = b"<!doctype html><p>" + SECRET


def head(*lines: bytes, status: bytes = b"200 OK") -> bytes:
    return b"\r\n".join([b"HTTP/1.1 " + status, *lines]) + b"\r\n\r\n"


HTML = b"Content-Type: text/html"
TEXT = b"Content-Type: text/plain"
CHUNKED = b"Transfer-Encoding: chunked"
# method, what the origin answers to it, and to the next request on the same connection
CASES: dict[str, tuple[bytes, bytes]] = {
    "length too small": (b"GET", head(HTML, b"Content-Length: 20") + PAGE),
    "length too small, closed": (
        b"GET", head(HTML, b"Content-Length: 20", b"Connection: close") + PAGE,
    ),
    "length too small, a file": (b"GET", head(TEXT, b"Content-Length: 20") + PAGE),
    "length too large": (b"GET", head(HTML, b"Content-Length: 9999") + PAGE),
    "length too large, a file": (b"GET", head(TEXT, b"Content-Length: 9999") + PAGE),
    "HEAD with a body": (b"HEAD", head(HTML, b"Content-Length: %d" % len(PAGE)) + PAGE),
    "HEAD with a body, closed": (
        b"HEAD", head(HTML, b"Content-Length: 5", b"Connection: close") + PAGE,
    ),
    "204 with a body": (b"GET", head(status=b"204 No Content") + PAGE),
    "304 with a body": (b"GET", head(status=b"304 Not Modified") + PAGE),
    "no chunks": (b"GET", head(HTML, CHUNKED) + PAGE),
    "no chunks, a file": (b"GET", head(TEXT, CHUNKED) + PAGE),
    "a chunk of another size": (b"GET", head(HTML, CHUNKED) + b"5\r\n" + PAGE),
    "no head": (b"GET", PAGE),
    "a header field without a name": (b"GET", head(HTML, b": " + SECRET)),
    "a bare line": (b"GET", head(HTML, SECRET)),
    "a control character": (b"GET", head(HTML, b"X-A: \x01" + SECRET)),
    "a header cut off": (b"GET", b"HTTP/1.1 200 OK\r\nSet-Cookie: " + SECRET),
    "a status line": (b"GET", b"HTTP/1.1 " + SECRET + b"\r\n\r\n"),
    "a long line": (b"GET", head(HTML, b"X-A: " + SECRET * 200)),
    "no gzip": (b"GET", head(HTML, b"Content-Encoding: gzip", b"Content-Length: 900") + PAGE),
    "no such charset": (
        b"GET", head(HTML + b"; charset=x-none", b"Content-Length: %d" % len(PAGE)) + PAGE,
    ),
    "no UTF-16": (
        b"GET", head(HTML + b"; charset=utf-16", b"Content-Length: %d" % (len(PAGE) | 1)) + PAGE,
    ),
    "no XML": (
        b"GET",
        head(b"Content-Type: application/xhtml+xml", b"Content-Length: %d" % len(PAGE)) + PAGE,
    ),
}  # fmt: skip


STAYS = {"length too small", "length too small, a file", "HEAD with a body", "204 with a body"}


@pytest.mark.parametrize("cached", [True, False], ids=["cache", "no cache"])
@pytest.mark.parametrize("case", CASES)
async def test_nothing_of_a_broken_answer_is_logged(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, case: str, cached: bool
) -> None:
    caplog.set_level(logging.DEBUG)
    method, answer = CASES[case]

    async def broken(visit: Visit) -> None:
        await visit.send(answer)
        if case not in STAYS:
            raise ConnectionResetError("an origin that hangs up")

    def change(text: str) -> str:
        return text if cached else text.replace("[proxy]\n", "[proxy]\ncache_bytes = 0\n", 1)

    pages: dict[str, Reply] = {"x": broken}
    async with proxied(tmp_path, pages, change=change) as site:
        for _ in range(2):  # what came too much is found on the next request
            try:
                await site.raw(get(b"/x", method=method).replace(b"www.example.com", HOST.encode()))
            except ConnectionError:
                continue
    assert "Mustermann" not in caplog.text
    assert "dollars" not in caplog.text


async def test_nothing_of_a_visitors_body_is_logged(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    request = get(b"/x", b"Transfer-Encoding: chunked", method=b"POST")
    async with proxied(tmp_path) as site:
        for body in (b"5\r\nabcde\r\n" + SECRET, b"3\r\n" + SECRET, SECRET):
            await site.raw(request + body)
    assert "Mustermann" not in caplog.text


# --- Paths

NAME = "erika-mustermann"
HERE = f"/{NAME}/bill"
SAYS_SO = "X-Page-Audience: patient"
META = b'<meta name="page-audience" content="patient">'
FRESH = "Cache-Control: public, max-age=600"
FRAME = SITE_PAGE.replace(b"<h1>", b'<iframe src="/patients/x"></iframe><h1>')
PATIENT_PAGE = "(patient page)"


def log_of(site: Proxied, out: io.StringIO) -> AccessLog:
    return AccessLog(out, path_without_site=lambda target: site.running.rules.logged_path(target))


async def logged(
    folder: Path, pages: dict[str, Reply], requests: list[dict[str, Any]], change: Any = str
) -> list[str]:
    """The paths that the access log has for these requests, made one after the other."""
    out = io.StringIO()
    logs: list[AccessLog] = []
    async with proxied(folder, pages, change=change, access=lambda one: logs[0](one)) as site:
        logs.append(log_of(site, out))
        for request in requests:
            with contextlib.suppress(ConnectionError):  # some are cut off
                await site.ask(**request)
        logs[0].flush()
    return [json.loads(line)["path"] for line in out.getvalue().splitlines()]


async def gone(visit: Visit) -> None:
    raise ConnectionResetError("an origin that hangs up")


async def broken_page(visit: Visit) -> None:
    await visit.send(reply(b"<p>", SAYS_SO, "Content-Length: 9999"))
    raise ConnectionResetError("an origin that hangs up")


LOGGED_PATHS: dict[str, tuple[dict[str, Any], Reply, str]] = {
    "a marketing page": ({"path": "/blog/x?q=1"}, reply(SITE_PAGE), "/blog/x"),
    "a rule": ({"path": f"/patients{HERE}?q=1"}, reply(SITE_PAGE), "/patients/*"),
    "a rule, no page": ({"path": f"/patients{HERE}.pdf"}, reply(html=False), "/patients/*"),
    "a rule, another spelling": ({"path": f"/%70atients{HERE}"}, reply(SITE_PAGE), "/patients/*"),
    "a rule, a whole URL": (
        {"path": f"http://{HOST}/patients{HERE}"}, reply(SITE_PAGE), "/patients/*",
    ),
    "what no honest link spells": ({"path": f"/x/..%2f{NAME}"}, reply(SITE_PAGE), PATIENT_PAGE),
    "a cookie": ({"path": HERE, "cookie": "session=1"}, reply(SITE_PAGE), PATIENT_PAGE),
    "a header": ({"path": HERE}, reply(SITE_PAGE, SAYS_SO), PATIENT_PAGE),
    "a header, HEAD": ({"path": HERE, "method": "HEAD"}, reply(SITE_PAGE, SAYS_SO), PATIENT_PAGE),
    "a header, a redirect": (
        {"path": HERE, "dest": "image"},
        reply(b"", SAYS_SO, "Location: https://nobody-knows.example/", status="302 Found"),
        PATIENT_PAGE,
    ),
    "a header, a file": ({"path": HERE}, reply(b"x", SAYS_SO, html=False), PATIENT_PAGE),
    "a header, broken": ({"path": HERE}, broken_page, PATIENT_PAGE),
    "a <meta>": ({"path": HERE}, reply(META + SITE_PAGE), PATIENT_PAGE),
    "a frame": ({"path": HERE}, reply(FRAME), PATIENT_PAGE),
    "XML": (
        {"path": HERE},
        reply(
            b'<html xmlns="http://www.w3.org/1999/xhtml"><head>' + META.replace(b">", b"/>")
            + b"</head></html>", "Content-Type: application/xhtml+xml", html=False,
        ),
        PATIENT_PAGE,
    ),
    "no site, a patient page of some": (
        {"path": f"/patients{HERE}", "host": "other.example"}, reply(), "/patients/*",
    ),
    "no site": ({"path": "/healthz", "host": "other.example"}, reply(), "/healthz"),
    "refused": ({"path": f"/patients{HERE}", "method": "TRACE"}, reply(), "/patients/*"),
    "an origin that is gone": ({"path": f"/patients{HERE}"}, gone, "/patients/*"),
}  # fmt: skip


@pytest.mark.parametrize("cached", [True, False], ids=["cache", "no cache"])
@pytest.mark.parametrize("case", LOGGED_PATHS)
async def test_the_path_of_a_patient_page_is_in_no_log(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, case: str, cached: bool
) -> None:
    caplog.set_level(logging.DEBUG)
    request, answer, path = LOGGED_PATHS[case]

    def change(text: str) -> str:
        return text if cached else text.replace("[proxy]\n", "[proxy]\ncache_bytes = 0\n", 1)

    assert await logged(tmp_path, {"*": answer}, [request], change) == [path]
    assert NAME not in caplog.text


async def test_nor_once_it_comes_from_memory(tmp_path: Path) -> None:
    """A page that shows a patient page in a frame is stored, and sent by the fast path."""
    out = io.StringIO()
    logs: list[AccessLog] = []
    paths = []
    pages: dict[str, Reply] = {"*": reply(FRAME, FRESH)}
    async with proxied(tmp_path, pages, access=lambda one: logs[0](one)) as site:
        logs.append(log_of(site, out))
        async with connected(site) as visitor:
            for _ in range(4):
                await visitor.ask(HERE)
                await visitor.ask(f"/patients{HERE}")
        logs[0].flush()
        assert len(site.asked) == 5, "one for the page that is stored, four for a patient page"
    paths = [json.loads(line)["path"] for line in out.getvalue().splitlines()]
    assert paths == [PATIENT_PAGE, "/patients/*"] * 4


async def test_nor_when_it_says_so_late(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    out = io.StringIO()
    logs: list[AccessLog] = []
    over = asyncio.Event()

    def access(one: Access) -> None:
        logs[0](one)
        over.set()

    slow = Slow(START, META + b"<p>last</p>")
    async with proxied(tmp_path, {HERE[1:]: slow}, access=access) as site:
        logs.append(log_of(site, out))
        async with visiting(site, HERE) as reader:
            await reader.readuntil(b"<p>first</p>")
            slow.go_on.set()
            await reader.read()
        async with asyncio.timeout(PATIENCE):
            await over.wait()
        logs[0].flush()
    assert json.loads(out.getvalue())["path"] == PATIENT_PAGE
    assert "only after it had begun to be sent" in caplog.text
    assert NAME not in caplog.text


def access_of(**others: Any) -> Access:
    headers = CIMultiDict(Host=HOST, **others.pop("fields", {}))
    return Access(
        **{
            "id": "1", "method": "GET", "target": "/a?b", "status": 200, "size": 1, "seconds": 0.0,
            "peer": "203.0.113.7", "headers": CIMultiDictProxy(headers), "site": "www",
            "cache": "hit", "page": None, **others,
        }
    )  # fmt: skip


async def line_of(log: AccessLog, out: io.StringIO, **others: Any) -> dict[str, Any]:
    out.truncate(out.seek(0))
    log(access_of(**others))
    log.flush()
    return dict(json.loads(out.getvalue()))


CHANGED_FIELDS: list[dict[str, Any]] = [
    {"target": "/b"}, {"method": "HEAD"}, {"site": "blog"}, {"peer": "198.51.100.7"},
    {"logged_path": PATIENT_PAGE}, {"fields": {"X-Forwarded-For": "192.0.2.4"}},
    {"fields": {"X-Forwarded-Host": "blog.example"}},
]  # fmt: skip


@pytest.mark.parametrize("change", CHANGED_FIELDS, ids=str)
async def test_what_is_kept_of_a_request_is_of_no_other(change: dict[str, Any]) -> None:
    """The line after a like request is the line of a log that saw none."""
    trusted = (ip_network("203.0.113.0/24"),)
    warm_out, cold_out = io.StringIO(), io.StringIO()
    warm = AccessLog(warm_out, lambda: trusted)
    before = await line_of(warm, warm_out)
    after = await line_of(warm, warm_out, **change)
    cold = await line_of(AccessLog(cold_out, lambda: trusted), cold_out, **change)
    assert after | {"time": ""} == cold | {"time": ""}
    assert after | {"time": ""} != before | {"time": ""}


async def test_a_reload_changes_whose_word_counts() -> None:
    in_force: list[tuple[Any, ...]] = [()]
    out = io.StringIO()
    log = AccessLog(out, lambda: in_force[0])
    behind: dict[str, Any] = {"fields": {"X-Forwarded-For": "192.0.2.4"}}
    assert (await line_of(log, out, **behind))["client"] == "203.0.113.0/24"
    in_force[0] = (ip_network("203.0.113.0/24"),)
    assert (await line_of(log, out, **behind))["client"] == "192.0.2.0/24"


async def test_a_reload_changes_the_path_of_a_request_to_no_site() -> None:
    patient: list[str] = ["/clinic"]
    out = io.StringIO()
    log = AccessLog(out, path_without_site=lambda _: patient[0])
    assert (await line_of(log, out, site=""))["path"] == "/clinic"
    patient[0] = PATIENT_PAGE
    assert (await line_of(log, out, site=""))["path"] == PATIENT_PAGE


async def test_requests_do_not_fill_the_memory() -> None:
    out = io.StringIO()
    log = AccessLog(out)
    tracemalloc.start()
    try:
        for number in range(9000):
            await line_of(log, out, target=f"/{number}?" + "a" * 900)
        await line_of(log, out, target="/" + "a" * 1_000_000)
        assert tracemalloc.get_traced_memory()[0] < 12 * 2**20
    finally:
        tracemalloc.stop()


def test_a_failure_is_named_by_its_kind() -> None:
    assert failure_kind(ValueError("Erika")) == "ValueError"
    assert failure_kind(OSError(111, "Connection refused")) == "Connection refused"
    assert failure_kind(ConnectionResetError("Erika")) == "ConnectionResetError"


def test_one_root_for_all_loggers() -> None:
    """`consent_proxy.<area>`: the area is the folder, or the file where there is none."""
    for path in sorted(Path("proxy").rglob("*.py")):
        area = path.parts[1].removesuffix(".py")
        for name in re.findall(r'getLogger\("(.*?)"\)', path.read_text("utf-8")):
            assert name in {f"consent_proxy.{area}", "watchfiles", "psycopg", "alembic"}, path


async def test_a_line_has_the_host_the_site_the_cache_and_the_upstreams_time(
    tmp_path: Path,
) -> None:
    out = io.StringIO()
    logs: list[AccessLog] = []

    async def slow(visit: Visit) -> None:
        await asyncio.sleep(0.05)
        await visit.send(reply(SITE_PAGE, FRESH))

    requests: list[dict[str, Any]] = [
        {"path": "/x"},
        {"path": "/x"},  # stored by the first
        {"path": "/.consent/state"},
        {"path": "/x", "host": 'no"host\\ ' + "a" * 9000},
        {"path": "/x", "host": "other.example"},
    ]
    async with proxied(tmp_path, {"x": slow}, access=lambda one: logs[0](one)) as site:
        logs.append(log_of(site, out))
        for request in requests:
            await site.ask(**request)
        logs[0].flush()
    lines = [json.loads(line) for line in out.getvalue().splitlines()]
    assert [(one["site"], one["cache"], one["status"]) for one in lines] == [
        ("www", "miss", 200),
        ("www", "hit", 200),
        ("www", "", 200),
        ("", "", 400),
        ("", "", 421),
    ]
    assert [one["host"] for one in lines[:3]] == [HOST] * 3
    assert lines[4]["host"] == "other.example"
    assert len(lines[3]["host"]) <= 255
    assert lines[0]["upstream_ms"] >= 50
    assert lines[0]["upstream_ms"] <= lines[0]["ms"]
    assert [one["upstream_ms"] for one in lines[1:]] == [None] * 4


async def lines_of(folder: Path, *requests: dict[str, Any], combined: bool = False) -> list[str]:
    """The lines of these requests: for a page that is stored, a page of nobody, a broken origin."""
    out = io.StringIO()
    logs: list[AccessLog] = []
    pages: dict[str, Reply] = {"x": reply(SITE_PAGE, FRESH), "gone": gone}
    async with proxied(folder, pages, access=lambda one: logs[0](one)) as site:
        logs.append(AccessLog(out, lambda: site.running.trusted, combined=combined))
        for request in requests:
            with contextlib.suppress(ConnectionError):
                await site.ask(**request)
        logs[0].flush()
        origin = site.running.rules.sites[0].upstream
    return out.getvalue().replace(origin, "http://origin").splitlines()


REQUESTS: list[dict[str, Any]] = [
    {"path": "/x?q=secret"},
    {"path": "/x?q=secret"},
    {"path": "/gone"},
    {"path": "/x", "host": "other.example"},
    {"path": "/x", "method": "TRACE"},
]


def documented_fields() -> list[str]:
    docs = Path("docs/metrics.md").read_text("utf-8")
    table = docs.partition('A request, with `access_log` `"json"`')[2].partition("\n\nIt ")[0]
    return re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE)


async def test_the_fields_of_real_lines_are_those_of_the_docs(tmp_path: Path) -> None:
    documented = documented_fields()
    lines = [json.loads(line) for line in await lines_of(tmp_path, *REQUESTS)]
    assert len(lines) == len(REQUESTS)
    for line in lines:
        assert list(line) == documented
    assert [line["upstream"] for line in lines] == ["http://origin", "", "http://origin", "", ""]
    assert [line["status"] for line in lines] == [200, 200, 502, 421, 405]


# As GoAccess and others read it: host, ident, user, time, request, status, bytes, referrer, agent.
COMBINED = re.compile(
    r"(\S+) - - \[(\d\d/[A-Z][a-z]{2}/\d{4}:\d\d:\d\d:\d\d \+0000)\] "
    r'"([A-Z]+) ((?:[^"\\]|\\.)*) HTTP/1\.1" (\d{3}) (\d+) "-" "([a-z-]+)"'
)


async def test_the_combined_format(tmp_path: Path) -> None:
    requests = [
        *REQUESTS,
        {"path": '/a"b'},
        {"path": "/patients/erika"},
    ]
    lines = await lines_of(tmp_path, *requests, combined=True)
    found = [COMBINED.fullmatch(line) for line in lines]
    assert all(found), lines
    paths = [one[4] for one in found if one is not None]
    assert paths == ["/x", "/x", "/gone", "/x", "/x", '/a\\"b', "/patients/*"]
    assert {one[1] for one in found if one is not None} == {"127.0.0.0"}


@pytest.mark.parametrize(("value", "logged"), [('"off"', 0), ("false", 0), ("true", 3)])
def test_the_key_of_the_config(tmp_path: Path, value: str, logged: int) -> None:
    with running(tmp_path, 1, proxy=f"access_log = {value}\n") as (process, _, _, port):
        for _ in range(3):
            assert ask(port, "/seen")[0] == 200
        assert process.stop() == 0
        assert process.log.count("/seen") == logged
