"""Memoised decisions and policies, by kind of page and of visitor."""

from __future__ import annotations

import datetime
from collections.abc import Callable
from functools import lru_cache

from consent_rules.categories import Audience
from consent_rules.decision import Decision, Visitor, decide
from consent_rules.rules import PageContext, Rules, SiteRules
from proxy.http.recent import Recent

_DECISIONS = 8192
_PATHS = 8192
_MAX_PATH_LENGTH = 256

PathContext = Callable[[SiteRules, str, Audience, datetime.date], PageContext]
SiteContext = Callable[[SiteRules, datetime.date], PageContext]
Decide = Callable[[PageContext, Visitor], Decision]


def path_contexts(rules: Rules) -> PathContext:
    """`Rules.page`, remembered by path. Equal contexts are the same object."""
    same: dict[object, PageContext] = {}

    def context(
        site: SiteRules, path: str, audience: Audience, today: datetime.date
    ) -> PageContext:
        # Long paths are not cached: they would fill the memory.
        known = remembered if len(path) <= _MAX_PATH_LENGTH else made
        return known(site, path, audience, today)

    def made(site: SiteRules, path: str, audience: Audience, today: datetime.date) -> PageContext:
        found = rules.page(site, path, audience, today)
        # As many as there are sets of tags with a path in common, a day: few. Equal sets are
        # one tuple (TagIndex), and it lives as long as the context that holds it.
        key = (id(site), audience, today, id(found.tags))
        if len(same) > _PATHS:
            same.clear()
        return same.setdefault(key, found)

    remembered = lru_cache(maxsize=_PATHS)(made)
    return context


def site_contexts() -> SiteContext:
    """The context of a site as a whole: all of its tags, whatever pages they name. Cookies are
    sent to every page, so what becomes of them cannot depend on one.
    """

    @lru_cache(maxsize=256)
    def context(site: SiteRules, today: datetime.date) -> PageContext:
        return PageContext(site, site.audience, site.tags, today)

    return context


def decisions(rules: Rules) -> Decide:
    """`decide`, memoised by page context and visitor class. Equal arguments return the same object,
    so that what is derived from a decision can be memoised by identity.
    """
    made: Recent[tuple[PageContext, Decision]] = Recent(_DECISIONS)

    def remembered(page: PageContext, visitor: Visitor) -> Decision:
        chosen = visitor.preferences
        key = (
            id(page),
            None if chosen is None else chosen.key,
            visitor.gpc,
            visitor.once,
            visitor.unreadable_choice,
            visitor.ask_later,
            visitor.bot,
            rules.terms_of(visitor.region),
        )
        known = made.get(key)
        # The page is kept with its decision: an id is only good while its object lives.
        if known is not None and known[0] is page:
            return known[1]
        decision = decide(rules, page, visitor)
        made.put(key, (page, decision))
        return decision

    return remembered
