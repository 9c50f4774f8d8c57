"""The report in each format: whole, readable by others, and safe whatever the site holds."""

from __future__ import annotations

import json
import re
import xml.etree.ElementTree as ET
from dataclasses import replace
from html import unescape
from html.parser import HTMLParser
from pathlib import Path

import pytest

from consent_rules.audit.findings import Severity
from consent_rules.audit.inventory import InventoryRow, SeenBy
from consent_rules.audit.observations import Channel, PageVisit, SkipCause, SkippedState
from consent_rules.audit.report import AuditReport, changes_since, is_at_least
from consent_rules.audit.states import AuditState
from proxy.audit.html_report import (
    as_html,
    first_steps,
    matrix,
    receiver_summaries,
    span_words,
    verdict,
)
from proxy.audit.json_report import ReportError, as_json, read_report
from proxy.audit.machine_reports import as_junit, as_sarif
from tests.support.audits import catalogue_scope, report_of, request, visit

GA = "https://www.google-analytics.com/g/collect?v=2"
EVIL = "\"'><script>alert(1)</script>&amp;</svg>{{7*7}}\x00\x1b[31m\u202e]]>"


def sample(*, evil: str = "") -> AuditReport:
    visits = [
        visit(request(GA, Channel.BEACON, at=0.4), cookies={"_ga": "GA1.1.2.3"}, title="Home"),
        visit(
            request(GA, Channel.BEACON, state=AuditState.ACCEPTED, at=2.0),
            request(GA, at=0.5),
            state=AuditState.ACCEPTED,
            choices=(1.0,),
        ),
        visit(request(f"https://nobody.example/{evil}"), path="/patients/x", title=evil or "Pay"),
    ]
    if evil:
        visits.append(
            visit(
                request(f"https://t.example/?{evil}", initiator=evil, body=evil),
                path=f"/{evil}",
                title=evil,
                cookies={f"_ga_{evil}": evil, evil: "x"},
                storage={f"ajs_{evil}": evil},
                console_errors=(evil,),
                error=evil,
                typed=((evil, evil),),
            )
        )
    return report_of(catalogue_scope(), *visits, config=evil or "consent-proxy.toml")


class _Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}


def test_the_html_report_stands_for_itself() -> None:
    text = as_html(sample(), {})
    tags = _Tags()
    tags.feed(text)
    assert not tags.tags & {"script", "link", "iframe", "a", "form", "object", "base"}
    assert "src" not in tags.attributes
    assert "default-src 'none'" in text
    for part in (
        "Who got data, where, and what to do",
        "Google Analytics",
        "/patients/x",
        "2 years",
    ):
        assert part in text


def test_what_the_site_holds_is_text() -> None:
    harmless, hostile = _Tags(), _Tags()
    harmless.feed(as_html(sample(), {}))
    text = as_html(sample(evil=EVIL), {})
    hostile.feed(text)
    assert hostile.tags - harmless.tags <= {"figure", "ul", "li"}
    assert hostile.attributes == harmless.attributes
    assert "<script" not in text
    assert "{{7*7}}" in text
    assert not [c for c in "\x00\x1b\u202e" if c in text]


@pytest.mark.parametrize("evil", ["", EVIL])
def test_junit_is_xml_with_a_failed_case_for_each_page_with_findings(evil: str) -> None:
    root = ET.fromstring(as_junit(sample(evil=evil)))
    suites = {suite.get("name"): suite for suite in root}
    assert set(suites) == set(AuditState)
    failed = suites["no-choice"].findall("testcase[failure]")
    assert len(failed) == int(suites["no-choice"].get("failures", "0")) == (3 if evil else 2)
    assert not suites["rejected"].findall("testcase[failure]")


@pytest.mark.parametrize("evil", ["", EVIL])
def test_sarif_has_a_result_for_each_finding(evil: str) -> None:
    report = sample(evil=evil)
    (run,) = json.loads(as_sarif(report))["runs"]
    assert len(run["results"]) == len(report.findings)
    rules = [rule["id"] for rule in run["tool"]["driver"]["rules"]]
    for result in run["results"]:
        assert rules[result["ruleIndex"]] == result["ruleId"]
        assert result["level"] in {"error", "warning", "note"}
        assert result["locations"][0]["logicalLocations"]


@pytest.mark.parametrize("evil", ["", EVIL])
def test_json_is_read_back_as_it_was(tmp_path: Path, evil: str) -> None:
    report = sample(evil=evil)
    file = tmp_path / "report.json"
    file.write_text(as_json(report), encoding="utf-8")
    assert read_report(file) == report


@pytest.mark.parametrize("text", ["", "{}", '{"start": 1}'])
def test_no_report_is_told(tmp_path: Path, text: str) -> None:
    file = tmp_path / "x.json"
    file.write_text(text)
    with pytest.raises(ReportError, match="is no report"):
        read_report(file)


def test_what_changed() -> None:
    scope = catalogue_scope()
    earlier = report_of(scope, visit(request(GA)))
    now = report_of(
        scope, visit(request(GA), path="/other"), visit(request("https://nobody.example/x"))
    )
    changes = changes_since(earlier, now)
    assert [f.receiver for f in changes.new] == ["nobody.example"]
    assert changes.new_receivers == ("nobody.example",)
    assert (changes.gone, changes.gone_receivers) == ((), ())
    back = changes_since(now, earlier)
    assert [f.receiver for f in back.gone] == ["nobody.example"]
    assert "nobody.example" in as_html(now, {}, changes)


@pytest.mark.parametrize(
    ("cause", "sentence"),
    [
        (SkipCause.NOT_MADE, "Not audited: everything rejected (why so)."),
        (SkipCause.NO_BUTTON, "Not audited: everything rejected (why so)."),
        (
            SkipCause.NO_TOOL,
            "Visitors cannot refuse here: no button for a choice was seen. Not audited: "
            "everything rejected.",
        ),
        (
            SkipCause.NOT_OFFERED,
            "Not audited, because the site offers no such choice: everything rejected.",
        ),
    ],
)
def test_a_state_that_was_not_reached_is_not_taken_for_a_clean_one(
    cause: SkipCause, sentence: str
) -> None:
    skipped = (SkippedState(AuditState.REJECTED, "why so", cause),)
    text = as_html(replace(sample(), skipped=skipped), {})
    assert sentence in text
    assert "in 10 of 11 states" in text


def unopened() -> AuditReport:
    """Of a site that answers 403 in each state."""
    report = report_of(catalogue_scope(), visit(status=403))
    reached = tuple(
        SkippedState(state, "HTTP status 403", SkipCause.NOT_OPENED) for state in report.states
    )
    return replace(report, skipped=reached)


def test_a_site_that_did_not_open_is_not_taken_for_a_clean_one() -> None:
    text = as_html(unopened(), {})
    assert "The site could not be opened: HTTP status 403." in text
    assert "Nobody received data" not in text
    assert 'class="verdict fine"' not in text
    assert "No third party was sent a request" not in text

    suites = ET.fromstring(as_junit(unopened()))
    assert {suite.get("errors") for suite in suites} == {"1"}
    assert {e.get("message") for e in suites.iter("error")} == {"HTTP status 403"}


def test_junit_has_an_error_where_no_page_was_visited() -> None:
    skipped = (SkippedState(AuditState.ACCEPTED, "no button", SkipCause.NO_BUTTON),)
    report = replace(unopened(), states=(AuditState.ACCEPTED,), skipped=skipped, pages=())
    (suite,) = ET.fromstring(as_junit(report))
    assert (suite.get("tests"), suite.get("errors")) == ("1", "1")


def test_a_page_that_did_not_open_is_no_passed_case() -> None:
    report = report_of(catalogue_scope(), visit(status=200), visit(path="/a", status=404))
    suite = ET.fromstring(as_junit(report))[0]
    assert (suite.get("failures"), suite.get("skipped"), suite.get("errors")) == ("0", "1", "0")


X = "https://x.example/"
HINT = request("https://www.youtube.com/", Channel.HINT)
FRAME = request("https://www.youtube.com/embed/x", Channel.FRAME)


@pytest.mark.parametrize(
    ("visits", "sentences"),
    [
        pytest.param(
            [visit(request(GA), HINT, cookies={"_hjid": "x"})],
            [
                "Before any choice, 1 third party (Google Analytics) received data about visitors, "
                "on /.",
                "1 third party (Hotjar) left cookies or entries in the browser's storage without "
                "a basis.",
            ],
            id="a cookie and a hint are no data received",
        ),
        pytest.param(
            [visit(HINT, path="/patients/x"), visit(request(GA), path="/patients/x")],
            [
                "Before any choice, 1 third party (Google Analytics) received data about visitors, "
                "on /patients/x.",
                "On pages for patients (/patients/x), 1 third party (Google Analytics) learned of "
                "the visit.",
            ],
            id="a hint on a patient page",
        ),
        pytest.param(
            [
                visit(
                    request(GA, state=state), request(X, state=state), path=f"/{page}", state=state
                )
                for page in range(5)
                for state in (AuditState.NO_CHOICE, AuditState.WITHDRAWN)
            ],
            [
                "Before any choice, 2 third parties (Google Analytics and x.example) received data "
                "about visitors, on all 5 pages.",
                "After a refusal or a withdrawal, all of them still did.",
            ],
            id="the same everywhere",
        ),
        pytest.param(
            [visit(request(GA), path=f"/{page}") for page in range(4)] + [visit(path="/x")],
            [
                "Before any choice, 1 third party (Google Analytics) received data about visitors, "
                "on 4 of 5 pages.",
            ],
            id="on many pages",
        ),
        pytest.param(
            [visit(HINT)],
            [
                "No third party was seen to receive data about a visitor without a basis; 1 "
                "finding of low severity is below."
            ],
            id="only a hint",
        ),
        pytest.param(
            [
                visit(
                    request("https://x.example/", state=AuditState.ACCEPTED),
                    state=AuditState.ACCEPTED,
                )
            ],
            [
                "After the visitor allowed something, 1 third party (x.example) received data that "
                "this did not cover."
            ],
            id="accepted, but not approved",
        ),
        pytest.param(
            [
                visit(request(GA, state=AuditState.REJECTED), state=AuditState.REJECTED),
            ],
            ["After a refusal or a withdrawal, 1 third party (Google Analytics) received data."],
            id="rejected",
        ),
    ],
)
def test_the_first_sentences_claim_no_more_than_was_seen(
    visits: list[PageVisit], sentences: list[str]
) -> None:
    assert list(verdict(report_of(catalogue_scope(), *visits))) == sentences


def test_what_to_do_first_has_a_sentence_for_all_who_need_the_same() -> None:
    accepted = AuditState.ACCEPTED
    visits = [
        visit(request(GA), request("https://connect.facebook.net/en_US/fbevents.js"), request(X)),
        visit(request(GA), path="/patients/x"),
        visit(request("https://t.example/", state=accepted), state=accepted),
        visit(
            request("https://rs.fullstory.com/?v=jane@example.net", state=accepted),
            state=accepted,
            typed=(("mail address", "jane@example.net"),),
        ),
    ]
    report = report_of(catalogue_scope(), *visits)
    skipped = SkippedState(AuditState.REJECTED, "no button", SkipCause.NO_TOOL)
    steps = list(first_steps(replace(report, skipped=(skipped,))))
    assert steps == [
        "Ask visitors before anything is sent: no button to accept or to refuse was seen.",
        "Send nothing that visitors type to Fullstory.",
        "Take Google Analytics off the pages for patients.",
        "Hold Google Analytics and Meta Pixel back until the visitor allows them.",
        "Find out who runs x.example and t.example, and take them off until you know.",
    ]
    assert list(first_steps(report_of(catalogue_scope(), visit(HINT)))) == []
    (early,) = report_of(catalogue_scope(), visit(request(GA))).findings
    late = replace(report, findings=(replace(early, state=accepted),))
    assert list(first_steps(late)) == ["Decide about Google Analytics: approve it, or take it off."]


def test_who_only_left_a_cookie_has_its_category() -> None:
    (row,) = receiver_summaries(report_of(catalogue_scope(), visit(cookies={"_hjid": "x"})))
    assert (row.name, row.category) == ("Hotjar", "session replay")


def test_the_worst_come_first_and_of_them_those_with_the_most_findings() -> None:
    visits = [
        visit(request("https://a.example/")),
        visit(request("https://b.example/"), request(GA), path="/patients/x"),
        visit(
            request(GA, state=AuditState.GPC), state=AuditState.GPC, cookies={"_ga": "GA1.1.2.3"}
        ),
    ]
    rows = receiver_summaries(report_of(catalogue_scope(), *visits))
    assert [row.name for row in rows] == ["Google Analytics", "b.example", "a.example"]


def test_the_same_finding_in_many_states_is_told_once() -> None:
    visits = [
        visit(request(GA, state=state), state=state)
        for state in (AuditState.NO_CHOICE, AuditState.GPC, AuditState.NO_SCRIPT)
    ]
    report = report_of(catalogue_scope(), *visits)
    assert len(report.findings) == 3
    text = as_html(report, {})
    assert text.count('<article class="finding') == 1
    assert (
        "<dt>When</dt><dd>no choice yet; no choice, opt-out signal (GPC) on; "
        "no choice, JavaScript off, marketing pages</dd>"
    ) in text


def test_the_report_says_how_each_name_is_known() -> None:
    hosts = (GA, "https://static01.nyt.com/a.js", "https://d1.cloudfront.net/a.js",
             "https://example-cdn.net/a.js", "https://nobody.example/a.js")  # fmt: skip
    text = as_html(report_of(catalogue_scope(), visit(*map(request, hosts))), {})
    for words in (
        "1 host by the catalogue of vendors and the config",
        "1 host by the list of companies&#39; domains",
        "1 host as a host of anybody&#39;s files",
        "1 host as likely the site&#39;s own, which is a guess from its name",
        "1 host not at all: nobody.example",
    ):
        assert f"<li>{words}</li>" in text


def test_the_matrix_has_the_states_that_were_reached() -> None:
    skipped = tuple(
        SkippedState(state, "no button", SkipCause.NO_BUTTON)
        for state in AuditState
        if state.allowed is not None and state is not AuditState.ACCEPTED
    )
    report = replace(sample(), skipped=skipped)
    (_, _, cells), *_ = matrix(report)
    assert len(cells) == len(report.reached) == 4
    text = as_html(report, {})
    assert text.count("<th>") - text.count("<tr><th>") >= 4
    assert "<th>everything rejected" not in text
    assert "Not reached, so not in the table: everything rejected; only functional" in text


def test_the_first_page_explains_severities_and_has_the_time_in_words() -> None:
    text = as_html(sample(), {})
    assert "29 November 2026, 20:00 UTC" in text
    assert "T20:00:00" not in text
    for severity in Severity:
        assert severity.words in unescape(text)


def test_a_report_without_findings_says_so() -> None:
    text = as_html(report_of(catalogue_scope(), visit()), {})
    assert "Nobody received data about a visitor" in text


def test_severity_decides() -> None:
    findings = report_of(catalogue_scope(), visit(request(GA))).findings
    assert is_at_least(findings, Severity.HIGH)
    assert not is_at_least(findings, Severity.CRITICAL)


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (None, "session"), (0, "session"), (1800, "30 minutes"), (86_400, "1 day"),
        (34_560_000, "1.1 years"), (63_072_000, "2 years"), (5, "5 seconds"),
    ],
)  # fmt: skip
def test_lifetimes_in_words(seconds: float | None, words: str) -> None:
    assert span_words(seconds) == words


def test_what_changed_in_many_states_is_told_once() -> None:
    states = (AuditState.NO_CHOICE, AuditState.GPC)
    visits = [visit(request(GA, state=state), state=state) for state in states]
    earlier = report_of(catalogue_scope(), visit())
    now = report_of(catalogue_scope(), *visits)
    text = unescape(as_html(now, {}, changes_since(earlier, now)))
    changed = text.partition("What changed since")[2].partition("<h2>")[0]
    assert changed.count("A request to a third party that may not act here") == 1
    assert "New findings (2)" in changed
    for state in states:
        assert state.words in changed


def test_it_is_readable_in_the_dark_and_on_paper() -> None:
    """Colours are those of the reader's scheme; on paper there is no dark."""
    style = as_html(sample(), {}).partition("<style>")[2].partition("</style>")[0]
    assert "color-scheme:light dark" in style
    assert "@media screen and (prefers-color-scheme:dark)" in style
    rules = style.partition("*{box-sizing")[2]
    assert not re.findall(r"#[0-9a-f]{3,6}\b", rules), "colours are variables"


def test_who_is_in_every_state_has_one_word_for_them() -> None:
    states = tuple(AuditState)[:5]
    visits = [visit(request(X, state=state), state=state) for state in states]
    report = replace(report_of(catalogue_scope(), *visits), states=states)
    assert [row.when for row in receiver_summaries(report)] == ["in every state that was audited"]
    more = replace(report, states=tuple(AuditState))
    assert receiver_summaries(more)[0].when.count(";") == 4


def test_the_inventory_is_in_the_report_as_text() -> None:
    rows = (InventoryRow("", EVIL, (SeenBy.REPORTS,), (f"/{EVIL}",), "2026-11-01", EVIL),)
    report = replace(sample(), inventory=rows)
    text = as_html(report, {})
    assert "visitors' browsers" in unescape(text)
    assert "2026-11-01" in text
    assert "<script" not in text
    assert not [c for c in "\x00\x1b\u202e" if c in text]
    assert "Every third party, whoever saw it" not in as_html(sample(), {})


def test_the_inventory_is_in_json_and_back(tmp_path: Path) -> None:
    rows = (InventoryRow("hotjar", "Hotjar", (SeenBy.PAGES,), ("/",), "2026-11-01", "2026-11-02"),)
    report = replace(sample(), inventory=rows)
    file = tmp_path / "r.json"
    file.write_text(as_json(report))
    assert read_report(file) == report
