"""POST of a choice: parse, sign, set the preference cookie."""

from __future__ import annotations

from urllib.parse import parse_qs

from aiohttp import web

from consent_rules.categories import CHOOSABLE, LIMITED, SALE_OR_SHARING, Category
from consent_rules.matching.urls import resolve
from consent_rules.preferences import ChoiceSource, Preferences
from consent_rules.wording import quoted
from proxy.banner.presenters import decision_key, site_vendors, used_categories
from proxy.banner.return_path import preferences_url
from proxy.consent.choice_form import Action, Choice, ChoiceError, ChoiceSurface, parse_choice
from proxy.consent.record import closing_part, new_receipt_id, record_choice
from proxy.consent.refused import not_recorded, refused
from proxy.consent.replies import NO_STORE, language_of, read_request_body, return_target
from proxy.context import RequestContext
from proxy.cookies.cookie_header import names_in
from proxy.cookies.expiry import expiring_set_cookies
from proxy.cookies.preference_cookie import (
    MAX_COOKIE_SECONDS,
    cookie_name,
    set_cookie,
    set_load_once_cookie,
)
from proxy.cookies.wp_consent import set_wp_cookies
from proxy.http.access_record import CHOICE
from proxy.http.error_pages import default_words
from proxy.receipts.errors import ReceiptStoreError
from proxy.resolve import decision_for_preferences
from proxy.runtime import Runtime

_MAX_FORM_BYTES = 32_768


def foreign_sender(request: web.BaseRequest, context: RequestContext) -> str:
    """Why a form was not sent from a page of the site itself, for the log; "" where it was.

    Judged by fetch metadata where the browser sends it, else by Origin, else by Referer; a request
    with none of them is refused (OWASP, CSRF prevention).
    """
    fetched_from = request.headers.get("Sec-Fetch-Site")
    if fetched_from is not None:
        is_own = fetched_from == "same-origin"
        return "" if is_own else f"its Sec-Fetch-Site is {quoted(fetched_from)}"
    name, origin = "Origin", request.headers.get("Origin")
    if origin is None or origin == "null":
        name, origin = "Referer", request.headers.get("Referer", "")
    # Scheme aside: behind a TLS proxy that is not trusted, ours is not the visitor's.
    sender, own = resolve(origin, None), resolve(context.url, None)
    if sender is None or own is None or not sender.host:
        if not origin:
            return "it has no Sec-Fetch-Site, Origin or Referer"
        return f"its {name} is no web address"
    if (sender.host, sender.port) == (own.host, own.port):
        return ""
    # Without the path: a Referer's may be that of a patient page.
    port = f":{sender.port}" if sender.port else ""
    shown = quoted(f"{sender.scheme}://{sender.host}{port}")
    return (
        f"its {name} is {shown}, the page's host is {quoted(context.authority)}: does a server in "
        "front change Host?"
    )


async def choice_endpoint(
    request: web.BaseRequest, context: RequestContext, runtime: Runtime
) -> web.Response:
    if reason := foreign_sender(request, context):
        return refused(request, context, runtime, 403, reason)
    if request.content_type != "application/x-www-form-urlencoded":
        return refused(request, context, runtime, 415, "its Content-Type is not that of a form")
    body = await read_request_body(request, _MAX_FORM_BYTES)
    if isinstance(body, int):
        return refused(request, context, runtime, body, default_words(body).text)
    lang = ""
    try:
        form = parse_qs(
            body.decode("utf-8", "replace"), keep_blank_values=True, max_num_fields=2000
        )
        lang = language_of((form.get("lang") or [""])[0], runtime)
        choice = parse_choice(form, site_vendors(context.site), used_categories(context.site))
        preferences, token = None, ""
        if choice.action is not Action.ONCE:  # that is for one page, and leaves the choice as it is
            preferences = _preferences_after(choice, context, runtime)
            token = runtime.keys.sign(preferences, context.site.name)
    except (ChoiceError, ValueError) as error:
        return refused(request, context, runtime, 400, str(error), lang)
    if runtime.receipts is not None:
        try:
            await record_choice(
                request, context, runtime, runtime.receipts, choice, preferences, lang
            )
        except ReceiptStoreError:
            return _not_saved(request, context, runtime, preferences, lang)
    _count(request, context, choice)
    named = bool(form.get("return_to"))
    if preferences is None:
        return _load_once(request, context, runtime, choice, named=named)
    return _stored(request, context, runtime, choice, preferences, token, lang, named=named)


def _count(request: web.BaseRequest, context: RequestContext, choice: Choice) -> None:
    request[CHOICE] = (str(choice.action), str(context.site_decision.regime))


def _not_saved(
    request: web.BaseRequest,
    context: RequestContext,
    runtime: Runtime,
    preferences: Preferences | None,
    lang: str,
) -> web.Response:
    """For a choice whose receipt could not be written: what it opens stays closed. What it closes
    is closed all the same, without a receipt: a refusal must not wait for a disk.
    """
    response = not_recorded(request, context, runtime, lang)
    if preferences is None:
        return response
    closing = closing_part(preferences, context)
    decision = decision_for_preferences(context, closing, runtime)
    if decision.open < context.site_decision.open:
        token = runtime.keys.sign(closing, context.site.name)
        _set_choice(response, context, runtime, closing, token, MAX_COOKIE_SECONDS, "/")
    return response


def _load_once(
    request: web.BaseRequest,
    context: RequestContext,
    runtime: Runtime,
    choice: Choice,
    *,
    named: bool,
) -> web.Response:
    """Redirect back to the page, which shows one vendor's content this time. No choice
    is stored.
    """
    vendor = next(iter(choice.vendors))
    token = runtime.keys.sign_load_once(vendor, context.site.name, int(context.received_at))
    there = choice.return_to if named else return_target(request, context, None, runtime.prefix)
    response = web.Response(status=303, headers={"Location": there, **NO_STORE})
    response.headers.add("Set-Cookie", set_load_once_cookie(token, secure=context.secure))
    return response


def _preferences_after(choice: Choice, context: RequestContext, runtime: Runtime) -> Preferences:
    """The preferences after a choice. A choice for a single vendor adds to the earlier ones."""
    policy = runtime.config.policy
    allowed, vendors, only_vendors = choice.allowed, dict(choice.vendors), False
    earlier = context.visitor.preferences
    if choice.action is Action.VENDOR:
        if context.visitor.unreadable_choice:
            pass  # what it refused is not known: all but this vendor stays refused
        elif earlier is None or earlier.only_vendors:
            only_vendors = True
        else:
            effective = context.site_decision.categories
            allowed = frozenset(category for category in earlier.allowed if effective[category])
        if earlier is not None:
            vendors = {**_carried_over(earlier, context, runtime), **vendors}
    elif choice.action in {Action.OPT_OUT, Action.LIMIT}:
        allowed, vendors = _without_closed_categories(choice.action, context, runtime)
    elif earlier is not None and runtime.config.preferences.cookie_domain:
        # The form asked of this site's vendors; what was refused of another's stays refused.
        listed = site_vendors(context.site)
        elsewhere = (v for v, yes in earlier.vendors.items() if not yes and v not in listed)
        vendors = {**dict.fromkeys(elsewhere, False), **vendors}
    now = int(context.received_at)
    until = now + policy.max_age_days * 86_400
    if choice.action is Action.VENDOR and earlier is not None and not earlier.lapsed:
        until = min(until, earlier.expires_at)  # what is carried on does not last longer for it
    return Preferences(
        allowed=allowed,
        policy_version=policy.version,
        source=ChoiceSource.BANNER
        if choice.origin is ChoiceSurface.BANNER
        else ChoiceSource.PREFERENCES,
        vendors=vendors,
        under_gpc=context.visitor.gpc,
        only_vendors=only_vendors,
        receipt_id=new_receipt_id(),
        made_at=now,
        expires_at=until,
    )


def _without_closed_categories(
    action: Action, context: RequestContext, runtime: Runtime
) -> tuple[frozenset[Category], dict[str, bool]]:
    """The earlier preferences without what an opt-out or a limit closes."""
    effective = context.site_decision.categories
    left = {category for category in used_categories(context.site) if effective[category]}
    left = left & LIMITED if action is Action.LIMIT else left - SALE_OR_SHARING
    earlier, kinds = context.visitor.preferences, site_vendors(context.site)
    closed = set(CHOOSABLE) - LIMITED if action is Action.LIMIT else SALE_OR_SHARING
    held = {} if earlier is None else _carried_over(earlier, context, runtime)
    vendors = {v: yes for v, yes in held.items() if not yes or kinds.get(v) not in closed}
    return frozenset(left), vendors


def _carried_over(
    earlier: Preferences, context: RequestContext, runtime: Runtime
) -> dict[str, bool]:
    """The exceptions of an earlier choice that a new one carries over.

    The new choice is made under today's policy and the present opt-out signal: an acceptance that
    either of them has ended must not return with it.
    """
    ended = earlier.lapsed or earlier.policy_version != runtime.rules.policy_version
    signalled = context.visitor.gpc and not earlier.under_gpc
    known = site_vendors(context.site)
    return {
        vendor: yes
        for vendor, yes in earlier.vendors.items()
        if not yes or not (ended or (signalled and known.get(vendor) in SALE_OR_SHARING))
    }


def _stored(
    request: web.BaseRequest,
    context: RequestContext,
    runtime: Runtime,
    choice: Choice,
    preferences: Preferences,
    token: str,
    lang: str,
    *,
    named: bool,
) -> web.Response:
    if "application/json" in request.headers.get("Accept", ""):
        response = web.Response(status=204)
    else:
        there = choice.return_to if named else return_target(request, context, None, runtime.prefix)
        if choice.origin is ChoiceSurface.PREFERENCES:
            there = preferences_url(runtime.prefix, there, lang=lang, saved=True)
        response = web.Response(status=303, headers={"Location": there})
    response.headers.update(NO_STORE)
    # A refusal holds as long as a browser stores it. The token says when the banner is due again.
    refuses = choice.action is not Action.ACCEPT_ALL or not all(preferences.vendors.values())
    lasts = MAX_COOKIE_SECONDS if refuses else preferences.expires_at - int(context.received_at)
    _set_choice(response, context, runtime, preferences, token, lasts, choice.return_to)
    return response


def _set_choice(
    response: web.Response,
    context: RequestContext,
    runtime: Runtime,
    preferences: Preferences,
    token: str,
    max_age: int,
    return_to: str,
) -> None:
    """Set the preference cookie, and end the cookies of vendors that it closes."""
    domain = runtime.config.preferences.cookie_domain
    if context.several_choices:
        # A cookie of the same name set by another host or path would still be read.
        name = cookie_name(domain, secure=context.secure)
        for value in expiring_set_cookies([name], context.host, return_to):
            response.headers.add("Set-Cookie", value)
    # Prefetched and prerendered pages were rendered for the earlier choice.
    response.headers["Clear-Site-Data"] = '"prefetchCache", "prerenderCache"'
    cookie = set_cookie(token, domain, max_age, secure=context.secure)
    response.headers.add("Set-Cookie", cookie)
    decision = decision_for_preferences(context, preferences, runtime)
    response.headers["Consent-Key"] = decision_key(context.site, decision)
    if not decision.enforce:
        return
    index, sent = runtime.cookies, names_in(context.cookie_header)
    for value in expiring_set_cookies(
        [n for n in sent if index.is_closed(n, decision.open)], context.host
    ):
        response.headers.add("Set-Cookie", value)
    if runtime.config.signals.wp_consent_cookies:
        domain = runtime.config.preferences.cookie_domain
        for value in set_wp_cookies(context, preferences, decision, domain):
            response.headers.add("Set-Cookie", value)
