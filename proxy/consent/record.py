"""A choice as a receipt: what the visitor saw, what was open before, and what is open after."""

from __future__ import annotations

import secrets
from dataclasses import replace

from aiohttp import web

from consent_rules.decision import Decision
from consent_rules.preferences import Preferences
from consent_rules.receipts.receipt import ConsentState, Receipt
from consent_rules.rules import SiteRules
from proxy.banner.presenters import used_categories
from proxy.consent.choice_form import Choice
from proxy.consent.notice import notice_of
from proxy.context import RequestContext
from proxy.http.access_record import DEVICE
from proxy.receipts.recorder import Recorder
from proxy.resolve import decision_for_preferences
from proxy.runtime import Runtime


def new_receipt_id() -> str:
    """An id of 96 random bits in base64url. None begins with a hyphen: to the command line it would
    be an option.
    """
    while (made := secrets.token_urlsafe(12)).startswith("-"):
        pass
    return made


async def record_choice(
    request: web.BaseRequest,
    context: RequestContext,
    runtime: Runtime,
    recorder: Recorder,
    choice: Choice,
    preferences: Preferences | None,
    lang: str,
) -> None:
    """Write the receipt of a choice. Returns once it is on the disk; raises ReceiptStoreError where
    it is not. `preferences` are those after the choice; None for "load once".
    """
    accept_language = request.headers.get("Accept-Language", "")
    notice = notice_of(choice, context, runtime, lang, accept_language)
    if preferences is None:
        # For one page and under no cookie: nobody can ask for it by the cookie's id.
        visitor = replace(context.visitor, once=frozenset(choice.vendors))
        pages = runtime.site_page_context(context.site, context.page_context.today)
        after = runtime.decide(pages, visitor)
    else:
        after = decision_for_preferences(context, preferences, runtime)
    before = context.visitor.preferences
    receipt = Receipt(
        receipt_id=new_receipt_id() if preferences is None else preferences.receipt_id,
        made_at=int(context.received_at),
        site=context.site.name,
        policy_version=runtime.config.policy.version,
        notice=notice.hash,
        regime=str(after.regime),
        region=context.visitor.region,
        surface=str(choice.origin),
        action=str(choice.action),
        gpc=context.visitor.gpc,
        device=str(request.get(DEVICE, "")),
        enforced=after.enforce,
        before=_state(context.site, context.site_decision),
        after=_state(context.site, after),
        previous="" if before is None else before.receipt_id,
    )
    await recorder.record(receipt, notice.content)


def closing_part(preferences: Preferences, context: RequestContext) -> Preferences:
    """What of new preferences closes: they allow nothing that is not open already, and have no
    receipt.
    """
    now = context.site_decision
    return replace(
        preferences,
        allowed=frozenset(c for c in preferences.allowed if now.categories[c]),
        vendors={v: yes for v, yes in preferences.vendors.items() if not yes or v in now.open},
        receipt_id="",
    )


def _state(site: SiteRules, decision: Decision) -> ConsentState:
    return ConsentState(
        {str(category): decision.categories[category] for category in used_categories(site)},
        {vendor: one.open for vendor, one in decision.by_vendor.items()},
    )
