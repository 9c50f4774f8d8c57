"""The cookie declaration: in the demo's privacy page, and as a page of its own."""

from __future__ import annotations

from e2e.visitor import Visitor


def test_the_policy_page_lists_companies_and_cookies(visitor: Visitor) -> None:
    visitor.open("/privacy")
    part = visitor.page.locator("[data-consent-declaration]")
    row = part.get_by_role("row", name="_fbp")
    assert row.get_by_role("cell").all_inner_texts() == [
        "Recognizes you for advertising",
        "90 days",
    ]
    assert part.get_by_role("heading", name="Meta Pixel").is_visible()
    assert visitor.fired() == set()


def test_it_is_linked_in_the_preferences(visitor: Visitor) -> None:
    visitor.open("/.consent/preferences")
    visitor.page.get_by_role("link", name="All companies and cookies").click()
    assert visitor.page.get_by_role("heading", name="Companies and cookies").is_visible()
    assert visitor.page.get_by_role("row", name="__Host-consent Remembers").is_visible()
    assert visitor.console == []
