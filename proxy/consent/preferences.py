"""The preferences page and the cookie declaration."""

from __future__ import annotations

from aiohttp import web

from proxy.banner.assets import AssetKind, assets
from proxy.banner.banner import preferences_page
from proxy.banner.declaration import declaration, declaration_json, declaration_page, vendors_on
from proxy.banner.presenters import preferences_view
from proxy.consent.receipt import stored_receipt_id
from proxy.consent.replies import json_response, query_parameter, return_target
from proxy.context import RequestContext
from proxy.cookies.cookie_header import names_in
from proxy.cookies.own_storage import own_storage
from proxy.runtime import Runtime


async def preferences_endpoint(
    request: web.BaseRequest, context: RequestContext, runtime: Runtime
) -> web.Response:
    query = query_parameter(request)
    return_to = return_target(request, context, query.get("return_to"), runtime.prefix)
    texts = runtime.wording.texts_for(query.get("lang"), request.headers.get("Accept-Language", ""))
    view = preferences_view(
        context.site,
        runtime.config.policy,
        context.site_decision,
        context.visitor.preferences,
        audience=context.site.audience_of(return_to, names_in(context.cookie_header)),
        return_to=return_to,
        saved=query.get("saved") == "1",
        erased=query.get("erased") == "1",
        receipt_id=await stored_receipt_id(context, runtime),
        prefix=runtime.prefix,
        theme=runtime.theme,
        asked=query.get("vendor", ""),
    )
    found = assets(runtime.theme, AssetKind.PREFERENCES)
    return web.Response(
        text=preferences_page(view, texts),
        content_type="text/html",
        charset="utf-8",
        headers={
            "Cache-Control": "no-store",
            "Content-Language": texts.lang,
            "Content-Security-Policy": (
                f"default-src 'none'; style-src 'sha256-{found.style_sha256}'; "
                f"script-src 'sha256-{found.script_sha256}'; img-src 'self'; "
                "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
            ),
            # The form's POST must carry its Origin: `no-referrer` would make it "null".
            "Referrer-Policy": "same-origin",
            "X-Content-Type-Options": "nosniff",
        },
    )


def declaration_endpoint(
    request: web.BaseRequest, context: RequestContext, runtime: Runtime, *, as_json: bool
) -> web.Response:
    """The cookie declaration in the language of `?lang=` or Accept-Language; the same for every
    visitor.
    """
    site = context.site
    texts = runtime.wording.texts_for(
        query_parameter(request).get("lang"), request.headers.get("Accept-Language", "")
    )
    found = declaration(
        site,
        runtime.config,
        texts,
        vendors_on(site, context.page_context.today),
        own_storage(runtime.config),
    )
    headers = {"Cache-Control": "no-cache", "Vary": "Accept-Language"}
    if as_json:
        return json_response(declaration_json(found, texts), headers)
    style = assets(runtime.theme, AssetKind.PREFERENCES).style_sha256
    return web.Response(
        text=declaration_page(
            found,
            texts,
            prefix=runtime.prefix,
            theme=runtime.theme,
            controller=runtime.config.policy.controller,
        ),
        content_type="text/html",
        charset="utf-8",
        headers={
            **headers,
            "Content-Language": texts.lang,
            "Content-Security-Policy": (
                f"default-src 'none'; style-src 'sha256-{style}'; base-uri 'none'; "
                "form-action 'none'; frame-ancestors 'none'"
            ),
            "Referrer-Policy": "same-origin",
            "X-Content-Type-Options": "nosniff",
        },
    )
