"""What is a finding, in which state, and how it is named."""

from __future__ import annotations

import hashlib

import pytest

from consent_rules.audit.findings import AuditFinding, Rule, Severity
from consent_rules.audit.judge import judge
from consent_rules.audit.observations import Channel, ObservedCookie, PageVisit
from consent_rules.audit.states import AuditState
from tests.support.audits import catalogue_scope, request, visit

GA = "https://www.google-analytics.com/g/collect?v=2&tid=G-ABC1234&en=page_view"
PIXEL = "https://www.facebook.com/tr?id=410000000000041&ev=PageView"
MAIL = "jane.0badcafe@consent-audit.example"
TYPED = (("mail address", MAIL),)
HASHED = hashlib.sha256(MAIL.encode()).hexdigest()
SCOPE = catalogue_scope()


def found(*visits: PageVisit) -> list[tuple[str, str]]:
    return [(str(one.rule), one.vendor or one.receiver) for one in judge(visits, SCOPE)]


def only(*visits: PageVisit) -> AuditFinding:
    (one,) = judge(visits, SCOPE)
    return one


OPEN_FOR_ANALYTICS = {AuditState.ONLY_ANALYTICS, AuditState.ACCEPTED}


@pytest.mark.parametrize("state", AuditState)
def test_a_vendor_is_a_finding_unless_its_category_is_allowed(state: AuditState) -> None:
    expected = [] if state in OPEN_FOR_ANALYTICS else [("contact", "google-analytics")]
    assert found(visit(request(GA, state=state), state=state)) == expected


@pytest.mark.parametrize("state", AuditState)
def test_a_host_that_nobody_knows_is_always_one(state: AuditState) -> None:
    one = only(visit(request("https://nobody-knows.example/x", state=state), state=state))
    assert (one.rule, one.vendor, one.receiver) == ("contact", "", "nobody-knows.example")
    accepted = bool(state.allowed)
    assert one.severity is (Severity.MEDIUM if accepted else Severity.HIGH)


@pytest.mark.parametrize("state", AuditState)
def test_on_a_patient_page_everyone_is_one_whatever_was_chosen(state: AuditState) -> None:
    one = only(visit(request(GA, state=state), state=state, path="/patients/x"))
    assert one.severity is Severity.CRITICAL
    assert one.audience == "patient"


@pytest.mark.parametrize(
    "one",
    [
        request("https://www.example.com/app.js"),
        request("https://cdn.example.com/app.js"),
        request("data:image/gif;base64,R0lGOD"),
        request("blob:https://www.example.com/1"),
        request(GA, state=None),
        request(GA, blocked="csp"),
        request("https://js.stripe.com/v3/", Channel.SCRIPT, document="https://js.stripe.com/v3/"),
    ],
    ids=lambda one: f"{one.url[:40]} {one.state} {one.blocked}",
)
def test_what_is_no_contact(one: object) -> None:
    assert found(visit(one)) in ([], [("contact", "stripe")])  # type: ignore[arg-type]


def test_a_hint_is_less_than_a_request_and_goes_with_one() -> None:
    hint = request("https://www.google-analytics.com/", Channel.HINT)
    assert only(visit(hint)).severity is Severity.LOW
    assert only(visit(hint, request(GA))).channels == (Channel.FETCH,)


def test_each_request_is_judged_by_the_state_in_which_it_was_sent() -> None:
    before = request(GA, at=0.2)
    after = request(GA, state=AuditState.ACCEPTED, at=3.0)
    one = only(visit(before, after, state=AuditState.ACCEPTED, choices=(1.0,)))
    assert one.state is AuditState.NO_CHOICE


# --- Disguises


@pytest.mark.parametrize(
    ("url", "rule", "vendor"),
    [
        (
            "https://www.example.com/g/collect?v=2&tid=G-ABC123&en=x",
            Rule.OWN_PATH,
            "google-analytics",
        ),
        ("https://www.example.com/m?v=2&tid=G-ABC123&en=x", Rule.OWN_PATH, "google-analytics"),
        ("https://sgtm.example.net/?v=2&tid=G-ABC123&en=x", Rule.CONTACT, "google-analytics"),
        ("https://metrics.example.com/b/ss", Rule.DISGUISED_HOST, "adobe-analytics"),
    ],
)
def test_a_vendor_in_disguise_is_named(url: str, rule: Rule, vendor: str) -> None:
    from dataclasses import replace

    scope = replace(SCOPE, aliases={"metrics.example.com": ("example.sc.omtrdc.net",)})
    (one,) = judge([visit(request(url))], scope)
    assert (one.rule, one.vendor) == (rule, vendor)


# --- Data


@pytest.mark.parametrize(
    ("sent", "subject"),
    [
        ({"url": f"{PIXEL}&ud[em]={HASHED}"}, "mail address (SHA-256)"),
        ({"url": f"{PIXEL}&em={MAIL}"}, "mail address"),
        ({"url": PIXEL, "body": f'{{"f":"{MAIL}"}}'}, "mail address"),
        ({"url": PIXEL, "headers": (("x-user", MAIL),)}, "mail address"),
    ],
)
def test_what_was_typed_is_found_though_the_vendor_is_allowed(
    sent: dict[str, object], subject: str
) -> None:
    one_request = request(state=AuditState.ACCEPTED, **sent)  # type: ignore[arg-type]
    one = only(visit(one_request, state=AuditState.ACCEPTED, typed=TYPED))
    assert (one.rule, one.severity, one.subjects) == (
        Rule.FORM_DATA,
        Severity.CRITICAL,
        (subject,),
    )


def test_what_was_typed_is_found_when_another_page_sends_it() -> None:
    sends = request(f"{PIXEL}&em={MAIL}", state=AuditState.ACCEPTED)
    typed = visit(path="/form", state=AuditState.ACCEPTED, typed=TYPED)
    (one,) = judge([visit(sends, path="/later", state=AuditState.ACCEPTED), typed], SCOPE)
    assert (one.rule, one.pages) == (Rule.FORM_DATA, ("https://www.example.com/later",))


def test_typed_values_may_go_to_the_site_itself_but_not_hashed() -> None:
    plain = request("https://www.example.com/suggest", body=f"q={MAIL}")
    hashed = request("https://www.example.com/collect", body=f"em={HASHED}")
    assert found(visit(plain, typed=TYPED)) == []
    assert found(visit(hashed, typed=TYPED)) == [("form-data", "www.example.com")]


def test_a_patient_pages_address_and_title_are_named() -> None:
    tells = request(
        f"{GA}&dl=https%3A%2F%2Fwww.example.com%2Fpatients%2Foncology&dt=Oncology+visit"
    )
    by_rule = {
        one.rule: one
        for one in judge([visit(tells, path="/patients/oncology", title="Oncology visit")], SCOPE)
    }
    assert by_rule.keys() == {Rule.CONTACT, Rule.PAGE_DATA}
    assert by_rule[Rule.PAGE_DATA].subjects == ("page's address", "page's title")


def test_the_referrer_of_a_patient_page() -> None:
    address = "https://www.example.com/patients/oncology"
    one = request(GA, headers=(("referer", address),))
    subjects = {
        name
        for finding in judge([visit(one, path="/patients/oncology")], SCOPE)
        for name in finding.subjects
    }
    assert subjects == {"page's address, as the referrer"}
    bare = request(GA, headers=(("referer", "https://www.example.com/"),))
    assert found(visit(bare, path="/patients/oncology")) == [("contact", "google-analytics")]


@pytest.mark.parametrize(
    ("query", "named"),
    [("q=chest+pain", True), ("utm_source=newsletter", False), ("page=2", False)],
)
def test_what_a_query_holds(query: str, named: bool) -> None:
    one = request(
        f"{GA}&dl=https://www.example.com/search?{query.replace('=', '%3D')}",
        state=AuditState.ACCEPTED,
    )
    there = visit(one, path=f"/search?{query}", state=AuditState.ACCEPTED)
    assert found(there) == ([("query-data", "google-analytics")] if named else [])


# --- Cookies and storage


@pytest.mark.parametrize(
    ("cookies", "storage", "expected"),
    [
        ({"_ga": "GA1.1.1.2"}, {}, [("cookie", "google-analytics")]),
        ({}, {"ajs_anonymous_id": "x"}, [("storage", "segment")]),
        ({"session": "abcdefgh12345678"}, {"cart": "1"}, []),
    ],
)
def test_what_vendors_leave_behind(
    cookies: dict[str, str], storage: dict[str, str], expected: list[tuple[str, str]]
) -> None:
    assert found(visit(cookies=cookies, storage=storage)) == expected


def test_a_set_cookie_field_of_any_host_counts() -> None:
    one = request(
        "https://px.ads.linkedin.com/collect/",
        Channel.IMAGE,
        set_cookies=("li_sugr=abc; Domain=.linkedin.com; Max-Age=7776000",),
    )
    assert ("cookie", "linkedin-insight") in found(visit(one))


def test_an_identifier_that_goes_by_the_sites_own_server() -> None:
    cookies = {"_ga": "GA1.1.123456789.1700000000", "session": "123456789abc"}
    sent = request("https://www.example.com/api/event", body='{"c":"123456789.1700000000"}')
    assert ("stored-id", "google-analytics") in found(visit(sent, cookies=cookies))
    own = request("https://www.example.com/api/event", body='{"s":"123456789abc"}')
    assert ("stored-id", "google-analytics") not in found(visit(own, cookies=cookies))
    longer = request("https://www.example.com/api/event", body="id=9123456789.17000000001")
    assert ("stored-id", "google-analytics") not in found(visit(longer, cookies=cookies))


def test_a_lifetime_beyond_the_declared_one() -> None:
    def one(days: float) -> list[tuple[str, str]]:
        jar = (ObservedCookie("_fbp", "fb.1.1.1", "www.example.com", days * 86_400),)
        there = PageVisit("https://www.example.com/", AuditState.ACCEPTED, cookies=jar)
        return found(there)

    assert one(90) == []
    assert one(365) == [("lifetime", "meta-pixel")]


def test_what_an_open_frame_does_is_its_own() -> None:
    frame = request("https://www.youtube.com/embed/abc", Channel.FRAME, AuditState.ACCEPTED)
    inside = request(
        "https://nobody-knows.example/x",
        Channel.FETCH,
        AuditState.ACCEPTED,
        document="https://www.youtube.com/embed/abc",
    )
    assert found(visit(frame, inside, state=AuditState.ACCEPTED)) == []
