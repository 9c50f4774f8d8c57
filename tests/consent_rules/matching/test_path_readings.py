"""What servers may take a path for: the strictest reading decides for whom a page is."""

from __future__ import annotations

import re
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from consent_rules.categories import Audience
from consent_rules.matching.path_readings import (
    MAX_LENGTH,
    MAX_READINGS,
    folded,
    pages_named,
    readings,
)
from consent_rules.matching.path_readings import _remembered as readings_remembered
from consent_rules.matching.paths import path_glob
from tests.support.example_rules import site

PATIENT, MARKETING = Audience.PATIENT, Audience.MARKETING

# Each was seen to be served as the page `/patients/x` (or `/pay`) by a real server, or follows from
# what the documentation of one says.
SPELLINGS = [
    # front controllers: Apache and nginx with PHP, CGI, ASP.NET (PATH_INFO)
    ("/patients/*", "/index.php/patients/pay"),
    ("/patients/*", "/INDEX.PHP/patients/pay"),
    ("/patients/*", "/index.php7/patients/pay"),
    ("/patients/*", "/app_dev.php/patients/pay"),
    ("/patients/*", "/cgi-bin/app.cgi/patients/pay"),
    ("/patients/*", "/app.fcgi/patients"),
    ("/patients/*", "/Default.aspx/patients"),
    ("/app/patients/*", "/app/index.php/patients/pay"),
    ("/patients/*", "/public/patients/pay"),
    ("/patients/*", "/public/index.php/patients/pay"),
    ("/patients/*", "/_next/data/b1-d/patients/pay.json"),
    ("/pay", "/pay.php/anything"),
    ("/pay.php", "/pay.php/anything"),
    # a file with a path behind it that it does not read
    ("/account/form.html", "/account/form.html/anything"),
    ("/account/form", "/account/form.html/any/thing"),
    ("/portal/*.pdf", "/portal/bill.pdf/x"),
    # nginx: `location /static { alias /srv/static/; }` leads out of the folder
    ("/patients/*", "/static../patients"),
    # front controllers that read the query
    ("/patients/*", "/index.php?r=patients/pay"),
    ("/patients/*", "/?r=patients%2Fpay"),
    ("/patients/*", "/?q=patients/pay"),
    ("/patients/*", "/index.php?path=/patients/pay"),
    ("/patients/*", "/index.php?/patients/pay"),
    ("/patients/*", "/?/patients/pay"),
    ("/patients/*", "/?a=1&route=patients/pay"),
    ("/patients/*", "/?a=1;route=patients/pay"),
    ("/patients/*", "/?a=1&%72=patients/pay"),
    ("/patients/*", "/?R=Patients/pay"),
    ("/patients/*", "/index.php?pagename=patients"),
    ("/patients/*", "//index.php?r=patients"),
    # every path is rewritten to one (`RewriteRule . index.php`), which reads a bare query
    ("/pay", "/static/x?/pay"),
    ("/patients/*", "/blog/?%2fpatients/pay"),
    ("/patients/*", "/blog?a=1&/patients/pay"),
    # what WordPress makes a page's name of (`sanitize_title`)
    ("/pay", "/p!ay"),
    ("/pay", "/-pay-"),
    ("/pay", "/--pay"),
    ("/pay", "/(pay)"),
    ("/pay", "/pa%27y,/"),
    ("/pay", "/p%3Cb%3Eay"),
    ("/pay", "/p&amp;ay"),
    ("/my-bill", "/my%20bill"),
    ("/my-bill", "/my--bill"),
    ("/my-bill", "/my.bill"),
    ("/patients/*", "/patients-/pay"),
    ("/patients/*", "/p@tients!/../%70atients$/x"),
    ("/patients/*", "/*patients*/pay"),
    # every path is rewritten to a parameter of a front controller, and the query behind it
    # (`RewriteRule ^(.*)$ index.php?url=$1 [QSA]`): PHP takes the last of a name
    ("/patients/*", "/blog?url=patients/pay"),
    ("/patients/*", "/blog?a=1&%75rl=%2Fpatients%2Fpay"),
    ("/patients/*", "/blog?q=patients/pay"),
    ("/patients/*", "/blog?_route_=patients/pay"),
    ("/patients/*", "/blog/post?_url=/patients/pay"),
    ("/pay", "/blog?url=pay"),
    ("/pay", "/blog?%20url=pay"),
    ("/pay", "/blog?.url=pay"),
    ("/pay", "/blog?url%5B%5D=pay"),
    ("/pay", "/blog?pagename=pay"),
    ("/pay", "/pay&x=1"),
    ("/pay", "/pay%26"),
    ("/patients/*", "/blog&url=patients/pay"),
    ("/patients/*", "/blog%26url=patients/pay"),
    ("/patients/*", "/blog%26url=patients/pay?a=1"),
    ("/patients/*", "/blog?" + "a=1&" * 500 + "url=patients/pay"),
    ("/patients/*", "/blog?" + "a=1&" * 5000 + "url=patients/pay"),
    ("/patients/*", "/?r=x;/../patients/pay"),
    # data of a page, as frameworks ask for it
    ("/pay", "/pay/__data.json"),
    ("/pay", "/pay/_payload.json"),
    ("/pay", "/page-data/pay/page-data.json"),
    ("/patients/*", "/page-data/patients/1/page-data.json"),
    # path parameters
    ("/patients/*", "/%70atients/..;/x"),
    ("/patients/*", "//patients/..;/x"),
    ("/patients/*", "/x/..;/patients/pay"),
    ("/patients/*", "/patients;jsessionid=AB12/pay"),
    ("/patients/*", "/;jsessionid=AB12/patients/pay"),
    ("/pay", "/pay;jsessionid=AB12"),
    ("/pay", "/pay;a/b"),
    # decoded twice, an encoded slash, a backslash
    ("/patients/*", "/%70atients/%252e%252e/x"),
    ("/patients/*", "/%70atients/..%5cx"),
    ("/patients/*", "/%70atients/..%2fx"),
    ("/patients/*", "/x/..%2fpatients/pay"),
    ("/patients/*", "/x%2f..%2fpatients/pay"),
    ("/patients/*", "/%2fpatients/pay"),
    ("/patients/*", "/%252fpatients/pay"),
    ("/patients/*", "/patients%5cpay"),
    ("/patients/*", "/%%37%30atients/pay"),
    ("/patients/*", "/%u0070atients/pay"),
    ("/patients/*", "/%U0070atients/pay"),
    ("/patients/*", "/p%atients/pay"),
    # UTF-8 that is longer than it need be, full width, accents, what is not seen
    ("/patients/*", "/%c1%b0atients/pay"),
    ("/patients/*", "/%c0%afpatients/pay"),
    ("/patients/*", "/%f8%80%80%81%b0atients/pay"),
    ("/patients/*", "/x%e0%80%af..%c0%afpatients/pay"),
    ("/patients/*", "/%ef%bd%90atients/pay"),
    ("/patients/*", "/patients%ef%bc%8fpay"),
    ("/patients/*", "/p%c3%a1tients/pay"),
    ("/patients/*", "/p%e2%80%8batients/pay"),
    ("/patients/*", "/%c5%bf%70atients/../patients"),
    ("/patients/*", "/patient%c5%bf/pay"),
    ("/patienten-ärzte/*", "/patienten-%E4rzte/x"),
    # what stands at the end
    ("/pay", "/pay%0a"),
    ("/pay", "/pay%00"),
    ("/pay", "/pay%00.png"),
    ("/pay", "/pay%09"),
    ("/pay", "/pay%20"),
    ("/pay", "/pay+"),
    ("/pay", "/pay."),
    ("/pay", "/pay%2e%20"),
    ("/pay", "/pay::$DATA"),
    ("/pay", "/pay:x"),
    ("/patients/*", "/patients./pay"),
    ("/patients/*", "/patients%20/pay"),
    ("/patients/*", "/%20patients/pay"),
    ("/patients/*", "/patients:$i30:$INDEX_ALLOCATION/pay"),
    ("/patients/*", "/PATIEN~1/pay"),
    ("/pay", "/pay/"),
    ("/pay/", "/pay"),
    ("/pay", "/pay/index.html"),
    ("/pay/index.html", "/pay/"),
    ("/pay/index.html", "/pay"),
    ("/pay", "/pay%3fx"),
    ("/pay", "/pay%3Fx/y"),
    ("/pay", "/pay%23x"),
    # extensions
    ("/pay", "/pay.html"),
    ("/pay", "/pay.HTML"),
    ("/pay", "/pay.en.html"),
    ("/pay", "/pay.json"),
    ("/pay", "/pay.html/"),
    ("/pay.html", "/pay"),
    ("/pay.html", "/pay.php"),
    # sessions in the path (ASP.NET)
    ("/patients/*", "/(S(x))/patients/pay"),
    ("/patients/*", "/(A(x)S(y))/patients/pay"),
    ("/patients/*", "/%28S(x))/patients/pay"),
    ("/pay", "/(S(x))/pay.aspx"),
    # the first segment as an authority (`new URL(target, base)`, `parse_url`)
    ("/pay", "//www.example.com/pay"),
    ("/pay", "/\\x/pay"),
    ("/pay", "///x/pay"),
    ("/patients/*", "patients/pay"),
]  # fmt: skip


@pytest.mark.parametrize(("rule", "path"), SPELLINGS)
def test_a_spelling_that_some_server_serves_as_a_patient_page(rule: str, path: str) -> None:
    assert site(patient_paths=[rule]).audience_of(path, ()) is PATIENT


HONEST = [
    "/",
    "/blog",
    "/blog/",
    "/blog/caf%C3%A9-%E2%80%93-today",
    "/blog/what-is-a-copay%3F",
    "/blog/a%20b",
    "/blog/a+b",
    "/blog/100%25-free",
    "/blog/it's-(really)-here!",
    "/blog/post;jsessionid=AB12",
    "/blog//post",
    "//blog/post",
    "/blog/patients",
    "/blog/2026/11/20/index.html",
    "/index.php/blog/post",
    "/index.php",
    "/?utm_source=patients",
    "/?next=/patients/pay",
    "/blog?redirect_to=patients/pay",
    "/blog?url=/blog/post",
    "/search?q=blog&page=2",
    "/blog/salt&pepper",
    "/blog/--x--",
    "/blog/it's,(really)!",
    "/blog?patients",
    "/blog?/about",
    "/index.php?r=blog/post",
    "/assets/app.3f2a1b.js",
    "/assets/v1.2.3/lib.min.js/map",
    "/node_modules/a.js/dist/b.js/c.d/e.f/g.js",
    "/assets/fonts/a@2x.woff2",
    "/.well-known/security.txt",
    "/~user/home",
    "/blog/a:b",
    "/%D7%91%D7%9C%D7%95%D7%92/%D7%90",
    "/paying",
    "/our-patients",
    "/patient",
    "/patientsx/pay",
]


@pytest.mark.parametrize("path", HONEST)
def test_an_honest_link_elsewhere_is_no_patient_page(path: str) -> None:
    rules = site(patient_paths=["/patients/*", "/pay", "/portal/*.pdf"])
    assert rules.audience_of(path, ()) is MARKETING


DUBIOUS = [
    "/blog/%252e", "/blog/a%2Fb", "/blog/a%5Cb", "/blog\\a", "/blog/%00", "/blog/a%0d%0aX:1",
    "/blog/%7f", "/blog/..;/x", "/blog/%u0041", "/blog/../x", "/blog/./x", "/blog/%2e%2e/x",
    "/blog/%c0%ae", "/blog/a~1", "/" + "%61" * 2000, "/" + ";a/" * 700, "/" + "(S(a))/" * 300,
    "/" + "a;b/c.php/ x:y/%3f/(A(b))//" * 8,
]  # fmt: skip


@pytest.mark.parametrize("path", DUBIOUS)
def test_a_path_that_no_honest_link_spells_is_a_patient_page_where_there_are_any(path: str) -> None:
    assert site(patient_paths=["/patients/*"]).audience_of(path, ()) is PATIENT
    assert site().audience_of(path, ()) is MARKETING


# --- Properties

_ODD = st.text("/.;%2fFcC05eE:()Aax \\?#~\u00e9\uff0f\u2044\x00\n", max_size=24).map("/{}".format)


@given(_ODD)
@settings(max_examples=1000, deadline=None)
def test_the_readings_are_closed(path: str) -> None:
    """Whatever can be read of a reading is a reading."""
    known = readings(path)
    if known is None:
        return
    assert len(known) <= MAX_READINGS
    assert all(reading.startswith("/") for reading in known)
    for reading in known:
        more = readings(reading)
        assert more is not None
        assert set(more) <= set(known)


@given(_ODD)
@settings(max_examples=1000, deadline=None)
def test_a_page_that_may_be_meant_is_spelled_normally(path: str) -> None:
    pages = pages_named(path)
    for page in pages or ():
        assert pages_named(page) == (page,)
    assert pages != ()


@given(st.lists(st.text("abcXYZ019_-", min_size=1, max_size=4), max_size=4))
@settings(max_examples=200, deadline=None)
def test_a_plain_path_has_one_reading(segments: list[str]) -> None:
    path = "/" + "/".join(segments)
    # WordPress trims and joins dashes.
    slug = re.fullmatch(r"(?:/[^/-]+(?:-[^/-]+)*)*/?", path)
    if slug and segments[:1] not in (["www"], ["web"]):
        assert readings(path) == (path.lower(),)
    assert pages_named(path) == (path,)


@given(st.text("aäß/\u017f\u0130*+é", max_size=8), st.text("aäß/\u017f\u0130+é", max_size=8))
@settings(max_examples=500, deadline=None)
def test_a_glob_that_names_a_path_names_it_folded(pattern: str, path: str) -> None:
    if path_glob(pattern).match(path):
        assert path_glob(folded(pattern)).match(folded(path))


@pytest.mark.parametrize("piece", ["%C3%A9", ";a/", "a.php/", " .:;a", "a.", "%3b%3f%23%3a.", "/",
                                   "%3f.", "/a%20", "(S(a))/", "../", "%252e/"])  # fmt: skip
def test_what_a_path_costs_is_bounded(piece: str) -> None:
    """Twice as long, at most about twice as dear; and nothing is read that is longer than 2 KB."""
    rules = site(patient_paths=["/patients/*", "/pay"])

    def seconds(path: str) -> float:
        taken = []
        for _ in range(5):
            readings_remembered.cache_clear()
            started = time.process_time()
            rules.patient_paths._find(path)
            taken.append(time.process_time() - started)
        return min(taken)

    assert seconds("/" + piece * (MAX_LENGTH // len(piece))) < 0.1
    assert seconds("/" + piece * 100_000) < 0.1
