"""The endpoint of the Reporting API and CSP reports."""

from __future__ import annotations

from itertools import islice

from aiohttp import web

from consent_rules.categories import Audience
from consent_rules.matching.urls import resolve
from proxy.consent.replies import read_request_body
from proxy.context import Asking
from proxy.http.addresses import client_address
from proxy.http.error_pages import error_response
from proxy.observability.access_log import network_of
from proxy.observability.csp_reports import page_of, reported
from proxy.observability.discovered import PATIENT_PAGES

_LARGEST_REPORT = 65_536
_MOST_REPORTS = 50
"""In one request: browsers gather them, but not that many."""


async def report_endpoint(request: web.BaseRequest, asking: Asking) -> web.Response:
    """Take a CSP report: count whom the browser kept from acting, unless everybody knows."""
    running = asking.running
    sender = network_of(client_address(request, running.trusted))
    if not running.reports.allow(sender, asking.now):
        return error_response(request, 429)
    body = await read_request_body(request, _LARGEST_REPORT)
    if isinstance(body, int):
        return error_response(request, body)
    rules = asking.site.rules
    tagged = {tag.vendor for tag in rules.tags}
    for page, blocked in islice(reported(body), _MOST_REPORTS):
        path = page_of(page, asking.host)
        target = resolve(blocked, None)
        owner = asking.site.boundary.owner_of(target) if target is not None else None
        if path is None or target is None or owner is None or owner in tagged or not target.host:
            continue
        if rules.audience_of(path, ()) is Audience.PATIENT:
            path = PATIENT_PAGES
        known = "" if owner.startswith("?") else owner
        running.sightings.add(rules.name, path, known or target.host, known, "report")
    return web.Response(status=204)
