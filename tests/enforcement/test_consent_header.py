"""`Consent`: what the upstream is told of the decision, that nobody else can tell it, and that no
stored response was made for another visitor's.
"""

from __future__ import annotations

import asyncio
import itertools
import re
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.forwarding import Visit
from tests.support.one_connection import connected
from tests.support.site import Answer, Proxied, proxied, reply

CLOSED = "functional=0, analytics=0, session_replay=0, advertising=0, social=0"
US = "X-Country: US"
FROM = "Referer: http://www.example.com/marketing"
PATIENTS = '[[site.page]]\npath = "/patients/*"\naudience = "patient"\n'


def telling(text: str) -> str:
    return text.replace('name = "www"\n', 'name = "www"\nconsent_header = true\n', 1)


def with_patients(text: str) -> str:
    text = telling(text)
    return text.replace("[[tag]]", f"{PATIENTS}[[tag]]", 1) if PATIENTS not in text else text


def field(site: Proxied) -> list[str]:
    """The fields of the last request that the origin got."""
    return [value.decode() for value in site.asked[-1].values(b"consent")]


ANY = {"*": reply(b"<!doctype html><title>x</title>", "Cache-Control: no-store")}


@pytest.mark.parametrize(
    ("headers", "cookie", "expected"),
    [
        ([], None, f"{CLOSED}, gpc=0, regime=opt_in"),
        (
            [US], None,
            "functional=1, analytics=1, session_replay=0, advertising=1, social=1, gpc=0, "
            "regime=opt_out",
        ),
        (
            [US, "Sec-GPC: 1"], None,
            "functional=1, analytics=1, session_replay=0, advertising=0, social=0, gpc=1, "
            "regime=opt_out",
        ),
        (
            [], lambda site: site.cookie("analytics", "advertising"),
            "functional=0, analytics=1, session_replay=0, advertising=1, social=0, gpc=0, "
            "regime=opt_in",
        ),
        (
            [],
            lambda site: site.cookie(
                "advertising", vendors={"meta-pixel": False, "youtube": True, "unknown-one": True}
            ),
            "functional=0, analytics=0, session_replay=0, advertising=1, social=0, gpc=0, "
            'regime=opt_in, allowed=("youtube"), refused=("meta-pixel")',
        ),
        ([US], lambda _: "consent=damaged", f"{CLOSED}, gpc=0, regime=opt_out"),
        ([], lambda site: site.cookie("analytics", version="old"),
         f"{CLOSED}, gpc=0, regime=opt_in"),
    ],
)  # fmt: skip
async def test_the_decision_in_words(
    tmp_path: Path, headers: list[str], cookie: Callable[[Proxied], str] | None, expected: str
) -> None:
    async with proxied(tmp_path, ANY, change=telling) as site:
        await site.ask("/a", *headers, cookie=cookie(site) if cookie else "")
        assert field(site) == [expected]


_KEY = r"[a-z*][a-z0-9_.*-]*"
_INTEGER, _TOKEN = r"-?[0-9]{1,15}", r"[A-Za-z*][\w!#$%&'*+.^`|~:/-]*"
_STRING = r'"[ -!#-\[\]-~]*"'
_MEMBER = rf"{_KEY}=(?:{_INTEGER}|{_TOKEN}|\({_STRING}(?: +{_STRING})*\))"


async def test_it_is_a_dictionary_of_rfc_9651(tmp_path: Path) -> None:
    async with proxied(tmp_path, ANY, change=telling) as site:
        vendors = {"meta-pixel": False, "youtube": False, "google-analytics": True}
        await site.ask("/a", cookie=site.cookie("social", vendors=vendors))
        (value,) = field(site)
        assert re.fullmatch(rf"{_MEMBER}(?:, {_MEMBER})*", value), value
        keys = [member.partition("=")[0] for member in value.split(", ")]
        assert len(keys) == len(set(keys))


# --- Never from outside


SPELLINGS = ("Consent", "consent", "CONSENT", "cOnSeNt")


@pytest.mark.parametrize("change", [str, telling], ids=["not sent", "sent"])
@pytest.mark.parametrize("name", SPELLINGS)
async def test_nobody_else_can_send_it(
    tmp_path: Path, name: str, change: Callable[[str], str]
) -> None:
    given = [f"{name}: analytics=1, advertising=1"]
    async with proxied(tmp_path, ANY, change=change) as site:
        for headers in (given, given * 2, [*given, "Connection: close, Consent"]):
            for method, dest in (("GET", "document"), ("POST", "empty"), ("GET", "image")):
                await site.ask("/a", *headers, method=method, dest=dest)
                sent = change is telling and dest != "image"
                assert field(site) == ([f"{CLOSED}, gpc=0, regime=opt_in"] if sent else [])


@pytest.mark.parametrize("change", [str, telling], ids=["not sent", "sent"])
async def test_nor_with_a_websocket(tmp_path: Path, change: Callable[[str], str]) -> None:
    async def socket(visit: Visit) -> None:
        await visit.send(
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n"
        )

    async with proxied(tmp_path, {"chat": socket}, change=change) as site:
        reader, writer = await asyncio.open_connection("127.0.0.1", site.port)
        writer.write(
            b"GET /chat HTTP/1.1\r\nHost: www.example.com\r\nConnection: Upgrade, Consent\r\n"
            b"Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nConsent: advertising=1\r\n"
            b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-Fetch-Dest: websocket\r\n"
            + f"Cookie: {site.cookie('analytics')}\r\n\r\n".encode()
        )
        assert b" 101 " in await reader.readline()
        writer.close()
        # Without a referrer it may be a patient page's.
        told = [f"{CLOSED}, gpc=0, regime=opt_in"]
        assert field(site) == (told if change is telling else [])


# --- Patients


@pytest.mark.parametrize(
    ("path", "headers", "dest", "closed"),
    [
        ("/patients/x", [], "document", True),
        ("/patients/x", [], "empty", True),
        ("/PATIENTS/x", [], "document", True),
        ("/a", [], "document", False),
        ("/a", ["Referer: http://www.example.com/b", "Sec-Fetch-Site: same-origin"],
         "document", False),
        # What a page sends with its scripts is about that page.
        ("/api", ["Referer: http://www.example.com/b", "Sec-Fetch-Site: same-origin"],
         "empty", False),
        ("/api", ["Referer: http://www.example.com/patients/x", "Sec-Fetch-Site: same-origin"],
         "empty", True),
        ("/api", ["Sec-Fetch-Site: same-origin"], "empty", True),
        ("/api", [], "empty", True),
        ("/a", ["Referer: http://www.example.com/patients/x", "Sec-Fetch-Site: same-origin"],
         "document", True),
        ("/a", ["Referer: https://search.example/"], "document", False),
        ("/api", ["Referer: https://other.example/", "Sec-Fetch-Site: cross-site"],
         "empty", False),
    ],
)  # fmt: skip
async def test_on_patient_pages_nothing_is_allowed(
    tmp_path: Path, path: str, headers: list[str], dest: str, closed: bool
) -> None:
    async with proxied(tmp_path, ANY, change=with_patients) as site:
        vendors = {"youtube": True}
        chosen = site.cookie("analytics", "advertising", vendors=vendors)
        await site.ask(path, *headers, dest=dest, cookie=chosen)
        (value,) = field(site)
        assert ("analytics=0" in value) is closed, value
        assert closed is (value == f"{CLOSED}, gpc=0, regime=opt_in")


# --- Stored responses


def obeying(kind: str, *more: str) -> object:
    """An origin that answers by the field and calls that public, without a word in `Vary`."""

    async def origin(visit: Visit) -> None:
        values = visit.origin.exchanges[-1].values(b"consent")
        body = b"<!doctype html><title>x</title>@@" + b"|".join(values) + b"@@"
        lines = (f"Content-Type: {kind}", "Cache-Control: public, max-age=600", 'ETag: "1"', *more)
        await visit.send(reply(body, *lines, html=False))

    return origin


def obeyed(answer: Answer) -> str:
    return answer.text.partition(b"@@")[2].partition(b"@@")[0].decode()


@pytest.mark.parametrize(
    ("kind", "dest"),
    [("text/html", "document"), ("application/json", "empty"), ("application/json", ""),
     ("image/gif", "")],
)  # fmt: skip
async def test_no_visitor_gets_what_was_made_for_another(
    tmp_path: Path, kind: str, dest: str
) -> None:
    pages = {"p": obeying(kind, "CDN-Cache-Control: max-age=600")}
    async with proxied(tmp_path, pages, change=telling) as site:  # type: ignore[arg-type]
        cookies = [
            "", "consent=x", site.cookie(), site.cookie("analytics"), site.cookie("advertising"),
            site.cookie("advertising", vendors={"meta-pixel": False}),
        ]  # fmt: skip
        fields = [[], ["Sec-GPC: 1"], [US], [US, "Sec-GPC: 1"]]
        visitors = list(itertools.product(cookies, fields))
        seen: dict[str, str] = {}
        for _ in range(3):
            for cookie, headers in visitors:
                answer = await site.ask("/p", FROM, *headers, dest=dest, cookie=cookie)
                value = obeyed(answer)
                assert value, answer
                who = f"{cookie} {headers}"
                assert seen.setdefault(who, value) == value
                # Nor may a cache downstream give it to another.
                assert "private" in answer.one("Cache-Control")
                assert not answer.all("CDN-Cache-Control")
        assert len(set(seen.values())) > 8
        # Those of one decision share one. Where the origin sees the region nothing is stored.
        stored = {value for who, value in seen.items() if "Country" not in who}
        asked = [one for one in site.asked if not one.values(b"x-country")]
        assert len(asked) == len(stored) > 4


def without_patients(text: str) -> str:
    """As a site without patient pages, whose pages are sent on the fast path."""
    start = text.index("[[site.page]]")
    end = text.index("[[tag]]")
    return telling(text[:start] + text[end:])


@pytest.mark.parametrize("change", [telling, without_patients], ids=["patients", "no patients"])
@pytest.mark.parametrize(("kind", "dest"), [("text/html", "document"), ("text/css", "empty")])
async def test_nor_on_the_fast_path(
    tmp_path: Path, kind: str, dest: str, change: Callable[[str], str]
) -> None:
    pages = {"p": obeying(kind)}
    async with (
        proxied(tmp_path, pages, change=change) as site,  # type: ignore[arg-type]
        connected(site) as visitor,
    ):
        cookies = [
            "", "consent=x", site.cookie(), site.cookie("analytics"), site.cookie("advertising"),
            site.cookie("advertising", vendors={"meta-pixel": False}),
        ]  # fmt: skip
        patient = "Referer: http://www.example.com/patients/x"
        visitors = list(itertools.product(cookies, ["", "Sec-GPC: 1"], [FROM, patient]))
        seen: dict[object, str] = {}
        for _ in range(4):
            for one in visitors:
                cookie, gpc, referrer = one
                lines = [f"Cookie: {cookie}"] if cookie else []
                lines += [gpc] if gpc else []
                answer = await visitor.ask("/p", *lines, referrer, f"Sec-Fetch-Dest: {dest}")
                assert seen.setdefault(one, obeyed(answer)) == obeyed(answer), one
                closed = referrer == patient and change is telling
                gpc_value = int(bool(gpc))
                wanted = f"{CLOSED}, gpc={gpc_value}, regime=opt_in"
                assert obeyed(answer) == wanted or not closed, one
                if cookie.startswith("consent=e"):  # readable
                    for name in ("analytics", "advertising"):
                        said = f"{name}=1" in obeyed(answer)
                        allowed = name in choice_of(site, cookie)
                        gone = gpc and name == "advertising"
                        assert said is (allowed and not closed and not gone), (one, answer)


def choice_of(site: Proxied, cookie: str) -> set[str]:
    token = cookie.removeprefix("consent=")
    found = site.running.keys.verify(token, "www", time.time())
    assert found is not None
    return set(map(str, found.allowed))


async def test_files_do_not_carry_it_and_stay_public(tmp_path: Path) -> None:
    pages = {"a.css": obeying("text/css"), "a.js": obeying("text/javascript")}
    async with proxied(tmp_path, pages, change=telling) as site:  # type: ignore[arg-type]
        for path, dest in (("/a.css", "style"), ("/a.js", "script")):
            for cookie in ("", site.cookie("analytics"), site.cookie()):
                answer = await site.ask(path, dest=dest, cookie=cookie)
                assert obeyed(answer) == ""
                assert answer.one("Cache-Control") == "public, max-age=600"
        assert len(site.asked) == 2


async def test_a_purge_finds_them_all(tmp_path: Path) -> None:
    pages = {"p": obeying("application/json")}
    async with proxied(tmp_path, pages, change=telling) as site:  # type: ignore[arg-type]
        cookies = ["", site.cookie("analytics"), site.cookie("social")]
        for _ in range(2):
            for cookie in cookies:
                await site.ask("/p", FROM, dest="empty", cookie=cookie)
        assert len(site.asked) == 3
        await site.ask("/p", method="POST", dest="empty")  # invalidates its URL
        for cookie in cookies:
            await site.ask("/p", FROM, dest="empty", cookie=cookie)
        assert len(site.asked) == 7
