"""RequestContext: everything known of a request before it is sent upstream, as plain values."""

from __future__ import annotations

from dataclasses import dataclass

from consent_rules.decision import Decision, Visitor
from consent_rules.rules import PageContext, SiteRules


@dataclass(frozen=True, slots=True)
class RequestContext:
    """The site, the visitor, the audience of the page, and the decision.

    `host` is normalised and without port; `target` is raw, `path` raw and without query.
    `site_decision` is the decision for all of the site's tags, whatever pages they name: cookies
    are sent to the whole site. `unreadable_cause` is why the visitor's preference cookie cannot be
    read ("": it can, or there is none); `several_choices` is set where more than one cookie has its
    name. Until `choice_until` the same cookies give the same decision. Times are seconds since
    1970.
    """

    site: SiteRules
    host: str
    authority: str
    scheme: str
    target: str
    path: str
    peer_is_trusted: bool
    cookie_header: str
    visitor: Visitor
    unreadable_cause: str
    several_choices: bool
    choice_until: float
    load_once: bool
    has_saved_form: bool
    page_context: PageContext
    decision: Decision
    site_decision: Decision
    received_at: float
    consent_header: str = ""
    """The upstream request's `Consent` field; "" where it has none."""

    @property
    def secure(self) -> bool:
        return self.scheme == "https"

    @property
    def url(self) -> str:
        """The page's address as the visitor sees it."""
        return f"{self.scheme}://{self.authority}{self.target}"

    @property
    def logged_path(self) -> str:
        """The path for logs: of a patient page, the rule that names it."""
        return self.site.logged_path(self.target, self.page_context.audience)
