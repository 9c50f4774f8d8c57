"""Read and compile a page, independent of the visitor."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Set
from dataclasses import replace
from functools import partial

from multidict import CIMultiDict

from consent_rules.categories import Audience
from consent_rules.matching.path_readings import readings
from consent_rules.matching.shared_hosts import SharedHost, shared_host_of
from consent_rules.rules import has_patient_mark
from proxy.cache import OriginResponse, PreparedPage
from proxy.cache.passing import is_never_stored
from proxy.cache.store import CompiledPage
from proxy.context import RequestContext
from proxy.enforcement.response_filter import marked_audience
from proxy.html import Page, UndecodableError
from proxy.html.blocks import compile_by_blocks
from proxy.html.owners import ChangedScript, KnownVendor, Owner, UnknownHost
from proxy.html.patch import MAX_BYTES as MAX_TEMPLATE_BYTES
from proxy.html.patch import PageTemplate, as_passing
from proxy.html.resource import ResourceKind
from proxy.html.source import charset_of_content_type
from proxy.html.turns import SMALL_BYTES
from proxy.http.content_coding import CodingError, TooLargeError, decoded
from proxy.http.media_types import is_other_than_html
from proxy.observability.discovered import PATIENT_PAGES
from proxy.resolve import with_audience
from proxy.runtime import Runtime
from proxy.upstream.body import ReadResult, read_body

_READ_SECONDS = 30.0
_PATIENCE = 0.2
"""Seconds in which the rest of a page must arrive, or it is streamed."""
_OFF_LOOP = 400_000
"""Bytes. A larger page is compiled in a thread, so that other visitors need not wait for it."""

_MAX_MISSES = 8
"""Failed patches of a URL in a row, after which no more are tried: each page of it is taken for
another visitor's, until one comes again.
"""


_FOR_PROGRAMS = re.compile(
    r"/(?:robots\.txt|(?:app-)?ads\.txt|sitemap[^/]*\.(?:xml|txt)(?:\.gz)?|favicon[^/]*\.(?:ico|png|svg)"
    r"|apple-touch-icon[^/]*\.png|browserconfig\.xml|[^/]*manifest\.(?:json|webmanifest)"
    r"|security\.txt|humans\.txt|llms\.txt|\.well-known/.*)",
    re.IGNORECASE,
)
_INCOMPLETE = frozenset({"too_large", "slow", "stalled"})
"""Endings of a read after which the rest of the page may still arrive."""


async def prepare_page(
    origin: OriginResponse, context: RequestContext, runtime: Runtime
) -> PreparedPage:
    """Read a page and compile it, where all of it arrives soon. Nothing here depends on the
    visitor.
    """
    limit, headers = runtime.config.proxy.max_page_bytes, origin.headers
    read = await read_page(origin, context, runtime)
    if not read.whole:
        length = origin.body.declared_length
        may_store = read.ending in _INCOMPLETE and (length is None or length <= limit)
        return PreparedPage(read, is_streamed=True, may_store=may_store)
    try:
        body = decoded(read.body, headers.get("Content-Encoding", ""), limit)
        if is_other_than_html(headers, body):
            return PreparedPage(read, is_html=False)
        page = await _compiled(body, headers, context, runtime)
    except TooLargeError:
        return PreparedPage(read, is_streamed=True)
    except (CodingError, UndecodableError) as error:
        return PreparedPage(read, why=str(error))
    compiled = CompiledPage(page, runtime.site(context).boundary)
    return PreparedPage(read, compiled, may_store=not has_patient_mark(page.marks))


async def read_page(
    origin: OriginResponse, context: RequestContext, runtime: Runtime
) -> ReadResult:
    """Read a page, as far as it arrives soon."""
    if origin.stored is not None:
        return ReadResult(origin.stored.body, "whole")
    enough, patience = runtime.config.proxy.max_page_bytes, None
    early = runtime.config.proxy.stream_page_bytes
    if early and not _was_late_patient_page(context, runtime):
        enough, patience = min(early, enough), _PATIENCE
    return await read_body(origin.body, enough, runtime.timeouts.idle, _READ_SECONDS, patience)


def page_address(headers: CIMultiDict[str], context: RequestContext) -> tuple[str, str, str, str]:
    """What a page compiles to follows from this and from its bytes."""
    charset = charset_of_content_type(headers.get("Content-Type", ""))
    return charset, context.site.name, context.scheme, context.path


async def compile_body(
    body: bytes, headers: CIMultiDict[str], context: RequestContext, runtime: Runtime
) -> Page:
    """Compile a page that is complete. Raises CodingError or UndecodableError."""
    limit = runtime.config.proxy.max_page_bytes
    plain = decoded(body, headers.get("Content-Encoding", ""), limit)
    return await _compiled(plain, headers, context, runtime)


def page_audience(page: Page, context: RequestContext) -> Audience:
    """The audience of a page by its marks and its frames: scripts of a page that frames a patient
    page can read that one.
    """
    rules = context.site
    if any(rules.audience_of(path, ()) is Audience.PATIENT for path in page.frames):
        return Audience.PATIENT
    return marked_audience(page.marks, context)


def with_page_audience(page: Page, context: RequestContext, runtime: Runtime) -> RequestContext:
    """The context with the audience that the page itself declares."""
    if context.page_context.audience is Audience.PATIENT:
        return context
    return with_audience(context, page_audience(page, context), runtime)


def record_served_page(status: int, context: RequestContext, runtime: Runtime) -> None:
    """Record a page that CSP reports may be about. Errors are not recorded: anybody can request any
    number of them.
    """
    if status < 400:
        audience = context.page_context.audience
        runtime.served_pages.add(context.site.name, context.path, audience)


def _was_late_patient_page(context: RequestContext, runtime: Runtime) -> bool:
    """Whether the page, or one that some server takes for the same, once declared too late that it
    is for patients.
    """
    late = runtime.late_patient_pages
    if not late:
        return False
    name, known = context.site.name, readings(context.path)
    return known is None or any((name, reading) in late for reading in known)


def record_late_patient_page(context: RequestContext, runtime: Runtime) -> None:
    """Record a page that declared its audience too late: from now on it is read as a whole before
    any of it is sent.
    """
    late = runtime.late_patient_pages
    for reading in readings(context.path) or ():
        late[context.site.name, reading] = None


async def _compiled(
    body: bytes, headers: CIMultiDict[str], context: RequestContext, runtime: Runtime
) -> Page:
    boundary = runtime.site(context).boundary
    content_type = headers.get("Content-Type", "")
    address = page_address(headers, context)
    template = runtime.templates.get(address)
    differs = template is not None and template.misses >= _MAX_MISSES
    if template is not None and not differs:
        page = template.patch(body)
        if page is not None:
            return page
    key = (body, address)  # the page holds the bytes anyway
    known = runtime.pages.get(key)
    if known is not None:
        if known.passing:
            known = runtime.pages[key] = replace(known, passing=False)
            runtime.templates[address] = PageTemplate(known, content_type, context.url, boundary)
        return known
    arguments = (body, content_type, context.url, boundary, runtime.blocks)
    if len(body) > _OFF_LOOP:
        page = await runtime.turns.in_thread(compile_by_blocks, *arguments)
    elif len(body) > SMALL_BYTES:
        page = await runtime.turns.on_loop(compile_by_blocks, *arguments)
    else:
        page = compile_by_blocks(*arguments)
    by_header = marked_audience(headers.getall("X-Page-Audience", ()), context)
    effective = with_page_audience(page, with_audience(context, by_header, runtime), runtime)
    count_unapproved(page.owners, effective, runtime, page)
    if differs and is_never_stored(headers):
        page = as_passing(page)
    if runtime.pages.getsizeof(page) <= runtime.pages.maxsize:
        runtime.pages[key] = page
    if len(body) <= MAX_TEMPLATE_BYTES:
        misses = 0 if template is None else template.misses
        runtime.templates[address] = PageTemplate(page, content_type, context.url, boundary, misses)
    return page


def count_unapproved(
    owners: frozenset[Owner],
    context: RequestContext,
    runtime: Runtime,
    page: Page | None = None,
) -> None:
    """Count third parties without a tag on this site, and of `page`, where it is whole, what it has
    of them: once for each distinct page, not for each visitor. `context` has the audience that the
    whole page declares. What browsers and crawlers ask for by themselves is no page: where it is
    missing, the page that says so comes with the site's tags.
    """
    if _FOR_PROGRAMS.fullmatch(context.path):
        return
    known, tagged = runtime.rules.vendors, context.site.tag_index.vendors
    patient = context.page_context.audience is Audience.PATIENT
    path = PATIENT_PAGES if patient else context.path
    name, sightings = context.site.name, runtime.sightings
    add = partial(sightings.add, name, path, seen="page")
    unapproved: set[Owner] = set()
    for owner in owners:
        match owner:
            case KnownVendor(vendor) if vendor in known and vendor not in tagged:
                add(vendor=vendor)
                unapproved.add(owner)
            case UnknownHost(host) if host:
                add(host=host)
                unapproved.add(owner)
            case ChangedScript(vendor, digest):
                add(vendor=vendor, script=digest)
    if page is None or not unapproved:
        return
    for owner, kinds in _kinds_in(page, unapproved).items():
        match owner:
            case KnownVendor(vendor):
                sightings.add_kinds(name, kinds, vendor=vendor)
            case UnknownHost(host):
                sightings.add_kinds(name, kinds, host=host)
                if (shared := shared_host_of(host)) is not None:
                    sightings.add_folders(name, host, _folders_in(page, owner, host, shared))


def _folders_in(page: Page, owner: Owner, host: str, shared: SharedHost) -> set[str]:
    """Whose files a page has of a host where anybody publishes, as patterns of paths."""
    address = re.compile(rb"//" + re.escape(host.encode()) + rb"(/[\w./~@%+:-]*)", re.ASCII | re.I)
    paths = (
        found[1].decode("ascii")
        for gate in page.gates
        if owner in gate.needs
        for found in address.finditer(page.body, gate.start, gate.end)
    )
    return {one for path in paths if (one := shared.publisher_of(host, path))}


_COUNTED = {
    ResourceKind.STYLE_SHEET: "style sheet",
    ResourceKind.CSS: "picture or font of a style sheet",
    ResourceKind.IMAGE: "image",
    ResourceKind.SCRIPT: "script",
    ResourceKind.FRAME: "frame",
    ResourceKind.MEDIA: "video or recording",
    ResourceKind.FORM: "form",
}


def _kinds_in(page: Page, owners: Set[Owner]) -> dict[Owner, Counter[str]]:
    """How many resources of each kind a page has of each of `owners`: one for an element."""
    found: dict[Owner, Counter[str]] = {}
    counted: set[tuple[Owner, int]] = set()
    for gate in page.gates:
        needed = gate.needs & owners
        if not needed:
            continue
        kind = "" if gate.is_further else _COUNTED.get(gate.kind, "")
        if gate.is_pixel and kind:
            kind = "pixel"
        tag = (
            gate.start
            if gate.kind is ResourceKind.CSS
            else page.body.rfind(b"<", 0, gate.start + 1)
        )
        for owner in needed if kind else ():
            if (owner, tag) not in counted:
                counted.add((owner, tag))
                found.setdefault(owner, Counter())[kind] += 1
    return found
