"""An upstream's page -> the visitor's page: read, compile, decide, render, reply."""

from __future__ import annotations

import asyncio
import hashlib
import logging
import re
from collections.abc import Iterable
from dataclasses import dataclass, replace

from aiohttp import ClientResponse, web
from multidict import CIMultiDict

from consent_rules.categories import Audience, Category
from consent_rules.decision import Decision
from consent_rules.rules import says_patient
from consent_rules.signals.gpp import sections_for
from proxy.banner.declaration import vendors_on
from proxy.banner.texts import Texts
from proxy.context import Asking
from proxy.cookies.cookie_header import allowed_set_cookies, expiring, names_in
from proxy.cookies.preference_cookie import set_once_cookie
from proxy.cookies.wp_consent import set_wp_cookies
from proxy.enforcement.browser_headers import hold_document, hold_to_decision
from proxy.enforcement.csp import OwnAssets, amend
from proxy.enforcement.shared_caching import keep_apart, say_nothing_to_cdns, vary
from proxy.html import Page, UndecodableError, compile_page
from proxy.html.patch import LARGEST as LARGEST_ALIKE
from proxy.html.patch import Alike
from proxy.html.source import charset_of_content_type
from proxy.http.access_record import PAGE
from proxy.http.adapters.writer import ProxyResponse
from proxy.http.content_coding import CodingError, TooLargeError, decoded, negotiated
from proxy.observability.discovered import PATIENT_PAGES
from proxy.rendering.variants import Injection, Variant, variant_key, write_variant
from proxy.upstream.request import ReadResult, Timeouts, read_body, stream

_log = logging.getLogger("consent_proxy.pages")

_CSP = "Content-Security-Policy"
_CSP_REPORT_ONLY = "Content-Security-Policy-Report-Only"
_DOCUMENT_TYPES = frozenset(
    {"text/html", "text/xml", "application/xml", "multipart/x-mixed-replace"}
)
"""Documents that can run scripts; those in `+xml` as well."""

# What describes the origin's bytes does not describe ours.
_VALIDATORS = ("ETag", "Last-Modified", "Accept-Ranges", "Expires", "Age", "Pragma")
_ORIGIN_ONLY = (
    "Content-Length", "Content-Encoding", "Content-MD5", "Digest", "Content-Digest", "Repr-Digest",
    *_VALIDATORS,
)  # fmt: skip
_READ_SECONDS = 30.0
_PATIENCE = 0.2
"""Seconds in which a page that has begun must be here, or it is sent while it comes."""
_OFF_LOOP = 400_000
"""Bytes. A larger page is compiled in a thread, so that other visitors need not wait for it."""

_MOST_MISSED = 8
"""Pages of an address in a row that were not alike: then likeness is no longer looked for."""

_EMBEDDED = frozenset({"iframe", "frame", "object", "embed", "fencedframe"})
PAGE_DESTINATIONS = _EMBEDDED | {"document"}
"""`Sec-Fetch-Dest` of requests whose answer becomes a page."""
_WORKERS = frozenset({"worker", "sharedworker", "serviceworker"})
# Where a type is missing, browsers take bytes that begin like this for HTML (MIME Sniffing, 7.1).
_SNIFFED = re.compile(
    rb"\s*<(?:!--|(?:!doctype html|html|head|script|iframe|h1|div|font|table|a|style|"
    rb"title|b|body|br|p)[\s/>])",
    re.IGNORECASE,
)
SNIFFED_BYTES = 1445
_UNTYPED = frozenset({"", "unknown/unknown", "application/unknown"})
"""What browsers sniff for HTML."""


_ESSENCE_END = re.compile(r"[;\s(]")


def media_type(headers: CIMultiDict[str]) -> str:
    """The Content-Type without parameters, lower case; "" when there is none.

    Of several, browsers take the last that is one (Fetch Standard, "extract a MIME type").
    """
    found = ""
    for value in headers.getall("Content-Type", ()):
        for one in value.split(","):
            # A blank ends the type as a semicolon does: so browsers read `text/html charset=x`.
            essence = _ESSENCE_END.split(one.strip(), maxsplit=1)[0].lower()
            if "/" in essence and essence != "*/*":
                found = essence
    return found


def is_page(status: int, headers: CIMultiDict[str]) -> bool:
    """Whether an answer is one the page pipeline rewrites: whole HTML."""
    # A part of a page cannot be gated; without a type, browsers look for HTML in the bytes.
    html = media_type(headers) in _UNTYPED | {"text/html"}
    return html and status >= 200 and status not in {204, 205, 206, 304}


def is_other_than_html(headers: CIMultiDict[str], body: bytes) -> bool:
    """Whether bytes without a type turn out not to be a page, by how they begin."""
    return media_type(headers) in _UNTYPED and not _SNIFFED.match(body[:SNIFFED_BYTES])


def needs_policy(request: web.BaseRequest, headers: CIMultiDict[str]) -> bool:
    """Whether an answer that passes unchanged can still run code that reaches out."""
    kind = media_type(headers)
    return kind in _DOCUMENT_TYPES or kind.endswith("+xml") or is_worker(request)


def is_worker(request: web.BaseRequest) -> bool:
    """Whether the answer becomes a worker's script."""
    return request.headers.get("Sec-Fetch-Dest", "") in _WORKERS


def leads_to_closed(
    request: web.BaseRequest, headers: CIMultiDict[str], asking: Asking, decision: Decision
) -> bool:
    """Whether an answer sends an image, a script or a fetch on to someone who may not act.

    Where it sends the visitor's own navigation is the visitor's and the site's business.
    """
    if "Location" not in headers or not decision.enforce:
        return False
    if request.headers.get("Sec-Fetch-Dest", "document") in PAGE_DESTINATIONS:
        return False
    owner = asking.site.boundary.owner(headers["Location"], asking.url)
    return owner is not None and owner not in decision.open


def add_policy(
    headers: CIMultiDict[str], asking: Asking, decision: Decision, *, alone: bool = False
) -> str:
    """Add our own policy beside the origin's, and return it. `alone`: no third party may act."""
    policy = asking.running.policy(asking.site.rules, None if alone else decision)
    headers.add(_CSP if decision.enforce else _CSP_REPORT_ONLY, policy)
    return policy


def marked_decision(headers: CIMultiDict[str], asking: Asking) -> Decision:
    """The decision once the origin's `X-Page-Audience` is heard."""
    return asking.marked(marked_audience(headers.getall("X-Page-Audience", ()), asking))[1]


def finish_headers(
    headers: CIMultiDict[str], asking: Asking, decision: Decision, *, is_document: bool
) -> None:
    """Hold an answer's headers and cookies to the decision. Asset or page alike."""
    if not decision.enforce:
        return
    boundary = asking.site.boundary
    is_open = decision.open

    # Whether another visitor would get other headers: then no cache in front of us may keep them.
    differs = decision.audience is Audience.PATIENT

    def closed(url: str) -> bool:
        nonlocal differs
        owner = boundary.owner(url, asking.url)
        if owner is None:
            return False
        differs = True
        return owner not in is_open

    hold_to_decision(headers, closed, decision.audience)
    if "Location" in headers:
        closed(headers["Location"])  # `leads_to_closed`: for some it is a 204
    allowed_cookies = cookie_openings(asking, decision)
    if "Set-Cookie" in headers:
        values = headers.popall("Set-Cookie")
        set_names = [value.partition("=")[0].strip() for value in values]
        differs = differs or any(map(asking.running.cookies.vendors_of, set_names))
        for value in allowed_set_cookies(values, asking.running.cookies, allowed_cookies):
            headers.add("Set-Cookie", value)
    if not is_document:
        if differs:
            keep_apart(headers)
        return
    advertising = decision.categories[Category.ADVERTISING]
    patient = decision.audience is Audience.PATIENT
    site = asking.site.rules
    sensors = site.patient_permissions if patient else site.permissions
    hold_document(
        headers,
        decision.audience,
        advertising=advertising,
        sensors=sensors,
        trustworthy=asking.secure or _is_loopback(asking.host),
    )
    if asking.asked_once:
        headers.add("Set-Cookie", set_once_cookie("", secure=asking.secure))
    if decision.audience is Audience.MARKETING and asking.cookie_header:
        index = asking.running.cookies
        names = [n for n in names_in(asking.cookie_header) if index.is_closed(n, allowed_cookies)]
        for value in expiring(names, asking.host, asking.path, secure=asking.secure):
            headers.add("Set-Cookie", value)
    if asking.running.config.signals.wp_consent_cookies:
        for value in set_wp_cookies(asking, asking.visitor.preferences, asking.whole_site):
            headers.add("Set-Cookie", value)


def _is_loopback(host: str) -> bool:
    return host in {"localhost", "[::1]"} or host.endswith(".localhost") or host.startswith("127.")


def cookie_openings(asking: Asking, decision: Decision) -> frozenset[str]:
    """The vendors whose cookies pass. A cookie goes to the whole site, not to one page's tags."""
    if decision.audience is Audience.PATIENT:
        return decision.open
    return asking.whole_site.open


@dataclass(frozen=True, slots=True)
class PageRead:
    """What came of reading a page: compiled, or `why` not. `is_html` is False where bytes without a
    type turned out to be something else; `goes_on` where it is to be sent while it comes.
    """

    read: ReadResult
    page: Page | None = None
    why: str = ""
    is_html: bool = True
    goes_on: bool = False


async def read_page(
    upstream: ClientResponse, headers: CIMultiDict[str], asking: Asking, timeouts: Timeouts
) -> PageRead:
    """Read a page and compile it, if all of it comes soon: nothing here depends on the visitor."""
    limit = asking.running.config.proxy.max_page_bytes
    enough, patience = limit, None
    early = asking.running.config.proxy.stream_page_bytes
    if early and asking.late_key not in asking.running.late_marks:
        enough, patience = min(early, limit), _PATIENCE
    read = await read_body(upstream, enough, timeouts.idle, _READ_SECONDS, patience)
    if not read.whole:
        return PageRead(read, goes_on=True)
    try:
        body = decoded(read.body, headers.get("Content-Encoding", ""), limit)
        if is_other_than_html(headers, body):
            return PageRead(read, is_html=False)
        return PageRead(read, await _compiled(body, headers.get("Content-Type", ""), asking))
    except TooLargeError:
        return PageRead(read, goes_on=True)
    except (CodingError, UndecodableError) as error:
        return PageRead(read, why=str(error))


async def page_of(body: bytes, headers: CIMultiDict[str], asking: Asking) -> Page:
    """Compile a page that was kept. Raises CodingError or UndecodableError."""
    limit = asking.running.config.proxy.max_page_bytes
    plain = decoded(body, headers.get("Content-Encoding", ""), limit)
    return await _compiled(plain, headers.get("Content-Type", ""), asking)


async def page_reply(
    request: web.BaseRequest,
    upstream: ClientResponse,
    headers: CIMultiDict[str],
    asking: Asking,
    timeouts: Timeouts,
    got: PageRead | None = None,
) -> web.StreamResponse:
    """Rewrite a page for the visitor. `headers` are the upstream's, forwarding rules applied; `got`
    is the page if it was read already.
    """
    status = upstream.status
    decision = marked_decision(headers, asking)
    if request.method == "HEAD":
        _keep_private(headers)
        for name in _ORIGIN_ONLY:
            headers.popall(name, None)
        finish_headers(headers, asking, decision, is_document=True)
        add_policy(headers, asking, decision)
        return await stream(request, upstream, headers, status, timeouts=timeouts)
    if got is None:
        got = await read_page(upstream, headers, asking, timeouts)
    already = got.read.body
    if not got.is_html:
        finish_headers(headers, asking, decision, is_document=False)
        # Whatever a browser still takes it for.
        add_policy(headers, asking, decision, alone=True)
        return await stream(
            request, upstream, headers, status, already_read=already, timeouts=timeouts
        )
    if got.page is None:
        _log.warning(
            "%s%s cannot be gated (%s): sent with a policy that lets no third party act",
            asking.site.rules.name, asking.path, got.why,
        )  # fmt: skip
        _keep_private(headers)
        finish_headers(headers, asking, decision, is_document=True)
        for name in _VALIDATORS:
            headers.popall(name, None)
        add_policy(headers, asking, decision, alone=True)
        return await stream(
            request, upstream, headers, status, already_read=already, timeouts=timeouts
        )
    return await send_page(request, got.page, headers, status, asking, decision)


def marked_audience(marks: Iterable[str], asking: Asking) -> Audience:
    """For whom a page is, once what it says of itself is heard."""
    return Audience.PATIENT if says_patient(marks) else asking.context.audience


def page_audience(page: Page, asking: Asking) -> Audience:
    """A page that shows a patient page within itself is one: its scripts can read what is there."""
    rules = asking.site.rules
    if any(rules.audience_of(path, ()) is Audience.PATIENT for path in page.frames):
        return Audience.PATIENT
    return marked_audience(page.marks, asking)


async def _compiled(body: bytes, content_type: str, asking: Asking) -> Page:
    running = asking.running
    charset = charset_of_content_type(content_type)
    address = (charset, asking.site.rules.name, asking.scheme, asking.path)
    alike = running.alike.get(address)
    if alike is not None and alike.missed < _MOST_MISSED:
        page = alike.recompiled(body)
        if page is not None:
            return page
    key = (hashlib.sha256(body).digest(), address)
    known = running.pages.get(key)
    if known is not None:
        return known
    arguments = (body, content_type, asking.url, asking.site.boundary)
    if len(body) > _OFF_LOOP:
        page = await asyncio.to_thread(compile_page, *arguments)
    else:
        page = compile_page(*arguments)
    note_unapproved(page.owners, asking)
    if running.pages.getsizeof(page) <= running.pages.maxsize:
        running.pages[key] = page
    if len(body) <= LARGEST_ALIKE:
        missed = 0 if alike is None else alike.missed
        running.alike[address] = Alike(page, content_type, asking.url, asking.site.boundary, missed)
    return page


def note_unapproved(owners: frozenset[str], asking: Asking) -> None:
    """Count what has no tag on this site: once for each distinct page, not for each visitor."""
    tagged = {tag.vendor for tag in asking.site.rules.tags}
    patient = asking.context.audience is Audience.PATIENT
    path = PATIENT_PAGES if patient else asking.path
    for owner in owners - tagged:
        known = "" if owner.startswith("?") else owner
        if known and known not in asking.running.rules.vendors:
            continue  # a rule of ours, or a name that another consent tool goes by
        host = owner.removeprefix("?") or known
        if host:
            asking.running.sightings.add(asking.site.rules.name, path, host, known, "page")


def injection_for(
    request: web.BaseRequest, page: Page, asking: Asking, decision: Decision
) -> Injection:
    """How much of our own goes into a page for this request."""
    injection = _injection(request, page)
    running = asking.running
    if running.tells_gpp and decision.audience is Audience.MARKETING:
        sections = sections_for(running.config.signals.gpp, asking.visitor.region)
        injection = replace(injection, gpp=sections)
    if asking.has_kept and injection.visible and decision.audience is Audience.MARKETING:
        injection = replace(injection, kept=True)
    if page.has_base:
        injection = replace(injection, origin=f"//{asking.authority}")
    if page.declaration_at:
        declared = vendors_on(asking.site.rules, asking.context.today)
        injection = replace(injection, declared=declared)
    return injection


def _injection(request: web.BaseRequest, page: Page) -> Injection:
    destination = request.headers.get("Sec-Fetch-Dest", "")
    if destination == "document":
        return Injection()
    if destination in _EMBEDDED:
        # The page around it carries the banner.
        return Injection(visible=False)
    # Fetched by a script: a whole page may be put in place of the present one, a part of one is
    # the site's own business.
    return Injection() if page.is_document else Injection(signals=False, visible=False)


def _variant(
    request: web.BaseRequest, page: Page, asking: Asking, decision: Decision, texts: Texts
) -> Variant:
    running = asking.running
    injection = injection_for(request, page, asking, decision)
    # Where the browser will not tell where a visitor came from, the form must.
    return_to = asking.target if decision.audience is Audience.PATIENT else ""
    key = (id(page), variant_key(page, decision, texts, injection, return_to))
    known = running.variants.get(key)
    if known is None or known.page is not page:
        known = write_variant(
            page,
            asking.site.rules,
            running.rules,
            running.config,
            running.theme,
            decision,
            texts,
            injection,
            return_to,
            running.markup,
        )
        if not page.passing:
            running.variants.put(key, known)
    return known


async def send_page(
    request: web.BaseRequest,
    page: Page,
    headers: CIMultiDict[str],
    status: int,
    asking: Asking,
    decision: Decision,
) -> ProxyResponse:
    """Send a page as the visitor may see it. `decision` is the one by the page's headers."""
    if decision.audience is not Audience.PATIENT:
        decision = asking.marked(page_audience(page, asking))[1]
    accept_language = request.headers.get("Accept-Language", "")
    texts = asking.running.wording.texts_for(page.language, accept_language)
    variant = _variant(request, page, asking, decision, texts)
    request[PAGE] = variant.counted
    body, coding = variant.coded(negotiated(request.headers.get("Accept-Encoding", "")))
    stored, policy = page_headers(headers, page, variant.own, asking, decision)
    if status == 200 and stored:
        # What the page may do belongs to what the visitor holds: not every browser takes the
        # policy of a 304 for that of the page it kept.
        etag = headers["ETag"] = variant.etag_with(policy, coding)
        asked = request.headers.getall("If-None-Match", ())
        if request.method == "GET" and any(etag in value for value in asked):
            return await ProxyResponse(status=304, headers=headers).send(request, b"")
    if coding:
        headers["Content-Encoding"] = coding
    headers["Content-Length"] = str(len(body))
    response = ProxyResponse(status=status, headers=headers)
    return await response.send(request, b"" if request.method == "HEAD" else body)


def page_headers(
    headers: CIMultiDict[str],
    page: Page,
    own: OwnAssets,
    asking: Asking,
    decision: Decision,
    *,
    alone: bool = False,
) -> tuple[bool, str]:
    """Make the origin's headers those of a page that we wrote. Returns whether a browser may store
    it, and our policy; `alone`: the policy lets no third party act.
    """
    stored = _keep_private(headers)
    for name in _ORIGIN_ONLY:
        headers.popall(name, None)
    finish_headers(headers, asking, decision, is_document=True)
    _amend_origin_policies(headers, own)
    policy = add_policy(headers, asking, decision, alone=alone)
    _set_type(headers, page)
    return stored, policy


def _amend_origin_policies(headers: CIMultiDict[str], own: OwnAssets) -> None:
    for name in (_CSP, _CSP_REPORT_ONLY):
        if name in headers:
            for value in headers.popall(name):
                headers.add(name, amend(value, own))


def _keep_private(headers: CIMultiDict[str]) -> bool:
    """Keep one visitor's page from another's: no shared cache, and each visit asks again. Returns
    whether the visitor's own browser may store it.
    """
    given = ",".join(headers.popall("Cache-Control", ())).lower()
    say_nothing_to_cdns(headers)
    stored = "no-store" not in given
    headers["Cache-Control"] = "private, no-cache" if stored else "no-store"
    vary(headers, "Accept-Encoding", "Accept-Language", "Cookie", "Sec-GPC", "Sec-Fetch-Dest")
    return stored


def _set_type(headers: CIMultiDict[str], page: Page) -> None:
    """Name the charset in the header: our markup in the head may push the origin's <meta> out of
    the first kilobyte, where browsers look for it. Name the type that was sniffed: with our
    markup in it, the page may look like something else.
    """
    nosniff = "nosniff" in headers.get("X-Content-Type-Options", "").lower()
    if media_type(headers) in _UNTYPED and not nosniff:
        headers["Content-Type"] = "text/html"
    given = [one.strip() for v in headers.getall("Content-Type", ()) for one in v.split(",")]
    if not given:
        return  # no browser takes it for HTML
    if len(given) > 1:
        # Of several the last that is one counts: it alone is passed on, as the page is HTML by it.
        headers["Content-Type"] = next(
            (v for v in reversed(given) if "html" in v.lower()), given[-1]
        )
    content_type = headers["Content-Type"]
    if page.transcoded:
        headers["Content-Type"] = "text/html; charset=utf-8"
    elif page.label and not charset_of_content_type(content_type):
        headers["Content-Type"] = f"{content_type.rstrip('; ')}; charset={page.label}"
