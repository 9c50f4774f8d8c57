"""The states in which a site is audited: what the visitor chose, and what the browser sends."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from consent_rules.categories import CHOOSABLE, Category
from consent_rules.decision import Visitor
from consent_rules.preferences import Preferences
from consent_rules.wording import category_words


class AuditState(StrEnum):
    """A visitor's state. Each is audited with an empty browser profile of its own."""

    NO_CHOICE = "no-choice"
    REJECTED = "rejected"
    ONLY_FUNCTIONAL = "only-functional"
    ONLY_ANALYTICS = "only-analytics"
    ONLY_SESSION_REPLAY = "only-session-replay"
    ONLY_ADVERTISING = "only-advertising"
    ONLY_SOCIAL = "only-social"
    ACCEPTED = "accepted"
    WITHDRAWN = "withdrawn"
    GPC = "gpc"
    NO_SCRIPT = "no-script"

    @property
    def allowed(self) -> frozenset[Category] | None:
        """The categories that the visitor allowed; None where there was no choice."""
        if self in _WITHOUT_CHOICE:
            return None
        if self is AuditState.ACCEPTED:
            return frozenset(CHOOSABLE)
        only = _ONLY.get(self)
        return frozenset() if only is None else frozenset((only,))

    @property
    def words(self) -> str:
        """For people: "everything rejected"."""
        only = _ONLY.get(self)
        return _TITLES[self] if only is None else f"only {category_words(only)} accepted"


_WITHOUT_CHOICE = frozenset({AuditState.NO_CHOICE, AuditState.GPC, AuditState.NO_SCRIPT})
_ONLY = {AuditState(f"only-{category.replace('_', '-')}"): category for category in CHOOSABLE}
_TITLES = {
    AuditState.NO_CHOICE: "no choice yet",
    AuditState.REJECTED: "everything rejected",
    AuditState.ACCEPTED: "everything accepted",
    AuditState.WITHDRAWN: "accepted, then withdrawn",
    AuditState.GPC: "no choice, opt-out signal (GPC) on",
    AuditState.NO_SCRIPT: "no choice, JavaScript off",
}


@dataclass(frozen=True, slots=True)
class AuditVisitor:
    """The visitors of an audit: their region, and the policy version that they chose under."""

    region: str
    policy_version: str

    def in_state(self, state: AuditState) -> Visitor:
        allowed = state.allowed
        chosen = None if allowed is None else Preferences(allowed, self.policy_version)
        return Visitor(chosen, gpc=state is AuditState.GPC, region=self.region)
