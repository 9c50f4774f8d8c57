"""The proxy's own markup in a page: banner, link, scripts, placeholders."""

from __future__ import annotations

from collections.abc import Callable, Mapping, MutableMapping
from dataclasses import dataclass

from consent_rules.categories import Audience, Category
from consent_rules.config.load import Config
from consent_rules.config.theme import Theme
from consent_rules.decision import UNCHOOSABLE, Decision
from consent_rules.matching.content_pages import content_page
from consent_rules.matching.script_hashes import sha256_source
from consent_rules.rules import Rules, SiteRules
from consent_rules.signals.tag_signals import signal_script, signal_states
from consent_rules.vendors import Vendor
from proxy.banner.assets import AssetKind, assets
from proxy.banner.banner import banner_html, head_html, head_kinds, link_html
from proxy.banner.consent_tools import consent_tools, tool_names
from proxy.banner.declaration import declaration, declaration_part
from proxy.banner.gpp_script import gpp_script
from proxy.banner.injected_scripts import (
    Script,
    disable_webrtc,
    guard,
    guard_frames,
    reattach,
    restore,
    stubs,
)
from proxy.banner.placeholder import (
    content_notice,
    form_notice,
    frame_attribute,
    made_frame_page,
    placeholder_html,
)
from proxy.banner.presenters import banner_view, has_sale_or_sharing, page_state, used_categories
from proxy.banner.texts import Texts
from proxy.cookies.own_storage import own_storage
from proxy.enforcement.csp import OwnAssets, allowed_sources
from proxy.html.frameworks import Hydration
from proxy.html.gates import Embed, EmbedPlace, Page
from proxy.html.owners import KnownVendor, Owner, UnknownHost
from proxy.html.resource import ResourceKind
from proxy.html.tool_signs import tool_signs
from proxy.rendering.open_owners import open_owners


@dataclass(frozen=True, slots=True)
class Injection:
    """What of the proxy's own markup goes into a page.

    `signals` are scripts that send tags the visitor's state; `visible` is the banner, the "Cookie
    preferences" link and their style. `origin` ("//host:port") precedes our own paths on a page
    whose <base> would resolve them to another host. `gpp` are the sections of the GPP string for
    this visitor's region. `kept` adds the script that restores the form fields that the visitor had
    filled in before a choice reloaded the page. `declared` are the vendors of a page's own cookie
    declaration.
    """

    signals: bool = True
    visible: bool = True
    origin: str = ""
    declared: tuple[str, ...] = ()
    gpp: tuple[str, ...] = ()
    saved_form: bool = False
    placeholders: bool = False
    """Placeholders though nothing else is visible: in a part of a page."""


def may_be_allowed(decision: Decision, vendor: str) -> bool:
    return decision.for_vendor(vendor).reason not in UNCHOOSABLE


def declaration_markup(
    site: SiteRules, config: Config, texts: Texts, injection: Injection
) -> bytes:
    """The markup of a page's cookie declaration, for the vendors that `injection` names."""
    vendors = declaration(site, config, texts, injection.declared, own_storage(config))
    prefix = f"{injection.origin}{config.proxy.prefix}"
    return _markup(declaration_part(vendors, texts, prefix=prefix))


@dataclass(frozen=True, slots=True)
class OwnMarkup:
    """The proxy's own markup of a page: in the head, and the link and the banner at the foot.

    `placeholder` renders what replaces a closed embed; None where nothing should.
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
    tools: frozenset[str],
    *,
    has_link: bool = False,
) -> OwnMarkup:
    """The proxy's own markup for a page and a decision. `placeholders`: the page has
    closed embeds. `tools` are its closed consent tools (`closed_tools`). With
    `has_link` it links to the preferences itself.
    """
    prefix = f"{injection.origin}{config.proxy.prefix}"
    is_open = open_owners(decision)
    scripts: list[str] = []
    styles: list[str] = []
    head = link = banner = ""
    if injection.saved_form:
        own = restore()
        head += own.html
        scripts.append(own.sha256)
    if injection.signals:
        answered = tool_names(tools) if injection.visible else frozenset[str]()
        shown = made_frame_page(texts, prefix=prefix, return_to=return_to)
        for own in _standing_scripts(page, site, rules, decision, is_open, answered, shown):
            head += own.html
            scripts.append(own.sha256)
    has_banner = injection.visible and decision.show_banner
    if injection.signals and injection.gpp and decision.enforce:
        own = gpp_script(injection.gpp, used_categories(site), decision, has_banner=has_banner)
        head += own.html
        scripts.append(own.sha256)
    # In observe mode a choice would have no effect: no banner is shown, and no consent call is
    # made.
    if injection.signals and decision.enforce and decision.signalled:
        readers = (rules.vendors[vendor] for vendor in sorted(decision.signalled))
        script = signal_script(
            signal_states(readers, decision.categories, dict(decision.exceptions)),
            has_banner=has_banner,
        )
        head += f"<script>{script}</script>"
        scripts.append(sha256_source(script.encode("ascii")))
    if injection.visible and decision.enforce:
        decided = not decision.show_banner
        state = page_state(site, decision, decided=decided)
        choices = decision.opt_out_link and has_sale_or_sharing(site)
        more = {
            "placeholders": placeholders,
            "save_form": placeholders and decision.audience is Audience.MARKETING,
        }
        head += head_html(theme, state, texts, prefix=prefix, **more)
        answers = consent_tools(tools)
        if answers is not None:
            head += answers.html
            scripts.append(answers.sha256)
        link = link_html(
            texts,
            return_to,
            prefix=prefix,
            placeholders=placeholders,
            has_banner=not decided,
            choices=choices,
            # Where a law says how the link has to look, ours stands there as well.
            has_link=has_link and not choices,
        )
        if decision.show_banner:
            view = banner_view(
                site,
                config.policy,
                decision,
                return_to=return_to,
                prefix=prefix,
                sends_language=config.writes_receipts,
            )
            banner = banner_html(view, texts)
        kinds = (*head_kinds(decided, **more), *((AssetKind.FRAME,) if placeholders else ()))
        for found in (assets(theme, kind) for kind in kinds):
            styles += [f"sha256-{found.style_sha256}"] if found.style else []
            scripts += [f"sha256-{found.script_sha256}"] if found.script else []

    if head and page.hydration is not Hydration.NONE:
        own = reattach(wholly=page.hydration is Hydration.WHOLE)
        head += own.html
        scripts.append(own.sha256)

    def placeholder(embed: Embed) -> bytes:
        shown = _placeholder(embed, rules.vendors, decision, theme, texts, prefix, return_to)
        return _markup(shown)

    return OwnMarkup(
        _markup(head),
        _markup(link),
        _markup(banner),
        OwnAssets(tuple(scripts), tuple(styles)),
        placeholder if injection.visible or injection.placeholders else None,
    )


def _standing_scripts(
    page: Page,
    site: SiteRules,
    rules: Rules,
    decision: Decision,
    is_open: frozenset[Owner],
    answered: frozenset[str],
    closed_frame: str,
) -> list[Script]:
    """The guards and the stubs of closed vendors: before any other script. `answered` are names for
    which another script stands, `closed_frame` is the page within a closed frame.
    """
    found: list[Script | None] = []
    if decision.enforce and not site.webrtc:
        found.append(disable_webrtc())
    if decision.enforce:
        opened = [rules.vendors[vendor] for vendor in sorted(decision.open)]
        found.append(guard_frames(allowed_sources(site.own_patterns, opened), closed_frame))
    if decision.audience is not Audience.PATIENT:
        found.append(guard(site.patient_paths.patterns))
    if decision.enforce:
        present = [rules.vendors[vendor] for vendor in page.vendors if vendor in rules.vendors]
        # `gtag` is Analytics' and Ads' alike: what an open one defines is left to it.
        defined = {name for v in present if v.id in decision.open for name in v.globals}
        missing = {name for v in present if v.id not in decision.open for name in v.globals}
        for gate in page.gates:
            if gate.names and not gate.needs <= is_open:
                missing |= gate.names
        if any(vendor.is_tag_manager and vendor.id not in decision.open for vendor in present):
            # What it would have loaded is called by the site all the same.
            loaded = (vendor for vendor in site.listed if vendor.id not in decision.open)
            missing |= {name for vendor in loaded for name in vendor.globals}
        missing -= answered
        found.append(stubs(missing - defined))
    return [script for script in found if script is not None]


def closed_tools(page: Page, decision: Decision, vendors: Mapping[str, Vendor]) -> frozenset[str]:
    """What `consent_tools` is to stand for on a page: closed vendors, tools without one that the
    page names, and tools to which it has links where a closed tag manager may bring them.
    """
    closed = page.vendors - decision.open
    has_unknown = any(
        gate.kind is ResourceKind.SCRIPT and any(isinstance(o, UnknownHost) for o in gate.needs)
        for gate in page.gates
    )
    known = (vendors.get(vendor) for vendor in closed)
    if not has_unknown and not any(one is not None and one.is_tag_manager for one in known):
        return closed
    signs = page.tools or tool_signs(page.body)
    found = closed | signs.linked
    return found | signs.named if has_unknown else found


_TRACKING = frozenset({Category.ADVERTISING, Category.ANALYTICS, Category.SESSION_REPLAY})


def _placeholder(
    embed: Embed,
    vendors: Mapping[str, Vendor],
    decision: Decision,
    theme: Theme,
    texts: Texts,
    prefix: str,
    return_to: str,
) -> str:
    owner = embed.owner
    vendor = vendors.get(owner.id) if isinstance(owner, KnownVendor) else None
    is_form = embed.place is EmbedPlace.FORM
    if vendor is not None and not vendor.embed and vendor.category in _TRACKING and not is_form:
        return ""  # a tracker's frame shows nothing
    name = vendor.name if vendor is not None else _name(owner)
    kind = vendor.embed if vendor is not None else "other"
    allow = vendor is not None and may_be_allowed(decision, vendor.id)
    if is_form:
        return form_notice(str(owner), name, texts, allow=allow, prefix=prefix)
    if embed.place is EmbedPlace.TEXT:
        return content_notice(str(owner), name, kind, texts, allow=allow, prefix=prefix)
    if embed.place is EmbedPlace.FRAME:
        return frame_attribute(
            str(owner),
            name,
            kind,
            texts,
            theme,
            allow=allow,
            prefix=prefix,
            return_to=return_to,
            title=embed.title,
            link=_link_instead(embed, decision),
        )
    return placeholder_html(
        str(owner), name, kind, embed.width or None, embed.height or None, texts,
        allow=allow, prefix=prefix,
    )  # fmt: skip


def _link_instead(embed: Embed, decision: Decision) -> str:
    """Where the visitor may see the content without the page knowing of it: the vendor's page for
    it, or the frame's own. A patient page may have written anything into that address.
    """
    marketing = decision.audience is Audience.MARKETING
    return content_page(embed.address) or (embed.address if marketing else "")


def _name(owner: Owner) -> str:
    return owner.host if isinstance(owner, UnknownHost) else str(owner).removeprefix("?")


def _markup(text: str) -> bytes:
    # ASCII reads the same in every charset that a page may be in.
    return text.encode("ascii", "xmlcharrefreplace")
