"""Read and compile a page, independent of the visitor."""

from __future__ import annotations

import asyncio
import hashlib
from dataclasses import dataclass

from aiohttp import ClientResponse
from multidict import CIMultiDict

from consent_rules.categories import Audience
from consent_rules.matching.path_readings import readings
from proxy.context import RequestContext
from proxy.enforcement.response_filter import marked_audience
from proxy.html import Page, UndecodableError, compile_page
from proxy.html.patch import MAX_BYTES as MAX_TEMPLATE_BYTES
from proxy.html.patch import PageTemplate
from proxy.html.source import charset_of_content_type
from proxy.http.content_coding import CodingError, TooLargeError, decoded
from proxy.http.media_types import is_other_than_html
from proxy.observability.discovered import PATIENT_PAGES
from proxy.runtime import Runtime
from proxy.upstream.body import ReadResult, read_body

_READ_SECONDS = 30.0
_PATIENCE = 0.2
"""Seconds in which a page that has begun must be here, or it is sent while it comes."""
_OFF_LOOP = 400_000
"""Bytes. A larger page is compiled in a thread, so that other visitors need not wait for it."""

_MAX_MISSED = 8
"""Pages of an address in a row that were not alike: then likeness is no longer looked for."""


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
    upstream: ClientResponse, headers: CIMultiDict[str], context: RequestContext, runtime: Runtime
) -> PageRead:
    """Read a page and compile it, if all of it comes soon: nothing here depends on the visitor."""
    limit = runtime.config.proxy.max_page_bytes
    enough, patience = limit, None
    early = runtime.config.proxy.stream_page_bytes
    if early and not _may_be_late(context, runtime):
        enough, patience = min(early, limit), _PATIENCE
    read = await read_body(upstream, enough, runtime.timeouts.idle, _READ_SECONDS, patience)
    if not read.whole:
        return PageRead(read, goes_on=True)
    try:
        body = decoded(read.body, headers.get("Content-Encoding", ""), limit)
        if is_other_than_html(headers, body):
            return PageRead(read, is_html=False)
        return PageRead(
            read, await _compiled(body, headers.get("Content-Type", ""), context, runtime)
        )
    except TooLargeError:
        return PageRead(read, goes_on=True)
    except (CodingError, UndecodableError) as error:
        return PageRead(read, why=str(error))


async def page_of(
    body: bytes, headers: CIMultiDict[str], context: RequestContext, runtime: Runtime
) -> Page:
    """Compile a page that was kept. Raises CodingError or UndecodableError."""
    limit = runtime.config.proxy.max_page_bytes
    plain = decoded(body, headers.get("Content-Encoding", ""), limit)
    return await _compiled(plain, headers.get("Content-Type", ""), context, runtime)


def page_audience(page: Page, context: RequestContext) -> Audience:
    """A page that shows a patient page within itself is one: its scripts can read what is there."""
    rules = context.site
    if any(rules.audience_of(path, ()) is Audience.PATIENT for path in page.frames):
        return Audience.PATIENT
    return marked_audience(page.marks, context)


def _may_be_late(context: RequestContext, runtime: Runtime) -> bool:
    """Whether the page, or one that some server takes for the same, once said too late that it is
    for patients.
    """
    late = runtime.late_patient_pages
    if not late:
        return False
    name, known = context.site.name, readings(context.path)
    return known is None or any((name, reading) in late for reading in known)


def remember_late(context: RequestContext, runtime: Runtime) -> None:
    """The next visitor's page is read as a whole before any of it is sent."""
    late = runtime.late_patient_pages
    for reading in readings(context.path) or ():
        late[context.site.name, reading] = None


async def _compiled(
    body: bytes, content_type: str, context: RequestContext, runtime: Runtime
) -> Page:
    boundary = runtime.site(context).boundary
    charset = charset_of_content_type(content_type)
    address = (charset, context.site.name, context.scheme, context.path)
    alike = runtime.templates.get(address)
    if alike is not None and alike.misses < _MAX_MISSED:
        page = alike.patch(body)
        if page is not None:
            return page
    key = (hashlib.sha256(body).digest(), address)
    known = runtime.pages.get(key)
    if known is not None:
        return known
    arguments = (body, content_type, context.url, boundary)
    if len(body) > _OFF_LOOP:
        page = await asyncio.to_thread(compile_page, *arguments)
    else:
        page = compile_page(*arguments)
    note_unapproved(page.owners, context, runtime)
    if runtime.pages.getsizeof(page) <= runtime.pages.maxsize:
        runtime.pages[key] = page
    if len(body) <= MAX_TEMPLATE_BYTES:
        misses = 0 if alike is None else alike.misses
        runtime.templates[address] = PageTemplate(page, content_type, context.url, boundary, misses)
    return page


def note_unapproved(owners: frozenset[str], context: RequestContext, runtime: Runtime) -> None:
    """Count what has no tag on this site: once for each distinct page, not for each visitor."""
    tagged = {tag.vendor for tag in context.site.tags}
    patient = context.page_context.audience is Audience.PATIENT
    path = PATIENT_PAGES if patient else context.path
    for owner in owners - tagged:
        known = "" if owner.startswith("?") else owner
        if known and known not in runtime.rules.vendors:
            continue  # a rule of ours, or a name that another consent tool goes by
        host = owner.removeprefix("?") or known
        if host:
            runtime.sightings.add(context.site.name, path, host, known, "page")
