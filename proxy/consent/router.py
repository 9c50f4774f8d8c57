"""The visitor's endpoints under the reserved prefix: preferences, choice, state, keys, reports."""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import json
import secrets
from collections.abc import Mapping
from itertools import islice
from typing import Any
from urllib.parse import parse_qs, urlsplit

from aiohttp import web

from consent_rules.categories import CHOOSABLE, LIMITED, SALE_OR_SHARING, Audience, Category
from consent_rules.matching.urls import host_of_authority, resolve
from consent_rules.preferences import Preferences, Source
from proxy.banner.assets import Kind, assets
from proxy.banner.banner import preferences_page
from proxy.banner.declaration import declaration, declaration_json, declaration_page, vendors_on
from proxy.banner.presenters import preferences_view, site_vendors, used_categories
from proxy.banner.return_path import preferences_url, safe_return_to
from proxy.consent.choice_form import Action, Choice, ChoiceError, Origin, parse_choice
from proxy.context import Asking
from proxy.cookies.cookie_header import expiring, names_in
from proxy.cookies.preference_cookie import set_cookie, set_once_cookie
from proxy.cookies.wp_consent import set_wp_cookies
from proxy.http.error_pages import error_response
from proxy.http.forwarding import client_address
from proxy.observability.access_log import network_of
from proxy.observability.discovered import PATIENT_PAGES, page_of, reported

_LARGEST_FORM = 32_768
_LARGEST_REPORT = 65_536
_MOST_REPORTS = 50
"""In one request: browsers gather them, but not that many."""
_BODY_SECONDS = 20.0
_NO_STORE = {"Cache-Control": "no-store"}
_GPC_PATH = "/.well-known/gpc.json"


def is_own_path(path: str, prefix: str) -> bool:
    """Whether a path is ours to answer. Everything else is the upstream's."""
    return path.startswith(prefix + "/") or path in {prefix, _GPC_PATH}


async def answer(request: web.BaseRequest, asking: Asking) -> web.StreamResponse:
    """Answer a request to one of our own paths."""
    reading = request.method in {"GET", "HEAD"}
    if asking.path == _GPC_PATH:
        return _gpc(asking) if reading else _not_allowed(request, "GET, HEAD")
    name = asking.path[len(asking.running.prefix) :]
    if name == "/preferences":
        # A closed form leads here with the method it had.
        return _preferences(request, asking) if reading else _see(asking, request)
    if name == "/choice":
        if request.method == "POST":
            return await _choice(request, asking)
        return _see(asking, request)
    if name == "/report":
        if request.method == "POST":
            return await _report(request, asking)
        return _not_allowed(request, "POST")
    if name not in {"/state", "/jwks.json", "/declaration", "/declaration.json"}:
        return error_response(request, 404)
    if not reading:
        return _not_allowed(request, "GET, HEAD")
    if name.startswith("/declaration"):
        return _declaration(request, asking, as_json=name.endswith(".json"))
    if name == "/state":
        return _json(_state(asking))
    return _json(asking.running.keys.jwks(), {"Cache-Control": "public, max-age=300"})


def _not_allowed(request: web.BaseRequest, allowed: str) -> web.Response:
    response = error_response(request, 405)
    response.headers["Allow"] = allowed
    return response


def _json(value: Any, headers: Mapping[str, str] = _NO_STORE) -> web.Response:
    return web.Response(
        text=json.dumps(value, separators=(",", ":")),
        content_type="application/json",
        headers={**headers, "X-Content-Type-Options": "nosniff"},
    )


def _gpc(asking: Asking) -> web.Response:
    """https://w3c.github.io/gpc/#gpc-support-resource"""
    version = asking.running.config.policy.version
    document: dict[str, Any] = {"gpc": True}
    with contextlib.suppress(ValueError):
        document["lastUpdate"] = datetime.date.fromisoformat(version).isoformat()
    return _json(document, {"Cache-Control": "public, max-age=3600"})


def _state(asking: Asking) -> dict[str, Any]:
    """What scripts of the site, or its servers, may know."""
    decision = asking.whole_site
    return {
        "site": asking.site.rules.name,
        "decided": not decision.show_banner,
        "gpc": decision.gpc,
        "regime": decision.regime,
        "policy_version": asking.running.rules.policy_version,
        "categories": {str(c): on for c, on in decision.categories.items()},
        "vendors": {vendor: answer.open for vendor, answer in sorted(decision.answers.items())},
    }


def _return_to(request: web.BaseRequest, asking: Asking, given: str | None) -> str:
    """The page to go back to: the one named, or the one the visitor came from."""
    if given:
        return safe_return_to(given)
    try:
        referer = urlsplit(request.headers.get("Referer", ""))
    except ValueError:  # such as "http://["
        return "/"
    if not referer.netloc or host_of_authority(referer.netloc) != asking.host:
        return "/"
    path = referer.path + (f"?{referer.query}" if referer.query else "")
    if path.startswith(asking.running.prefix + "/"):
        return "/"
    return safe_return_to(path)


def _query(request: web.BaseRequest) -> dict[str, str]:
    query = request.raw_path.partition("?")[2]
    try:
        fields = parse_qs(query, max_num_fields=20, errors="replace")
    except ValueError:  # too many: none of our links
        return {}
    return {name: values[0] for name, values in fields.items()}


def _preferences(request: web.BaseRequest, asking: Asking) -> web.Response:
    running = asking.running
    query = _query(request)
    return_to = _return_to(request, asking, query.get("return_to"))
    texts = running.wording.texts_for(None, request.headers.get("Accept-Language", ""))
    view = preferences_view(
        asking.site.rules,
        running.config.policy,
        asking.whole_site,
        asking.visitor.preferences,
        audience=asking.site.rules.audience_of(return_to, names_in(asking.cookie_header)),
        return_to=return_to,
        saved=query.get("saved") == "1",
        prefix=running.prefix,
        theme=running.theme,
    )
    found = assets(running.theme, Kind.PREFERENCES)
    return web.Response(
        text=preferences_page(view, texts),
        content_type="text/html",
        charset="utf-8",
        headers={
            "Cache-Control": "no-store",
            "Content-Language": texts.lang,
            "Content-Security-Policy": (
                f"default-src 'none'; style-src 'sha256-{found.style_sha256}'; "
                f"script-src 'sha256-{found.script_sha256}'; img-src 'self'; "
                "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
            ),
            # The form's POST must carry its Origin: `no-referrer` would make it "null".
            "Referrer-Policy": "same-origin",
            "X-Content-Type-Options": "nosniff",
        },
    )


def _declaration(request: web.BaseRequest, asking: Asking, *, as_json: bool) -> web.Response:
    """The same for every visitor, in the language of `?lang=` or of Accept-Language."""
    running, site = asking.running, asking.site.rules
    texts = running.wording.texts_for(
        _query(request).get("lang"), request.headers.get("Accept-Language", "")
    )
    found = declaration(site, running.config, texts, vendors_on(site, asking.context.today))
    headers = {"Cache-Control": "no-cache", "Vary": "Accept-Language"}
    if as_json:
        return _json(declaration_json(found, texts), headers)
    style = assets(running.theme, Kind.PREFERENCES).style_sha256
    return web.Response(
        text=declaration_page(
            found,
            texts,
            prefix=running.prefix,
            theme=running.theme,
            controller=running.config.policy.controller,
        ),
        content_type="text/html",
        charset="utf-8",
        headers={
            **headers,
            "Content-Language": texts.lang,
            "Content-Security-Policy": (
                f"default-src 'none'; style-src 'sha256-{style}'; base-uri 'none'; "
                "form-action 'none'; frame-ancestors 'none'"
            ),
            "Referrer-Policy": "same-origin",
            "X-Content-Type-Options": "nosniff",
        },
    )


def _see(asking: Asking, request: web.BaseRequest) -> web.Response:
    there = preferences_url(asking.running.prefix, _return_to(request, asking, None))
    return web.Response(status=303, headers={"Location": there, **_NO_STORE})


def is_own_post(request: web.BaseRequest, asking: Asking) -> bool:
    """Whether a form was sent from a page of the site itself.

    By fetch metadata where the browser sends it, else by Origin, else by Referer; without any
    of them it was no browser's form of ours (https://owasp.org, CSRF prevention).
    """
    fetched_from = request.headers.get("Sec-Fetch-Site")
    if fetched_from is not None:
        return fetched_from == "same-origin"
    origin = request.headers.get("Origin")
    if origin is None or origin == "null":
        origin = request.headers.get("Referer", "")
    # Scheme aside: behind a TLS proxy that is not trusted, ours is not the visitor's.
    sender, own = resolve(origin, None), resolve(asking.url, None)
    if sender is None or own is None or not sender.host:
        return False
    return (sender.host, sender.port) == (own.host, own.port)


async def _choice(request: web.BaseRequest, asking: Asking) -> web.Response:
    if not is_own_post(request, asking):
        return error_response(request, 403)
    if request.content_type != "application/x-www-form-urlencoded":
        return error_response(request, 415)
    body = await _body(request, _LARGEST_FORM)
    if isinstance(body, int):
        return error_response(request, body)
    try:
        form = parse_qs(
            body.decode("utf-8", "replace"), keep_blank_values=True, max_num_fields=2000
        )
        choice = parse_choice(
            form, site_vendors(asking.site.rules), used_categories(asking.site.rules)
        )
        if choice.action is Action.ONCE:
            return _once(request, asking, choice, named=bool(form.get("return_to")))
        preferences = _chosen(choice, asking)
        token = asking.running.keys.sign(preferences, asking.site.rules.name)
    except (ChoiceError, ValueError) as error:
        nosniff = {"X-Content-Type-Options": "nosniff"}
        return web.Response(status=400, text=f"{error}\n", headers={**_NO_STORE, **nosniff})
    return _stored(request, asking, choice, preferences, token, named=bool(form.get("return_to")))


def _once(request: web.BaseRequest, asking: Asking, choice: Choice, *, named: bool) -> web.Response:
    """Back to the page, which shows one vendor's content this time. Nothing is chosen for good."""
    vendor = next(iter(choice.vendors))
    token = asking.running.keys.sign_once(vendor, asking.site.rules.name, int(asking.now))
    there = choice.return_to if named else _return_to(request, asking, None)
    response = web.Response(status=303, headers={"Location": there, **_NO_STORE})
    response.headers.add("Set-Cookie", set_once_cookie(token, secure=asking.secure))
    return response


def _chosen(choice: Choice, asking: Asking) -> Preferences:
    """The preferences after a choice. One for a single vendor adds to what holds already."""
    policy = asking.running.config.policy
    allowed, vendors, only_vendors = choice.allowed, dict(choice.vendors), False
    earlier = asking.visitor.preferences
    if choice.action is Action.VENDOR:
        if earlier is None or earlier.only_vendors:
            only_vendors = True
        else:
            effective = asking.whole_site.categories
            allowed = frozenset(category for category in earlier.allowed if effective[category])
        if earlier is not None:
            vendors = {**_still_held(earlier, asking), **vendors}
    elif choice.action in {Action.OPT_OUT, Action.LIMIT}:
        allowed, vendors = _narrowed(choice.action, asking)
    now = int(asking.now)
    until = now + policy.max_age_days * 86_400
    if choice.action is Action.VENDOR and earlier is not None:
        until = min(until, earlier.expires_at)  # what is carried on does not last longer for it
    return Preferences(
        allowed=allowed,
        policy_version=policy.version,
        source=Source.BANNER if choice.origin is Origin.BANNER else Source.PREFERENCES,
        vendors=vendors,
        under_gpc=asking.visitor.gpc,
        only_vendors=only_vendors,
        receipt_id=secrets.token_urlsafe(12),
        made_at=now,
        expires_at=until,
    )


def _narrowed(action: Action, asking: Asking) -> tuple[frozenset[Category], dict[str, bool]]:
    """What holds already, less what an opt-out or a limit closes."""
    effective = asking.whole_site.categories
    left = {category for category in used_categories(asking.site.rules) if effective[category]}
    left = left & LIMITED if action is Action.LIMIT else left - SALE_OR_SHARING
    earlier, kinds = asking.visitor.preferences, site_vendors(asking.site.rules)
    closed = set(CHOOSABLE) - LIMITED if action is Action.LIMIT else SALE_OR_SHARING
    held = {} if earlier is None else _still_held(earlier, asking)
    vendors = {v: yes for v, yes in held.items() if not yes or kinds.get(v) not in closed}
    return frozenset(left), vendors


def _still_held(earlier: Preferences, asking: Asking) -> dict[str, bool]:
    """The exceptions of an earlier choice that a new one may carry on.

    The new one is made under today's policy and the present signal: a yes that either of them
    has ended must not come back with it.
    """
    ended = earlier.policy_version != asking.running.rules.policy_version
    signalled = asking.visitor.gpc and not earlier.under_gpc
    known = site_vendors(asking.site.rules)
    return {
        vendor: yes
        for vendor, yes in earlier.vendors.items()
        if not yes or not (ended or (signalled and known.get(vendor) in SALE_OR_SHARING))
    }


def _stored(
    request: web.BaseRequest,
    asking: Asking,
    choice: Choice,
    preferences: Preferences,
    token: str,
    *,
    named: bool,
) -> web.Response:
    running = asking.running
    if "application/json" in request.headers.get("Accept", ""):
        response = web.Response(status=204)
    else:
        there = choice.return_to if named else _return_to(request, asking, None)
        if choice.origin is Origin.PREFERENCES:
            there = preferences_url(running.prefix, there, saved=True)
        response = web.Response(status=303, headers={"Location": there})
    response.headers.update(_NO_STORE)
    # What the page has in its cache was written for the earlier choice.
    cookie = set_cookie(
        token,
        running.config.preferences.cookie_domain,
        preferences.expires_at - int(asking.now),
        secure=asking.secure,
    )
    response.headers.add("Set-Cookie", cookie)
    decision = asking.choosing(preferences)
    if not decision.enforce:
        return response
    index, sent = running.cookies, names_in(asking.cookie_header)
    for value in expiring([n for n in sent if index.is_closed(n, decision.open)], asking.host):
        response.headers.add("Set-Cookie", value)
    if running.config.signals.wp_consent_cookies:
        for value in set_wp_cookies(asking, preferences, decision):
            response.headers.add("Set-Cookie", value)
    return response


async def _report(request: web.BaseRequest, asking: Asking) -> web.Response:
    """Take a CSP report: count whom the browser kept from acting, unless everybody knows."""
    running = asking.running
    sender = network_of(client_address(request, running.trusted))
    if not running.reports.allow(sender, asking.now):
        return error_response(request, 429)
    body = await _body(request, _LARGEST_REPORT)
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


async def _body(request: web.BaseRequest, limit: int) -> bytes | int:
    """A request's body, or the status to refuse it with: too large, too slow, malformed."""
    parts: list[bytes] = []
    size = 0
    try:
        async with asyncio.timeout(_BODY_SECONDS):
            async for chunk in request.content.iter_chunked(16_384):
                size += len(chunk)
                if size > limit:
                    return 413
                parts.append(chunk)
    except TimeoutError:
        return 408
    except web.RequestPayloadError:
        return 400
    return b"".join(parts)
