"""Consent calls: how open vendors' tags learn of the visitor's choice.

Some vendors' tags have a consent call of their own. It is made before the tag itself, with the
visitor's true state: that is known before the page is written, so there is nothing to wait for.
Tags of closed vendors do not run and get no call ("basic mode"): a ping that says "denied" would
still carry the address of the page.

Sources: https://developers.google.com/tag-platform/security/guides/consent (Consent Mode v2),
https://learn.microsoft.com/clarity/setup-and-installation/clarity-consent-api-v2,
https://learn.microsoft.com/xandr/curate/set-up-consent-mode-in-universal-pixel,
https://developers.hubspot.com/docs/api/events/cookie-banner, and the vendors' help pages on the
Microsoft UET, Meta, TikTok and Pinterest tags.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from consent_rules.categories import Category
from consent_rules.signals.held_globals import CALLED, HOLD, LAYERS, MADE, QUEUE
from consent_rules.vendors import Vendor

_ITSELF = ""
"""As the only type of a call: its state is a bare word, not an object of types."""


@dataclass(frozen=True, slots=True)
class Signal:
    """A consent call, as text of a script.

    `call` has MODE where the vendor distinguishes a first state ("default") from a later one
    ("update"), and STATE where the state stands. `types` are the vendor's names for parts of the
    choice; a type of None stands for the vendor's own category. `words` are the script's words for
    yes and no. `needs` are the definitions that a script with such calls has first, each once.
    `setup` makes the function that `call` calls, which adds to the queue that the tag empties when
    it loads. A vendor whose snippet does nothing where its global is there already has `name` and
    `queue` instead, the global and the property of it that queues calls. `limited` is an additional
    call where the visitor allowed the vendor but not its category.
    """

    call: str
    types: Mapping[str, Category | None]
    words: tuple[str, str] = ('"granted"', '"denied"')
    setup: str = ""
    needs: tuple[str, ...] = ()
    name: str = ""
    queue: str = ""
    limited: str = ""


_AD, _ANALYTICS, _FUNCTIONAL = Category.ADVERTISING, Category.ANALYTICS, Category.FUNCTIONAL

SIGNALS: Mapping[str, Signal] = MappingProxyType(
    {
        # All seven types: one that is not set counts as neither. `url_passthrough` would carry
        # click identifiers from page to page.
        "consent-mode": Signal(
            needs=(HOLD, QUEUE),
            setup=LAYERS,
            call="gtag('consent','MODE',STATE)",
            types={
                "ad_storage": _AD,
                "ad_user_data": _AD,
                "ad_personalization": _AD,
                "analytics_storage": _ANALYTICS,
                "functionality_storage": _FUNCTIONAL,
                "personalization_storage": _FUNCTIONAL,
                "security_storage": Category.NECESSARY,
            },
        ),
        "uet": Signal(
            needs=(HOLD, QUEUE),
            setup="const uetq=adds('uetq');",
            call="uetq('consent','MODE',STATE)",
            types={"ad_storage": _AD},
        ),
        "clarity": Signal(
            setup=(
                "window.clarity=window.clarity||"
                "function(){(clarity.q=clarity.q||[]).push(arguments)};"
            ),
            needs=(HOLD, CALLED),
            name="clarity",
            call="clarity('consentv2',STATE)",
            types={"ad_Storage": _AD, "analytics_Storage": None},
        ),
        "meta": Signal(
            needs=(HOLD, MADE),
            name="fbq",
            queue="queue",
            call="fbq('consent',STATE)",
            types={_ITSELF: None},
            words=("'grant'", "'revoke'"),
            limited="fbq('dataProcessingOptions',['LDU'],0,0)",
        ),
        "tiktok": Signal(
            needs=(HOLD, QUEUE),
            setup="const ttq=adds('ttq');",
            call="ttq([STATE])",
            types={_ITSELF: None},
            words=("'grantConsent'", "'revokeConsent'"),
        ),
        "pinterest": Signal(
            needs=(HOLD, MADE),
            name="pintrk",
            queue="queue",
            call="pintrk('setconsent',STATE)",
            types={_ITSELF: None},
            words=("true", "false"),
        ),
        "xandr": Signal(
            needs=(HOLD, MADE),
            name="pixie",
            queue="actionQueue",
            call="pixie('consent','MODE',STATE)",
            types={"ad_storage": None},
        ),
        "hubspot": Signal(
            needs=(HOLD, QUEUE),
            setup="const _hsp=adds('_hsp');",
            call="_hsp(['setHubSpotConsent',STATE])",
            types={"analytics": _ANALYTICS, "advertisement": _AD, "functionality": _FUNCTIONAL},
            words=("true", "false"),
        ),
    }
)
"""The consent calls we know, by the name that a vendor of the catalogue has as its `signal`."""

_CONSENT_MODE_EXTRAS = "gtag('set','ads_data_redaction',true);gtag('set','url_passthrough',false);"


@dataclass(frozen=True, slots=True)
class SignalState:
    """One signal with the visitor's state: type -> whether it is granted."""

    signal: str
    state: Mapping[str, bool]
    category: Category
    limited: bool = False


def signal_states(
    vendors: Iterable[Vendor], categories: Mapping[Category, bool], exceptions: Mapping[str, bool]
) -> tuple[SignalState, ...]:
    """The states that the consent calls of these open vendors carry.

    `categories` is the visitor's state, `exceptions` what was chosen for single vendors. A type
    follows its category, but for a vendor of it that the visitor made an exception for: what was
    chosen for Google Ads alone is what Google's advertising types say.
    """
    by_signal: dict[str, list[Vendor]] = {}
    for vendor in vendors:
        if vendor.signal:
            by_signal.setdefault(vendor.signal, []).append(vendor)

    def one(name: str, readers: list[Vendor]) -> SignalState:
        own = next((v.category for v in readers if not v.is_tag_manager), Category.NECESSARY)
        excepted = {v.category: exceptions[v.id] for v in readers if v.id in exceptions}

        def granted(category: Category | None) -> bool:
            if category in {None, Category.NECESSARY}:
                return True  # it is open
            assert category is not None
            return excepted.get(category, categories.get(category, False))

        state = {kind: granted(category) for kind, category in SIGNALS[name].types.items()}
        return SignalState(name, MappingProxyType(state), own, not categories.get(own, False))

    return tuple(one(name, by_signal[name]) for name in SIGNALS if name in by_signal)


def signal_script(signals: Iterable[SignalState], *, has_banner: bool) -> str:
    """The script that must run before any tag; "" where no vendor has a call. ASCII only.

    `has_banner` is set where the visitor may yet choose on this very page: then the script also
    sends the new state after a choice, by the event that the banner dispatches.
    """
    signals = tuple(signals)
    if not signals:
        return ""
    text = "".join(dict.fromkeys(part for one in signals for part in SIGNALS[one.signal].needs))
    text += "".join(SIGNALS[one.signal].setup for one in signals)
    text += "".join(_default(one) for one in signals)
    if has_banner:
        updates = "".join(_update(one) for one in signals)
        text += (
            "document.addEventListener('consent:change',e=>{const c=e.detail.categories;"
            f"{updates}}});"
        )
    # Names of our own must not become the page's.
    return f"(()=>{{{text}}})()"


def _default(one: SignalState) -> str:
    signal = SIGNALS[one.signal]
    yes, no = signal.words
    state = _object({kind: yes if on else no for kind, on in one.state.items()})
    calls = f"{_call(signal, 'default', state)};"
    if one.limited and signal.limited:
        calls += f"{signal.limited};"
    if one.signal == "consent-mode":
        calls += _CONSENT_MODE_EXTRAS
    if signal.queue:
        return f"made('{signal.name}','{signal.queue}',()=>{{{calls}}});"
    if signal.name:
        return f"{calls}called('{signal.name}',()=>{{{calls}}});"
    return calls


def _update(one: SignalState) -> str:
    signal = SIGNALS[one.signal]
    yes, no = signal.words
    state = _object(
        {
            kind: f"c.{category or one.category}?{yes}:{no}"
            for kind, category in signal.types.items()
        }
    )
    call = f"{_call(signal, 'update', state)};"
    return f"window.{signal.name}&&{call}" if signal.queue else call


def _object(state: Mapping[str, str]) -> str:
    if list(state) == [_ITSELF]:
        return state[_ITSELF]
    return "{" + ",".join(f'"{kind}":{value}' for kind, value in state.items()) + "}"


def _call(signal: Signal, mode: str, state: str) -> str:
    return signal.call.replace("MODE", mode).replace("STATE", state)
