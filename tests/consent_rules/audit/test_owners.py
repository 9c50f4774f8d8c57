"""Whose a host is that no vendor has: the site's own by its name, anybody's, or a company's."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consent_rules.audit.owners import HostOwner, Ownership, owner_of_host
from consent_rules.catalogue.owners import companies, hosting_domains
from tests.support.audits import catalogue_scope, report_of, request, visit

NYT = "of The New York Times, as nytimes.com is"


@pytest.mark.parametrize(
    ("host", "site", "how", "words"),
    [
        ("static01.nyt.com", "*.nytimes.com", Ownership.LIKELY_OWN, NYT),
        ("www.clinic-lake.org", "*.clinic-lake.com", Ownership.LIKELY_OWN, "another ending"),
        ("img.ehowcdn.com", "*.ehow.com", Ownership.LIKELY_OWN, "of Leaf Group (eHow)"),
        ("a.lakesidecdn.com", "*.lakeside.com", Ownership.LIKELY_OWN, '"lakeside" with a word'),
        ("static-lakeside.net", "*.lakeside.com", Ownership.LIKELY_OWN, '"lakeside" with a word'),
        ("lakesidegroup.net", "*.lakeside.com", Ownership.LIKELY_OWN, '"lakeside" stands in both'),
        (
            "thelakeside.com",
            "*.lakesidenews.com",
            Ownership.LIKELY_OWN,
            '"lakeside" stands in both',
        ),
        ("lake-side.org", "*.lakeside.com", Ownership.LIKELY_OWN, '"lakeside" stands in both'),
        ("lakeside.s3.amazonaws.com", "*.lakeside.com", Ownership.LIKELY_OWN, "at amazonaws.com"),
        ("a-lakeside-b.akamaized.net", "*.lakeside.com", Ownership.LIKELY_OWN, "at akamaized.net"),
        ("lakeside.nitrocdn.com", "*.lakeside.com", Ownership.LIKELY_OWN, "at nitrocdn.com"),
        ("lakeside.trackonomics.net", "*.lakeside.com", Ownership.COMPANY, "Trackonomics"),
        ("d2r55xnwy6nx47.cloudfront.net", "*.lakeside.com", Ownership.SHARED, "Amazon CloudFront"),
        ("cdn.jsdelivr.net", "*.lakeside.com", Ownership.SHARED, "jsDelivr, where anybody's"),
        ("static01.nyt.com", "*.lakeside.com", Ownership.COMPANY, "The New York Times"),
        ("bc.marfeelcache.com", "*.lakeside.com", Ownership.LIKELY_COMPANY, "likely Marfeel, as"),
        ("x.edge-generalmills.com", "*.lakeside.com", Ownership.LIKELY_COMPANY, "General Mills"),
        # of a vendor's domain, where the catalogue has paths or other hosts only
        ("www.googletagmanager.com", "*.lakeside.com", Ownership.COMPANY, "Google"),
        ("i.cdn.turner.com", "*.lakeside.com", Ownership.COMPANY, "Warner Bros. Discovery"),
    ],
)
def test_the_owner(host: str, site: str, how: Ownership, words: str) -> None:
    owner = owner_of_host(host, (site,))
    assert owner is not None
    assert owner.how is how
    assert words in owner.words


@pytest.mark.parametrize(
    ("host", "site"),
    [
        ("collector.partner.example", "*.lakeside.com"),
        ("lakesidetracker.com", "*.lakeside.com"),  # the rest is no word for files
        ("lakeside.tracker.example", "*.lakeside.com"),  # no host of anybody's files
        ("t.com", "*.t.example"),  # too short a name
        ("xmayocdn.com", "*.mayo.com"),
        ("nytimestracker.com", "*.lakeside.com"),  # a company's name with another word
        ("healthgroup.com", "*.healthcdn.com"),  # what is left is too short
        ("newsnetwork.com", "*.newsgroup.com"),  # nothing but such words
        ("127.0.0.2", "127.0.0.1"),
        ("localhost", "127.0.0.1"),
        ("cdn.com", "*.cdn.com.example"),
    ],
)
def test_a_host_that_nobody_knows(host: str, site: str) -> None:
    assert owner_of_host(host, (site,)) is None


def test_hosting_of_files_is_of_known_companies() -> None:
    assert hosting_domains() <= companies().keys()
    assert "akamaized.net" in hosting_domains()


def test_the_companies_are_well_formed() -> None:
    label = r"[a-z0-9](?:[a-z0-9-]*[a-z0-9])?"
    host = re.compile(rf"(?:{label}\.)+{label}")
    wrong = [domain for domain in companies() if not host.fullmatch(domain)]
    assert wrong == []
    assert not [name for name in companies().values() if name != name.strip() or not name]


@given(st.text(max_size=40), st.text(max_size=40))
def test_any_host_has_an_answer(host: str, site: str) -> None:
    found = owner_of_host(host, (site,))
    assert found is None or isinstance(found, HostOwner)


def test_the_report_says_whose_a_host_is_and_judges_it_the_same() -> None:
    hosts = ("https://static01.nyt.com/a.js", "https://nobody.example/a.js")
    report = report_of(catalogue_scope(), visit(*map(request, hosts)))
    owners = {row.name: (row.id, row.owner, row.ownership) for row in report.receivers}
    assert owners == {
        "static01.nyt.com": ("", "The New York Times, by its domain", Ownership.COMPANY),
        "nobody.example": ("", "", None),
    }
    assert len({(one.rule, one.severity) for one in report.findings}) == 1
