"""`receivers`: a page's requests in, who received them out."""

from __future__ import annotations

import json

import pytest

from tests.support.commands import run

SITE = "https://www.example.com/"

RECEIVED = [
    ({"url": "https://shop.example.com/app.js"}, None),
    ({"url": "data:text/plain,x"}, None),
    ({"url": "https://www.example.org/x.js"}, None),
    (
        {"url": "https://www.google-analytics.com/g/collect"},
        ("google-analytics", "Google Analytics (google-analytics, analytics) was sent https://www"),
    ),
    (
        {"url": "https://www.example.com/g/collect?v=2&tid=G-ABCDEFGH12&cid=1.2"},
        ("google-analytics", "is where Google Analytics is passed on by sites"),
    ),
    (
        {"url": "https://unknown.example.net/t", "body": "v=2&tid=G-ABCDEFGH12&cid=1.2&en=page"},
        ("google-analytics", "known by what it was sent"),
    ),
    (
        {"url": "wss://unknown.example.net:8443/live"},
        ("unknown.example.net:8443", "unknown.example.net:8443 was sent wss://unknown"),
    ),
]


@pytest.mark.parametrize(("sent", "told"), RECEIVED)
def test_who_receives_it(sent: dict[str, str], told: tuple[str, str] | None) -> None:
    done = run(
        "receivers", SITE, "--own", "*.example.org", "--json", stdin=json.dumps([sent]).encode()
    )
    found = json.loads(done.stdout)
    if told is None:
        assert found == []
        return
    (one,) = found
    assert one["id"] == told[0]
    assert told[1] in one["message"]


def test_each_receiver_once_as_text() -> None:
    sent = json.dumps([{"url": f"https://unknown.example.net/{page}"} for page in "ab"])
    done = run("receivers", SITE, stdin=sent.encode())
    assert done.stdout == "unknown.example.net was sent https://unknown.example.net/a\n"


@pytest.mark.parametrize(
    ("site", "stdin", "message"),
    [
        ("example", "[]", '"example" is not a site\'s address; write https://host/'),
        (SITE, "", "stdin: Invalid JSON"),
        (SITE, "{}", "stdin: Input should be a valid array"),
        (SITE, '[{"uri": "https://a.example/"}]', "stdin[0]['url']: Field required; write [{"),
        (SITE, '[{"url": 1}]', "stdin[0]['url']: Input should be a valid string"),
    ],
)
def test_used_wrongly(site: str, stdin: str, message: str) -> None:
    done = run("receivers", site, stdin=stdin.encode())
    assert done.exit_code == 2
    assert message in done.stderr
