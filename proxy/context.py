"""One request, read: which site, who asks, for whom the page is, what is decided."""

from __future__ import annotations

from dataclasses import dataclass, replace

from consent_rules.categories import Audience
from consent_rules.decision import Decision, Visitor
from consent_rules.preferences import Preferences
from consent_rules.rules import PageContext
from proxy.cookies.stored_choice import StoredChoice
from proxy.runtime import Runtime, SiteRuntime


@dataclass(frozen=True, slots=True)
class RequestContext:
    """What is known of a request before anybody is asked for an answer.

    `host` is normalised and without port; `path` is raw and without query. `whole_site` is the
    decision for all of the site's tags whatever page they name: cookies are the whole site's.
    """

    runtime: Runtime
    site: SiteRuntime
    host: str
    authority: str
    scheme: str
    target: str
    path: str
    trusted: bool
    cookie_header: str
    visitor: Visitor
    stored_choice: StoredChoice
    load_once: bool
    has_saved_form: bool
    page_context: PageContext
    decision: Decision
    site_decision: Decision
    now: float

    @property
    def secure(self) -> bool:
        return self.scheme == "https"

    @property
    def choice_until(self) -> float:
        """Until when the visitor's cookies come to the same decision (seconds since 1970)."""
        chosen, until = self.visitor.preferences, self.stored_choice.until
        if chosen is None or not self.visitor.ask_later:
            return until
        terms = self.runtime.rules.terms_of(self.visitor.region)
        return min(until, chosen.made_at + terms.ask_again_days * 86_400)

    @property
    def url(self) -> str:
        """The page's address as the visitor sees it."""
        return f"{self.scheme}://{self.authority}{self.target}"

    @property
    def late_key(self) -> tuple[str, str]:
        """What a page is remembered by that said too late for whom it is."""
        return self.site.rules.name, self.path

    def marked(self, audience: Audience) -> tuple[PageContext, Decision]:
        """Context and decision once the origin has said for whom the page is: never looser."""
        if audience is self.page_context.audience:
            return self.page_context, self.decision
        page_context = self.runtime.page_context(
            self.site.rules, self.path, audience, self.page_context.today
        )
        return page_context, self.runtime.decide(page_context, self.visitor)

    def choosing(self, preferences: Preferences) -> Decision:
        """What holds on the whole site once these preferences are in force."""
        chosen = replace(
            self.visitor, preferences=preferences, once=frozenset(), unreadable_choice=False
        )
        page_context = self.runtime.site_page_context(self.site.rules, self.page_context.today)
        return self.runtime.decide(page_context, chosen)
