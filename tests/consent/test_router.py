"""The visitor's endpoints: what is stored, for whom, and what is refused."""

from __future__ import annotations

import asyncio
import html
import json
import re
from pathlib import Path
from typing import Any

import jwt
import pytest

from consent_rules.categories import Category
from proxy.http.access_record import Access
from proxy.observability.metrics import Metrics
from proxy.observability.prometheus import metrics_text
from tests.support.choices import FORM, OWN, post, stored
from tests.support.site import HOST, Proxied, proxied, reply

# --- Choices

USED = {Category.ANALYTICS, Category.ADVERTISING, Category.FUNCTIONAL, Category.SESSION_REPLAY}


@pytest.mark.parametrize(
    ("fields", "allowed", "vendors"),
    [
        ({"action": "accept_all"}, USED, {}),
        ({"action": "reject_all"}, set(), {}),
        ({"action": "save"}, set(), {}),
        ({"action": "save", "category": ["analytics"]}, {Category.ANALYTICS}, {}),
        (
            {"action": "save", "category": ["analytics"], "vendor": "youtube",
             "vendor_off": "google-analytics"},
            {Category.ANALYTICS},
            {"youtube": True, "google-analytics": False},
        ),
        ({"action": "vendor:youtube"}, set(), {"youtube": True}),
    ],
)  # fmt: skip
@pytest.mark.parametrize("quiet", [False, True])
async def test_choices(
    tmp_path: Path,
    fields: dict[str, Any],
    allowed: set[Category],
    vendors: dict[str, bool],
    quiet: bool,
) -> None:
    async with proxied(tmp_path) as site:
        accept = ["Accept: application/json"] if quiet else []
        answer = await post(site, fields, *accept)
        assert answer.status == (204 if quiet else 303)
        assert answer.one("Location") == ("" if quiet else "/")
        assert answer.one("Cache-Control") == "no-store"
        chosen = stored(site, answer)
        assert (set(chosen.allowed), dict(chosen.vendors)) == (allowed, vendors)
        assert chosen.policy_version == "2026-01-01"
        assert chosen.expires_at - chosen.made_at == 180 * 86_400
        assert not chosen.under_gpc
        assert chosen.receipt_id
        # And it holds on the next page.
        cookie = answer.all("Set-Cookie")[0].partition(";")[0]
        shown = (await site.ask("/", cookie=cookie)).shows()
        assert ("google-analytics" in shown) is (
            Category.ANALYTICS in allowed and vendors.get("google-analytics", True)
        )
        assert ("youtube" in shown) is (Category.FUNCTIONAL in allowed or "youtube" in vendors)
        assert site.asked[-1].line == b"GET / HTTP/1.1"


async def test_a_refusal_ends_the_cookies(tmp_path: Path) -> None:
    async with proxied(tmp_path) as site:
        cookie = f"_ga=1; _fbp=1; mine=1; {site.cookie('analytics', 'advertising')}"
        fields = {"action": "save", "category": "advertising"}
        ended = (await post(site, fields, cookie=cookie)).all("Set-Cookie")[1:]
        assert ended == [
            "_ga=; Path=/; Max-Age=0",
            "_ga=; Path=/; Max-Age=0; Domain=www.example.com",
            "_ga=; Path=/; Max-Age=0; Domain=example.com",
        ]


async def test_observe_mode_ends_no_cookies(tmp_path: Path) -> None:
    async with proxied(tmp_path, mode="observe") as site:
        answer = await post(site, {"action": "reject_all"}, cookie="_ga=1")
        assert len(answer.all("Set-Cookie")) == 1


async def test_gpc_is_written_into_a_choice(tmp_path: Path) -> None:
    async with proxied(tmp_path) as site:
        answer = await post(site, {"action": "accept_all"}, "Sec-GPC: 1")
        assert stored(site, answer).under_gpc
        cookie = answer.all("Set-Cookie")[0].partition(";")[0]
        assert "meta-pixel" in (await site.ask("/", "Sec-GPC: 1", cookie=cookie)).shows()


async def test_the_signal_is_said_to_be_honoured_only_where_it_is(tmp_path: Path) -> None:
    honoured, held = b"Opt-out preference signal honored", b"You refused"
    async with proxied(tmp_path) as site:
        here = "/.consent/preferences"
        assert honoured in (await site.ask(here, "Sec-GPC: 1")).text
        every = ("functional", "analytics", "session_replay", "advertising", "social")
        # Allowed all the same, under the signal: it does not hold.
        later = site.cookie(*every, under_gpc=True)
        page = (await site.ask(here, "Sec-GPC: 1", cookie=later)).text
        assert honoured not in page
        # Allowed before there was a signal: it holds, and nobody says that the visitor refused.
        earlier = site.cookie(*every)
        page = (await site.ask(here, "Sec-GPC: 1", cookie=earlier)).text
        assert honoured in page
        assert held not in page


async def test_one_vendor_more_renews_nothing_else(tmp_path: Path) -> None:
    fields = {"action": "vendor:youtube"}
    async with proxied(tmp_path) as site:
        earlier = {"meta-pixel": True, "hotjar": False, "google-analytics": True}
        same = site.cookie("analytics", vendors=earlier)
        kept = stored(site, await post(site, fields, cookie=same))
        assert kept.allowed == {Category.ANALYTICS}
        assert dict(kept.vendors) == {**earlier, "youtube": True}
        # A yes under an old policy has ended; a no survives.
        old = site.cookie("analytics", vendors=earlier, version="2000")
        renewed = stored(site, await post(site, fields, cookie=old))
        assert renewed.allowed == set()
        assert dict(renewed.vendors) == {"hotjar": False, "youtube": True}
        # A yes to an advertiser from before the signal was none under it.
        signalled = stored(site, await post(site, fields, "Sec-GPC: 1", cookie=same))
        assert signalled.under_gpc
        assert dict(signalled.vendors) == {
            "hotjar": False, "google-analytics": True, "youtube": True,
        }  # fmt: skip
        under = site.cookie(vendors=earlier, under_gpc=True)
        again = stored(site, await post(site, fields, "Sec-GPC: 1", cookie=under))
        assert again.vendors["meta-pixel"]


@pytest.mark.parametrize(
    "fields",
    [
        {},
        b"",
        b"\xff\xfe=%",
        {"action": ""},
        {"action": ["accept_all", "reject_all"]},
        {"action": "everything"},
        {"action": "vendor:nobody"},
        {"action": "vendor:"},
        {"action": "save", "category": "nonsense"},
        {"action": "save", "vendor": "matomo"},
        {"action": "accept_all", **{f"f{n}": "1" for n in range(2100)}},
    ],
)
async def test_forms_that_say_nothing_clear(tmp_path: Path, fields: Any) -> None:
    async with proxied(tmp_path) as site:
        answer = await post(site, fields)
        assert answer.status == 400
        assert answer.all("Set-Cookie") == []
        assert answer.one("Content-Type").startswith("text/plain")
        assert answer.one("X-Content-Type-Options") == "nosniff"


# --- Whose form


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        (["Sec-Fetch-Site: same-origin"], 303),
        (["Sec-Fetch-Site: same-origin", "Origin: null"], 303),
        (["Sec-Fetch-Site: cross-site", f"Origin: http://{HOST}"], 403),
        (["Sec-Fetch-Site: same-site"], 403),
        (["Sec-Fetch-Site: none"], 403),
        (["Sec-Fetch-Site: "], 403),
        ([f"Origin: http://{HOST}"], 303),
        ([f"Origin: https://{HOST}"], 303),
        ([f"Origin: http://{HOST}:80"], 303),
        ([f"Origin: http://{HOST.upper()}"], 303),
        ([f"Origin: http://{HOST}:8080"], 403),
        (["Origin: http://evil.example"], 403),
        ([f"Origin: http://evil.example/{HOST}"], 403),
        ([f"Origin: http://{HOST}.evil.example"], 403),
        ([f"Origin: http://{HOST}@evil.example"], 403),
        (["Origin: null"], 403),
        (["Origin: null", f"Referer: http://{HOST}/page"], 303),
        (["Origin: null", "Referer: http://evil.example/"], 403),
        (["Origin: http://evil.example", f"Referer: http://{HOST}/"], 403),
        (["Origin: http://["], 403),
        (["Origin: "], 403),
        (["Origin: http://"], 403),
        ([f"Referer: http://{HOST}/page"], 303),
        (["Referer: http://evil.example/page"], 403),
        (["Referer: http://["], 403),
        ([f"Referer: /{HOST}"], 403),
        (["Referer: data:text/html,x"], 403),
        ([], 403),
    ],
)
async def test_only_forms_of_the_site(tmp_path: Path, headers: list[str], status: int) -> None:
    async with proxied(tmp_path) as site:
        answer = await post(site, {"action": "reject_all"}, *headers, own="")
        assert answer.status == status
        assert bool(answer.all("Set-Cookie")) is (status == 303)


@pytest.mark.parametrize(
    ("content_type", "body", "status"),
    [
        ("text/plain", b"action=accept_all", 415),
        ("multipart/form-data; boundary=x", b"action=accept_all", 415),
        ("application/json", b"{}", 415),
        ("application/x-www-form-urlencoded; charset=utf-8", b"action=reject_all", 303),
        ("application/x-www-form-urlencoded", b"action=reject_all&x=" + b"a" * 40_000, 413),
        ("application/x-www-form-urlencoded", b"a" * 32_769, 413),
        ("application/x-www-form-urlencoded", b"action=reject_all&x=" + b"a" * 32_748, 303),
    ],
)
async def test_bodies(tmp_path: Path, content_type: str, body: bytes, status: int) -> None:
    async with proxied(tmp_path) as site:
        answer = await site.ask(
            "/.consent/choice", OWN, f"Content-Type: {content_type}", method="POST", body=body
        )
        assert answer.status == status


REFUSED: dict[str, tuple[dict[str, Any] | bytes, list[str], str, int, str, str]] = {
    # fields, header fields, what says whose form it is, status, in the log, on the page
    "another site": (
        {"action": "reject_all"}, ["Origin: http://evil.example"], "", 403,
        'its Origin is "http://evil.example", the page\'s host is "www.example.com"',
        "was not sent from a page of this site",
    ),
    "another site, fetch metadata": (
        {"action": "reject_all"}, [], "Sec-Fetch-Site: cross-site", 403,
        'its Sec-Fetch-Site is "cross-site"', "was not sent from a page of this site",
    ),
    "nothing says whose": (
        {"action": "reject_all"}, [], "", 403,
        "it has no Sec-Fetch-Site, Origin or Referer", "was not sent from a page of this site",
    ),
    "two actions": (
        {"action": ["accept_all", "reject_all"]}, [], OWN, 400,
        "the form must carry one action, not 2", "The form must carry one action, not 2",
    ),
    "no such tool": (
        {"action": "vendor:nobody"}, [], OWN, 400, "no tool called", "no tool called",
    ),
    "too large": (
        b"action=reject_all&x=" + b"a" * 40_000, [], OWN, 413, "is larger than", "larger than",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
async def test_a_refused_choice_says_why_to_the_visitor_and_in_the_log(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, case: str
) -> None:
    fields, headers, own, status, logged, shown = REFUSED[case]
    async with proxied(tmp_path) as site:
        for _ in range(3):
            answer = await post(site, fields, "Accept: text/html", *headers, own=own)
            assert answer.status == status
            page = html.unescape(answer.text.decode())
            assert shown in page
            assert 'href="/.consent/preferences' in page
            assert answer.one("Content-Type").startswith("text/html")
            assert answer.all("Set-Cookie") == []
    lines = [r.getMessage() for r in caplog.records if "choice was refused" in r.getMessage()]
    assert len(lines) == 1, "once a minute"
    assert logged in lines[0]
    assert "site www" in lines[0]


async def test_choices_are_counted_by_action_and_regime(tmp_path: Path) -> None:
    seen: list[Access] = []
    async with proxied(tmp_path, access=seen.append) as site:
        for action in ("accept_all", "reject_all", "once:youtube", "vendor:youtube", "nonsense"):
            await post(site, {"action": action})
    assert [one.choice for one in seen] == [
        ("accept_all", "opt_in"),
        ("reject_all", "opt_in"),
        ("once", "opt_in"),
        ("vendor", "opt_in"),
        None,
    ]
    metrics = Metrics(1)
    for one in seen:
        metrics(one)
    labels = b'{action="accept_all",regime="opt_in",site="www"} 1.0'
    assert b"consent_proxy_choices_total" + labels in metrics_text(metrics)


async def test_a_body_that_never_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("proxy.consent.replies._BODY_SECONDS", 0.3)
    head = f"POST /.consent/choice HTTP/1.1\r\nHost: {HOST}\r\n{OWN}\r\n{FORM}\r\n"
    async with proxied(tmp_path) as site:
        late = await site.raw(f"{head}Content-Length: 99\r\n\r\naction=".encode(), seconds=5)
        assert late.startswith(b"HTTP/1.1 408")
        broken = await site.raw(
            f"{head}Transfer-Encoding: chunked\r\n\r\nzz\r\n".encode(), seconds=5
        )
        assert broken.split(b" ")[1] == b"400"


async def test_a_visitor_who_waits_for_100(tmp_path: Path) -> None:
    body = b"action=reject_all"
    head = (
        f"POST /.consent/choice HTTP/1.1\r\nHost: {HOST}\r\n{OWN}\r\n{FORM}\r\n"
        f"Connection: close\r\nExpect: 100-continue\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    async with proxied(tmp_path) as site:
        reader, writer = await asyncio.open_connection("127.0.0.1", site.port)
        writer.write(head.encode())
        assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        writer.write(body)
        assert (await reader.read()).startswith(b"HTTP/1.1 303")
        writer.close()


# --- Where to go back to


@pytest.mark.parametrize(
    ("fields", "referer", "location"),
    [
        ({}, f"http://{HOST}/blog?x=1#y", "/blog?x=1"),
        ({}, "", "/"),
        ({}, "http://evil.example/blog", "/"),
        ({}, "http://[", "/"),
        ({}, f"http://{HOST}/.consent/preferences?return_to=%2Fa", "/"),
        ({}, f"http://{HOST}//evil.example/", "/"),
        ({"return_to": "/a?b=c"}, f"http://{HOST}/blog", "/a?b=c"),
        ({"return_to": "//evil.example"}, f"http://{HOST}/blog", "/"),
        ({"return_to": "https://evil.example"}, "", "/"),
        ({"return_to": "/\\evil.example"}, "", "/"),
        ({"return_to": "/a", "source": "preferences"}, "",
         "/.consent/preferences?return_to=%2Fa&saved=1"),
        ({"return_to": "/a", "source": "preferences", "lang": "de"}, "",
         "/.consent/preferences?return_to=%2Fa&lang=de&saved=1"),
        ({"return_to": "/a", "source": "preferences", "lang": "de&x=1"}, "",
         "/.consent/preferences?return_to=%2Fa&saved=1"),
    ],
)  # fmt: skip
async def test_return_to(
    tmp_path: Path, fields: dict[str, str], referer: str, location: str
) -> None:
    async with proxied(tmp_path) as site:
        headers = [f"Referer: {referer}"] if referer else []
        answer = await post(site, {"action": "reject_all", **fields}, *headers)
        assert answer.one("Location") == location


# --- The others


async def test_the_key_of_the_state_is_that_of_every_page_and_changes_with_the_choice(
    tmp_path: Path,
) -> None:
    async def keys(site: Proxied, cookie: str) -> tuple[str, str]:
        state = json.loads((await site.ask("/.consent/state", cookie=cookie)).body)
        page = (await site.ask("/", cookie=cookie)).text
        found = re.search(rb'data-key="(\w+)"', page)
        assert found is not None
        return state["key"], found[1].decode()

    async with proxied(tmp_path) as site:
        choices = ["", site.cookie(), site.cookie("analytics"), site.cookie("advertising")]
        choices += [site.cookie(vendors={"youtube": True})]
        seen = [await keys(site, cookie) for cookie in choices]
        assert [state for state, _ in seen] == [page for _, page in seen]
        assert len(set(seen)) == len(choices)
        page = await site.ask("/", cookie=f"{site.cookie('analytics')}; session=1")
        assert b'data-key=""' in page.text
        answer = await site.ask(
            "/.consent/choice", "Accept: application/json", "Sec-Fetch-Site: same-origin",
            "Content-Type: application/x-www-form-urlencoded",
            method="POST", body=b"action=save&category=analytics",
        )  # fmt: skip
        assert answer.status == 204
        assert answer.one("Consent-Key") == seen[2][0]
        assert answer.one("Clear-Site-Data") == '"prefetchCache", "prerenderCache"'


async def test_state(tmp_path: Path) -> None:
    async with proxied(tmp_path) as site:
        cookie = site.cookie("analytics", vendors={"youtube": True})
        answer = await site.ask("/.consent/state", "Sec-GPC: 1", cookie=cookie)
        assert answer.one("Content-Type") == "application/json; charset=utf-8"
        assert answer.one("Cache-Control") == "no-store"
        found = json.loads(answer.body)
        assert re.fullmatch(r"[0-9a-f]{12}", found.pop("key"))
        assert found == {
            "site": "www",
            "decided": True,
            "gpc": True,
            "regime": "opt_in",
            "policy_version": "2026-01-01",
            "categories": {
                "necessary": True, "functional": False, "analytics": True,
                "session_replay": False, "advertising": False, "social": False,
            },
            "vendors": {
                "google-analytics": True, "hotjar": False, "meta-pixel": False, "youtube": True,
            },
        }  # fmt: skip
        undecided = json.loads((await site.ask("/.consent/state", "X-Country: US")).body)
        assert (undecided["decided"], undecided["regime"]) == (False, "opt_out")


async def test_jwks_proves_the_cookie(tmp_path: Path) -> None:
    async with proxied(tmp_path) as site:
        answer = await site.ask("/.consent/jwks.json")
        assert answer.one("Cache-Control") == "public, max-age=60, stale-if-error=86400"
        etag = answer.one("ETag")
        again = await site.ask("/.consent/jwks.json", f'If-None-Match: "x", W/{etag}')
        assert (again.status, again.body, again.one("ETag")) == (304, b"", etag)
        assert (await site.ask("/.consent/jwks.json", 'If-None-Match: "x"')).status == 200
        keys = jwt.PyJWKSet.from_dict(json.loads(answer.body))
        token = site.cookie("analytics").removeprefix("consent=")
        key = keys[jwt.get_unverified_header(token)["kid"]]
        assert jwt.decode(token, key, algorithms=["EdDSA"], issuer="www")["c"] == ["analytics"]


@pytest.mark.parametrize(
    ("version", "last_update"),
    [("2026-01-01", "2026-01-01"), ("2026-13-45", None), ("v7", None)],
)
async def test_gpc_json(tmp_path: Path, version: str, last_update: str | None) -> None:
    def changed(text: str) -> str:
        return text.replace("2026-01-01", version)

    async with proxied(tmp_path, change=changed) as site:
        document = json.loads((await site.ask("/.well-known/gpc.json")).body)
        expected = {"gpc": True, "lastUpdate": last_update}
        assert document == {k: v for k, v in expected.items() if v is not None}


@pytest.mark.parametrize(
    "query",
    ["", "?return_to=/blog", "?return_to=//evil.example", "?saved=1", "?" + "&".join("a" * 30),
     "?%ff=%ff&return_to=%ff", "?return_to=" + "a" * 5000, "?return_to=%0d%0aX:1"],
)  # fmt: skip
async def test_the_preferences_page(tmp_path: Path, query: str) -> None:
    async with proxied(tmp_path) as site:
        for cookie in ("", site.cookie("analytics")):
            answer = await site.ask(
                f"/.consent/preferences{query}", "Referer: http://[", cookie=cookie
            )
            assert answer.status == 200
            assert answer.one("Content-Type") == "text/html; charset=utf-8"
            assert answer.one("Cache-Control") == "no-store"
            assert "default-src 'none'" in answer.one("Content-Security-Policy")
            assert b"evil.example" not in answer.body
            assert answer.all("X") == []
        head = await site.ask(f"/.consent/preferences{query}", method="HEAD")
        assert (head.status, head.body) == (200, b"")
        assert not site.asked


@pytest.mark.parametrize(
    ("lang", "accept", "expected"),
    [
        ("de", "fr", "de"),
        ("de-AT", "fr", "de"),
        ("zh-TW", "fr", "zh-hant"),
        ("", "fr", "fr"),
        ("tlh", "fr", "fr"),
        ("%22%3E%3Cscript%3E", "fr", "fr"),
        ("de" * 500, "fr", "fr"),
    ],
)
async def test_the_preferences_are_in_the_language_of_the_page_that_leads_there(
    tmp_path: Path, lang: str, accept: str, expected: str
) -> None:
    async with proxied(tmp_path) as site:
        answer = await site.ask(
            f"/.consent/preferences?return_to=%2Fa&lang={lang}", f"Accept-Language: {accept}"
        )
        assert answer.one("Content-Language").lower() == expected
        assert b"<script>" not in answer.body
        # So is the page that says why a choice was refused.
        fields = {"action": "nothing", "lang": lang} if lang.isalpha() else {"action": "nothing"}
        refused = await post(site, fields, f"Accept-Language: {accept}", "Accept: text/html")
        assert refused.status == 400
        assert refused.one("Content-Language") == ("de" if lang == "de" else "fr")


@pytest.mark.parametrize("html_lang", ["de", "ar", "zh-TW"])
async def test_every_way_to_the_preferences_names_the_language_of_the_page(
    tmp_path: Path, html_lang: str
) -> None:
    page = (
        f"<!doctype html><html lang={html_lang}><title>P</title>"
        '<iframe src="https://www.youtube.com/embed/abc"></iframe>'
    ).encode()
    lang = {"zh-TW": "zh-Hant"}.get(html_lang, html_lang)
    async with proxied(tmp_path, {"p": reply(page)}) as site:
        for cookie in ("", site.cookie("analytics")):
            page_html = (await site.ask("/p", "Accept-Language: fr", cookie=cookie)).body.decode()
            text = html.unescape(html.unescape(page_html))
            ways = re.findall(r"/\.consent/preferences\?[^\"]*", text)
            assert ways
            assert [way for way in ways if f"lang={lang}" not in way] == []
            assert f'data-lang="{lang}"' in page_html
            # The form of the placeholders' buttons, in the page and in the frame.
            forms = re.findall(r'<form id="yc-o".*?</form>', text, re.S)
            assert len(forms) == 2
            assert all(f'name="lang" value="{lang}"' in form for form in forms)
        there = await site.ask(f"/.consent/choice?action=vendor:youtube&lang={lang}")
        assert f"lang={lang}" in there.one("Location")


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/.consent", 404),
        ("GET", "/.consent/", 404),
        ("GET", "/.consent/nothing", 404),
        ("GET", "/.consent/assets/x.js", 404),
        ("GET", "/.consent/../secret", 404),
        ("POST", "/.consent/state", 405),
        ("DELETE", "/.consent/jwks.json", 405),
        ("PUT", "/.well-known/gpc.json", 405),
        ("GET", "/.consent/report", 405),
        ("GET", "/.consent/choice", 303),
        ("PUT", "/.consent/choice", 303),
        ("POST", "/.consent/preferences", 303),
        ("POST", "/.consent/report", 204),
    ],
)
async def test_paths_and_methods(tmp_path: Path, method: str, path: str, status: int) -> None:
    async with proxied(tmp_path) as site:
        answer = await site.ask(path, method=method, dest="")
        assert answer.status == status
        if status == 405:
            assert method not in answer.one("Allow").split(", ")
        if status == 303:
            assert answer.one("Location").startswith("/.consent/preferences")
        assert not site.asked


@pytest.mark.parametrize("path", ["/.consents", "/.well-known/gpc.jsonx", "/x/.consent/state"])
async def test_everything_else_is_the_origins(tmp_path: Path, path: str) -> None:
    async with proxied(tmp_path) as site:
        await site.ask(path)
        assert site.asked[-1].line == f"GET {path} HTTP/1.1".encode()


@pytest.mark.parametrize("body", [b"", b"{", b"[" * 60_000, b"\xff", b'{"csp-report": 5}', b"[1]"])
async def test_reports_of_any_kind(tmp_path: Path, body: bytes) -> None:
    async with proxied(tmp_path) as site:
        answer = await site.ask(
            "/.consent/report", "Content-Type: application/csp-report", method="POST", body=body
        )
        assert answer.status == 204
        huge = await site.ask("/.consent/report", method="POST", body=b"x" * 70_000)
        assert huge.status == 413


async def test_own_words_are_shown_on_pages_and_in_the_preferences(tmp_path: Path) -> None:
    own = '\n[texts.en]\nbanner.title = "Your call"\nbanner.accept_all = "Allow all"\n'
    own += '[texts.de.banner]\nreject_all = "Nichts erlauben"\n'
    async with proxied(tmp_path, change=lambda text: text + own) as site:
        page = (await site.ask("/")).text
        assert b"Your call" in page and b">Allow all</button>" in page
        german = "Accept-Language: de"
        preferences = (await site.ask("/.consent/preferences", german)).text
        assert b">Nichts erlauben</button>" in preferences
        assert b">Alle erlauben</button>" in preferences


@pytest.mark.parametrize(
    "status", ["302 Found", "307 Temporary Redirect", "308 Permanent Redirect"]
)
@pytest.mark.parametrize("mode", ["enforce", "observe"])
@pytest.mark.parametrize(
    ("location", "expected"),
    [
        ("/.consent/choice", "/.consent/preferences"),
        ("http://www.example.com/.consent/choice?action=accept_all", "/.consent/preferences"),
        ("//www.example.com/x/../.consent/%63hoice", "/.consent/preferences"),
        ("/.consent/preferences", "/.consent/preferences"),
        ("/blog/.consent/choice", "/blog/.consent/choice"),
    ],
)
async def test_no_redirect_of_the_origin_leads_to_a_choice(
    tmp_path: Path, status: str, mode: str, location: str, expected: str
) -> None:
    pages = {"go": reply(b"", f"Location: {location}", status=status)}
    async with proxied(tmp_path, pages, mode=mode) as site:
        answer = await site.ask("/go", FORM, method="POST", body=b"action=accept_all")
        assert answer.one("Location") == expected


@pytest.mark.parametrize(
    ("action", "asked"),
    [
        ("vendor:youtube", True),
        ("once:youtube", True),
        ("vendor:nobody", False),
        ("vendor:", False),
        ("accept_all", False),
    ],
)
async def test_a_choice_by_a_link_is_asked_again(tmp_path: Path, action: str, asked: bool) -> None:
    async with proxied(tmp_path) as site:
        given = await site.ask(f"/.consent/choice?action={action}&return_to=%2Fa%3Fb")
        assert given.status == 303
        assert given.all("Set-Cookie") == []
        there = given.one("Location")
        query = "return_to=%2Fa%3Fb" + ("&vendor=youtube" if asked else "")
        assert there == f"/.consent/preferences?{query}"
        page = (await site.ask(there)).text
        for value in (b"once:youtube", b"vendor:youtube"):
            assert (b'name="action" value="%s"' % value in page) is asked
        assert b'name="return_to" value="/a?b"' in page
