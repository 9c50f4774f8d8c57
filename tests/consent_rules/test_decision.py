"""decide(): the table of its rules, and what must hold whatever the table says."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consent_rules.categories import CHOOSABLE, SALE_OR_SHARING, Audience, Category, Regime
from consent_rules.decision import Decision, Reason, Visitor, ask_again_from, decide, must_ask
from consent_rules.preferences import Preferences, strictest
from consent_rules.regions import Regions
from consent_rules.rules import Rules
from proxy.enforcement.decision_cache import decisions
from tests.support.example_rules import TAG_STATES, VENDORS, page, rules, site, tag

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
    if choice not in {"-", "unreadable"}:
        allowed = [] if choice == "nothing" else choice.split(",")
        preferences = Preferences(
            allowed=frozenset(Category(name) for name in allowed),
            policy_version="1" if policy == "old" else "2",
            lapsed=policy == "lapsed",
            vendors={} if exception == "-" else {vendor: exception == "yes"},
            under_gpc=gpc in {"both", "choice"},
        )
    www = site(tags=[] if state == "none" else [tag(vendor, state)])
    decision = decide(
        rules(www, Regime(regime)),
        page(www, Audience(audience)),
        Visitor(
            preferences,
            gpc=gpc in {"signal", "both"},
            unreadable_choice=choice == "unreadable",
        ),
    )
    answer = decision.for_vendor(vendor)
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
any_preferences = st.builds(
    Preferences,
    allowed=categories,
    policy_version=st.sampled_from(["1", "2"]),
    vendors=st.dictionaries(st.sampled_from(sorted(VENDORS)), st.booleans(), max_size=4),
    under_gpc=st.booleans(),
    only_vendors=st.booleans(),
    made_at=st.integers(0, 9),
    lapsed=st.booleans(),
    ask_again=st.booleans(),
)
any_visitors = st.builds(
    Visitor,
    preferences=st.none() | any_preferences,
    gpc=st.booleans(),
    region=st.just(""),
    once=st.frozensets(st.sampled_from(sorted(VENDORS)), max_size=1),
    ask_later=st.booleans(),
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
        assert not decision.for_vendor(vendor).open
    assert not decision.for_vendor(None).open


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
    assert one.open == frozenset(v for v, answer in one.by_vendor.items() if answer.open)


@pytest.mark.slow
@given(rule_sets(), preferences, preferences, st.booleans())
def test_equal_keys_equal_decisions(
    of: Rules, one: Preferences, other: Preferences, gpc: bool
) -> None:
    same = decided(of, Visitor(one, gpc)) == decided(of, Visitor(other, gpc))
    assert same or one.key != other.key


@given(rule_sets(), any_visitors)
def test_a_cookie_that_cannot_be_read_opens_no_more_than_a_refusal(
    of: Rules, visitor: Visitor
) -> None:
    unread = replace(visitor, preferences=None, once=frozenset(), unreadable_choice=True)
    refused = replace(visitor, preferences=Preferences(frozenset(), "2"), once=frozenset())
    decision = decided(of, unread)
    assert decision.open == decided(of, refused).open
    none = decided(of, replace(unread, unreadable_choice=False))
    assert decision.open <= none.open
    assert decision.show_banner is none.show_banner


@given(rule_sets(), any_visitors)
def test_what_lapsed_opens_no_more_than_it_did_and_than_no_choice(
    of: Rules, visitor: Visitor
) -> None:
    if visitor.preferences is None:
        return
    in_force = replace(visitor, preferences=replace(visitor.preferences, lapsed=False))
    lapsed = replace(visitor, preferences=replace(visitor.preferences, lapsed=True))
    none = replace(visitor, preferences=None)
    assert decided(of, lapsed).open <= decided(of, in_force).open
    assert decided(of, lapsed).open <= decided(of, none).open


@given(rule_sets(), any_visitors)
def test_a_bot_gets_no_banner_and_what_anybody_gets(of: Rules, visitor: Visitor) -> None:
    decision = decided(of, replace(visitor, bot=True))
    assert not decision.show_banner
    assert decision.open == decided(of, visitor).open


@given(rule_sets(), any_visitors)
def test_one_decision_does_not_stand_for_another(of: Rules, visitor: Visitor) -> None:
    """What is remembered of a decision is found by all that it depends on."""
    remembered = decisions(of)
    context = page(of.sites[0])
    for one in (
        visitor,
        replace(visitor, bot=True),
        replace(visitor, ask_later=not visitor.ask_later),
        replace(visitor, preferences=None, unreadable_choice=True),
        replace(visitor, preferences=None),
    ):
        assert remembered(context, one) == decide(of, context, one)


@given(rule_sets(), st.lists(any_preferences, min_size=1, max_size=4), st.booleans())
def test_of_several_choices_the_strictest_counts(
    of: Rules, choices: list[Preferences], gpc: bool
) -> None:
    strict = strictest(choices)
    assert strict == strictest(choices[::-1])
    opened = decided(of, Visitor(strict, gpc)).open
    for choice in choices:
        own = decided(of, Visitor(choice, gpc))
        refused = {v for v, answer in own.by_vendor.items() if answer.reason in REFUSED}
        assert opened.isdisjoint(refused)
    current = [c for c in choices if not c.lapsed and c.policy_version == "2"]
    if len(current) == len(choices) and not any(c.only_vendors for c in choices):
        every = [decided(of, Visitor(choice, gpc)).open for choice in choices]
        assert opened <= frozenset.intersection(*every)


REFUSED = {Reason.REFUSED_VENDOR, Reason.REFUSED_CATEGORY}

# --- Single cases


def test_of_no_choice_none_is_the_strictest() -> None:
    assert strictest([]) is None


@pytest.mark.parametrize(
    ("chosen", "region", "days", "soon"),
    [
        (Preferences(frozenset(), "2"), "US-CA", 0, True),
        (Preferences(frozenset(), "2"), "US-CA", 365, True),
        (Preferences(frozenset(), "2"), "US-CA", 366, False),
        (Preferences(frozenset(), "2"), "US", 300, True),  # it may be California
        (Preferences(frozenset(), "2"), "US-CO", 300, False),
        (Preferences(frozenset(), "2"), "DE", 300, False),
        (Preferences(frozenset({Category.ANALYTICS}), "2"), "US-CA", 300, True),
        # What was accepted is no opt-out, nor is what the site has no tool for.
        (Preferences(frozenset({Category.ADVERTISING}), "2"), "US-CA", 300, False),
        (Preferences(frozenset(), "2", only_vendors=True), "US-CA", 300, False),
        (None, "US-CA", 0, False),
    ],
)
def test_when_a_law_lets_us_ask_again(
    chosen: Preferences | None, region: str, days: int, soon: bool
) -> None:
    www = site(tags=[tag("analytics", "ok"), tag("advertising", "ok")])
    terms = Regions(Regime.OPT_OUT, {}).terms(region)
    assert (days * 86_400 < ask_again_from(www, chosen, terms)) is soon
    if chosen is not None:
        late = replace(chosen, lapsed=True, ask_again=True)
        visitor = Visitor(late, region=region, ask_later=soon)
        assert decide(rules(www), page(www), visitor).show_banner is not soon


def test_once_opens_one_vendor_and_no_patient_page() -> None:
    www = site(tags=[tag("analytics", "ok"), tag("social", "ok")])
    visitor = Visitor(once=frozenset({"social"}))
    marketing = decide(rules(www), page(www), visitor)
    assert marketing.open == {"social"}
    assert marketing.for_vendor("social").reason is Reason.CHOSEN_ONCE
    assert not decide(rules(www), page(www, Audience.PATIENT), visitor).open


def test_unknown_third_parties() -> None:
    www = site(tags=[tag("analytics", "ok")])
    of, visitor = rules(www, Regime.OPT_OUT), Visitor(Preferences(ACCEPT_ALL, "2"))
    assert decide(of, page(www), visitor).for_vendor(None).reason is Reason.UNKNOWN
    patient = decide(of, page(www, Audience.PATIENT), visitor)
    assert patient.for_vendor(None).reason is Reason.PATIENT_PAGE
    assert patient.for_vendor("nobody").reason is Reason.PATIENT_PAGE


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
        # Out of date: who allowed something is asked; who refused it all, once the days are over.
        (Preferences(ACCEPT_ALL, "2", lapsed=True), True),
        (Preferences(frozenset(), "2", lapsed=True), False),
        (Preferences(frozenset(), "2", lapsed=True, ask_again=True), True),
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
    assert chosen.for_vendor("functional").reason is Reason.CHOSEN_VENDOR
    assert chosen.for_vendor("analytics") == unasked.for_vendor("analytics")
    assert chosen.show_banner
