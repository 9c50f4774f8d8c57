"""The visitor's own receipt: to read, download and erase. And the log's newest checkpoint."""

from __future__ import annotations

import json
from functools import partial
from urllib.parse import parse_qs

from aiohttp import web

from consent_rules.receipts.entries import ErasureReason
from proxy.banner.return_path import preferences_url, safe_return_to
from proxy.consent.choice import foreign_sender
from proxy.consent.refused import refused
from proxy.consent.replies import NO_STORE, language_of, method_not_allowed, read_request_body
from proxy.context import RequestContext
from proxy.http.error_pages import error_response
from proxy.receipts.errors import ReceiptStoreError
from proxy.receipts.reading import Selection, export_jsonl
from proxy.receipts.recorder import Recorder
from proxy.receipts.store import ReceiptStore
from proxy.runtime import Runtime

_MAX_FORM_BYTES = 8192


def own_receipt_id(context: RequestContext) -> str:
    """The id of the receipt that the visitor's cookie names, "" without one."""
    preferences = context.visitor.preferences
    return "" if preferences is None else preferences.receipt_id


async def stored_receipt_id(context: RequestContext, runtime: Runtime) -> str:
    """The id of the visitor's receipt where it is in the store, and can be read now; else ""."""
    receipt_id = own_receipt_id(context)
    if not receipt_id or runtime.receipts is None:
        return ""
    try:
        return receipt_id if await runtime.receipts.holds(receipt_id) else ""
    except ReceiptStoreError:
        return ""


async def receipt_endpoint(
    request: web.BaseRequest, context: RequestContext, runtime: Runtime
) -> web.Response:
    """GET: the receipt with its proof, a JSON document. POST: erase it, and back to the
    preferences.
    """
    if runtime.receipts is None:
        return error_response(request, 404)
    try:
        if request.method in {"GET", "HEAD"}:
            return await _download(request, context, runtime.receipts)
        if request.method == "POST":
            return await _erase(request, context, runtime, runtime.receipts)
    except ReceiptStoreError:
        return error_response(request, 503)
    return method_not_allowed(request, "GET, HEAD, POST")


async def _download(
    request: web.BaseRequest, context: RequestContext, recorder: Recorder
) -> web.Response:
    receipt_id = own_receipt_id(context)
    if receipt_id and (on_its_way := await recorder.is_on_its_way(receipt_id)) is not None:
        # Soon it is in the log, and has a proof; or is erased there.
        return error_response(request, 503 if on_its_way else 404)
    lines = await recorder.call(partial(_exported, receipt_id)) if receipt_id else []
    if not lines:
        return error_response(request, 404)
    return web.Response(
        text=json.dumps([json.loads(line) for line in lines], ensure_ascii=False, indent=1),
        content_type="application/json",
        charset="utf-8",
        headers={
            **NO_STORE,
            "Content-Disposition": 'attachment; filename="consent-receipt.json"',
            "X-Content-Type-Options": "nosniff",
        },
    )


def _exported(receipt_id: str, store: ReceiptStore) -> list[bytes]:
    """The lines of the receipt's export; none where there is no such receipt."""
    if store.find(receipt_id) is None:
        return []
    return list(export_jsonl(store, Selection(receipt_id=receipt_id)))


async def _erase(
    request: web.BaseRequest, context: RequestContext, runtime: Runtime, recorder: Recorder
) -> web.Response:
    if reason := foreign_sender(request, context):
        return refused(request, context, runtime, 403, reason)
    body = await read_request_body(request, _MAX_FORM_BYTES)
    if isinstance(body, int):
        return error_response(request, body)
    form = parse_qs(body.decode("utf-8", "replace"))
    if form.get("action") != ["erase"]:
        return error_response(request, 400)
    receipt_id, now = own_receipt_id(context), int(context.received_at)
    if receipt_id:
        await recorder.erase(receipt_id, ErasureReason.VISITOR, now)
    there = safe_return_to(next(iter(form.get("return_to", ())), None))
    lang = language_of(next(iter(form.get("lang", ())), ""), runtime)
    location = preferences_url(runtime.prefix, there, lang=lang, erased=True)
    return web.Response(status=303, headers={"Location": location, **NO_STORE})


async def checkpoint_endpoint(request: web.BaseRequest, runtime: Runtime) -> web.Response:
    """The newest checkpoint (https://c2sp.org/tlog-tiles): of all sites, the same for everybody."""
    if runtime.receipts is None:
        return error_response(request, 404)
    try:
        note = await runtime.receipts.call(lambda store: store.checkpoint())
    except ReceiptStoreError:
        return error_response(request, 503)
    return web.Response(
        text=note,
        content_type="text/plain",
        charset="utf-8",
        headers={"Cache-Control": "max-age=5", "X-Content-Type-Options": "nosniff"},
    )
