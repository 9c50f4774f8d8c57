"""Headers that make a browser reach out."""

from __future__ import annotations

import pytest
from multidict import CIMultiDict

from consent_rules.categories import Audience
from proxy.enforcement.browser_headers import (
    filter_fetching_headers,
    restrict_document,
    without_closed_links,
)


def closed(url: str) -> bool:
    """Whoever is on *.evil may not act."""
    return ".evil" in url.partition("//")[2].partition("/")[0]


@pytest.mark.parametrize(
    ("value", "kept"),
    [
        ("</a.css>; rel=preload; as=style", "</a.css>; rel=preload; as=style"),
        ("<https://t.evil/x>; rel=preload", ""),
        ("<https://t.evil/x>; rel=canonical", "<https://t.evil/x>; rel=canonical"),
        ("<https://t.evil/x>;rel=PRECONNECT", ""),
        ('<https://t.evil/x>; rel="dns-prefetch preconnect"', ""),
        ('<https://t.evil/x>; as=script; rel="next"', ""),
        ("<https://t.evil/x> ; REL = preload", ""),
        ("<//t.evil/x>; rel=modulepreload", ""),
        ("<https://t.evil/x>; rel=prefetch, </b>; rel=preload", "</b>; rel=preload"),
        ("</b>; rel=preload, <https://t.evil/x>; rel=prefetch", "</b>; rel=preload"),
        ('<https://t.evil/x>; title="; rel=x"; rel=preload', ""),
        ('<https://t.evil/x>; title="a, b"; rel=preload, </b>; rel=icon', "</b>; rel=icon"),
        ('<https://t.evil/x>; title="a \\" b"; rel=preload', ""),
        ("<https://t.evil/>; rel=a; rel=preload", "<https://t.evil/>; rel=a; rel=preload"),
        ("</i>; rel=preload; as=image; imagesrcset=\"https://t.evil/i 2x, /j 1x\"", ""),
        ("<https://t.evil/x>; crossorigin; rel=preconnect", ""),
        ("<https://t.evil/x>; rel=preload;", ""),
        ("nonsense", ""),
        ("", ""),
    ],
)  # fmt: skip
def test_link(value: str, kept: str) -> None:
    assert without_closed_links(value, closed) == kept


@pytest.mark.parametrize(
    ("name", "value", "kept"),
    [
        ("Refresh", "5", True),
        ("Refresh", "5; url=/next", True),
        ("Refresh", "5; url=https://t.evil/", False),
        ("Refresh", "0;URL='https://t.evil/'", False),
        ("Refresh", "0,https://t.evil/", False),
        ("Refresh", "0 https://t.evil/", False),
        ("Refresh", "0 url=https://t.evil/", False),
        ("Refresh", ' 0.5 ; url = "https://t.evil/"', False),
        ("NEL", '{"report_to":"x","max_age":1}', False),
        ("Report-To", '{"endpoints":[{"url":"https://www.example.com/r"}]}', True),
        ("Report-To", '{"endpoints":[{"url":"https://t.evil/r"}]}', False),
        ("Report-To", '{"endpoints":[{"url":"https:\\/\\/t.evil\\/r"}]}', False),
        ("Report-To", '{"endpoints":[{"url":"https:\\u002f\\u002ft.evil/r"}]}', False),
        ("Report-To", '{"endpoints":[{"url":"/r"}]}, {"endpoints":[{"url":"//t.evil"}]}', False),
        ("Report-To", '{"endpoints":[{"url":"https:\\\\t.evil\\r"}]}', False),
        ("Report-To", '{"endpoints":[1,{"url":2}],"x":[]}, 3', True),
        # What this parser cannot read, another one may.
        ("Report-To", "nonsense", False),
        ("Report-To", "{'endpoints':[{'url':'https://t.evil/r'}]}", False),
        ("Report-To", '{"endpoints":[{"url":"https://t.evil/r"}],}', False),
        ("Report-To", '{"endpoints":[{"url":"https://t.evil/r"}],"endpoints":[]}', False),
        ("Report-To", '{"endpoints":[{"url":"https://t.evil/r","url":"/r"}]}', False),
        ("Report-To", '[{"endpoints":[{"url":"https://t.evil/r"}]}]', False),
        ("Reporting-Endpoints", 'a="/r", b="https://www.example.com/r"', True),
        ("Reporting-Endpoints", 'a="/r", b="https://t.evil/r"', False),
        ("Reporting-Endpoints", 'a="/r" , b = "https://www.example.com/r"', True),
        ("Reporting-Endpoints", 'a="/r";x=1, b="/s"', True),
        ("Reporting-Endpoints", 'a="https:\\\\\\\\t.evil\\\\r"', False),
        ("Reporting-Endpoints", 'a="https:\\\\t.evil\\r"', False),
        ("Reporting-Endpoints", 'a="\\/\\/t.evil/r"', False),
        ("Reporting-Endpoints", 'a="http\\s://t.evil/r"', False),
        ("Reporting-Endpoints", "a=https://t.evil/r", False),
        ("Reporting-Endpoints", "a='https://t.evil/r'", False),
        ("Reporting-Endpoints", 'a="https://t.evil/r', False),
        ("Reporting-Endpoints", 'a="/r", https://t.evil/r"', False),
        ("Reporting-Endpoints", '{"a":"https://t.evil/r"}', False),
        ("Speculation-Rules", '"/rules.json"', False),
        ("Content-Security-Policy", "default-src 'self'", True),
        ("Content-Security-Policy", "script-src 'self'; report-uri /r; report-to x", True),
    ],
)
def test_kept_or_not(name: str, value: str, kept: bool) -> None:
    headers = CIMultiDict({name: value, "X-Other": "1"})
    filter_fetching_headers(headers, closed, Audience.MARKETING)
    assert headers.getall(name, []) == ([value] if kept else [])
    assert headers["X-Other"] == "1"


@pytest.mark.parametrize("name", ["Content-Security-Policy", "Content-Security-Policy-Report-Only"])
@pytest.mark.parametrize(
    ("policy", "held"),
    [
        ("a b; report-uri https://t.evil/r", "a b"),
        ("a b; report-uri https://t.evil/r /r; c", "a b; report-uri /r; c"),
        ("a b; REPORT-URI //t.evil, c d; report-uri /r", "a b, c d; report-uri /r"),
        ("report-uri https://t.evil/", ""),
    ],
)
def test_reports_of_policies(name: str, policy: str, held: str) -> None:
    headers = CIMultiDict({name: policy})
    filter_fetching_headers(headers, closed, Audience.MARKETING)
    assert headers.getall(name, []) == ([held] if held else [])


def test_every_line_of_a_header_is_held() -> None:
    headers = CIMultiDict([("Link", "<https://t.evil>; rel=preload"), ("link", "</a>; rel=icon")])
    filter_fetching_headers(headers, closed, Audience.MARKETING)
    assert headers.getall("Link") == ["</a>; rel=icon"]


def test_referrer_of_patient_pages() -> None:
    headers = CIMultiDict([("Referrer-Policy", "unsafe-url"), ("referrer-policy", "origin")])
    filter_fetching_headers(headers, closed, Audience.MARKETING)
    assert headers.getall("Referrer-Policy") == ["unsafe-url", "origin"]
    filter_fetching_headers(headers, closed, Audience.PATIENT)
    assert headers.getall("Referrer-Policy") == ["no-referrer"]


@pytest.mark.parametrize(
    ("given", "sensors", "added"),
    [
        ("", (), "geolocation=(), camera=(), microphone=()"),
        ("", ("camera",), "geolocation=(), camera=(self), microphone=()"),
        # What the origin closes stays closed; what it gives to others is taken back.
        ("camera=()", ("camera",), "geolocation=(), camera=(), microphone=()"),
        ("camera=( )", ("camera",), "geolocation=(), camera=(), microphone=()"),
        ("camera=*", ("camera",), "geolocation=(), camera=(self), microphone=()"),
        (
            'geolocation=(self "https://maps.example")',
            ("geolocation",),
            "geolocation=(self), camera=(), microphone=()",
        ),
        ("geolocation=*", (), "geolocation=(), camera=(), microphone=()"),
    ],
)
def test_sensors_are_the_pages_own_where_the_config_names_them(
    given: str, sensors: tuple[str, ...], added: str
) -> None:
    headers = CIMultiDict({"Permissions-Policy": given} if given else {})
    restrict_document(headers, Audience.MARKETING, advertising=True, sensors=sensors)
    assert headers.getall("Permissions-Policy")[-1] == added


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        # Browsers join the lines: what is malformed would take ours with it.
        (["camera 'none'; microphone 'none'"], []),
        (["fullscreen = ()"], []),
        (["fullscreen=(),"], []),
        (["fullscreen=()", "camera 'none'"], []),
        (["fullscreen=()", ""], []),
        (["fullscreen=('none')"], []),
        (["Camera=()"], []),
        ([""], []),
        (["fullscreen=(), camera", "usb=?0"], ["fullscreen=(), camera", "usb=?0"]),
        (['usb=("https://a.example" self);report-to=x'], None),
    ],
)
def test_a_malformed_policy_does_not_take_ours_with_it(
    given: list[str], kept: list[str] | None
) -> None:
    headers = CIMultiDict([("Permissions-Policy", value) for value in given])
    restrict_document(headers, Audience.MARKETING, advertising=False)
    *others, ours = headers.getall("Permissions-Policy")
    assert others == (given if kept is None else kept)
    assert ours == "geolocation=(), camera=(), microphone=(), browsing-topics=()"


@pytest.mark.parametrize(
    ("name", "value", "open_"),
    [
        ("Permissions-Policy", "camera=self", True),
        ("Permissions-Policy", 'camera=("https://www.example.com")', True),
        ("Permissions-Policy", "camera=(), camera=*", True),
        ("Permissions-Policy", "camera=*, camera=()", False),
        ("Permissions-Policy", 'camera=("https://video.example")', False),
        ("Permissions-Policy", "camera=none", False),
        ("Permissions-Policy", "camera", False),
        ("Permissions-Policy", "camera=()", False),
        ("Permissions-Policy", "camera=();report-to=x", False),
        ("Permissions-Policy", "camera 'none'", True),
        ("Feature-Policy", "camera 'none'", False),
        ("Feature-Policy", "usb 'self'; camera https://video.example, camera *", False),
        ("Feature-Policy", "camera", True),
        ("Feature-Policy", "camera 'SELF' https://video.example", True),
        ("Feature-Policy", "camera https://www.example.com", True),
        ("Feature-Policy", "camera *", True),
        ("Feature-Policy", "usb 'none'", True),
    ],
)
def test_a_sensor_that_the_origin_keeps_from_its_page(name: str, value: str, open_: bool) -> None:
    headers = CIMultiDict({name: value})
    restrict_document(
        headers,
        Audience.MARKETING,
        advertising=True,
        sensors=("camera",),
        origin="https://www.example.com",
    )
    camera = "(self)" if open_ else "()"
    ours = f"geolocation=(), camera={camera}, microphone=()"
    assert headers.getall("Permissions-Policy")[-1] == ours


def test_of_both_fields_the_newer_one_counts() -> None:
    both = {"Permissions-Policy": "camera=self", "Feature-Policy": "camera 'none'"}
    headers = CIMultiDict(both)
    restrict_document(headers, Audience.MARKETING, advertising=True, sensors=("camera",))
    assert "camera=(self)" in headers.getall("Permissions-Policy")[-1]


@pytest.mark.parametrize(
    ("given", "is_read"),
    [
        (["same-origin"], True),
        (["unsafe-none"], True),
        ([' noopener-allow-popups;report-to="x"'], True),
        ([], False),
        ([""], False),
        (["same_origin"], False),
        (["(same-origin)"], False),
        (['"same-origin"'], False),
        (["same-origin; report-to = x"], False),
        (["same-origin, same-origin"], False),
        (["same-origin", "same-origin"], False),
    ],
)
def test_patient_pages_have_an_opener_policy_that_browsers_read(
    given: list[str], is_read: bool
) -> None:
    headers = CIMultiDict([("Cross-Origin-Opener-Policy", value) for value in given])
    restrict_document(headers, Audience.PATIENT, advertising=False)
    expected = given if is_read else ["same-origin-allow-popups"]
    assert headers.getall("Cross-Origin-Opener-Policy") == expected


def test_documents() -> None:
    headers = CIMultiDict({"Permissions-Policy": "camera=(), fullscreen=*", "Accept-CH": "DPR"})
    restrict_document(headers, Audience.MARKETING, advertising=True)
    assert "Accept-CH" in headers
    policies = headers.getall("Permissions-Policy")
    assert policies == [
        "camera=(), fullscreen=*",
        "geolocation=(), camera=(), microphone=()",
    ]
    restrict_document(headers, Audience.PATIENT, advertising=False)
    assert "Accept-CH" not in headers
    assert "browsing-topics=()" in headers.getall("Permissions-Policy")[-1]
    assert headers["Cross-Origin-Opener-Policy"] == "same-origin-allow-popups"
    over_http = CIMultiDict[str]()
    restrict_document(over_http, Audience.PATIENT, advertising=False, trustworthy=False)
    assert "Cross-Origin-Opener-Policy" not in over_http
