"""Variants: a page rendered for one kind of visitor, memoised."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import NamedTuple

from cachetools import LRUCache

from consent_rules.config.load import Config
from consent_rules.config.theme import Theme
from consent_rules.decision import Decision
from consent_rules.rules import Rules, SiteRules
from proxy.banner.texts import Texts
from proxy.enforcement.csp import OwnAssets
from proxy.html.gates import Page
from proxy.html.owners import Owner
from proxy.html.render import render
from proxy.http.access_record import PageRecord
from proxy.http.content_coding import encoded, worth_encoding
from proxy.http.recent import Recent
from proxy.http.representation import OWN_ETAG
from proxy.rendering.injected_markup import (
    Injection,
    KnownMarkup,
    OwnMarkup,
    closed_tools,
    declaration_markup,
    may_be_allowed,
    own_markup,
)
from proxy.rendering.open_owners import open_owners

_SHOWN = 8192
_MAX_ETAGS = 8
_Shown = tuple[object, ...]
_NOT_SENT = PageRecord("", banner_shown=False, open_gates=0, closed_gates=0)


@dataclass(slots=True)
class Variant:
    """A rendered page for one set of open gates; each content coding is made once, on demand.

    `page` is what it was rendered from: a look-up by the page's id compares it. `record` is its
    entry in the metrics.
    """

    page: Page
    body: bytes
    own: OwnAssets
    record: PageRecord = _NOT_SENT
    codings: dict[str, bytes] = field(default_factory=dict)
    _quickly: set[str] = field(default_factory=set)
    """Those of `codings` that were made for a single use."""
    _etags: dict[tuple[str, str], str] = field(default_factory=dict)
    _digest: str = ""

    @property
    def digest(self) -> str:
        """A hash of the body. Few pages that may not be stored are ever asked for it."""
        if not self._digest:
            # Processors have instructions for this one: half the time of the others.
            self._digest = hashlib.sha256(self.body).hexdigest()[:24]
        return self._digest

    def etag_with(self, policy: str, coding: str) -> str:
        """The entity tag of this body, in a coding, under a policy."""
        known = self._etags.get((policy, coding))
        if known is None:
            text = f'{OWN_ETAG}{self.digest}"{policy}{coding}'
            digest = hashlib.blake2b(text.encode(), digest_size=12)
            known = f'{OWN_ETAG}{digest.hexdigest()}"'
            if len(self._etags) < _MAX_ETAGS:
                self._etags[policy, coding] = known
        return known

    def coded(self, coding: str, *, is_kept: bool = True) -> tuple[bytes, str]:
        """The body in a coding, and the coding: "" where compressing does not pay.

        `is_kept` says whether others may keep the bytes, under a validator. Those that nobody keeps
        are made quickly, and better once they are asked for again.
        """
        if not coding or not worth_encoding(self.body):
            return self.body, ""
        known = self.codings.get(coding)
        if known is not None and coding not in self._quickly:
            return known, coding
        quickly = known is None and not is_kept
        if quickly:
            self._quickly.add(coding)
        else:
            self._quickly.discard(coding)
        known = self.codings[coding] = encoded(self.body, coding, quickly=quickly)
        return known, coding


class Variants:
    """The most recently used variants of one configuration, within a budget of bytes."""

    def __init__(self, budget: int) -> None:
        # A variant and its compressed forms are together less than twice the plain body.
        self._variants: LRUCache[object, Variant] = LRUCache(
            budget, getsizeof=lambda variant: 2 * len(variant.body) + 512
        )
        self._shown: Recent[tuple[Decision, _Shown]] = Recent(_SHOWN)

    def key(
        self, page: Page, decision: Decision, texts: Texts, injection: Injection, return_to: str
    ) -> tuple[object, ...]:
        """`variant_key`, with what a decision shows of a set of vendors remembered."""
        at = (id(decision), page.vendors)
        known = self._shown.get(at)
        # The decision is kept beside it: an id is only good while its object lives.
        if known is None or known[0] is not decision:
            known = decision, shown_of(decision, page.vendors)
            self._shown.put(at, known)
        return (known[1], texts.lang, injection, return_to)

    def get(self, key: object) -> Variant | None:
        return self._variants.get(key)

    def put(self, key: object, variant: Variant) -> None:
        if 2 * len(variant.body) + 512 <= self._variants.maxsize:
            self._variants[key] = variant


def variant_key(
    page: Page, decision: Decision, texts: Texts, injection: Injection, return_to: str
) -> tuple[object, ...]:
    """What of a decision shows on this page. Equal keys, equal bytes."""
    return (shown_of(decision, page.vendors), texts.lang, injection, return_to)


def shown_of(decision: Decision, vendors: frozenset[str]) -> _Shown:
    """What of a decision shows on a page with these vendors."""
    return (
        decision.open,  # of a closed tag manager's tags, too: they have stand-ins
        decision.audience,
        decision.enforce,
        decision.show_banner,
        decision.gpc,
        tuple(decision.categories.items()),
        decision.exceptions,
        frozenset(v for v in vendors if may_be_allowed(decision, v)),
        decision.signalled,
        decision.opt_out_link,
    )


def has_own_link(page: Page, prefix: str) -> bool:
    """Whether a page of the site links to the preferences itself (`data-consent-link`)."""
    if not page.preferences_links:
        return False
    own = f"{prefix}/preferences"
    links = (link.partition("?")[0] for link in page.preferences_links)
    return own in links and not page.has_base


def write_variant(
    page: Page,
    site: SiteRules,
    rules: Rules,
    config: Config,
    theme: Theme,
    decision: Decision,
    texts: Texts,
    injection: Injection,
    return_to: str = "",
    known: KnownMarkup | None = None,
    chosen: tuple[object, ...] = (),
) -> Variant:
    """Render a page for a decision, with our own markup; `known` are the markups made before, and
    `chosen` is the page's `variant_key`, where it was made already.
    """
    is_open = open_owners(decision)
    closed = _closed(page, is_open)
    chosen = chosen or variant_key(page, decision, texts, injection, return_to)
    tools = closed_tools(page, decision, rules.vendors) if decision.enforce else frozenset[str]()
    links = has_own_link(page, config.proxy.prefix)
    key = (
        site.name, page.owners, page.hydration, closed.names, closed.has_embeds, tools, links,
        chosen,
    )  # fmt: skip
    own = None if known is None else _made_before(known, key)
    if own is None:
        own = own_markup(
            page, site, rules, config, theme, decision, texts, injection, return_to,
            closed.has_embeds, tools, has_link=links,
        )  # fmt: skip
        if known is not None:
            known[key] = own
    declared = b""
    if page.declaration_at and injection.visible:
        declared = declaration_markup(site, config, texts, injection)
    body = render(
        page,
        is_open,
        everything=not decision.enforce,
        head=own.head,
        foot=own.link + own.banner,
        declaration=declared,
        placeholder=own.placeholder,
    )
    is_closed = closed.closed if decision.enforce else 0
    audience = str(decision.audience)
    record = PageRecord(audience, bool(own.banner), closed.of_all - is_closed, is_closed)
    return Variant(page, body, own.assets, record)


class _Closed(NamedTuple):
    """The closed gates of a page: how many there are of how many, what the page calls of them, and
    whether one is of an embed.
    """

    closed: int
    of_all: int
    names: frozenset[str]
    has_embeds: bool


def _closed(page: Page, is_open: frozenset[Owner]) -> _Closed:
    closed = of_all = 0
    names, has_embeds = frozenset[str](), False
    for gate in page.gates:
        counts = not gate.is_further
        of_all += counts
        if gate.needs <= is_open:
            continue
        closed += counts
        if gate.names:
            names |= gate.names
        if gate.embed is not None:
            has_embeds = True
    return _Closed(closed, of_all, names, has_embeds)


def _made_before(known: KnownMarkup, key: object) -> OwnMarkup | None:
    try:
        return known[key]  # `get` looks twice
    except KeyError:
        return None
