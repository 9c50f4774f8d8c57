"""One request, read: which site, who asks, for whom the page is, what is decided."""

from __future__ import annotations

from dataclasses import dataclass, replace

from consent_rules.categories import Audience
from consent_rules.decision import Decision, Visitor
from consent_rules.preferences import Preferences
from consent_rules.rules import PageContext
from proxy.runtime import Running, SiteParts


@dataclass(frozen=True, slots=True)
class Asking:
    """What is known of a request before anybody is asked for an answer.

    `host` is normalised and without port; `path` is raw and without query. `whole_site` is the
    decision for all of the site's tags whatever page they name: cookies are the whole site's.
    """

    running: Running
    site: SiteParts
    host: str
    authority: str
    scheme: str
    target: str
    path: str
    trusted: bool
    cookie_header: str
    visitor: Visitor
    asked_once: bool
    has_kept: bool
    context: PageContext
    decision: Decision
    whole_site: Decision
    now: float

    @property
    def secure(self) -> bool:
        return self.scheme == "https"

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
        if audience is self.context.audience:
            return self.context, self.decision
        context = self.running.context(self.site.rules, self.path, audience, self.context.today)
        return context, self.running.decide(context, self.visitor)

    def choosing(self, preferences: Preferences) -> Decision:
        """What holds on the whole site once these preferences are in force."""
        chosen = replace(self.visitor, preferences=preferences, once=frozenset())
        context = self.running.whole_site(self.site.rules, self.context.today)
        return self.running.decide(context, chosen)
