"""The WP Consent API's cookies say the choice: to the browser, and to the site behind."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.support.forwarding import Visit
from tests.support.site import Answer, Proxied, proxied, reply

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


@pytest.mark.parametrize("kind", ["text/html", "application/json"])
@pytest.mark.parametrize("choice", ["all", "junk"])
async def test_what_the_site_made_for_a_choice_is_that_visitors(
    tmp_path: Path, kind: str, choice: str
) -> None:
    """The site reads the choice from these cookies, whether the browser has them already or not."""
    fields = (f"Content-Type: {kind}", "Cache-Control: max-age=60")

    async def page(visit: Visit) -> None:
        told = "you allowed it" if b"marketing=allow" in site.asked[-1].head else "you did not"
        if b"wp_consent_" not in site.asked[-1].head:
            told = "nobody asked you"
        body = f"<!doctype html><html><title>x</title><p>{told}".encode()
        await visit.send(reply(body, *fields, html=False))

    async with proxied(tmp_path, {"page": page}, change=switched_on) as site:
        chosen = site.cookie("analytics", "advertising") if choice == "all" else "consent=junk"
        told = b"you allowed it" if choice == "all" else b"you did not"
        dest = "document" if kind == "text/html" else "empty"
        assert told in (await site.ask("/page", cookie=chosen, dest=dest)).text
        assert b"nobody asked you" in (await site.ask("/page", dest=dest)).text
        if kind == "text/html":
            assert told in (await site.ask("/page", cookie=chosen, dest=dest)).text
