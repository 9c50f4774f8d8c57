"""SiteDraft: what a first config of a site can tell, from what a browser was seen to do there.

Everything is a guess with its reason. A guess that would open something for others is never sure:
a person confirms it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from urllib.parse import urlsplit

from consent_rules.audit.findings import Rule
from consent_rules.audit.judge import receiver_of_request, sent_in
from consent_rules.audit.observations import PageVisit
from consent_rules.audit.owners import Ownership, owner_of_host
from consent_rules.audit.receivers import Receiver
from consent_rules.audit.scope import AuditScope, target_of
from consent_rules.categories import Category
from consent_rules.matching.patient_paths import PatientPaths
from consent_rules.matching.tracker_names import tracker_label
from consent_rules.vendors import Vendor
from consent_rules.wording import quoted

_MAX_GUESSES = 40
_MAX_PAGES = 5
"""Pages that a guess names."""

_OF_PATIENTS = {
    "is for patients": ("patient", "patients", "mypatient", "mychart", "myhealth", "portal"),
    "is an account": ("my-account", "myaccount"),
    "is about appointments": ("appointment", "appointments", "appt"),
    "is about payments": ("pay-bill", "pay-my-bill", "bill-pay", "billpay", "paybill", "my-bill"),
    "asks or tells about health": (
        "intake", "symptom", "symptoms", "symptom-checker", "screening", "telehealth",
        "telemedicine", "prescription", "prescriptions", "refill", "refills", "test-results",
        "lab-results", "medical-records",
    ),
}  # fmt: skip
_MAYBE_OF_PATIENTS = {
    "may tell what a visitor suffers from": (
        "condition", "conditions", "disease", "diseases", "treatment", "treatments", "diagnosis",
        "therapy", "medication", "medications", "oncology", "hiv", "addiction", "fertility",
    ),
    "may be about a bill or results": ("billing", "bill", "payment", "payments", "results"),
    "may lead to a sign-in": ("login", "signin", "sign-in", "schedule", "scheduling"),
}  # fmt: skip
_PRIVACY = re.compile(r"privacy|datenschutz|confidentialit|privacidad", re.IGNORECASE)
_NOT_THE_POLICY = re.compile(r"choice|preference|setting|request|opt-?out", re.IGNORECASE)
_TITLE_PARTS = re.compile(r"\s+[|·\u2013\u2014-]\s+|\s*[|»]\s*")


@dataclass(frozen=True, slots=True)
class Guess:
    """A value, and why. What is not `is_sure` is for a person to confirm."""

    value: str
    reason: str
    is_sure: bool = True


@dataclass(frozen=True, slots=True)
class SeenVendor:
    """A vendor that pages send requests to. `mask` tells how it hides, "" where it does not;
    `on_patient_pages` whether a page that looks like one for patients is among them.
    """

    id: str
    name: str
    category: Category
    hosts: tuple[str, ...]
    pages: tuple[str, ...]
    on_patient_pages: bool
    mask: str = ""


@dataclass(frozen=True, slots=True)
class SeenHost:
    """A host that no vendor has. `owner` is in words, "" where nobody knows; `name` the company."""

    host: str
    owner: str
    name: str
    pages: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class SiteDraft:
    """`pages` is the number that was looked at. `first_party` are hosts of the site's own besides
    the one audited, `patient_pages` path patterns.
    """

    start: str
    pages: int
    controller: Guess | None
    policy_url: Guess | None
    first_party: tuple[Guess, ...]
    patient_pages: tuple[Guess, ...]
    vendors: tuple[SeenVendor, ...]
    hosts: tuple[SeenHost, ...]


def draft_site(start: str, visits: Iterable[PageVisit], scope: AuditScope) -> SiteDraft:
    """What a first config can tell about the site that begins at `start`."""
    visits = tuple(visit for visit in visits if not visit.failure)
    patient_pages = tuple(_patient_pages(start, visits))[:_MAX_GUESSES]
    of_patients = PatientPaths(one.value for one in patient_pages if one.is_sure)
    known: dict[str, _Seen] = {}
    own: dict[str, None] = {}
    for visit in visits:
        target = target_of(visit.url)
        for request in sent_in(visit):
            receiver = receiver_of_request(request, scope)
            host = urlsplit(request.url).hostname or ""
            if receiver is None:
                own[host] = None
                continue
            seen = known.setdefault(receiver.id or receiver.host, _Seen(receiver))
            seen.hosts[receiver.host] = None
            seen.pages[target.partition("?")[0]] = None
            if receiver.rule is not Rule.CONTACT:
                seen.masks[receiver.detail] = None
            if of_patients.find(target):
                seen.on_patient_pages = True
    own.pop(urlsplit(start).hostname or "", None)
    own.pop("", None)
    strangers = [seen for seen in known.values() if seen.receiver.vendor is None]
    owners = {
        seen.receiver.host: owner_of_host(seen.receiver.host, scope.site.own_patterns)
        for seen in strangers
    }
    likely = {
        host: owner
        for host, owner in owners.items()
        if owner is not None and owner.how is Ownership.LIKELY_OWN
    }
    return SiteDraft(
        start=start,
        pages=len({visit.url for visit in visits}),
        controller=_controller(start, visits),
        policy_url=_policy_url(start, visits),
        first_party=(
            *map(_of_same_domain, own),
            *(Guess(host, owner.words, is_sure=False) for host, owner in likely.items()),
        ),
        patient_pages=patient_pages,
        vendors=tuple(
            _vendor(seen.receiver.vendor, seen)
            for seen in known.values()
            if seen.receiver.vendor is not None
        ),
        hosts=tuple(
            SeenHost(
                host=seen.receiver.host,
                owner="" if (owner := owners[seen.receiver.host]) is None else owner.words,
                name=owner.name if owner is not None and owner.how is Ownership.COMPANY else "",
                pages=tuple(seen.pages)[:_MAX_PAGES],
            )
            for seen in strangers
            if seen.receiver.host not in likely
        ),
    )


class _Seen:
    """A receiver while the visits are read. The dicts are ordered sets."""

    def __init__(self, receiver: Receiver) -> None:
        self.receiver = receiver
        self.hosts: dict[str, None] = {}
        self.pages: dict[str, None] = {}
        self.masks: dict[str, None] = {}
        self.on_patient_pages = False


def _vendor(vendor: Vendor, seen: _Seen) -> SeenVendor:
    return SeenVendor(
        id=vendor.id,
        name=vendor.name,
        category=vendor.category,
        hosts=tuple(seen.hosts),
        pages=tuple(seen.pages)[:_MAX_PAGES],
        on_patient_pages=seen.on_patient_pages,
        mask="; ".join(seen.masks),
    )


def _of_same_domain(host: str) -> Guess:
    label = tracker_label(host)
    if label:
        reason = f"of the same domain, but a tracker may be behind {quoted(label)}"
        return Guess(host, reason, is_sure=False)
    return Guess(host, "of the same domain")


def _patient_pages(start: str, visits: Iterable[PageVisit]) -> Iterator[Guess]:
    """Patterns of pages that look like those for patients: by their address, else their title."""
    found: dict[str, tuple[str, bool, dict[str, None]]] = {}
    titles: dict[str, str] = {}
    for visit in visits:
        titles[_path(visit.url)] = visit.title
        for link in (visit.url, *visit.links):
            if urlsplit(link).netloc == urlsplit(start).netloc:
                titles.setdefault(_path(link), "")
    for path, title in titles.items():
        named = _named_for_patients(path) or _titled_for_patients(path, title)
        if named is not None:
            pattern, reason, is_sure = named
            found.setdefault(pattern, (reason, is_sure, {}))[2][path] = None
    patterns = sorted(found, key=lambda pattern: (not found[pattern][1], pattern))
    for pattern in patterns:
        reason, is_sure, paths = found[pattern]
        more = f" and {len(paths) - 1} more" if len(paths) > 1 else ""
        yield Guess(pattern, f"{next(iter(paths))}{more} {reason}", is_sure)


def _path(url: str) -> str:
    return urlsplit(url).path or "/"


def _named_for_patients(path: str) -> tuple[str, str, bool] | None:
    """The pattern of the first part of a path that says so, why, and whether it is sure."""
    parts = path.split("/")
    for table, is_sure in ((_OF_PATIENTS, True), (_MAYBE_OF_PATIENTS, False)):
        for number, part in enumerate(parts):
            for meaning, words in table.items():
                word = _word_in(part, words)
                if not word:
                    continue
                below = "*" if "." in part else "/*"
                pattern = "/".join(parts[: number + 1]) + below
                return pattern, f"{meaning}, by {quoted(word)} in its address", is_sure
    return None


def _titled_for_patients(path: str, title: str) -> tuple[str, str, bool] | None:
    if path == "/":
        return None
    plain = "-".join(re.findall(r"[a-z]+", title.lower()))
    for meaning, words in _OF_PATIENTS.items():
        word = _word_in(plain, words)
        if word:
            pattern = path + ("*" if "." in path.rpartition("/")[2] else "/*")
            reason = f"{meaning}, by {quoted(word)} in its title"
            return pattern.replace("//*", "/*"), reason, False
    return None


def _word_in(part: str, words: Iterable[str]) -> str:
    text = "-" + re.sub(r"[^a-z0-9]+", "-", part.lower()) + "-"
    return next((word for word in words if f"-{word}-" in text), "")


def _policy_url(start: str, visits: Iterable[PageVisit]) -> Guess | None:
    """The shortest address of the site that says it is a privacy policy."""
    here = {
        _path(link): None
        for visit in visits
        for link in (visit.url, *visit.links)
        if urlsplit(link).netloc == urlsplit(start).netloc
    }
    named = [p for p in here if _PRIVACY.search(p) and not _NOT_THE_POLICY.search(p)]
    if not named:
        return None
    return Guess(min(named, key=lambda path: (len(path), path)), "pages lead there by this name")


def _controller(start: str, visits: Iterable[PageVisit]) -> Guess | None:
    """The site's name in the title of its first page."""
    title = next((visit.title for visit in visits if visit.url == start and visit.title), "")
    parts = [part for part in _TITLE_PARTS.split(" ".join(title.split())) if part]
    if not parts:
        return None
    others = [visit.title for visit in visits if visit.url != start]
    shared = [part for part in parts if sum(part in other for other in others) > len(others) / 2]
    name = shared[0] if shared else parts[-1]
    return Guess(name[:200], "stands in the titles of pages", is_sure=False)
