"""POST of reports: the Reporting API and CSP violation reports."""

from __future__ import annotations

from itertools import islice

from aiohttp import web

from consent_rules.categories import Audience
from consent_rules.matching.urls import resolve
from consent_rules.rules import SiteRules
from proxy.consent.replies import read_request_body
from proxy.context import RequestContext
from proxy.html.owners import KnownVendor
from proxy.http.addresses import client_address
from proxy.http.error_pages import error_response
from proxy.observability.access_log import network_of
from proxy.observability.csp_reports import parse_csp_report, reported_target
from proxy.observability.discovered import PATIENT_PAGES
from proxy.runtime import Runtime

_MAX_REPORT_BYTES = 65_536
_MAX_REPORTS = 50
"""In one request: browsers batch them, but not that many."""


async def report_endpoint(
    request: web.BaseRequest, context: RequestContext, runtime: Runtime
) -> web.Response:
    """Receive a CSP report and count the hosts that the browser blocked, unless they are well
    known.

    A report counts for a page that was served, and while its network stays below the limit of new
    hosts.
    """
    sender = network_of(client_address(request, runtime.trusted))
    if not runtime.reports.allow(sender, context.received_at):
        return error_response(request, 429)
    body = await read_request_body(request, _MAX_REPORT_BYTES)
    if isinstance(body, int):
        return error_response(request, body)
    rules, boundary = context.site, runtime.site(context).boundary
    tagged = {tag.vendor for tag in rules.tags}
    for page, blocked in islice(parse_csp_report(body), _MAX_REPORTS):
        path = _shown_path(reported_target(page, context.host), rules, runtime)
        target = resolve(blocked, None)
        owner = boundary.owner_of(target) if target is not None else None
        vendor = owner.id if isinstance(owner, KnownVendor) else ""
        if path is None or target is None or owner is None or vendor in tagged or not target.host:
            continue
        host = "" if vendor else target.host
        if runtime.reported_hosts.may_name(
            rules.name, vendor or target.host, sender, context.received_at
        ):
            runtime.sightings.add(rules.name, path, host=host, vendor=vendor, seen="report")
    return web.Response(status=204)


def _shown_path(target: str | None, rules: SiteRules, runtime: Runtime) -> str | None:
    """The path of a reported page as operators see it; None where no such page was served."""
    if target is None:
        return None
    path = target.partition("?")[0]
    audience = runtime.served_pages.audience(rules.name, path)
    if audience is None:
        return None
    if Audience.PATIENT in {audience, rules.audience_of(target, ())}:
        return PATIENT_PAGES
    return path
