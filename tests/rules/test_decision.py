"""decide(): the table of its rules, and what must hold whatever the table says."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consent_rules.categories import CHOOSABLE, SALE_OR_SHARING, Audience, Category, Regime
from consent_rules.decision import Decision, Reason, Visitor, decide, must_ask
from consent_rules.preferences import Preferences
from consent_rules.rules import Rules
from tests.rules.example_rules import TAG_STATES, VENDORS, page, rules, site, tag

ACCEPT_ALL = frozenset(CHOOSABLE)
TABLE = Path(__file__).with_name("decisions.txt")
CASES = [
    line
    for line in TABLE.read_text(encoding="utf-8").splitlines()
    if line and not line.startswith("#")
]


@pytest.mark.parametrize("case", CASES)
def test_table(case: str) -> None:
    columns = [cell.strip() for cell in case.split("|")]
    regime, audience, state, vendor, choice, exception, policy, gpc, expected = columns
    preferences = None
    if choice != "-":
        allowed = [] if choice == "nothing" else choice.split(",")
        preferences = Preferences(
            allowed=frozenset(Category(name) for name in allowed),
            policy_version="2" if policy == "same" else "1",
            vendors={} if exception == "-" else {vendor: exception == "yes"},
            under_gpc=gpc in {"both", "choice"},
        )
    www = site(tags=[] if state == "none" else [tag(vendor, state)])
    decision = decide(
        rules(www, Regime(regime)),
        page(www, Audience(audience)),
        Visitor(preferences, gpc=gpc in {"signal", "both"}),
    )
    answer = decision.answer(vendor)
    assert f"{'open' if answer.open else 'closed'} {answer.reason.name}" == expected
    assert (vendor in decision.open) is answer.open


def test_every_reason_stands_in_the_table() -> None:
    told = {case.rpartition(" ")[2] for case in CASES}
    # Unknown third parties have no vendor, and "load once" is no preference.
    assert told == {reason.name for reason in Reason} - {"UNKNOWN", "CHOSEN_ONCE"}


# --- Properties

categories = st.frozensets(st.sampled_from(CHOOSABLE))
preferences = st.builds(
    Preferences,
    allowed=categories,
    policy_version=st.sampled_from(["1", "2"]),
    vendors=st.dictionaries(st.sampled_from(sorted(VENDORS)), st.booleans(), max_size=4),
    under_gpc=st.booleans(),
)
visitors = st.builds(
    Visitor, preferences=st.none() | preferences, gpc=st.booleans(), region=st.just("")
)


@st.composite
def rule_sets(draw: st.DrawFn, audience: Audience | None = None) -> Rules:
    tags = [
        tag(vendor, state)
        for vendor in VENDORS
        for state in draw(st.lists(st.sampled_from(TAG_STATES), max_size=2))
        if state != "none"
    ]
    of = site(
        tags=tags,
        audience=audience or draw(st.sampled_from(Audience)),
        enforce=draw(st.booleans()),
    )
    return rules(of, draw(st.sampled_from(Regime)))


def decided(of: Rules, visitor: Visitor) -> Decision:
    return decide(of, page(of.sites[0]), visitor)


@given(rule_sets(Audience.PATIENT), visitors)
def test_nothing_acts_on_patient_pages_without_a_baa(of: Rules, visitor: Visitor) -> None:
    decision = decided(of, visitor)
    useful = {Category.NECESSARY, Category.FUNCTIONAL}
    signed = {t.vendor for t in of.sites[0].tags if t.baa and VENDORS[t.vendor].category in useful}
    assert decision.open <= signed - {"manager"}
    assert decision.enforce
    assert not decision.show_banner


@given(rule_sets(), visitors)
def test_session_replay_asks(of: Rules, visitor: Visitor) -> None:
    chosen = visitor.preferences
    said_yes = chosen is not None and (
        Category.SESSION_REPLAY in chosen.allowed or chosen.vendors.get("session_replay") is True
    )
    assert said_yes or "session_replay" not in decided(of, visitor).open


@given(rule_sets(), visitors)
def test_without_a_tag_closed(of: Rules, visitor: Visitor) -> None:
    approved = {t.vendor for t in of.sites[0].tags if t.names("/")}
    decision = decided(of, visitor)
    assert decision.open <= approved
    for vendor in set(VENDORS) - approved:
        assert not decision.answer(vendor).open
    assert not decision.answer(None).open


@given(rule_sets(), visitors)
def test_gpc_closes_what_is_sold_or_shared(of: Rules, visitor: Visitor) -> None:
    chosen = visitor.preferences
    later = chosen is not None and chosen.under_gpc and chosen.policy_version == "2"
    decision = decided(of, Visitor(chosen, gpc=True))
    if not later:
        assert not decision.open & {str(category) for category in SALE_OR_SHARING}
        assert not any(decision.categories[category] for category in SALE_OR_SHARING)


@given(rule_sets(), visitors)
def test_gpc_only_closes(of: Rules, visitor: Visitor) -> None:
    without = decided(of, Visitor(visitor.preferences, gpc=False))
    assert decided(of, Visitor(visitor.preferences, gpc=True)).open <= without.open


@given(rule_sets(Audience.MARKETING), preferences)
def test_a_refusal_survives_a_new_policy(of: Rules, chosen: Preferences) -> None:
    decision = decided(of, Visitor(chosen))
    for category in set(CHOOSABLE) - chosen.allowed:
        assert not decision.categories[category]
        held = chosen.vendors.get(category) is True and chosen.policy_version == "2"
        assert held or category not in decision.open
    refused = {vendor for vendor, yes in chosen.vendors.items() if not yes}
    assert not decision.open & (refused - {"necessary"})


@pytest.mark.slow
@given(rule_sets(), visitors, st.sampled_from(CHOOSABLE), st.sampled_from(sorted(VENDORS)))
def test_widening_a_choice_closes_nothing(
    of: Rules, visitor: Visitor, category: Category, vendor: str
) -> None:
    chosen = visitor.preferences or Preferences(frozenset(), "2")
    before = decided(of, Visitor(chosen, visitor.gpc)).open
    wider = Preferences(
        allowed=chosen.allowed | {category},
        policy_version=chosen.policy_version,
        vendors={**chosen.vendors, vendor: True},
        under_gpc=chosen.under_gpc,
    )
    # A yes under GPC may be none; so compare with the vendor's exception gone as well.
    after = decided(of, Visitor(wider, visitor.gpc)).open
    gone = before - after
    assert gone <= {vendor} & {str(c) for c in SALE_OR_SHARING}
    if not visitor.gpc:
        assert not gone


@given(rule_sets(), visitors)
def test_pure(of: Rules, visitor: Visitor) -> None:
    one, other = decided(of, visitor), decided(of, visitor)
    assert one == other
    assert one.open == frozenset(v for v, answer in one.answers.items() if answer.open)


@pytest.mark.slow
@given(rule_sets(), preferences, preferences, st.booleans())
def test_equal_keys_equal_decisions(
    of: Rules, one: Preferences, other: Preferences, gpc: bool
) -> None:
    same = decided(of, Visitor(one, gpc)) == decided(of, Visitor(other, gpc))
    assert same or one.key != other.key


# --- Single cases


def test_once_opens_one_vendor_and_no_patient_page() -> None:
    www = site(tags=[tag("analytics", "ok"), tag("social", "ok")])
    visitor = Visitor(once=frozenset({"social"}))
    marketing = decide(rules(www), page(www), visitor)
    assert marketing.open == {"social"}
    assert marketing.answer("social").reason is Reason.CHOSEN_ONCE
    assert not decide(rules(www), page(www, Audience.PATIENT), visitor).open


def test_unknown_third_parties() -> None:
    www = site(tags=[tag("analytics", "ok")])
    of, visitor = rules(www, Regime.OPT_OUT), Visitor(Preferences(ACCEPT_ALL, "2"))
    assert decide(of, page(www), visitor).answer(None).reason is Reason.UNKNOWN
    patient = decide(of, page(www, Audience.PATIENT), visitor)
    assert patient.answer(None).reason is Reason.PATIENT_PAGE
    assert patient.answer("nobody").reason is Reason.PATIENT_PAGE


def test_one_open_tag_of_two_is_enough() -> None:
    for states in (["expired", "ok"], ["ok", "expired"]):
        www = site(tags=[tag("analytics", state) for state in states])
        assert decide(rules(www, Regime.OPT_OUT), page(www), Visitor()).open == {"analytics"}


@pytest.mark.parametrize(
    ("chosen", "asks"),
    [
        (None, True),
        (Preferences(frozenset(), "2"), False),
        (Preferences(ACCEPT_ALL, "2"), False),
        (Preferences(ACCEPT_ALL, "1"), True),
        (Preferences(frozenset(), "1"), False),
        (Preferences(frozenset(), "1", vendors={"social": False}), False),
        (Preferences(frozenset(), "1", vendors={"social": True}), True),
    ],
)
def test_who_is_asked(chosen: Preferences | None, asks: bool) -> None:
    assert must_ask(chosen, "2") is asks
    www = site(tags=[tag("analytics", "ok")])
    assert decide(rules(www), page(www), Visitor(chosen)).show_banner is asks


def test_a_site_with_nothing_to_choose_does_not_ask() -> None:
    for tags in ([], [tag("necessary", "ok")]):
        www = site(tags=tags)
        assert not decide(rules(www), page(www), Visitor()).show_banner


def test_observe_closes_nothing_on_marketing_pages_only() -> None:
    www = site(enforce=False)
    assert not decide(rules(www), page(www), Visitor()).enforce
    assert decide(rules(www), page(www, Audience.PATIENT), Visitor()).enforce


@pytest.mark.parametrize("regime", list(Regime))
def test_a_choice_of_one_vendor_says_nothing_of_the_rest(regime: Regime) -> None:
    www = site(tags=[tag(c, "ok") for c in ("functional", "analytics", "advertising")])
    only = Preferences(frozenset(), "2", vendors={"functional": True}, only_vendors=True)
    unasked = decide(rules(www, regime), page(www), Visitor())
    chosen = decide(rules(www, regime), page(www), Visitor(only))
    assert chosen.open == unasked.open | {"functional"}
    assert chosen.answer("functional").reason is Reason.CHOSEN_VENDOR
    assert chosen.answer("analytics") == unasked.answer("analytics")
    assert chosen.show_banner
