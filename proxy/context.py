"""One request, read: which site, who asks, for whom the page is, what is decided."""

from __future__ import annotations

from dataclasses import dataclass, replace

from consent_rules.categories import Audience
from consent_rules.decision import Decision, Visitor
from consent_rules.matching.path_readings import readings
from consent_rules.preferences import Preferences
from consent_rules.rules import PageContext
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
    def url(self) -> str:
        """The page's address as the visitor sees it."""
        return f"{self.scheme}://{self.authority}{self.target}"

    @property
    def logged_path(self) -> str:
        """The path for logs: of a patient page, the rule that names it."""
        return self.site.rules.logged_path(self.target, self.page_context.audience)

    @property
    def may_be_late(self) -> bool:
        """Whether the page, or one that some server takes for the same, once said too late that it
        is for patients.
        """
        late = self.runtime.late_patient_pages
        if not late:
            return False
        name, known = self.site.rules.name, readings(self.path)
        return known is None or any((name, reading) in late for reading in known)

    def remember_late(self) -> None:
        """The next visitor's page is read as a whole before any of it is sent."""
        late = self.runtime.late_patient_pages
        for reading in readings(self.path) or ():
            late[self.site.rules.name, reading] = None

    def marked(self, audience: Audience) -> tuple[PageContext, Decision]:
        """Context and decision once the origin has said for whom the page is: never looser."""
        if audience is self.page_context.audience:
            return self.page_context, self.decision
        page_context = self.runtime.page_context(
            self.site.rules, self.path, audience, self.page_context.today
        )
        return page_context, self.runtime.decide(page_context, self.visitor)

    def with_audience(self, audience: Audience) -> RequestContext:
        """The same request, for a page of this audience: never a looser one."""
        if audience is self.page_context.audience:
            return self
        page_context, decision = self.marked(audience)
        return replace(self, page_context=page_context, decision=decision)

    def choosing(self, preferences: Preferences) -> Decision:
        """What holds on the whole site once these preferences are in force."""
        chosen = replace(self.visitor, preferences=preferences, once=frozenset())
        page_context = self.runtime.site_page_context(self.site.rules, self.page_context.today)
        return self.runtime.decide(page_context, chosen)
