"""Page + decision -> the bytes one kind of visitor gets, made once and kept."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Mapping, MutableMapping
from dataclasses import dataclass, field

from cachetools import LRUCache

from consent_rules.categories import Audience, Category
from consent_rules.config.load import Config
from consent_rules.decision import UNCHOOSABLE, Decision
from consent_rules.rules import Rules, SiteRules
from consent_rules.signals.tag_signals import signal_script, told
from consent_rules.vendors import Vendor
from proxy.banner.assets import assets
from proxy.banner.banner import banner_html, head_html, head_kinds, link_html
from proxy.banner.declaration import declaration, declaration_part
from proxy.banner.gpp_script import gpp_script
from proxy.banner.inline_scripts import Script, guard, no_peers, restore, stubs
from proxy.banner.placeholder import placeholder_html
from proxy.banner.presenters import banner_view, page_state, sells, used_categories
from proxy.banner.texts import Texts
from proxy.banner.theme import Theme
from proxy.enforcement.csp import OwnAssets
from proxy.html.cmp_markup import category_owner
from proxy.html.compile import MARKETING_ONLY, Embed, Page
from proxy.html.render import render
from proxy.http.content_coding import encoded, worth_encoding


@dataclass(frozen=True, slots=True)
class Injection:
    """How much of our own goes into a page.

    `signals` are scripts that tell tags the visitor's state; `visible` is the banner, the
    "Cookie preferences" link and their style. `origin` ("//host:port") stands before our own paths
    on a page whose <base> would make them somebody else's. `gpp` are the sections of the GPP string
    that this visitor's region asks for. `kept` asks for the script that puts back what the visitor
    had typed before a choice loaded the page anew.
    `declared` are the vendors that a page's own cookie declaration names.
    """

    signals: bool = True
    visible: bool = True
    origin: str = ""
    declared: tuple[str, ...] = ()
    gpp: tuple[str, ...] = ()
    kept: bool = False


@dataclass(slots=True)
class Variant:
    """A rendered page for one set of open gates; each coding of it is made once, when asked.

    `page` is what it was rendered from: who looks a variant up by its page's id compares it.
    `counted` is what the metrics say of it (`proxy.metrics.PAGE`).
    """

    page: Page
    body: bytes
    etag: str
    own: OwnAssets
    counted: tuple[str, bool, int, int] = ("", False, 0, 0)
    codings: dict[str, bytes] = field(default_factory=dict)

    def etag_with(self, policy: str, coding: str) -> str:
        """The validator of this body, in a coding, under a policy."""
        digest = hashlib.blake2b(f"{self.etag}{policy}{coding}".encode(), digest_size=12)
        return f'{_ETAG}{digest.hexdigest()}"'

    def coded(self, coding: str) -> tuple[bytes, str]:
        """The body in a coding, and the coding: "" where compressing does not pay."""
        if not coding or not worth_encoding(self.body):
            return self.body, ""
        known = self.codings.get(coding)
        if known is None:
            known = self.codings[coding] = encoded(self.body, coding)
        return known, coding


class Variants:
    """The most used variants of one configuration, within a budget of bytes."""

    def __init__(self, budget: int) -> None:
        # A variant and its compressed forms are together less than twice the plain body.
        self._kept: LRUCache[object, Variant] = LRUCache(
            budget, getsizeof=lambda variant: 2 * len(variant.body) + 512
        )

    def get(self, key: object) -> Variant | None:
        return self._kept.get(key)

    def put(self, key: object, variant: Variant) -> None:
        if 2 * len(variant.body) + 512 <= self._kept.maxsize:
            self._kept[key] = variant


_ETAG = '"cp-'


def is_own_etag(value: str) -> bool:
    """Whether an If-None-Match names a variant of ours: no upstream would know it."""
    return _ETAG in value


def _open_vendors(decision: Decision) -> frozenset[str]:
    if decision.audience is Audience.PATIENT:
        return decision.open
    return decision.open | {MARKETING_ONLY}


def open_owners(decision: Decision) -> frozenset[str]:
    """What `render` may leave open: vendors, and on marketing pages the categories that are."""
    patient = decision.audience is Audience.PATIENT
    allowed = (
        category_owner(category)
        for category, is_on in decision.categories.items()
        if is_on and (category is Category.NECESSARY or not patient)
    )
    return _open_vendors(decision).union(allowed)


def variant_key(
    page: Page, decision: Decision, texts: Texts, injection: Injection, return_to: str
) -> tuple[object, ...]:
    """Equal keys, equal bytes: what of a decision shows on this page."""
    return (
        page.owners & _open_vendors(decision),
        decision.audience,
        decision.enforce,
        decision.show_banner,
        decision.gpc,
        tuple(decision.categories.items()),
        decision.exceptions,
        frozenset(o for o in page.owners if _may_be_allowed(decision, o)),
        texts.lang,
        injection,
        return_to,
        decision.signalled,
        decision.opt_out_link,
    )


def _may_be_allowed(decision: Decision, owner: str) -> bool:
    return decision.answer(owner).reason not in UNCHOOSABLE


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
) -> Variant:
    """Render a page for a decision, with our own markup; `known` is where that is remembered."""
    is_open = open_owners(decision)
    closed = [gate for gate in page.gates if not gate.needs <= is_open]
    placeholders = any(gate.embed is not None for gate in closed)
    names = frozenset[str]().union(*(gate.names for gate in closed if gate.names))
    chosen = variant_key(page, decision, texts, injection, return_to)
    key = (site.name, page.owners, names, placeholders, chosen)
    own = None if known is None else known.get(key)
    if own is None:
        own = own_markup(
            page, site, rules, config, theme, decision, texts, injection, return_to, placeholders
        )
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
    # Processors have instructions for this one: half the time of the others.
    digest = hashlib.sha256(body).hexdigest()[:24]
    is_closed = len(closed) if decision.enforce else 0
    counted = (str(decision.audience), bool(own.banner), len(page.gates) - is_closed, is_closed)
    return Variant(page, body, f'{_ETAG}{digest}"', own.assets, counted)


def declaration_markup(
    site: SiteRules, config: Config, texts: Texts, injection: Injection
) -> bytes:
    """The cookie declaration that a page asks for, of the vendors that `injection` names."""
    vendors = declaration(site, config, texts, injection.declared)
    prefix = f"{injection.origin}{config.proxy.prefix}"
    return _markup(declaration_part(vendors, texts, prefix=prefix))


@dataclass(frozen=True, slots=True)
class OwnMarkup:
    """What of our own goes into a page: in the head, and the link and the banner at the foot.
    `placeholder` makes what stands where a closed embed was; None where nothing should.
    """

    head: bytes
    link: bytes
    banner: bytes
    assets: OwnAssets
    placeholder: Callable[[Embed], bytes] | None


KnownMarkup = MutableMapping[object, OwnMarkup]
"""What was made before: the same for all pages that have the same owners."""


def own_markup(
    page: Page,
    site: SiteRules,
    rules: Rules,
    config: Config,
    theme: Theme,
    decision: Decision,
    texts: Texts,
    injection: Injection,
    return_to: str,
    placeholders: bool,
) -> OwnMarkup:
    """Our own markup for a page and a decision. `placeholders`: the page has closed embeds."""
    prefix = f"{injection.origin}{config.proxy.prefix}"
    is_open = open_owners(decision)
    scripts: list[str] = []
    styles: list[str] = []
    head = link = banner = ""
    if injection.kept:
        own = restore()
        head += own.html
        scripts.append(own.sha256)
    if injection.signals:
        for own in _standing_scripts(page, site, rules, decision, is_open):
            head += own.html
            scripts.append(own.sha256)
    asks = injection.visible and decision.show_banner
    if injection.signals and injection.gpp and decision.enforce:
        own = gpp_script(injection.gpp, used_categories(site), decision, asks=asks)
        head += own.html
        scripts.append(own.sha256)
    # In observe mode a choice would promise what nobody keeps: nothing asks, nothing is told.
    if injection.signals and decision.enforce and decision.signalled:
        readers = (rules.vendors[vendor] for vendor in sorted(decision.signalled))
        script = signal_script(
            told(readers, decision.categories, dict(decision.exceptions)),
            asks=asks,
        )
        head += f"<script>{script}</script>"
        scripts.append(_sha256(script))
    if injection.visible and decision.enforce:
        decided = not decision.show_banner
        state = page_state(site, rules.vendors, decision, page.owners, decided=decided)
        choices = decision.opt_out_link and sells(site)
        more = {
            "placeholders": placeholders,
            "choices": choices,
            "keeps": placeholders and decision.audience is Audience.MARKETING,
        }
        head += head_html(theme, state, prefix=prefix, **more)
        link = link_html(
            texts,
            return_to,
            prefix=prefix,
            placeholders=placeholders,
            asks=not decided,
            choices=choices,
        )
        if decision.show_banner:
            view = banner_view(site, config.policy, decision, return_to=return_to, prefix=prefix)
            banner = banner_html(view, texts)
        for found in (assets(theme, kind) for kind in head_kinds(decided, **more)):
            styles += [f"sha256-{found.style_sha256}"] if found.style else []
            scripts += [f"sha256-{found.script_sha256}"] if found.script else []

    def placeholder(embed: Embed) -> bytes:
        return _markup(_placeholder(embed, rules.vendors, decision, texts, prefix))

    return OwnMarkup(
        _markup(head),
        _markup(link),
        _markup(banner),
        OwnAssets(tuple(scripts), tuple(styles)),
        placeholder if injection.visible else None,
    )


def _standing_scripts(
    page: Page, site: SiteRules, rules: Rules, decision: Decision, is_open: frozenset[str]
) -> list[Script]:
    """The guard of patient pages and the stand-ins for closed vendors: before any other script."""
    found: list[Script | None] = []
    if decision.enforce and not site.webrtc:
        found.append(no_peers())
    if decision.audience is not Audience.PATIENT:
        found.append(guard(site.patient_globs))
    if decision.enforce:
        present = [rules.vendors[owner] for owner in page.owners if owner in rules.vendors]
        # `gtag` is Analytics' and Ads' alike: what an open one defines is left to it.
        defined = {name for v in present if v.id in is_open for name in v.globals}
        missing = {name for v in present if v.id not in is_open for name in v.globals}
        for gate in page.gates:
            if gate.names and not gate.needs <= is_open:
                missing |= gate.names
        found.append(stubs(missing - defined))
    return [script for script in found if script is not None]


def _placeholder(
    embed: Embed,
    vendors: Mapping[str, Vendor],
    decision: Decision,
    texts: Texts,
    prefix: str,
) -> str:
    vendor = vendors.get(embed.vendor)
    if vendor is not None and not vendor.embed:
        return ""  # a tracker's frame shows nothing
    return placeholder_html(
        embed.vendor,
        vendor.name if vendor is not None else embed.vendor.removeprefix("?"),
        vendor.embed if vendor is not None else "other",
        embed.width or None,
        embed.height or None,
        texts,
        allow=vendor is not None and _may_be_allowed(decision, vendor.id),
        prefix=prefix,
    )


def _markup(text: str) -> bytes:
    # ASCII reads the same in every charset that a page may be in.
    return text.encode("ascii", "xmlcharrefreplace")


def _sha256(content: str) -> str:
    digest = hashlib.sha256(content.encode("ascii")).digest()
    return f"sha256-{base64.b64encode(digest).decode('ascii')}"
