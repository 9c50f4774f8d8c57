"""Brightwell's web server: the site behind the proxy, trackers and all.

Every page carries the same tags, as marketing sites do: the template has them, so the pages
for patients have them too. The server also sets two tracker cookies itself, as sites with
server-side tagging do.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path

from aiohttp import web
from jinja2 import Environment, FileSystemLoader

HERE = Path(__file__).parent
SESSION_COOKIE = "session"

_PAGES = {
    "/": "home.html",
    "/product": "product.html",
    "/blog/": "blog.html",
    "/blog/reading-a-denial": "post.html",
    "/contact": "contact.html",
    "/privacy": "privacy.html",
    "/patients/pay": "pay.html",
    "/account": "account.html",
}

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def origin_app(at: Mapping[str, str]) -> web.Application:
    """The site. `at` says where each stub host is reached: label -> `scheme://host[:port]`."""
    templates = Environment(loader=FileSystemLoader(HERE / "pages"), autoescape=True)

    def page(request: web.Request, name: str, *, status: int = 200, sent: str = "") -> web.Response:
        html = templates.get_template(name).render(
            at=at, sent=sent, signed_in=SESSION_COOKIE in request.cookies
        )
        tag = hashlib.sha256(html.encode()).hexdigest()[:20]
        response = _unchanged(request, tag) or web.Response(
            text=html, content_type="text/html", charset="utf-8", status=status
        )
        response.headers["ETag"] = f'"{tag}"'
        response.headers["Link"] = f"<{at['i-ytimg']}>; rel=preconnect"
        _tag_from_the_server(request, response)
        return response

    def shown(name: str) -> Handler:
        async def show(request: web.Request) -> web.StreamResponse:
            return page(request, name)

        return show

    def form(name: str, field: str) -> Handler:
        async def receive(request: web.Request) -> web.StreamResponse:
            sent = (await request.post()).get(field, "")
            return page(request, name, sent=sent if isinstance(sent, str) else "")

        return receive

    async def missing(request: web.Request) -> web.StreamResponse:
        return page(request, "missing.html", status=404)

    async def icon(_: web.Request) -> web.StreamResponse:
        return web.FileResponse(HERE / "assets" / "mark.svg")

    app = web.Application()
    for path, name in _PAGES.items():
        app.router.add_get(path, shown(name))
    app.router.add_post("/contact", form("contact.html", "name"))
    app.router.add_post("/patients/pay", form("pay.html", "statement"))
    app.router.add_post("/account/sign-in", _sign_in)
    app.router.add_post("/account/sign-out", _sign_out)
    app.router.add_static("/assets/", HERE / "assets")
    app.router.add_get("/favicon.ico", icon)
    app.router.add_route("*", "/{rest:.*}", missing)
    return app


def _unchanged(request: web.Request, tag: str) -> web.Response | None:
    asked = request.if_none_match or ()
    if any(known.value == tag for known in asked):
        return web.Response(status=304)
    return None


def _tag_from_the_server(request: web.Request, response: web.Response) -> None:
    for name, days in (("_ga", 365), ("_fbp", 90)):
        if name not in request.cookies:
            value = f"server.{secrets.token_hex(6)}"
            response.set_cookie(name, value, max_age=days * 86_400, path="/", samesite="Lax")


async def _sign_in(_: web.Request) -> web.StreamResponse:
    response = web.Response(status=303, headers={"Location": "/account"})
    response.set_cookie(
        SESSION_COOKIE, secrets.token_urlsafe(16), path="/", httponly=True, samesite="Lax"
    )
    return response


async def _sign_out(_: web.Request) -> web.StreamResponse:
    response = web.Response(status=303, headers={"Location": "/account"})
    response.del_cookie(SESSION_COOKIE, path="/")
    return response
