"""The view models of the banner's and the preferences page's templates."""

from __future__ import annotations

import datetime
import json
from collections.abc import Iterable
from dataclasses import dataclass, field

from consent_rules.categories import Audience, Category
from consent_rules.config.theme import Theme

PREFIX = "/.consent"


@dataclass(frozen=True, slots=True)
class VendorView:
    """One company behind a category.

    `exception` is the visitor's choice for this vendor alone: True allowed, False refused, None
    as its category. `switchable` is False where such an exception makes no sense (a tag
    manager follows what it serves).
    """

    id: str
    name: str
    company: str = ""
    purpose: str = ""
    policy_url: str = ""
    cookies: tuple[str, ...] = ()
    exception: bool | None = None
    switchable: bool = True


@dataclass(frozen=True, slots=True)
class CategoryView:
    """A category with its present state: the visitor's choice, or the default without one.
    `held_by_gpc` is set where the browser's opt-out preference signal closes it.
    """

    category: Category
    on: bool = False
    vendors: tuple[VendorView, ...] = ()
    held_by_gpc: bool = False


@dataclass(frozen=True, slots=True)
class PageState:
    """The state for the page's script: `window.consent.get()`, and whether a choice needs a reload.

    `on` and `off` are the choosable categories by state, `exceptions` the vendors chosen
    individually. `key` is a digest of the whole decision (`presenters.decision_key`), "" where
    nothing depends on one.
    """

    on: tuple[Category, ...] = ()
    off: tuple[Category, ...] = ()
    decided: bool = False
    exceptions: tuple[tuple[str, bool], ...] = ()
    gpc: bool = False
    key: str = ""


def state_key(on: Iterable[str], off: Iterable[str], exceptions: Iterable[tuple[str, bool]]) -> str:
    """The choice as JSON, by which the site's other open pages detect what must stop.

    `necessary` is false where a vendor was refused individually: the pages do not know which one.
    """
    refused = not all(allowed for _, allowed in exceptions)
    states = {**dict.fromkeys(on, True), **dict.fromkeys(off, False)}
    return json.dumps({"necessary": not refused, **states})


def allowed_vendors(exceptions: Iterable[tuple[str, bool]]) -> tuple[str, ...]:
    """The vendors allowed as exceptions to their category."""
    return tuple(vendor for vendor, allowed in exceptions if allowed)


@dataclass(frozen=True, slots=True)
class BannerView:
    """The first layer. Shown while the visitor has yet to choose.

    `categories` are the choosable ones that the site uses, in order; `return_to` the path of
    the page, or "" to let the endpoint use the Referer (then the bytes do not depend on it).
    `sends_language` adds the banner's language to its form, for the receipt.
    """

    controller: str
    policy_url: str
    categories: tuple[CategoryView, ...]
    gpc: bool = False
    return_to: str = ""
    prefix: str = PREFIX
    sends_language: bool = False


@dataclass(frozen=True, slots=True)
class AskedView:
    """A vendor whose closed content the visitor pressed a button of. `kind` is that of its
    placeholder ("video").
    """

    id: str
    name: str
    kind: str


@dataclass(frozen=True, slots=True)
class PreferencesView:
    """The preferences page.

    `contact` is a mail address or a link, `key` what the script sends to the site's other open
    pages (`state_key`). `chosen_on` is the day of the present choice (None: not yet), `saved` asks
    for the "saved" message, `audience` is that of the page at `return_to`, `keep_days` how long a
    choice holds. `categories` may hold `necessary`, for its vendors. `opt_out` and `limit` ask for
    the forms of US laws, `opted_out` and `limited` are set where nothing is left to be done.
    `asked` is asked about above all else. `dated` shows when the visitor chose,
    `receipt_id` the visitor's receipt, `erased` that it was erased.
    """

    controller: str
    policy_url: str
    categories: tuple[CategoryView, ...]
    contact: str = ""
    key: str = ""
    gpc: bool = False
    chosen_on: datetime.date | None = None
    saved: bool = False
    audience: Audience = Audience.MARKETING
    return_to: str = "/"
    prefix: str = PREFIX
    keep_days: int = 180
    opt_out: bool = False
    opted_out: bool = False
    limit: bool = False
    limited: bool = False
    asked: AskedView | None = None
    dated: bool = True
    erased: bool = False
    receipt_id: str = ""
    theme: Theme = field(default_factory=Theme)
