"""A thousand visitors, no two alike, and what each of them must get: worked out offline."""

from __future__ import annotations

import base64
import json
import random
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache

from consent_rules.categories import CHOOSABLE, Audience, Category
from consent_rules.config.theme import theme_of
from consent_rules.decision import Decision, Visitor, ask_again_from, decide
from consent_rules.preferences import Preferences, strictest
from consent_rules.rules import PageContext
from proxy.banner.texts import texts_for
from proxy.cookies.cookie_header import names_in
from proxy.cookies.expiry import expiring_set_cookies
from proxy.cookies.preference_cookie import (
    KeyRing,
    cookie_name,
    load_once_cookie_name,
    set_load_once_cookie,
)
from proxy.cookies.vendor_cookies import CookieIndex, allowed_set_cookies
from proxy.enforcement.csp import decision_policy
from proxy.html import Page, compile_page
from proxy.rendering.injected_markup import Injection
from proxy.rendering.variants import write_variant
from proxy.review.preview import PreviewRequest, rewrite_page
from tests.support.crowd_origin import PAGES, Served
from tests.support.site import HOST, TAGS

LANGUAGES = ("", "de", "es-MX, en;q=0.5", "ar", "xx, fr;q=0.8", "zh-CN")
CODINGS = ("identity", "gzip", "br", "zstd", "gzip, deflate, br, zstd", "")
VENDOR_COOKIES = ("_ga=GA1.1.1", "_fbp=fb.1", "_hjSessionUser_1=x")
REPORTS = "/.consent/report"


@dataclass(frozen=True)
class Person:
    """What somebody sends, and who that is once it is understood."""

    number: int
    path: str
    secure: bool
    headers: tuple[tuple[str, str], ...]
    cookies: tuple[str, ...]
    cookie_state: str
    visitor: Visitor
    dest: str

    def header(self, name: str) -> str:
        return dict(self.headers).get(name, "")

    @property
    def cookie_header(self) -> str:
        return "; ".join(self.cookies)

    @property
    def url(self) -> str:
        return f"{'https' if self.secure else 'http'}://{HOST}{self.path}"

    def own(self, name: str) -> str:
        """The value of a cookie of the site's own; "nobody" without it."""
        found = [c.partition("=")[2] for c in self.cookies if c.startswith(f"{name}=")]
        return found[0] if found else "nobody"


@dataclass(frozen=True)
class Due:
    """What somebody must get: the page, the policy, the cookies that are set."""

    body: bytes
    policy: str
    set_cookies: tuple[str, ...]
    decision: Decision


COOKIE_STATES = (
    "none", "chosen", "chosen", "chosen", "chosen", "vendors", "only vendors", "old policy",
    "refused long ago", "expired", "forged", "tampered", "unsigned", "other site", "nonsense",
    "two of them",
)  # fmt: skip
UNREADABLE = {"forged", "tampered", "unsigned", "nonsense"}


class Crowd:
    """Draws people; the same seed gives the same person."""

    def __init__(self, keys: KeyRing, forger: KeyRing, version: str) -> None:
        self._keys, self._forger, self._version = keys, forger, version

    def person(self, number: int) -> Person:
        """Somebody who comes now. Some are much alike: they share what lies ready, or nearly do."""
        draw = random.Random(number)
        self._now = int(time.time())
        if draw.random() < 0.3:
            return self._usual(number, draw)
        secure = draw.random() < 0.15
        path = draw.choice(PAGES).replace("*", str(draw.randrange(3)))
        state = COOKIE_STATES[number % len(COOKIE_STATES)]
        # Every combination of categories comes up, whatever else does.
        bits = number // len(COOKIE_STATES)
        allowed = frozenset(c for at, c in enumerate(CHOOSABLE) if bits >> at & 1)
        gpc, us = draw.random() < 0.35, draw.random() < 0.4
        preferences, tokens = self._choice(state, allowed, draw)
        name = cookie_name("", secure=secure)
        cookies = [f"{name}={token}" for token in tokens]
        once: frozenset[str] = frozenset()
        if draw.random() < 0.15:
            once = frozenset({draw.choice(TAGS)})
            token = self._keys.sign_load_once(next(iter(once)), "www", self._now)
            cookies.append(f"{load_once_cookie_name(secure=secure)}={token}")
        cookies += [c for c in VENDOR_COOKIES if draw.random() < 0.15]
        if draw.random() < 0.12:
            cookies.append(f"session=patient-{number}")
        if draw.random() < 0.12:
            cookies.append(f"cart=cart-{number}")
        draw.shuffle(cookies)
        headers = [("Accept-Encoding", draw.choice(CODINGS))]
        if path == "/vary":
            headers.append(("X-Flavour", draw.choice(("sweet", "sour"))))
        language = draw.choice(LANGUAGES)
        headers += [("Accept-Language", language)] if language else []
        headers += [("Sec-GPC", "1")] if gpc else []
        headers += [("X-Country", "US")] if us else []
        headers += [("X-Forwarded-Proto", "https")] if secure else []
        dest = draw.choices(("document", "iframe", ""), (7, 1, 2))[0]
        headers += [("Sec-Fetch-Dest", dest)] if dest else []
        framing = f"{'https' if secure else 'http'}://{HOST}/"  # patient pages send no referrer
        headers += [("Referer", framing)] if dest == "iframe" else []
        return Person(
            number, path, secure, tuple(headers), tuple(cookies), state,
            Visitor(
                preferences, gpc=gpc, region="US" if us else "", once=once,
                unreadable_choice=state in UNREADABLE,
            ), dest,
        )  # fmt: skip

    def _usual(self, number: int, draw: random.Random) -> Person:
        gpc, us, accepted = (draw.random() < 0.5 for _ in range(3))
        headers = [("Accept-Encoding", "gzip"), ("Sec-Fetch-Dest", "document")]
        headers += [("Sec-GPC", "1")] if gpc else []
        headers += [("X-Country", "US")] if us else []
        preferences, cookies = None, []
        if accepted:
            allowed = frozenset(CHOOSABLE) if draw.random() < 0.5 else frozenset()
            now = self._now
            preferences = Preferences(allowed, self._version, made_at=now, expires_at=now + 600)
            name = cookie_name("", secure=False)
            cookies = [f"{name}={self._keys.sign(preferences, 'www')}"]
        return Person(
            number, draw.choice(("/fresh", "/language")), False, tuple(headers), tuple(cookies),
            "usual", Visitor(preferences, gpc=gpc, region="US" if us else ""), "document",
        )  # fmt: skip

    def _choice(
        self, state: str, allowed: frozenset[Category], draw: random.Random
    ) -> tuple[Preferences | None, list[str]]:
        """What holds of the cookie, and its text."""
        vendors: Mapping[str, bool] = {}
        if "vendors" in state or draw.random() < 0.2:
            vendors = {v: draw.random() < 0.5 for v in draw.sample(TAGS, draw.randint(1, 2))}
        choice = Preferences(
            allowed if state != "refused long ago" else frozenset(),
            "2020-01-01" if state in {"old policy", "refused long ago"} else self._version,
            vendors={} if state == "refused long ago" else vendors,
            under_gpc=draw.random() < 0.5,
            only_vendors=state == "only vendors",
            made_at=self._now - 60,
            expires_at=self._now + (-5 if state == "expired" else 600),
        )
        sign = self._keys.sign
        match state:
            case "none":
                return None, []
            case "expired":
                return replace(choice, lapsed=True, ask_again=True), [sign(choice, "www")]
            case "forged":
                return None, [self._forger.sign(choice, "www")]
            case "other site":
                return replace(choice, lapsed=True), [sign(choice, "other")]
            case "tampered":
                head, claims, signature = sign(choice, "www").split(".")
                told = json.loads(base64.urlsafe_b64decode(claims + "=="))
                told["c"] = [str(c) for c in CHOOSABLE]
                told["exp"] += 1
                return None, [f"{head}.{_coded(told)}.{signature}"]
            case "unsigned":
                claims = sign(choice, "www").split(".")[1]
                return None, [f"{_coded({'alg': 'none'})}.{claims}."]
            case "nonsense":
                return None, ["analytics,advertising"]
            case "two of them":
                later = replace(choice, allowed=frozenset(CHOOSABLE) - allowed, made_at=self._now)
                tokens = [sign(choice, "www"), sign(later, "www")]
                draw.shuffle(tokens)
                return strictest([choice, later]), tokens
        return choice, [sign(choice, "www")]


def _coded(value: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


class Offline:
    """What everybody must get, by `consent-proxy rewrite` and the pure rules."""

    def __init__(self, request: PreviewRequest) -> None:
        self._request = request
        self._index = CookieIndex(request.rules.vendors.values())
        self._compiled = lru_cache(maxsize=None)(self._compile)

    def due(self, person: Person, served: Served) -> Due:
        request = replace(self._request, url=person.url, visitor=self._visitor(person))
        signed_in = person.own("session") != "nobody"
        language = person.header("Accept-Language")
        plain = not signed_in and not served.marked and person.dest == "document"
        page = self._compiled(served.body, person.url)
        decision = self._decision(request, person, (*page.marks, *served.marked))
        if plain:
            body = rewrite_page(request, served.body, "text/html", language=language, bare=False)
        else:
            body = self._embedded(request, person, page, decision)
        return Due(
            body, self.policy(decision), self._cookies(request, person, decision, served), decision
        )

    def policy(self, decision: Decision | None) -> str:
        request = self._request
        vendors = [] if decision is None else sorted(decision.open)
        return decision_policy(
            request.site.own_patterns,
            [request.rules.vendors[v] for v in vendors],
            report_uri=REPORTS,
        )

    def decision(self, person: Person) -> Decision:
        """For what is no page."""
        request = replace(self._request, url=person.url, visitor=self._visitor(person))
        return self._decision(request, person, ())

    def _compile(self, body: bytes, url: str) -> Page:
        boundary = replace(self._request, url=url).boundary
        return compile_page(body, "text/html", url, boundary)

    def _visitor(self, person: Person) -> Visitor:
        """Everybody chose just now, if at all: whom the law lets nobody ask again is not asked."""
        visitor, rules = person.visitor, self._request.rules
        terms = rules.terms_of(visitor.region)
        later = ask_again_from(self._request.site, visitor.preferences, terms) > 0
        return replace(visitor, ask_later=later)

    def _decision(
        self, request: PreviewRequest, person: Person, marks: tuple[str, ...]
    ) -> Decision:
        site, rules = request.site, request.rules
        audience = site.audience_of(request.target, names_in(person.cookie_header), marks)
        context = rules.page(site, request.target, audience, request.today)
        return decide(rules, context, self._visitor(person))

    def _embedded(
        self, request: PreviewRequest, person: Person, page: Page, decision: Decision
    ) -> bytes:
        """As `rewrite_page`, for what no command does: a frame, a signed-in visitor."""
        return write_variant(
            page,
            request.site,
            request.rules,
            request.config,
            theme_of(vars(request.config.theme)),
            decision,
            texts_for(page.language, person.header("Accept-Language")),
            Injection(visible=person.dest != "iframe", origin=f"//{HOST}" if page.has_base else ""),
            request.target if decision.audience is Audience.PATIENT else "",
        ).body

    def _cookies(
        self, request: PreviewRequest, person: Person, decision: Decision, served: Served
    ) -> tuple[str, ...]:
        site = request.site
        patient = decision.audience is Audience.PATIENT
        site_decision = PageContext(site, site.audience, site.tags, request.today)
        openings = decision.open
        if not patient:
            openings = decide(request.rules, site_decision, request.visitor).open
        found = [*allowed_set_cookies(served.set_cookies, self._index, openings)]
        if person.visitor.once:
            found.append(set_load_once_cookie("", secure=person.secure))
        if not patient:
            names = [
                name
                for name in names_in(person.cookie_header)
                if self._index.is_closed(name, openings)
            ]
            found += expiring_set_cookies(
                names, HOST, request.target.partition("?")[0], secure=person.secure
            )
        return tuple(found)
