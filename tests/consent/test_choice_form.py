"""The form: what it asks for, and where it leads back to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from urllib.parse import urljoin, urlsplit

import ada_url
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from multidict import MultiDict

from consent_rules.categories import CHOOSABLE, Category
from proxy.banner.return_path import LIMIT, preferences_url, safe_return_to
from proxy.consent.choice_form import Action, Choice, ChoiceError, ChoiceSurface, parse_choice

A, F, S = Category.ANALYTICS, Category.FUNCTIONAL, Category.SOCIAL
VENDORS = {"ga": A, "matomo": A, "youtube": F, "host": Category.NECESSARY}

RETURN_TO = [
    (None, "/"),
    ("", "/"),
    ("/", "/"),
    ("/a/b", "/a/b"),
    ("/a?b=1&c=2#d", "/a?b=1&c=2#d"),
    ("/a?u=https://b.example//c", "/a?u=https://b.example//c"),
    ("/a#//b", "/a#//b"),
    ("/a%2Fb%5C", "/a%2Fb%5C"),
    ("/día?q=ñ", "/d%C3%ADa?q=%C3%B1"),
    ("/a b", "/a%20b"),
    ('/a"><b>', "/a%22%3E%3Cb%3E"),
    ("a", "/"),
    ("//evil.example", "/"),
    ("///evil.example", "/"),
    ("/\\evil.example", "/"),
    ("\\\\evil.example", "/"),
    ("/a//b", "/"),
    ("/a?b=\\c", "/"),
    ("/\t/evil.example", "/"),
    ("/\n/evil.example", "/"),
    ("/a\r\nSet-Cookie: x=1", "/"),
    ("/a\x00", "/"),
    ("/a\x7f", "/"),
    ("/a\x85b", "/"),
    (" /a", "/"),
    ("https://evil.example/", "/"),
    ("https:/evil", "/"),
    ("javascript:alert(1)", "/"),
    ("?a=1", "/"),
    ("#a", "/"),
    ("/\ud800", "/"),
    ("/" + "a" * LIMIT, "/"),
]


@pytest.mark.parametrize(("given_path", "safe"), RETURN_TO)
def test_return_path_is_of_this_site(given_path: str | None, safe: str) -> None:
    assert safe_return_to(given_path) == safe


@given(
    st.one_of(
        st.text(),
        st.text(alphabet="/\\.:@?#%&=\t\r\n ae2f5C\u3002\uff0f", max_size=20).map("/".__add__),
    )
)
@example("/.//evil.example")
@example("/%09/evil.example")
@example("/@evil.example")
@example("/:80")
def test_no_return_path_leads_away(text: str) -> None:
    safe = safe_return_to(text)
    assert safe.isascii() and safe.isprintable() and " " not in safe
    assert safe.startswith("/") and not safe.startswith("//")
    base = "https://site.example/x/y"
    assert ada_url.URL(safe, base=base).host == "site.example"
    assert urlsplit(urljoin(base, safe)).netloc == "site.example"
    assert safe_return_to(safe) == safe


def test_preferences_address_carries_the_path() -> None:
    assert preferences_url("/.consent") == "/.consent/preferences"
    assert (
        preferences_url("/.consent", "/a?b=1&c=2", saved=True)
        == "/.consent/preferences?return_to=%2Fa%3Fb%3D1%26c%3D2&saved=1"
    )


Form = Mapping[str, str | Sequence[str]]

CHOICES: list[tuple[Form, Choice]] = [
    ({"action": "accept_all"}, Choice(Action.ACCEPT_ALL, frozenset(CHOOSABLE))),
    ({"action": "reject_all"}, Choice(Action.REJECT_ALL)),
    # What is ticked says nothing once a whole answer was pressed.
    (
        {"action": "reject_all", "category": ["analytics"], "vendor": ["ga"]},
        Choice(Action.REJECT_ALL),
    ),
    ({"action": "save"}, Choice(Action.SAVE)),
    ({"action": "save", "category": "analytics"}, Choice(Action.SAVE, frozenset({A}))),
    (
        {"action": "save", "category": ["analytics", "social", "analytics", "necessary"]},
        Choice(Action.SAVE, frozenset({A, S})),
    ),
    (
        {"action": "save", "category": ["analytics"], "vendor": ["youtube"], "vendor_off": ["ga"]},
        Choice(Action.SAVE, frozenset({A}), {"youtube": True, "ga": False}),
    ),
    # An exception that agrees with its category is none.
    (
        {"action": "save", "category": ["analytics"], "vendor": ["ga"], "vendor_off": ["youtube"]},
        Choice(Action.SAVE, frozenset({A})),
    ),
    # Both boxes ticked: the one against the category is the one that was shown.
    (
        {"action": "save", "vendor": ["ga"], "vendor_off": ["ga"]},
        Choice(Action.SAVE, frozenset(), {"ga": True}),
    ),
    ({"action": "save", "vendor": ["host"], "vendor_off": ["host"]}, Choice(Action.SAVE)),
    (
        {"action": "vendor:youtube", "category": ["analytics"], "return_to": "/v"},
        Choice(Action.VENDOR, frozenset(), {"youtube": True}, "/v", ChoiceSurface.PLACEHOLDER),
    ),
    (
        {"action": "accept_all", "return_to": "//evil.example", "source": "preferences"},
        Choice(Action.ACCEPT_ALL, frozenset(CHOOSABLE), {}, "/", ChoiceSurface.PREFERENCES),
    ),
    ({"action": "reject_all", "source": "nonsense"}, Choice(Action.REJECT_ALL)),
]


@pytest.mark.parametrize(("form", "choice"), CHOICES)
@pytest.mark.parametrize("multi", [False, True])
def test_form_is_read(form: Form, choice: Choice, multi: bool) -> None:
    if not multi:
        assert parse_choice(form, VENDORS, CHOOSABLE) == choice
        return
    pairs = [(k, v) for k, vs in form.items() for v in ([vs] if isinstance(vs, str) else vs)]
    assert parse_choice(MultiDict(pairs), VENDORS, CHOOSABLE) == choice


@pytest.mark.parametrize(
    ("form", "says"),
    [
        ({}, "one action, not 0"),
        ({"action": ["accept_all", "reject_all"]}, "one action, not 2"),
        ({"action": "accept"}, "'accept' is not known"),
        ({"action": "accept_all:x"}, "is not known"),
        ({"action": ""}, "'' is not known"),
        ({"action": "save", "category": ["analytics", "nope"]}, "no category called 'nope'"),
        ({"action": "save", "vendor": ["nope"]}, "no tool called 'nope'"),
        ({"action": "save", "vendor_off": ["nope"]}, "no tool called 'nope'"),
        ({"action": "vendor:nope"}, "no tool called 'nope'"),
        ({"action": "vendor"}, "no tool called ''"),
    ],
)
def test_unclear_form_is_refused_with_a_sentence(form: Form, says: str) -> None:
    with pytest.raises(ChoiceError, match=says):
        parse_choice(form, VENDORS, CHOOSABLE)


def test_category_that_the_site_does_not_use_is_unknown() -> None:
    with pytest.raises(ChoiceError, match="no category called 'social'"):
        parse_choice({"action": "save", "category": ["social"]}, VENDORS, (A, F))


def test_accept_all_allows_what_the_site_uses_only() -> None:
    assert parse_choice({"action": "accept_all"}, VENDORS, (A,)).allowed == {A}


@pytest.mark.slow
@given(st.dictionaries(st.text(), st.lists(st.text()), max_size=4), st.lists(st.text()))
def test_any_form_gives_a_choice_or_an_error(form: dict[str, list[str]], names: list[str]) -> None:
    try:
        choice = parse_choice({**form, "action": "save", "category": names}, VENDORS, CHOOSABLE)
    except ChoiceError:
        return
    assert {str(c) for c in choice.allowed} <= set(names)
