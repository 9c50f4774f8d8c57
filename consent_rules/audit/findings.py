"""AuditFinding: something that a visitor's choice, the config or a page's audience forbids."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from consent_rules.audit.observations import Channel
from consent_rules.audit.states import AuditState
from consent_rules.categories import Audience, Category


class Severity(StrEnum):
    """How bad it is, the worst first."""

    CRITICAL = "critical"
    HIGH = "high"
    MEDIUM = "medium"
    LOW = "low"

    @property
    def rank(self) -> int:
        """0 for the worst."""
        return list(Severity).index(self)

    @property
    def words(self) -> str:
        """What it stands for."""
        return _MEANINGS[self]


_MEANINGS = {
    Severity.CRITICAL: "data of patients, or what was typed",
    Severity.HIGH: "a tracker against the visitor's choice",
    Severity.MEDIUM: "allowed, but approved by nobody; or a service (chat, fonts, video) too early",
    Severity.LOW: "a connection hint, or a cookie that lives too long",
}


class Rule(StrEnum):
    """What was found. The value is the rule's id in JSON, SARIF and JUnit."""

    CONTACT = "contact"
    DISGUISED_HOST = "disguised-host"
    OWN_PATH = "own-path"
    STORED_ID = "stored-id"
    COOKIE = "cookie"
    STORAGE = "storage"
    PAGE_DATA = "page-data"
    QUERY_DATA = "query-data"
    FORM_DATA = "form-data"
    LIFETIME = "lifetime"

    @property
    def words(self) -> str:
        return _TITLES[self]


_TITLES = {
    Rule.CONTACT: "A request to a third party that may not act here",
    Rule.DISGUISED_HOST: "A third party behind a host name of the site (CNAME)",
    Rule.OWN_PATH: "A third party behind a path of the site",
    Rule.STORED_ID: "A third party's identifier sent to the site's own server",
    Rule.COOKIE: "A third party's cookie",
    Rule.STORAGE: "A third party's entry in the browser's storage",
    Rule.PAGE_DATA: "The address or title of a patient page sent to a third party",
    Rule.QUERY_DATA: "What a page's query holds sent to a third party",
    Rule.FORM_DATA: "What was typed into a form sent to a third party",
    Rule.LIFETIME: "A cookie that lives longer than declared",
}


@dataclass(frozen=True, slots=True)
class Evidence:
    """One observation behind a finding. `detail` is a sentence; `url` the request's, or ""."""

    page: str
    url: str = ""
    at: float = 0.0
    initiator: str = ""
    detail: str = ""
    screenshot: str = ""


@dataclass(frozen=True, slots=True)
class AuditFinding:
    """Everything of one rule, in one state, for one receiver and audience.

    `vendor` is the catalogue's or the config's id, "" for a receiver that neither knows; `receiver`
    its name, or the host. `audience` is None for what belongs to no single page (cookies, storage).
    `subjects` are names: of cookies, of storage entries, of the data that was sent. `evidence` has
    the first observations, `pages` all pages.
    """

    rule: Rule
    severity: Severity
    state: AuditState
    vendor: str
    receiver: str
    hosts: tuple[str, ...]
    audience: Audience | None
    channels: tuple[Channel, ...]
    subjects: tuple[str, ...]
    pages: tuple[str, ...]
    reason: str
    remedy: str
    evidence: tuple[Evidence, ...]
    category: Category | None = None

    @property
    def is_receipt(self) -> bool:
        """Whether a third party received something about a visitor by it: a connection hint alone,
        or what lies in the browser, is not.
        """
        return bool(self.channels) and self.severity is not Severity.LOW

    @property
    def key(self) -> str:
        """Equal in two audits of one site for what is the same finding."""
        audience = "" if self.audience is None else str(self.audience)
        return "|".join((self.rule, self.state, audience, self.vendor or self.receiver))
