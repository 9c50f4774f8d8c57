"""`rewrite`: decide, compile and render as the server does, without a network."""

from __future__ import annotations

import datetime
from collections.abc import Iterable
from dataclasses import dataclass, replace
from urllib.parse import urlsplit

from consent_rules.catalogue.load import catalogue
from consent_rules.categories import CHOOSABLE, Audience, Category
from consent_rules.config.build_rules import build_rules
from consent_rules.config.load import Config
from consent_rules.config.theme import theme_of
from consent_rules.decision import Decision, Visitor, decide
from consent_rules.matching.hosts import HostSet
from consent_rules.matching.urls import host_of_authority
from consent_rules.preferences import Preferences
from consent_rules.rules import PageContext, Rules, SiteRules, why_patient
from consent_rules.wording import quoted
from proxy.banner.declaration import vendors_on
from proxy.banner.texts import Wording
from proxy.enforcement.consent_header import consent_field
from proxy.enforcement.site import site_boundary
from proxy.html import Boundary, Page, compile_page
from proxy.html.source import Source, read_source
from proxy.libraries import libraries_in
from proxy.rendering.injected_markup import Injection
from proxy.rendering.variants import write_variant


class InvalidRequestError(ValueError):
    """A URL or a choice on the command line that cannot be used."""


@dataclass(frozen=True, slots=True)
class PreviewRequest:
    """A page and a visitor, as the command line names them.

    `site_given` is False where no site of the config has the URL's host: then the first site's
    rules are used, and the URL's host counts as its own.
    """

    config: Config
    rules: Rules
    site: SiteRules
    site_given: bool
    url: str
    visitor: Visitor
    today: datetime.date

    @property
    def boundary(self) -> Boundary:
        libraries = libraries_in(self.config.libraries, self.config.proxy.prefix)
        return site_boundary(self.site, self.config, self.rules, libraries)

    @property
    def target(self) -> str:
        parts = urlsplit(self.url)
        return (parts.path or "/") + (f"?{parts.query}" if parts.query else "")

    def decision(self, marks: tuple[str, ...] = (), frames: Iterable[str] = ()) -> Decision:
        """The decision for the page; `marks` are the page's audience marks, `frames` the targets of
        the site's own pages that it frames.
        """
        patient = self.why_patient(marks, frames)
        audience = Audience.PATIENT if patient else Audience.MARKETING
        context = self.rules.page(self.site, self.target, audience, self.today)
        return decide(self.rules, context, self.visitor)

    def consent_header(self, decision: Decision) -> str | None:
        """The `Consent` field of the upstream request for the page; None where the site has none.

        By the page's address: what only its content tells is not known before it was requested.
        """
        if not any(s.consent_header for s in self.config.sites if s.name == self.site.name):
            return None
        everywhere = PageContext(self.site, self.site.audience, self.site.tags, self.today)
        patient = bool(self.why_patient())
        return consent_field(decide(self.rules, everywhere, self.visitor), patient=patient)

    def why_patient(self, marks: tuple[str, ...] = (), frames: Iterable[str] = ()) -> str:
        """Why it is a patient page, in words; "" for a marketing page."""
        why = why_patient(self.site, self.target, (), marks)
        if why:
            return why
        for frame in frames:
            shown = why_patient(self.site, frame, ())
            if shown:
                return f"it shows {quoted(frame)} in a frame: {shown}"
        return ""


def bare_config(host: str) -> Config:
    """The config where none is given: the catalogue, and no approved tag."""
    return Config.model_validate(
        {
            "policy": {"controller": host, "version": "1", "url": "/privacy"},
            "site": [
                {
                    "name": "site",
                    "hosts": [host],
                    "upstream": "http://127.0.0.1:9000",
                    "audience": "marketing",
                }
            ],
        },
        by_alias=True,
        by_name=False,
    )


UNREADABLE = "unreadable"
"""The choice of a visitor whose preference cookie cannot be read."""


def read_choice(accept: str | None, policy_version: str) -> Preferences | None:
    """`--accept analytics,advertising|all|none`; None when the visitor has not chosen.

    Raises InvalidRequestError for a word that is no category.
    """
    if accept is None:
        return None
    names = [name.strip() for name in accept.split(",") if name.strip()]
    if names == ["all"]:
        allowed = frozenset(CHOOSABLE)
    elif names == ["none"] or not names:
        allowed = frozenset()
    else:
        known = {str(category) for category in CHOOSABLE}
        wrong = [name for name in names if name not in known]
        if wrong:
            raise InvalidRequestError(
                f"no category {wrong[0]!r}; choose from {', '.join(CHOOSABLE)}, or all, or none, "
                f"or {UNREADABLE}"
            )
        allowed = frozenset(Category(name) for name in names)
    return Preferences(allowed=allowed, policy_version=policy_version)


def preview_request(
    config: Config | None,
    url: str,
    *,
    accept: str | None,
    gpc: bool,
    region: str,
    today: datetime.date,
) -> PreviewRequest:
    """Build a request. Raises InvalidRequestError."""
    try:
        parts = urlsplit(url)
        host = host_of_authority(parts.netloc) if parts.scheme in {"http", "https"} else ""
    except ValueError:  # such as "http://["
        host = ""
    if not host or not url.isprintable():
        raise InvalidRequestError(f"{url!r} is not a page's address; write https://host/path")
    if config is None:
        try:
            config = bare_config(host)
        except ValueError:
            raise InvalidRequestError(
                f"{url!r}: its host cannot be a site's; give --config, or a host name"
            ) from None
    rules = build_rules(config, catalogue())
    site = rules.site_of(host, None)
    given = site is not None
    if site is None:
        first = rules.sites[0]
        own = (*first.own_patterns, host)
        site = replace(first, own=HostSet(own), own_patterns=own)
    unreadable = accept == UNREADABLE
    preferences = None if unreadable else read_choice(accept, rules.policy_version)
    if preferences is not None and gpc:
        preferences = replace(preferences, under_gpc=True)
    visitor = Visitor(preferences, gpc=gpc, region=region, unreadable_choice=unreadable)
    return PreviewRequest(config, rules, site, given, url, visitor, today)


def source_of(body: bytes, content_type: str) -> Source:
    """The page's decoded bytes. Raises UndecodableError."""
    return read_source(body, content_type)


def rewrite_page(
    request: PreviewRequest, body: bytes, content_type: str, *, language: str, bare: bool
) -> bytes:
    """The page rendered for the visitor; without our own markup if `bare`. Raises
    UndecodableError.
    """
    page: Page = compile_page(body, content_type, request.url, request.boundary)
    decision = request.decision(page.marks, page.frames)
    origin = f"//{urlsplit(request.url).netloc}" if page.has_base else ""
    patient = decision.audience is Audience.PATIENT
    variant = write_variant(
        page,
        request.site,
        request.rules,
        request.config,
        theme_of(vars(request.config.theme)),
        decision,
        Wording(request.config.texts).texts_for(page.language, language),
        Injection(
            signals=not bare,
            visible=not bare,
            origin=origin,
            declared=vendors_on(request.site, request.today) if page.declaration_at else (),
        ),
        request.target if patient else "",
    )
    return variant.body
