"""Resolve a request to its context: site, page, visitor, decision."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping

from aiohttp import web

from consent_rules.config.load import RegionFrom
from consent_rules.decision import Visitor, too_soon_to_ask
from consent_rules.matching.urls import host_of_authority
from consent_rules.rules import SiteRules
from proxy.context import RequestContext
from proxy.cookies.cookie_header import names_in
from proxy.cookies.preference_cookie import SAVED_FORM_COOKIE, Unreadable, load_once_vendors
from proxy.cookies.stored_choice import StoredChoice, stored_choice
from proxy.http.access_record import UNREADABLE_CHOICE
from proxy.http.addresses import client_address, peer_is_trusted
from proxy.http.targets import requested_host, split_target
from proxy.runtime import Runtime, day_of

_log = logging.getLogger("consent_proxy")


def read(request: web.BaseRequest, runtime: Runtime) -> RequestContext | None:
    """Read a request. None when no site answers to its host."""
    trusted = bool(runtime.trusted) and peer_is_trusted(request, runtime.trusted)
    headers = request.headers
    authority = requested_host(request)
    scheme = request.scheme
    if trusted:
        # The last word is the nearest proxy's, which is the one that is trusted.
        authority = headers.getall("X-Forwarded-Host", (authority,))[-1].rpartition(",")[2].strip()
        forwarded = headers.getall("X-Forwarded-Proto", ("",))[-1].rpartition(",")[2]
        forwarded = forwarded.strip().lower()
        scheme = forwarded if forwarded in {"http", "https"} else scheme
    host = host_of_authority(authority)
    rules = runtime.rules.site_of(host, None) if host else None
    if rules is None:
        return None
    site = runtime.sites[rules.name]
    target = split_target(request.raw_path).path
    path = target.partition("?")[0]
    cookie_header = "; ".join(headers.getall("Cookie", ()))
    now = time.time()
    today = day_of(int(now // 86400))
    secure = scheme == "https"
    stored = _stored_choice(cookie_header, runtime, rules, now, secure=secure)
    if stored.unreadable is not None:
        _note_unreadable(request, runtime, rules, stored.unreadable, now)
    once = load_once_vendors(cookie_header, runtime.keys, rules.name, now, secure=secure)
    region = region_of(headers, runtime.config.policy.region_from, trusted=trusted)
    if not region and runtime.region_file is not None:
        region = runtime.region_file.region(client_address(request, runtime.trusted))
    who = Visitor(
        preferences=stored.preferences,
        gpc=sends_gpc(headers),
        region=region,
        once=once,
        unreadable_choice=stored.unreadable is not None,
        ask_later=too_soon_to_ask(rules, stored.preferences, runtime.rules.terms_of(region), now),
    )
    audience = rules.audience_of(path, names_in(cookie_header) if rules.patient_cookies else ())
    page_context = runtime.page_context(rules, path, audience, today)
    return RequestContext(
        runtime=runtime,
        site=site,
        host=host,
        authority=authority,
        scheme=scheme,
        target=target,
        path=path,
        trusted=trusted,
        cookie_header=cookie_header,
        visitor=who,
        stored_choice=stored,
        load_once=bool(once),
        has_saved_form=SAVED_FORM_COOKIE in cookie_header
        and SAVED_FORM_COOKIE in names_in(cookie_header),
        page_context=page_context,
        decision=runtime.decide(page_context, who),
        site_decision=runtime.decide(runtime.site_page_context(rules, today), who),
        now=now,
    )


_MAX_REGION_LENGTH = 10


def _stored_choice(
    cookie_header: str, runtime: Runtime, rules: SiteRules, now: float, *, secure: bool
) -> StoredChoice:
    config = runtime.config
    domain = config.preferences.cookie_domain
    # All hosts of the config are below the cookie's domain (`check` sees to it): they share it.
    sites = runtime.sites if domain else (rules.name,)
    lasts = config.policy.max_age_days * 86_400
    return stored_choice(
        cookie_header, runtime.keys, sites, domain, now, lasts=lasts, secure=secure
    )


_UNREADABLE_WORDS = {
    Unreadable.UNKNOWN_KEY: "were signed by a key that is not in preferences.keys; were keys lost, "
    "or do other nodes use others?",
    Unreadable.DAMAGED: "are damaged, or made up",
}


def _note_unreadable(
    request: web.BaseRequest, runtime: Runtime, rules: SiteRules, why: Unreadable, now: float
) -> None:
    """Count a visitor whose choice cannot be read, and say so now and then."""
    request[UNREADABLE_CHOICE] = str(why)
    if runtime.unreadable_warnings.allow(f"{rules.name} {why}", now):
        _log.warning(
            "site %s: preference cookies of visitors cannot be read: they %s. Who brings one gets "
            "no more than a refusal would open, and is asked again",
            rules.name, _UNREADABLE_WORDS[why],
        )  # fmt: skip


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
