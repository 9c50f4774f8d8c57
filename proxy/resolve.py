"""Resolve a request to its context: site, page, visitor, decision."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import replace

from aiohttp import web

from consent_rules.categories import Audience
from consent_rules.config.load import RegionFrom
from consent_rules.decision import Decision, Visitor
from consent_rules.matching.urls import host_of_authority
from consent_rules.preferences import Preferences
from proxy.context import RequestContext
from proxy.cookies.cookie_header import names_in
from proxy.cookies.preference_cookie import SAVED_FORM_COOKIE, load_once_vendors, stored_preferences
from proxy.http.access_record import LOGGED_PATH
from proxy.http.addresses import client_address, peer_is_trusted
from proxy.http.forwarding import forwarded_authority, forwarded_scheme
from proxy.http.targets import split_target
from proxy.runtime import Runtime, day_of


def resolve(request: web.BaseRequest, runtime: Runtime) -> RequestContext | None:
    """The context of a request. None when no site answers to its host."""
    trusted = bool(runtime.trusted) and peer_is_trusted(request, runtime.trusted)
    headers = request.headers
    authority = forwarded_authority(request, peer_is_trusted=trusted)
    scheme = forwarded_scheme(request, peer_is_trusted=trusted)
    host = host_of_authority(authority)
    rules = runtime.rules.site_of(host, None) if host else None
    if rules is None:
        return None
    target = split_target(request.raw_path).path
    path = target.partition("?")[0]
    cookie_header = "; ".join(headers.getall("Cookie", ()))
    now = time.time()
    today = day_of(int(now // 86400))
    preferences = stored_preferences(
        cookie_header,
        runtime.keys,
        rules.name,
        runtime.config.preferences.cookie_domain,
        now,
        lasts=runtime.config.policy.max_age_days * 86_400,
        secure=scheme == "https",
    )
    secure = scheme == "https"
    once = load_once_vendors(cookie_header, runtime.keys, rules.name, now, secure=secure)
    region = region_of(headers, runtime.config.policy.region_from, trusted=trusted)
    if not region and runtime.region_file is not None:
        region = runtime.region_file.region(client_address(request, runtime.trusted))
    who = visitor(headers, preferences, region, once)
    audience = rules.audience_of(target, names_in(cookie_header) if rules.patient_cookies else ())
    page_context = runtime.page_context(rules, path, audience, today)
    return RequestContext(
        site=rules,
        host=host,
        authority=authority,
        scheme=scheme,
        target=target,
        path=path,
        peer_is_trusted=trusted,
        cookie_header=cookie_header,
        visitor=who,
        load_once=bool(once),
        has_saved_form=SAVED_FORM_COOKIE in cookie_header
        and SAVED_FORM_COOKIE in names_in(cookie_header),
        page_context=page_context,
        decision=runtime.decide(page_context, who),
        site_decision=runtime.decide(runtime.site_page_context(rules, today), who),
        received_at=now,
    )


def with_audience(context: RequestContext, audience: Audience, runtime: Runtime) -> RequestContext:
    """The same request once it is known for whom its page is: never a looser audience."""
    if audience is context.page_context.audience:
        return context
    page_context = runtime.page_context(
        context.site, context.path, audience, context.page_context.today
    )
    decision = runtime.decide(page_context, context.visitor)
    return replace(context, page_context=page_context, decision=decision)


def note_logged_path(request: web.BaseRequest, context: RequestContext) -> None:
    """Keep the path of a patient page out of the access log: to be called whenever a context may
    have become a patient page's.
    """
    if context.page_context.audience is Audience.PATIENT:
        request[LOGGED_PATH] = context.logged_path


def decision_after(context: RequestContext, preferences: Preferences, runtime: Runtime) -> Decision:
    """What holds on the whole site once these preferences are in force."""
    chosen = replace(context.visitor, preferences=preferences, once=frozenset())
    page_context = runtime.site_page_context(context.site, context.page_context.today)
    return runtime.decide(page_context, chosen)


_MAX_REGION_LENGTH = 10


def sends_gpc(headers: Mapping[str, str]) -> bool:
    """Whether the browser sends the opt-out preference signal (GPC, https://w3c.github.io/gpc/)."""
    return headers.get("Sec-GPC", "").strip() == "1"


def region_of(headers: Mapping[str, str], source: RegionFrom, *, trusted: bool) -> str:
    """The visitor's region as a trusted proxy tells it: "US", "US-CA", or ""."""
    if not trusted:
        return ""
    country = _code(headers.get(source.country_header, "")) if source.country_header else ""
    part = _code(headers.get(source.region_header, "")) if source.region_header else ""
    if part and "-" not in part:
        part = f"{country}-{part}" if country else ""
    return part or country


def _code(value: str) -> str:
    value = value.strip().upper()
    plain = value.replace("-", "")
    return value if plain.isalnum() and len(value) <= _MAX_REGION_LENGTH else ""


def visitor(
    headers: Mapping[str, str],
    preferences: Preferences | None,
    region: str,
    once: frozenset[str],
) -> Visitor:
    """Who asks."""
    return Visitor(preferences, sends_gpc(headers), region, once)
