"""One request, read: which site, who asks, for whom the page is, what is decided."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace

from aiohttp import web

from consent_rules.categories import Audience
from consent_rules.decision import Decision, Visitor
from consent_rules.matching.urls import host_of_authority
from consent_rules.preferences import Preferences
from consent_rules.rules import PageContext
from proxy.cookies.cookie_header import names_in
from proxy.cookies.preference_cookie import KEPT_COOKIE
from proxy.http.forwarding import client_address, peer_is_trusted, requested_host, split_target
from proxy.runtime import Running, SiteParts, day_of
from proxy.visitor import region_of, stored_preferences, visitor, wanted_once


@dataclass(frozen=True, slots=True)
class Asking:
    """What is known of a request before anybody is asked for an answer.

    `host` is normalised and without port; `path` is raw and without query. `whole_site` is the
    decision for all of the site's tags whatever page they name: cookies are the whole site's.
    """

    running: Running
    site: SiteParts
    host: str
    authority: str
    scheme: str
    target: str
    path: str
    trusted: bool
    cookie_header: str
    visitor: Visitor
    asked_once: bool
    has_kept: bool
    context: PageContext
    decision: Decision
    whole_site: Decision
    now: float

    @property
    def secure(self) -> bool:
        return self.scheme == "https"

    @property
    def url(self) -> str:
        """The page's address as the visitor sees it."""
        return f"{self.scheme}://{self.authority}{self.target}"

    @property
    def late_key(self) -> tuple[str, str]:
        """What a page is remembered by that said too late for whom it is."""
        return self.site.rules.name, self.path

    def marked(self, audience: Audience) -> tuple[PageContext, Decision]:
        """Context and decision once the origin has said for whom the page is: never looser."""
        if audience is self.context.audience:
            return self.context, self.decision
        context = self.running.context(self.site.rules, self.path, audience, self.context.today)
        return context, self.running.decide(context, self.visitor)

    def choosing(self, preferences: Preferences) -> Decision:
        """What holds on the whole site once these preferences are in force."""
        chosen = replace(self.visitor, preferences=preferences, once=frozenset())
        context = self.running.whole_site(self.site.rules, self.context.today)
        return self.running.decide(context, chosen)


def read(request: web.BaseRequest, running: Running) -> Asking | None:
    """Read a request. None when no site answers to its host."""
    trusted = bool(running.trusted) and peer_is_trusted(request, running.trusted)
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
    rules = running.rules.site_of(host, None) if host else None
    if rules is None:
        return None
    site = running.sites[rules.name]
    target = split_target(request.raw_path).path
    path = target.partition("?")[0]
    cookie_header = "; ".join(headers.getall("Cookie", ()))
    now = time.time()
    today = day_of(int(now // 86400))
    preferences = stored_preferences(
        cookie_header,
        running.keys,
        rules.name,
        running.config.preferences.cookie_domain,
        now,
        lasts=running.config.policy.max_age_days * 86_400,
        secure=scheme == "https",
    )
    secure = scheme == "https"
    once = wanted_once(cookie_header, running.keys, rules.name, now, secure=secure)
    region = region_of(headers, running.config.policy.region_from, trusted=trusted)
    if not region and running.region_file is not None:
        region = running.region_file.region(client_address(request, running.trusted))
    who = visitor(headers, preferences, region, once)
    audience = rules.audience_of(path, names_in(cookie_header) if rules.patient_cookies else ())
    context = running.context(rules, path, audience, today)
    return Asking(
        running=running,
        site=site,
        host=host,
        authority=authority,
        scheme=scheme,
        target=target,
        path=path,
        trusted=trusted,
        cookie_header=cookie_header,
        visitor=who,
        asked_once=bool(once),
        has_kept=KEPT_COOKIE in cookie_header and KEPT_COOKIE in names_in(cookie_header),
        context=context,
        decision=running.decide(context, who),
        whole_site=running.decide(running.whole_site(rules, today), who),
        now=now,
    )
