"""The WP Consent API's cookies say the choice: to the browser, and to the site behind."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.support.site import Answer, Proxied, proxied

REFUSED = dict.fromkeys(("preferences", "statistics-anonymous", "statistics", "marketing"), "deny")
NOTHING = {"functional": "allow", **REFUSED}
ANALYTICS = NOTHING | {"statistics": "allow", "statistics-anonymous": "allow"}
EVERYTHING = dict.fromkeys(NOTHING, "allow")
OWN_POST = ("Sec-Fetch-Site: same-origin", "Content-Type: application/x-www-form-urlencoded")


def switched_on(text: str) -> str:
    return text.replace("[[site]]", "[signals]\nwp_consent_cookies = true\n[[site]]", 1)


def set_on(answer: Answer) -> dict[str, str]:
    """Category -> value, "" where the cookie is taken away."""
    found: dict[str, str] = {}
    for value in answer.all("Set-Cookie"):
        if match := re.match(r"wp_consent_([\w-]+)=(\w*); Max-Age=(\d+)", value):
            assert "; Path=/" in value
            assert "HttpOnly" not in value  # scripts of plugins read it
            assert (match[3] == "0") is (match[2] == "")
            found[match[1]] = match[2]
    return found


def as_cookies(values: Mapping[str, str]) -> str:
    return "; ".join(f"wp_consent_{name}={value}" for name, value in values.items())


def told_origin(site: Proxied) -> dict[str, str]:
    """What the last request said to the site behind."""
    found = re.search(rb"(?mi)^cookie: (.*?)\r?$", site.asked[-1].head)
    pairs = found[1].decode().split("; ") if found else []
    wanted = [p.partition("=") for p in pairs if p.startswith("wp_consent_")]
    return {name.removeprefix("wp_consent_"): value for name, _, value in wanted}


@pytest.mark.parametrize(
    ("form", "values"),
    [
        (b"action=accept_all", EVERYTHING),
        (b"action=reject_all", NOTHING),
        (b"action=save&category=analytics", ANALYTICS),
    ],
)
async def test_written_with_the_choice(tmp_path: Path, form: bytes, values: dict[str, str]) -> None:
    async with proxied(tmp_path, change=switched_on) as site:
        path = "/.consent/choice"
        answer = await site.ask(path, *OWN_POST, method="POST", body=form)
        assert answer.status == 303
        assert set_on(answer) == values
        days = site.config.policy.max_age_days
        marketing = [v for v in answer.all("Set-Cookie") if v.startswith("wp_consent_marketing")]
        assert f"Max-Age={days * 86_400}" in marketing[0]


async def test_not_written_unless_configured(tmp_path: Path) -> None:
    async with proxied(tmp_path) as site:
        form = b"action=accept_all"
        answer = await site.ask("/.consent/choice", *OWN_POST, method="POST", body=form)
        assert set_on(answer) == {}
        mine = as_cookies(EVERYTHING)
        await site.ask(cookie=mine)
        assert told_origin(site) == EVERYTHING


@pytest.mark.parametrize(
    ("sent", "put_right"),
    [
        ({}, ANALYTICS),
        (ANALYTICS, {}),
        (ANALYTICS | {"marketing": "allow"}, {"marketing": "deny"}),
        (ANALYTICS | {"own-category": "allow"}, {"own-category": ""}),
    ],
)
async def test_put_right_on_the_next_page_and_for_the_site(
    tmp_path: Path, sent: dict[str, str], put_right: dict[str, str]
) -> None:
    async with proxied(tmp_path, change=switched_on) as site:
        cookie = f"lang=en; {site.cookie('analytics')}; {as_cookies(sent)}"
        answer = await site.ask(cookie=cookie)
        assert set_on(answer) == put_right
        assert told_origin(site) == ANALYTICS
        assert b"lang=en" in site.asked[-1].head


@pytest.mark.parametrize("headers", [(), ("Sec-GPC: 1",)])
async def test_gone_without_a_choice(tmp_path: Path, headers: tuple[str, ...]) -> None:
    async with proxied(tmp_path, change=switched_on) as site:
        assert set_on(await site.ask("/", *headers)) == {}
        answer = await site.ask("/", *headers, cookie=as_cookies({"marketing": "allow"}))
        assert set_on(answer) == {"marketing": ""}
        assert told_origin(site) == {}


async def test_an_acceptance_of_an_earlier_policy_is_none(tmp_path: Path) -> None:
    async with proxied(tmp_path, change=switched_on) as site:
        cookie = site.cookie("analytics", "advertising", version="2024-01-01")
        await site.ask(cookie=f"{cookie}; {as_cookies(EVERYTHING)}")
        assert told_origin(site) == NOTHING


async def test_patient_pages_hear_of_nothing_allowed(tmp_path: Path) -> None:
    async with proxied(tmp_path, change=switched_on) as site:
        cookie = site.cookie("analytics", "advertising")
        answer = await site.ask("/patients/pay", cookie=f"{cookie}; {as_cookies(EVERYTHING)}")
        assert told_origin(site) == NOTHING
        # The cookies are the whole site's: there they stay what the visitor chose.
        assert set_on(answer) == {"preferences": "deny"}
