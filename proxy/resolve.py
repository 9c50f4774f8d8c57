"""Resolve a request to its context: site, page, visitor, decision."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from dataclasses import replace
from math import inf

from aiohttp import hdrs, web

from consent_rules.categories import Audience
from consent_rules.config.load import RegionFrom
from consent_rules.decision import Decision, Visitor, ask_again_from
from consent_rules.matching.urls import host_of_authority
from consent_rules.preferences import Preferences
from consent_rules.rules import SiteRules
from proxy.context import RequestContext
from proxy.cookies.cookie_header import names_in
from proxy.cookies.preference_cookie import SAVED_FORM_COOKIE, Unreadable, load_once_vendors
from proxy.cookies.stored_choice import StoredChoice, stored_choice
from proxy.enforcement.consent_header import (
    carries_consent,
    comes_from_patient_page,
    consent_field,
)
from proxy.http.access_record import DEVICE, LOGGED_PATH, UNREADABLE_CHOICE
from proxy.http.addresses import client_address, peer_is_trusted
from proxy.http.device_class import DeviceClass
from proxy.http.fetch_metadata import EMBEDDED_DESTINATIONS, destination
from proxy.http.forwarding import forwarded_authority, forwarded_scheme
from proxy.http.targets import split_target
from proxy.runtime import Runtime, day_of

_log = logging.getLogger("consent_proxy.resolve")


def resolve(request: web.BaseRequest, runtime: Runtime) -> RequestContext | None:
    """The context of a request. None where no site has its host."""
    trusted = peer_is_trusted(request, runtime.trusted)
    headers = request.headers
    if not trusted and "X-Forwarded-Proto" in headers:
        runtime.untrusted_proxies.warn(request)
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
    secure = scheme == "https"
    stored = _stored_choice(cookie_header, runtime, rules, now, secure=secure)
    if stored.unreadable is not None:
        _count_unreadable_choice(request, runtime, rules, stored.unreadable, now)
    once = load_once_vendors(cookie_header, runtime.keys, rules.name, now, secure=secure)
    region = region_of(headers, runtime.config.policy.region_from, trusted=trusted)
    if not region and runtime.region_file is not None:
        region = runtime.region_file.region(client_address(request, runtime.trusted))
    ask_from = ask_again_from(rules, stored.preferences, runtime.rules.terms_of(region))
    request[DEVICE] = device = runtime.devices.of(headers.get("User-Agent", ""))
    who = Visitor(
        preferences=stored.preferences,
        gpc=sends_gpc(headers),
        region=region,
        once=once,
        unreadable_choice=stored.unreadable is not None,
        ask_later=now < ask_from,
        bot=device is DeviceClass.BOT,
    )
    audience = rules.audience_of(target, names_in(cookie_header) if rules.patient_cookies else ())
    if _is_framed_by_patient_page(request, rules, f"{scheme}://{authority}"):
        audience = Audience.PATIENT
    page_context = runtime.page_context(rules, path, audience, today)
    site_decision = runtime.decide(runtime.site_page_context(rules, today), who)
    consent_header = ""
    if runtime.sites[rules.name].enforcement.consent_header and carries_consent(request):
        patient = audience is Audience.PATIENT or comes_from_patient_page(
            request, rules, f"{scheme}://{authority}"
        )
        consent_header = consent_field(site_decision, patient=patient)
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
        unreadable_cause=str(stored.unreadable or ""),
        several_choices=stored.several,
        choice_until=min(stored.until, ask_from if now < ask_from else inf),
        load_once=bool(once),
        has_saved_form=SAVED_FORM_COOKIE in cookie_header
        and SAVED_FORM_COOKIE in names_in(cookie_header),
        page_context=page_context,
        decision=runtime.decide(page_context, who),
        site_decision=site_decision,
        received_at=now,
        consent_header=consent_header,
    )


def with_audience(context: RequestContext, audience: Audience, runtime: Runtime) -> RequestContext:
    """The same context once the page's audience is known: never a looser audience."""
    if audience is context.page_context.audience:
        return context
    page_context = runtime.page_context(
        context.site, context.path, audience, context.page_context.today
    )
    decision = runtime.decide(page_context, context.visitor)
    return replace(context, page_context=page_context, decision=decision)


def set_logged_path(request: web.BaseRequest, context: RequestContext) -> None:
    """Hide the path of a patient page from the access log: to be called whenever a context may have
    become a patient page's.
    """
    if context.page_context.audience is Audience.PATIENT:
        request[LOGGED_PATH] = context.logged_path


def decision_for_preferences(
    context: RequestContext, preferences: Preferences, runtime: Runtime
) -> Decision:
    """The decision for the whole site under these preferences."""
    chosen = replace(
        context.visitor, preferences=preferences, once=frozenset(), unreadable_choice=False
    )
    page_context = runtime.site_page_context(context.site, context.page_context.today)
    return runtime.decide(page_context, chosen)


_MAX_REGION_LENGTH = 10


def _is_framed_by_patient_page(request: web.BaseRequest, rules: SiteRules, origin: str) -> bool:
    """Whether a patient page may show the response in a frame, whose window is then open to its
    scripts. A patient page of another host below the same domain is known by its missing referrer.

    Without fetch metadata: no, for a navigation looks the same.
    """
    if destination(request) not in EMBEDDED_DESTINATIONS or not rules.has_patient_pages:
        return False
    referrer = request.headers.get(hdrs.REFERER, "")
    match request.headers.get("Sec-Fetch-Site", "same-origin"):
        case "cross-site" | "none":
            return False
        case "same-site":
            return not referrer
    return rules.audience_of_referrer(referrer, origin) is Audience.PATIENT


def _stored_choice(
    cookie_header: str, runtime: Runtime, rules: SiteRules, now: float, *, secure: bool
) -> StoredChoice:
    config = runtime.config
    domain = config.preferences.cookie_domain
    # All hosts of the config are below the cookie's domain (`check` sees to it): they share it.
    sites = runtime.sites if domain else (rules.name,)
    max_age = config.policy.max_age_days * 86_400
    return stored_choice(
        cookie_header, runtime.keys, sites, domain, now, max_age=max_age, secure=secure
    )


_UNREADABLE_WORDS = {
    Unreadable.UNKNOWN_KEY: "were signed by a key that is not in preferences.keys; were keys lost, "
    "or do other nodes use others?",
    Unreadable.REVOKED_KEY: "were signed by a key that was revoked",
    Unreadable.DAMAGED: "are damaged, or made up",
}


def _count_unreadable_choice(
    request: web.BaseRequest, runtime: Runtime, rules: SiteRules, why: Unreadable, now: float
) -> None:
    """Count a visitor whose preference cookie cannot be read, and log it at most once a minute."""
    request[UNREADABLE_CHOICE] = str(why)
    if runtime.warnings.allow(f"{rules.name} {why}", now):
        _log.warning(
            "site %s: preference cookies of visitors cannot be read: they %s. Such visitors get no "
            "more than a refusal would open, and see the banner again",
            rules.name, _UNREADABLE_WORDS[why],
        )  # fmt: skip


def sends_gpc(headers: Mapping[str, str]) -> bool:
    """Whether the browser sends the opt-out preference signal (GPC, https://w3c.github.io/gpc/)."""
    return headers.get("Sec-GPC", "").strip() == "1"


def region_of(headers: Mapping[str, str], source: RegionFrom, *, trusted: bool) -> str:
    """The visitor's region from a trusted proxy's header: "US", "US-CA", or ""."""
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
