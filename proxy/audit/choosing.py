"""How a visitor's choice is made: in consent-proxy's own banner, or in another consent tool's."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urljoin

from consent_rules.audit.observations import SkipCause
from consent_rules.audit.states import AuditState
from consent_rules.categories import CHOOSABLE

if TYPE_CHECKING:
    from playwright.async_api import Locator, Page

_PATIENCE = 3_000
"""Milliseconds for a button to show."""

ACCEPT_BUTTONS = (
    "#onetrust-accept-btn-handler",
    "#CybotCookiebotDialogBodyLevelButtonLevelOptinAllowAll",
    "#didomi-notice-agree-button",
    "#truste-consent-button",
    ".cky-btn-accept",
    ".cmplz-accept",
    "#tarteaucitronPersonalize2",
    ".cm-btn-accept-all",
    "[data-cc=accept-all]",
    ".iubenda-cs-accept-btn",
    ".osano-cm-accept-all",
    "#hs-eu-confirmation-button",
)
REJECT_BUTTONS = (
    "#onetrust-reject-all-handler",
    "#CybotCookiebotDialogBodyButtonDecline",
    "#didomi-notice-disagree-button",
    "#truste-consent-required",
    ".cky-btn-reject",
    ".cmplz-deny",
    "#tarteaucitronAllDenied2",
    ".cm-btn-decline",
    "[data-cc=accept-necessary]",
    ".iubenda-cs-reject-btn",
    ".osano-cm-denyAll",
    "#hs-eu-decline-button",
)
"""Of the consent tools that publish these names in their documentation: OneTrust, Cookiebot,
Didomi, TrustArc, CookieYes, Complianz, tarteaucitron, Klaro, cookieconsent, iubenda, Osano,
HubSpot.
"""


_CHOICE_WORDS = re.compile(
    r"\b(?:accept|agree|allow|reject|refuse|decline|deny|cookies?|consent|privacy|akzeptieren|"
    r"zustimmen|ablehnen|accepter|refuser|aceptar|rechazar|accetta|rifiuta)\b",
    re.IGNORECASE,
)
_CONSENT_NAMES = ", ".join(
    f"[{attribute}*={word} i]"
    for attribute in ("id", "class", "src", "title")
    for word in ("cookie", "consent", "gdpr", "privacy-")
)
"""What the elements, scripts and frames of consent tools are named."""


class NoChoiceError(Exception):
    """The choice cannot be made here; the message says why."""

    def __init__(self, message: str, cause: SkipCause = SkipCause.NOT_MADE) -> None:
        super().__init__(message)
        self.cause = cause


@dataclass(frozen=True, slots=True)
class ChoiceWays:
    """How choices are made on a site. `prefix` is that of consent-proxy's endpoints, "" where the
    site has another tool; `accept` and `reject` are CSS selectors, the first that shows is pressed.
    """

    prefix: str
    accept: tuple[str, ...] = ACCEPT_BUTTONS
    reject: tuple[str, ...] = REJECT_BUTTONS


async def make_choice(page: Page, state: AuditState, ways: ChoiceWays) -> None:
    """Choose on the open page what the state says. Raises NoChoiceError."""
    from playwright.async_api import Error

    allowed = state.allowed
    assert allowed is not None
    everything = len(allowed) == len(CHOOSABLE)
    try:
        if ways.prefix:
            await _choose_by_preferences(page, ways.prefix, allowed, everything=everything)
        elif everything:
            await _press(page, ways.accept)
        elif not allowed:
            await _press(page, ways.reject)
        else:
            raise NoChoiceError(
                "the audit can allow one category alone only where consent-proxy asks"
            )
    except Error as error:
        raise NoChoiceError(f"the choice could not be made: {error.message}") from None


async def _choose_by_preferences(
    page: Page, prefix: str, allowed: Iterable[str], *, everything: bool
) -> None:
    # By way of the preferences page: it stands at one place, whatever the banner looks like.
    response = await page.goto(urljoin(page.url, f"{prefix}/preferences"))
    if response is None or response.status != 200:
        raise NoChoiceError(f"{prefix}/preferences did not answer")
    wanted = set(allowed)
    if everything:
        button = page.locator("button[name=action][value=accept_all]").first
    elif not wanted:
        button = page.locator("button[name=action][value=reject_all]").first
    else:
        boxes = await page.locator("input[type=checkbox][name=category]").all()
        offered = {await box.get_attribute("value") or "" for box in boxes}
        if not wanted & offered:
            raise NoChoiceError(
                "the site has no vendor of this category, so it is not asked for",
                SkipCause.NOT_OFFERED,
            )
        for box in boxes:
            await box.set_checked((await box.get_attribute("value") or "") in wanted)
        button = page.locator("button[name=action][value=save]").first
    async with page.expect_navigation(timeout=_PATIENCE * 4):
        await button.click(timeout=_PATIENCE)


async def _press(page: Page, selectors: Iterable[str]) -> None:
    button: Locator = page.locator(", ".join(selectors)).first
    from playwright.async_api import Error

    try:
        await button.click(timeout=_PATIENCE)
    except Error:
        if await _may_have_consent_tool(page):
            raise NoChoiceError(
                "no button for it was found on the page; name one with --accept and --reject",
                SkipCause.NO_BUTTON,
            ) from None
        raise NoChoiceError(
            "no button for it was found, and nothing on the page looks like a consent tool; if "
            "there is one, name its buttons with --accept and --reject",
            SkipCause.NO_TOOL,
        ) from None


async def _may_have_consent_tool(page: Page) -> bool:
    """Whether anything on the page looks like a consent tool, one that we do not know included."""
    buttons = page.locator("button, [role=button], input[type=button], input[type=submit]")
    found = buttons.filter(has_text=_CHOICE_WORDS).or_(page.locator(_CONSENT_NAMES))
    return await found.count() > 0
