"""A first config's draft: vendors, hosts of the site's own and pages for patients, with reasons."""

from __future__ import annotations

from dataclasses import replace

import pytest

from consent_rules.audit.draft import SiteDraft, draft_site
from consent_rules.audit.observations import Channel, PageVisit
from consent_rules.audit.scope import AuditScope
from tests.support.audits import START, catalogue_scope, request, visit

GA = "https://www.google-analytics.com/g/collect?v=2"
NYT = "The New York Times"


def drafted(*visits: PageVisit, scope: AuditScope | None = None) -> SiteDraft:
    return draft_site(START, visits, scope or catalogue_scope())


def test_vendors_and_strangers() -> None:
    draft = drafted(
        visit(request(GA), request("https://static01.nyt.com/x.js")),
        visit(request(GA), request("https://nobody.example/x.js"), path="/patients/a"),
        visit(request(GA), path="/broken", status=500),
        visit(request(GA, blocked="csp"), path="/blocked"),
    )
    (vendor,) = draft.vendors
    assert (vendor.id, vendor.pages, vendor.on_patient_pages) == (
        "google-analytics", ("/", "/patients/a"), True,
    )  # fmt: skip
    assert [(one.host, one.owner, one.name, one.pages) for one in draft.hosts] == [
        ("static01.nyt.com", f"{NYT}, by its domain", NYT, ("/",)),
        ("nobody.example", "", "", ("/patients/a",)),
    ]
    assert draft.pages == 3


@pytest.mark.parametrize(
    ("url", "host", "is_sure", "reason"),
    [
        ("https://img.example.com/a.png", "img.example.com", True, "of the same domain"),
        ("https://metrics.example.com/a", "metrics.example.com", False, "a tracker may be behind"),
        ("https://sgtm2.example.com/a", "sgtm2.example.com", False, "a tracker may be behind"),
        ("https://example.org/a", "example.org", False, "the same name under another ending"),
        ("https://cdn.example-static.com/a", "cdn.example-static.com", False, "a word for files"),
    ],
)
def test_hosts_of_the_sites_own(url: str, host: str, is_sure: bool, reason: str) -> None:
    draft = drafted(visit(request(url), request(START)))
    (guess,) = draft.first_party
    assert (guess.value, guess.is_sure) == (host, is_sure)
    assert reason in guess.reason
    assert draft.hosts == ()


def test_a_vendor_behind_a_name_of_the_site_is_no_first_party() -> None:
    scope = replace(catalogue_scope(), aliases={"m.example.com": ("clinic.d3.sc.omtrdc.net",)})
    draft = drafted(visit(request("https://m.example.com/s.js", Channel.SCRIPT)), scope=scope)
    assert draft.first_party == ()
    (vendor,) = draft.vendors
    assert (vendor.id, "clinic.d3.sc.omtrdc.net" in vendor.mask) == ("adobe-analytics", True)


@pytest.mark.parametrize(
    ("path", "title", "pattern", "is_sure", "reason"),
    [
        ("/patients/oncology", "", "/patients/*", True, '"patients" in its address'),
        ("/de/my-account/bills", "", "/de/my-account/*", True, "is an account"),
        ("/book/appointment-new", "", "/book/appointment-new/*", True, "appointments"),
        ("/pay-bill.html", "", "/pay-bill.html*", True, "payments"),
        ("/Patient-Portal", "", "/Patient-Portal/*", True, '"patient" in its address'),
        ("/symptom_checker/", "", "/symptom_checker/*", True, "health"),
        ("/care/conditions/hiv", "", "/care/conditions/*", False, "suffers from"),
        ("/x/17", "Patient portal | Clinic", "/x/17/*", False, "in its title"),
    ],
)
def test_pages_that_look_like_those_for_patients(
    path: str, title: str, pattern: str, is_sure: bool, reason: str
) -> None:
    (guess,) = drafted(visit(path=path, title=title)).patient_pages
    assert (guess.value, guess.is_sure) == (pattern, is_sure)
    assert reason in guess.reason
    assert guess.reason.startswith(path)


@pytest.mark.parametrize(
    "path",
    ["/", "/impatient", "/portals", "/blog/reading-a-denial", "/patience", "/disappointment"],
)
def test_pages_that_do_not(path: str) -> None:
    assert (
        drafted(visit(path=path, title="Patient stories" if path == "/" else "")).patient_pages
        == ()
    )


def test_links_are_looked_at_too_and_alike_are_one_guess() -> None:
    links = ("/patients/a", "/patients/b", "https://other.example/patients/c", "mailto:x@y.example")
    here = tuple(START.rstrip("/") + link if link.startswith("/") else link for link in links)
    (guess,) = drafted(visit(links=here)).patient_pages
    assert guess.reason.startswith("/patients/a and 1 more is for patients")


def test_name_and_policy() -> None:
    first = visit(
        title="Home | Lakeside Clinic",
        links=(
            f"{START}legal/privacy-policy-2019", f"{START}privacy-choices", f"{START}privacy",
            "https://other.example/privacy",
        ),
    )  # fmt: skip
    draft = drafted(first, visit(path="/a", title="Care | Lakeside Clinic"))
    assert draft.controller is not None
    assert draft.policy_url is not None
    assert (draft.controller.value, draft.policy_url.value) == ("Lakeside Clinic", "/privacy")
    assert drafted(visit()).controller is None
    assert drafted(visit()).policy_url is None
