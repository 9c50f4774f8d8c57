"""A browser that refuses for its user can do so here: DuckDuckGo's autoconsent finds the way to
reject, by its heuristics and by a rule of our own (examples/autoconsent/consent-proxy.json).
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from e2e.conftest import NewVisitor
from e2e.npm import from_npm
from e2e.visitor import BANNER, PREFERENCE_COOKIE, Visitor

ROOT = Path(__file__).parents[1]
LIBRARY = "@duckduckgo/autoconsent/dist/autoconsent.playwright.js"
OWN_RULE = json.loads((ROOT / "examples/autoconsent/consent-proxy.json").read_text())


def with_autoconsent(visitor: Visitor, config: dict[str, Any], rules: list[Any]) -> list[Any]:
    """Add the library to every page, as its browsers do. The result fills with what it says."""
    said: list[Any] = []

    def answer(source: dict[str, Any], message: dict[str, Any]) -> None:
        said.append(message)
        frame = source["frame"]
        reply: dict[str, Any] | None = None
        if message["type"] == "init":
            bundle = {"autoconsent": rules}
            reply = {"type": "initResp", "config": {**BASE, **config}, "rules": bundle}
        elif message["type"] == "eval":
            result = frame.evaluate(message["code"])
            reply = {"type": "evalResp", "id": message["id"], "result": result}
        if reply is not None:
            frame.evaluate("(reply) => { window.autoconsentReceiveMessage(reply); }", reply)

    visitor.context.expose_binding("autoconsentSendMessage", answer)
    visitor.context.add_init_script(path=from_npm(LIBRARY))
    return said


BASE = {"enabled": True, "autoAction": "optOut", "enablePrehide": True, "detectRetries": 20}


@pytest.mark.parametrize(
    ("config", "rules"),
    [
        pytest.param({"heuristicMode": "reject"}, [], id="heuristics"),
        pytest.param({"heuristicMode": "off"}, [OWN_RULE], id="own rule"),
    ],
)
def test_autoconsent_rejects(
    new_visitor: NewVisitor, config: dict[str, Any], rules: list[Any]
) -> None:
    visitor = new_visitor()
    said = with_autoconsent(visitor, config, rules)
    visitor.page.goto(visitor.demo.url("/"))
    visitor.page.locator(BANNER).wait_for(state="detached")
    visitor.settle()
    assert PREFERENCE_COOKIE in visitor.cookies()
    state = visitor.page.evaluate("consent.get()")
    assert state["decided"] is True
    assert {name for name, on in state["categories"].items() if on} == {"necessary"}
    done = [one for one in said if one["type"] == "optOutResult"]
    assert [one["result"] for one in done] == [True], said
    assert visitor.fired() == set()


def test_the_rule_accepts_too(new_visitor: NewVisitor) -> None:
    visitor = new_visitor()
    said = with_autoconsent(visitor, {"autoAction": "optIn", "heuristicMode": "off"}, [OWN_RULE])
    visitor.page.goto(visitor.demo.url("/"))
    visitor.page.wait_for_function("window.consent && consent.get().categories.analytics")
    assert any(one["type"] == "popupFound" for one in said)
