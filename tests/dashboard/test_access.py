"""Who gets in: this machine, who signs in, and nobody by another site's page or by guessing."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientResponse, ClientSession, DummyCookieJar

from proxy.dashboard.sessions import COOKIE, Sessions, is_token
from tests.support.dashboard import TOKEN, Board, serving

WITH_TOKEN = '[dashboard]\ntoken = "${DASHBOARD_TOKEN}"\n'
PUBLIC = "0.0.0.0:8081"
PATHS = (
    "/dashboard/", "/dashboard/choices", "/dashboard/tags", "/dashboard/third-parties",
    "/dashboard/data/tags.csv", "/dashboard/data/traffic.json", "/dashboard/nothing",
)  # fmt: skip


@pytest.fixture
async def client() -> AsyncIterator[ClientSession]:
    async with ClientSession(cookie_jar=DummyCookieJar()) as session:
        yield session


class Visit:
    """Requests to a dashboard, without redirects."""

    def __init__(self, client: ClientSession, board: Board) -> None:
        self.client, self.board = client, board

    async def get(self, path: str = "/dashboard/", **headers: str) -> ClientResponse:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        async with self.client.get(
            self.board.url + path, headers=named, allow_redirects=False
        ) as reply:
            await reply.read()
            return reply

    async def post(self, path: str, origin: str | None = "", **form: str) -> ClientResponse:
        """`origin` "": of this dashboard; None: no such field."""
        headers = {} if origin is None else {"Origin": origin or self.board.url}
        cookie = form.pop("cookie", "")
        if cookie:
            headers["Cookie"] = f"{COOKIE}={cookie}"
        async with self.client.post(
            self.board.url + path, data=form, headers=headers, allow_redirects=False
        ) as reply:
            await reply.read()
            return reply

    async def sign_in(self, token: str = TOKEN, **more: Any) -> ClientResponse:
        return await self.post("/dashboard/sign-in", token=token, **more)


@pytest.mark.parametrize(
    ("listen", "more", "headers", "status"),
    [
        ("127.0.0.1:8081", "", {}, 200),
        ("[::1]:8081", "", {}, 200),
        ("unix:/run/admin.sock", "", {}, 200),
        ("127.0.0.1:8081", "", {"Host": "localhost:8081"}, 200),
        # Through a server in front, or by another name: it is not this machine that asks.
        ("127.0.0.1:8081", "", {"Host": "admin.example.com"}, 403),
        ("127.0.0.1:8081", "", {"Host": "10.1.2.3"}, 403),
        ("127.0.0.1:8081", "", {"X_Forwarded_For": "203.0.113.9"}, 403),
        ("127.0.0.1:8081", "", {"Forwarded": "for=203.0.113.9"}, 403),
        ("127.0.0.1:8081", "", {"Via": "1.1 front"}, 403),
        (PUBLIC, "", {}, 403),
        ("10.0.0.1:8081", "", {}, 403),
        ("admin.internal:8081", "", {}, 403),
        (PUBLIC, WITH_TOKEN, {}, 303),
        ("127.0.0.1:8081", WITH_TOKEN, {}, 303),
        ("127.0.0.1:8081", "", {"Host": "evil.example"}, 421),
        (PUBLIC, WITH_TOKEN, {"Host": "evil.example"}, 421),
    ],
)
async def test_who_gets_in(
    listen: str,
    more: str,
    headers: dict[str, str],
    status: int,
    tmp_path: Path,
    client: ClientSession,
) -> None:
    async with serving(tmp_path, listen=listen, more=more) as board:
        visit = Visit(client, board)
        for path in PATHS:
            reply = await visit.get(path, **headers)
            expected = status
            if status == 303 and "/data/" in path:
                expected = 401
            if status == 200 and path.endswith("nothing"):
                expected = 404
            assert reply.status == expected, path
            assert "traffic" not in str(await reply.text()) or status == 200


async def test_sign_in_and_out(
    tmp_path: Path, client: ClientSession, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    async with serving(tmp_path, listen=PUBLIC, more=WITH_TOKEN) as board:
        visit = Visit(client, board)
        assert (await visit.get()).headers["Location"] == "/dashboard/sign-in"
        form = await visit.get("/dashboard/sign-in")
        assert (form.status, "Token" in await form.text()) == (200, True)
        wrong = await visit.sign_in("wrong")
        assert (wrong.status, "Set-Cookie" in wrong.headers) == (403, False)
        reply = await visit.sign_in()
        assert (reply.status, reply.headers["Location"]) == (303, "/dashboard/")
        attributes = reply.headers["Set-Cookie"].split("; ")
        assert {"HttpOnly", "SameSite=Strict", "Path=/dashboard", "Max-Age=28800"} <= set(
            attributes
        )
        assert "Secure" not in attributes
        cookie = attributes[0]
        assert (await visit.get(Cookie=cookie)).status == 200
        assert (await visit.get(Cookie=cookie[:-3] + "AAA")).status == 303
        value = cookie.partition("=")[2]
        out = await visit.post("/dashboard/sign-out", cookie=value)
        assert out.status == 303
        assert "Max-Age=0" in out.headers["Set-Cookie"]
        # Signed out on the proxy's side too.
        assert (await visit.get(Cookie=cookie)).status == 303
    said = "\n".join(record.getMessage() for record in caplog.records)
    for words in ("wrong token, from 127.0.0.1", "signed in, from 127.0.0.1", "signed out, from"):
        assert words in said
    assert TOKEN not in said


async def test_under_https_the_cookie_is_secure(tmp_path: Path, client: ClientSession) -> None:
    async with serving(tmp_path, listen=PUBLIC, more=WITH_TOKEN) as board:
        visit = Visit(client, board)
        reply = await visit.sign_in(origin=board.url.replace("http:", "https:"))
        assert "Secure" in reply.headers["Set-Cookie"].split("; ")


@pytest.mark.parametrize(
    "origin", [None, "null", "https://evil.example", "http://127.0.0.1:1", "http://127.0.0.1"]
)
async def test_no_other_sites_page_signs_in_or_out(
    origin: str | None, tmp_path: Path, client: ClientSession
) -> None:
    async with serving(tmp_path, listen=PUBLIC, more=WITH_TOKEN) as board:
        visit = Visit(client, board)
        reply = await visit.sign_in(origin=origin)
        assert (reply.status, "Set-Cookie" in reply.headers) == (403, False)
        cookie = (await visit.sign_in()).headers["Set-Cookie"].partition(";")[0]
        value = cookie.partition("=")[2]
        assert (await visit.post("/dashboard/sign-out", origin, cookie=value)).status == 403
        assert (await visit.get(Cookie=cookie)).status == 200


async def test_nothing_is_changed_by_a_get(tmp_path: Path, client: ClientSession) -> None:
    async with serving(tmp_path, listen=PUBLIC, more=WITH_TOKEN) as board:
        visit = Visit(client, board)
        cookie = (await visit.sign_in()).headers["Set-Cookie"].partition(";")[0]
        assert (await visit.get("/dashboard/sign-out", Cookie=cookie)).status == 404
        assert (await visit.get(f"/dashboard/sign-in?token={TOKEN}")).status == 200
        assert (await visit.get(Cookie=cookie)).status == 200
        assert (await visit.post("/dashboard/tags")).status == 405


async def test_a_program_sends_the_token(tmp_path: Path, client: ClientSession) -> None:
    async with serving(tmp_path, listen=PUBLIC, more=WITH_TOKEN) as board:
        visit = Visit(client, board)
        path = "/dashboard/data/tags.json"
        assert (await visit.get(path, Authorization=f"Bearer {TOKEN}")).status == 200
        for wrong in ("Bearer no", "Basic abc", "Bearer", ""):
            reply = await visit.get(path, Authorization=wrong)
            assert (reply.status, reply.headers["WWW-Authenticate"]) == (401, "Bearer")


async def test_guessing_is_limited(
    tmp_path: Path, client: ClientSession, caplog: pytest.LogCaptureFixture
) -> None:
    async with serving(tmp_path, listen=PUBLIC, more=WITH_TOKEN) as board:
        visit = Visit(client, board)
        statuses = [(await visit.sign_in(f"guess {n}")).status for n in range(8)]
        assert statuses == [403] * 5 + [429] * 3
        limited = await visit.sign_in()
        assert (limited.status, limited.headers["Retry-After"]) == (429, "30")
        program = await visit.get("/dashboard/data/tags.csv", Authorization=f"Bearer {TOKEN}")
        assert program.status == 429
    assert "guess 0" not in caplog.text
    assert "too many wrong tokens" in caplog.text


async def test_the_token_of_a_file(tmp_path: Path, client: ClientSession) -> None:
    more = '[dashboard]\ntoken_file = "token"\n'
    async with serving(tmp_path, listen="127.0.0.1:8081", more=more) as board:
        visit = Visit(client, board)
        missing = await visit.get()
        assert (missing.status, "cannot be read" in await missing.text()) == (503, True)
        (tmp_path / "token").write_text("short\n")
        assert (await visit.get()).status == 503
        (tmp_path / "token").write_text("another-token-of-the-tests\n")
        assert (await visit.sign_in()).status == 403
        cookie = (await visit.sign_in("another-token-of-the-tests")).headers["Set-Cookie"]
        assert (await visit.get(Cookie=cookie.partition(";")[0])).status == 200
        # A new token ends the sessions of the old one.
        (tmp_path / "token").write_text("a-third-token-of-the-tests")
        assert (await visit.get(Cookie=cookie.partition(";")[0])).status == 303


async def test_it_can_be_switched_off(tmp_path: Path, client: ClientSession) -> None:
    async with serving(tmp_path, more="[dashboard]\nenabled = false\n") as board:
        visit = Visit(client, board)
        for path in PATHS:
            assert (await visit.get(path)).status == 404
        assert (await visit.get("/metrics")).status == 200


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/metrics", "/config"])
async def test_machines_need_no_token(path: str, tmp_path: Path, client: ClientSession) -> None:
    async with serving(tmp_path, listen=PUBLIC, more=WITH_TOKEN) as board:
        assert (await Visit(client, board).get(path)).status == 200


# --- Sessions


def test_a_session_ends() -> None:
    sessions = Sessions()
    value = sessions.open(TOKEN, 1000.0, 60)
    assert sessions.is_open(value, TOKEN, 1059.0)
    assert not sessions.is_open(value, TOKEN, 1060.0)
    assert not sessions.is_open(value, "another", 1000.0)
    assert not Sessions().is_open(value, TOKEN, 1000.0), "a restart ends all"
    other = sessions.open(TOKEN, 1000.0, 60)
    sessions.end(value, TOKEN, 1001.0)
    assert not sessions.is_open(value, TOKEN, 1001.0)
    assert sessions.is_open(other, TOKEN, 1001.0)


@pytest.mark.parametrize("value", ["", "x", "é", "A" * 70, "A" * 5000, "=" * 72, "\x00"])
def test_what_is_no_session(value: str) -> None:
    assert not Sessions().is_open(value, TOKEN, 0.0)


def test_tokens() -> None:
    assert is_token("é", "é")
    assert not is_token("", TOKEN)
    assert not is_token(TOKEN + " ", TOKEN)
