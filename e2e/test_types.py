"""The types that we publish for `window.consent` hold, and describe what is there."""

from __future__ import annotations

import subprocess
from pathlib import Path

from e2e.npm import from_npm
from e2e.visitor import Visitor

ROOT = Path(__file__).parents[1]


def test_the_types_hold() -> None:
    told = subprocess.run(
        [from_npm(".bin/tsc"), "-p", ROOT / "e2e/types"],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert (told.returncode, told.stdout) == (0, "")


def test_the_page_has_what_the_types_say(visitor: Visitor) -> None:
    visitor.open("/")
    page = visitor.page
    assert page.evaluate("Object.keys(consent).sort()") == ["get", "on", "open"]
    state = page.evaluate("consent.get()")
    assert set(state) == {"decided", "gpc", "categories"}
    assert (state["decided"], state["gpc"]) == (False, False)
    assert all(on is (name == "necessary") for name, on in state["categories"].items())
    # A copy: what the site does with it changes nothing.
    page.evaluate("consent.get().categories.analytics = true")
    assert page.evaluate("consent.get().categories.analytics") is False


def test_changes_are_told_until_stopped(visitor: Visitor) -> None:
    visitor.open("/contact")
    page = visitor.page
    page.evaluate(
        """() => { window.told = []; window.same = true;
        const stop = consent.on("change", (state) => { told.push(["on", state]); stop(); });
        document.addEventListener("consent:change", (event) => told.push(["event", event.detail]));
        }"""
    )
    page.evaluate("consent.open()")
    assert page.locator("#yc input").first.is_visible()
    assert page.evaluate("document.activeElement.name") == "category"
    page.wait_for_timeout(550)  # before, a press counts as part of the one that opened them
    visitor.reject_all()
    told = page.evaluate("told.sort()")
    assert page.evaluate("window.same") is True  # nothing ran: no reload
    assert [kind for kind, _ in told] == ["event", "on"]
    assert told[0][1] == told[1][1] == page.evaluate("consent.get()")
    assert told[0][1]["decided"] is True
    # Without a banner it opens the preferences.
    page.evaluate("consent.open()")
    page.wait_for_url("**/.consent/preferences?return_to=%2Fcontact&lang=en")
