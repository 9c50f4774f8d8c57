"""Headers and cookies on their way, both ways."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.site import PAGE, proxied, reply

GA = "https://www.google-analytics.com/a.js"


@pytest.mark.parametrize(
    ("allowed", "sent"),
    [
        ((), "session2=1; lang=de"),
        (("analytics",), "_ga=1; session2=1; _ga_AB=2; lang=de"),
        (("advertising",), "session2=1; _fbp=3; lang=de"),
    ],
)
async def test_cookies_to_the_origin(tmp_path: Path, allowed: tuple[str, ...], sent: str) -> None:
    async with proxied(tmp_path) as site:
        own = site.cookie(*allowed)
        cookie = f"_ga=1; session2=1; _ga_AB=2; _fbp=3; lang=de; _hjX=4; {own}"
        for path, dest in (("/", "document"), ("/none.css", "style")):
            await site.ask(path, cookie=cookie, dest=dest)
            assert site.asked[-1].values(b"cookie") == [f"{sent}; {own}".encode()]


async def test_no_cookie_header_is_left_empty(tmp_path: Path) -> None:
    async with proxied(tmp_path) as site:
        await site.ask("/", cookie="_ga=1")
        assert site.asked[-1].values(b"cookie") == []


async def test_cookies_from_the_origin(tmp_path: Path) -> None:
    own = ["session2=1; Path=/; HttpOnly", "lang=de; Expires=Thu, 01 Jan 2099 00:00:00 GMT"]
    theirs = ["_ga=1; Path=/", "_fbp=1; Domain=example.com"]
    cookies = [f"Set-Cookie: {value}" for value in (*own, *theirs)]
    pages = {
        "page": reply(PAGE, *cookies),
        "asset": reply(b"x", "Content-Type: image/png", *cookies, html=False),
        "patients/pay": reply(PAGE, *cookies),
    }
    async with proxied(tmp_path, pages) as site:
        for path in ("/page", "/asset"):
            assert (await site.ask(path)).all("Set-Cookie") == own
            found = (await site.ask(path, cookie=site.cookie("analytics"))).all("Set-Cookie")
            assert found == [*own, theirs[0]]
        everything = site.cookie("analytics", "advertising")
        assert (await site.ask("/patients/pay", cookie=everything)).all("Set-Cookie") == own


async def test_withdrawn_cookies_expire_with_the_next_page(tmp_path: Path) -> None:
    css = reply(b"x", "Content-Type: text/css", html=False)
    async with proxied(tmp_path, {"patients/pay": reply(PAGE), "site.css": css}) as site:
        cookie = f"_ga=1; mine=1; _fbp=1; {site.cookie('advertising')}"
        assert (await site.ask("/", cookie=cookie)).all("Set-Cookie") == [
            "_ga=; Path=/; Max-Age=0",
            "_ga=; Path=/; Max-Age=0; Domain=www.example.com",
            "_ga=; Path=/; Max-Age=0; Domain=example.com",
        ]
        assert (await site.ask("/site.css", cookie=cookie, dest="style")).all("Set-Cookie") == []
        # On a patient page all are closed, but the choice for the rest of the site holds.
        assert (await site.ask("/patients/pay", cookie=cookie)).all("Set-Cookie") == []


@pytest.mark.parametrize("dest", ["document", "style"])
async def test_headers_that_reach_out(tmp_path: Path, dest: str) -> None:
    headers = [
        f"Link: <{GA}>; rel=preload; as=script, </own.css>; rel=preload",
        "Link: <https://nobody-knows.example>; rel=preconnect",
        "Refresh: 5; url=https://nobody-knows.example/",
        'Report-To: {"endpoints":[{"url":"https://nobody-knows.example/r"}],"max_age":1}',
        'Reporting-Endpoints: a="https://nobody-knows.example/r"',
        'NEL: {"report_to":"a","max_age":1}',
        'Speculation-Rules: "/rules.json"',
    ]
    kind = "text/html" if dest == "document" else "text/css"
    page = reply(PAGE, f"Content-Type: {kind}", *headers, html=False)
    async with proxied(tmp_path, {"page": page}) as site:
        answer = await site.ask("/page", dest=dest)
        assert answer.all("Link") == ["</own.css>; rel=preload"]
        for name in ("Refresh", "Report-To", "Reporting-Endpoints", "NEL", "Speculation-Rules"):
            assert answer.all(name) == []
        answer = await site.ask("/page", dest=dest, cookie=site.cookie("analytics"))
        assert answer.all("Link") == [f"<{GA}>; rel=preload; as=script, </own.css>; rel=preload"]


@pytest.mark.parametrize("dest", ["document", "empty", "iframe"])
@pytest.mark.parametrize(
    "kind", ["application/signed-exchange;v=b3", "Application/Signed-Exchange"]
)
async def test_no_signed_exchange(tmp_path: Path, dest: str, kind: str) -> None:
    """Its certificate is fetched from wherever it names, under no policy, and it is a page that
    nobody has gated.
    """
    page = reply(b"sxg1-b3\0", f"Content-Type: {kind}", html=False)
    async with proxied(tmp_path, {"page": page}) as site:
        answer = await site.ask("/page", dest=dest)
        assert answer.all("Content-Type") == ["application/octet-stream"]
        assert answer.all("X-Content-Type-Options") == ["nosniff"]
        assert answer.body == b"sxg1-b3\0"


@pytest.mark.parametrize(
    ("accept", "sent"),
    [
        (
            "text/html,*/*;q=0.8,application/signed-exchange;v=b3;q=0.7",
            ["text/html,*/*;q=0.8"],
        ),
        ("application/signed-exchange;v=b3;q=0.9, */*;q=0.8", ["*/*;q=0.8"]),
        ("a/b, Application/Signed-Exchange ,c/d", ["a/b,c/d"]),
        ("application/signed-exchange", []),
        ("text/html , */*", ["text/html , */*"]),
    ],
)
async def test_signed_exchanges_are_not_asked_for(
    tmp_path: Path, accept: str, sent: list[str]
) -> None:
    async with proxied(tmp_path) as site:
        await site.ask("/", f"Accept: {accept}")
        assert site.asked[-1].values(b"accept") == [value.encode() for value in sent]


async def test_redirects(tmp_path: Path) -> None:
    pages = {
        "out": reply(b"", "Location: https://www.google-analytics.com/collect", status="302 Found"),
        "in": reply(b"", "Location: /next", status="301 Moved", html=False),
        "pixel": reply(b"", f"Location: {GA}", status="302 Found", html=False),
    }
    async with proxied(tmp_path, pages) as site:
        for path in ("/out", "/pixel"):  # the visitor's own navigation
            answer = await site.ask(path)
            assert answer.status == 302
            assert "google-analytics" in answer.one("Location")
        assert (await site.ask("/in")).one("Location") == "/next"
        for dest in ("image", "script", "empty"):
            for path in ("/pixel", "/out"):
                answer = await site.ask(path, dest=dest)
                assert (answer.status, answer.all("Location")) == (204, [])
                allowed = await site.ask(path, dest=dest, cookie=site.cookie("analytics"))
                assert allowed.status == 302


@pytest.mark.parametrize(
    ("status", "method", "stays"),
    [
        ("307 Temporary Redirect", "POST", True),
        ("308 Permanent Redirect", "POST", True),
        ("307 Temporary Redirect", "GET", False),
        # These ask for the target by GET: a way back from signing in or from paying.
        ("302 Found", "POST", False),
        ("303 See Other", "POST", False),
    ],
)
async def test_a_form_is_not_sent_on_to_the_closed(
    tmp_path: Path, status: str, method: str, stays: bool
) -> None:
    """Firefox applies form-action to a form's first target only (CSP3, 6.4.1)."""
    pages = {
        "ga": reply(b"", "Location: https://www.google-analytics.com/x", status=status),
        "unknown": reply(b"", "Location: https://nobody-knows.example/x", status=status),
        "own": reply(b"", "Location: /next", status=status),
    }
    async with proxied(tmp_path, pages) as site:
        for path in ("/ga", "/unknown"):
            answer = await site.ask(path, method=method)
            assert (answer.status == 204) is stays
            assert (answer.all("Location") == []) is stays
        assert (await site.ask("/own", method=method)).one("Location") == "/next"
        allowed = await site.ask("/ga", method=method, cookie=site.cookie("analytics"))
        assert allowed.status == int(status[:3])


async def test_own_headers_of_documents(tmp_path: Path) -> None:
    page = reply(PAGE, "Permissions-Policy: camera=()", "Referrer-Policy: origin")
    async with proxied(tmp_path, {"page": page, **{"patients/x": page}}) as site:
        answer = await site.ask("/page")
        assert answer.all("Referrer-Policy") == ["origin"]
        assert answer.all("Permissions-Policy")[0] == "camera=()"
        patient = await site.ask("/patients/x")
        assert patient.all("Referrer-Policy") == ["no-referrer"]


async def test_whom_the_proxy_believes(tmp_path: Path) -> None:
    """The peer is trusted in this config: its last word counts, over several lines too."""
    async with proxied(tmp_path) as site:
        for headers, host, status in (
            (["X-Forwarded-Host: www.example.com"], "10.0.0.1", 200),
            (["X-Forwarded-Host: evil.example, www.example.com"], "10.0.0.1", 200),
            (["X-Forwarded-Host: evil.example", "X-Forwarded-Host: localhost"], "10.0.0.1", 200),
            (["X-Forwarded-Host: www.example.com, evil.example"], "www.example.com", 421),
        ):
            assert (await site.ask("/", *headers, host=host)).status == status
        secure = f"__Host-{site.cookie('analytics')}"
        answer = await site.ask("/", "X-Forwarded-Proto: http, HTTPS", cookie=secure)
        assert answer.shows() == {"google-analytics"}


async def test_whom_it_does_not(tmp_path: Path) -> None:
    def strict(text: str) -> str:
        return text.replace('trusted_proxies = ["127.0.0.1/32"]', "")

    async with proxied(tmp_path, change=strict) as site:
        assert (await site.ask("/", "X-Forwarded-Host: localhost", host="10.0.0.1")).status == 421
        assert (await site.ask("/", "X-Country: US")).shows() == set()
        secure = f"__Host-{site.cookie('analytics')}"
        assert (await site.ask("/", "X-Forwarded-Proto: https", cookie=secure)).shows() == set()
        await site.ask("/", "X-Country: US")
        assert site.asked[-1].values(b"x-country") == []


async def test_sensors_are_open_where_the_config_says_so(tmp_path: Path) -> None:
    def with_sensors(text: str) -> str:
        return text.replace(
            'audience = "marketing"\nmode',
            'audience = "marketing"\npermissions = ["geolocation"]\n'
            'patient_permissions = ["camera", "microphone"]\nmode',
        )

    page = reply(PAGE, 'Permissions-Policy: geolocation=(self "https://maps.example"), camera=*')
    pages = {"page": page, "patients/x": page}
    async with proxied(tmp_path, pages, change=with_sensors) as site:
        marketing = (await site.ask("/page")).all("Permissions-Policy")[-1]
        assert marketing.startswith("geolocation=(self), camera=(), microphone=()")
        patient = (await site.ask("/patients/x")).all("Permissions-Policy")[-1]
        assert patient.startswith("geolocation=(), camera=(self), microphone=(self)")
    async with proxied(tmp_path, pages) as site:
        for path in pages:
            closed = (await site.ask(f"/{path}")).all("Permissions-Policy")[-1]
            assert closed.startswith("geolocation=(), camera=(), microphone=()")
