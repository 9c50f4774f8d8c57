"""On a patient's page nothing of anyone else runs, whatever was chosen."""

from __future__ import annotations

from e2e.site import EVERY_VENDOR, MARKETING_PAGES, PATIENT_PAGE
from e2e.visitor import PREFERENCE_COOKIE, Visitor, until
from examples.demo.vendors import HOSTS

# A path that servers read as the same page must not be a way around the rule.
SPELLINGS = (PATIENT_PAGE, "/patients/%70ay", "/%70atients/pay", "/patients//pay", "/patients/none")


def accept_everything(visitor: Visitor) -> None:
    visitor.open("/")
    visitor.accept_all()
    until(lambda: "_hjSession_3100041" in visitor.cookies(), "the trackers ran")


def test_patient_page_is_clean_with_everything_accepted(visitor: Visitor) -> None:
    accept_everything(visitor)
    visitor.leave()
    for path in SPELLINGS:
        response = visitor.open(path)
        assert visitor.fired() == set(), path
        assert visitor.hosts_asked() == set(), path
        assert not [h for h in HOSTS if f"{h.label}.localhost" in response.text()], path
        assert visitor.preferences_link.count() == 1, path
        assert not visitor.accept_button.is_visible(), path


def test_form_on_a_patient_page_works_and_its_answer_is_clean(visitor: Visitor) -> None:
    accept_everything(visitor)
    visitor.open(PATIENT_PAGE)
    visitor.forget()
    visitor.page.get_by_label("Statement number").fill("884201")
    visitor.page.get_by_label("Date of birth").fill("01/02/1970")
    visitor.page.get_by_role("button", name="Find my bill").click()
    visitor.settle()
    assert "We found statement 884201" in visitor.page.inner_text("main")
    assert visitor.fired() == set()


def test_next_page_does_not_learn_that_a_patient_page_came_before(visitor: Visitor) -> None:
    accept_everything(visitor)
    visitor.open(PATIENT_PAGE)
    visitor.forget()
    visitor.page.locator("footer a", has_text="Product").click()
    visitor.settle()
    until(lambda: "meta-pixel" in visitor.fired(), "the next page is a marketing page")
    assert visitor.page.evaluate("document.referrer") == ""
    assert not [h for h in visitor.demo.ledger.hits if "patients" in h.query + h.page]


def test_signed_in_visitor_is_a_patient_on_every_page(visitor: Visitor) -> None:
    accept_everything(visitor)
    visitor.open("/account")
    visitor.page.get_by_role("button", name="Sign in").click()
    visitor.settle()
    assert "You are signed in" in visitor.page.inner_text("main")
    visitor.leave()
    for path in MARKETING_PAGES:
        visitor.open(path)
        assert visitor.fired() == set(), path
        assert visitor.hosts_asked() == set(), path
        assert visitor.preferences_link.count() == 1, path
    visitor.open("/account")
    visitor.page.get_by_role("button", name="Sign out").click()
    visitor.settle()
    visitor.open(EVERY_VENDOR)
    until(lambda: "youtube" in visitor.fired(), "signed out, the choice holds again")


def test_patient_page_without_a_choice(visitor: Visitor) -> None:
    visitor.open(PATIENT_PAGE)
    assert visitor.fired() == set()
    assert visitor.hosts_asked() == set()
    assert visitor.preferences_link.count() == 1
    assert PREFERENCE_COOKIE not in visitor.cookies()


def test_a_marketing_page_cannot_read_a_patient_page_that_it_opens(visitor: Visitor) -> None:
    accept_everything(visitor)
    visitor.open("/")
    with visitor.page.expect_popup() as opened:
        visitor.page.evaluate(f"void (window.other = open('{PATIENT_PAGE}'))")
    opened.value.wait_for_load_state()
    assert opened.value.evaluate("opener") is None
    assert visitor.page.evaluate("other.closed")
