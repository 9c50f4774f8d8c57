"""`python -m e2e.saved_pages_audit FOLDER [PAGES]`: audits of saved pages of real sites.

Each page is audited by itself, without a config, as `consent-proxy audit` does it. The site's own
hosts are those of the domain that the page names as its own; a page that names none is left out.
What is measured is whether each audit ends, and how many of the third-party hosts, and of the
requests to them, it can name: by the vendor, by the company that owns the host, or by the publisher
whose files they are. Every request is answered on this machine, with nothing in it.
"""

from __future__ import annotations

import asyncio
import datetime
import ssl
import sys
import tempfile
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

from aiohttp import web

from consent_rules.audit.report import AuditReport
from consent_rules.audit.states import AuditState
from consent_rules.categories import Regime
from consent_rules.config.checks.public_suffixes import public_suffixes
from e2e.real_pages import HOST, own_host
from proxy.audit.choosing import ACCEPT_BUTTONS, REJECT_BUTTONS, ChoiceWays
from proxy.audit.crawl import CrawlLimits, CrawlPlan
from proxy.audit.run import run_audit
from proxy.audit.scopes import scope_by_catalogue
from proxy.audit.visiting import VisitLimits
from tests.support.certificates import Authority
from tests.support.ports import free_ports

_KINDS = {"script": "text/javascript", "style": "text/css", "iframe": "text/html"}


@asynccontextmanager
async def _served(pages: Mapping[str, bytes], folder: Path) -> AsyncIterator[tuple[int, int, int]]:
    """The pages on one port; on two others, without and with TLS, what all hosts answer."""

    async def page(request: web.BaseRequest) -> web.StreamResponse:
        body = pages.get(request.path.removeprefix("/"))
        if body is None:
            return web.Response(status=404)
        return web.Response(body=body, headers={"Content-Type": "text/html"})

    async def nothing(request: web.BaseRequest) -> web.StreamResponse:
        kind = _KINDS.get(request.headers.get("Sec-Fetch-Dest", ""), "text/plain")
        headers = {"Access-Control-Allow-Origin": "*"}
        return web.Response(text="", content_type=kind, headers=headers)

    certificate, key = Authority(folder).issue("saved", HOST)
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(certificate, key)
    one, two, three = free_ports(3)
    runners = [web.ServerRunner(web.Server(answer)) for answer in (page, nothing)]
    for runner in runners:
        await runner.setup()
    try:
        await web.TCPSite(runners[0], "127.0.0.1", one).start()
        await web.TCPSite(runners[1], "127.0.0.1", two).start()
        await web.TCPSite(runners[1], "127.0.0.1", three, ssl_context=tls).start()
        yield one, two, three
    finally:
        for runner in runners:
            await runner.cleanup()


async def audit_saved(pages: Mapping[str, bytes], folder: Path) -> dict[str, AuditReport]:
    """An audit of each page. `folder` is for files of the server."""
    reports = {}
    async with _served(pages, folder) as (port, plain, tls):
        others = f"MAP *:80 127.0.0.1:{plain},MAP *:443 127.0.0.1:{tls},MAP * ~NOTFOUND"
        flags = (f"--host-resolver-rules={others},EXCLUDE 127.0.0.1",)
        for name, body in pages.items():
            domain = public_suffixes().privatesuffix(own_host(body)) or own_host(body)
            start = f"http://127.0.0.1:{port}/{name}"
            plan = CrawlPlan(
                start=start,
                states=(AuditState.NO_CHOICE, AuditState.REJECTED),
                ways=ChoiceWays("", ACCEPT_BUTTONS, REJECT_BUTTONS),
                limits=CrawlLimits(1, 0, 0, 0, 1, VisitLimits(quiet=0.5, patience=30.0)),
                context={"ignore_https_errors": True},
            )
            scope = scope_by_catalogue(
                start,
                own=(f"*.{domain}",),
                patient_pages=(),
                regime=Regime.OPT_IN,
                region="",
                today=datetime.datetime.now(datetime.UTC).date(),
            )
            reports[name] = (await run_audit(plan, scope, flags=flags)).report
    return reports


def _told(reports: Mapping[str, AuditReport]) -> str:
    known: Counter[str] = Counter()
    sent: Counter[str] = Counter()
    hosts: dict[str, str] = {}
    nameless: dict[str, list[str]] = {}
    for name, report in reports.items():
        for row in report.receivers:
            how = "vendor" if row.id else row.ownership or "nobody"
            known[how] += len(row.hosts)
            sent[how] += sum(number for _, number in row.requests)
            hosts |= dict.fromkeys(row.hosts, how)
            if how == "nobody":
                for host in row.hosts:
                    nameless.setdefault(host, []).append(name)
    lines = [f"{host}: {', '.join(names)}" for host, names in sorted(nameless.items())]
    shares = {
        "hosts on pages": known,
        "different hosts": Counter(hosts.values()),
        "requests": sent,
    }
    for title, counts in shares.items():
        whole = counts.total() or 1
        parts = ", ".join(f"{number} {how}" for how, number in counts.most_common())
        share = 100 * (whole - counts["nobody"]) / whole
        lines.append(f"{whole} {title}: {share:.1f} % named ({parts})")
    failed = [name for name, report in reports.items() if report.failure]
    seen = sum(bool(report.receivers) for report in reports.values())
    lines.append(
        f"{len(reports)} pages audited, {seen} with third parties, failed: {', '.join(failed) or 0}"
    )
    return "\n".join(lines)


def main(folder: Path, most: int) -> None:
    """Print the hosts that nobody could name, and the shares."""
    files = sorted(folder.glob("*.html"))
    bodies = {file.name: file.read_bytes() for file in files}
    named = [name for name, body in bodies.items() if own_host(body) != HOST]
    with tempfile.TemporaryDirectory() as state:
        pages = {name: bodies[name] for name in named[:most]}
        print(_told(asyncio.run(audit_saved(pages, Path(state)))))


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else sys.maxsize)
