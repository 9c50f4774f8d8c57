"""One small site in several frameworks, its routes as their tutorials write them.

A page says for whom it is: `PATIENT` or `MARKETING`.
"""

from __future__ import annotations

import os

TRACKER = '<script src="https://www.google-analytics.com/analytics.js"></script>'
PATIENT = f"<!doctype html><title>p</title>{TRACKER}<p>patient-page"
MARKETING = f"<!doctype html><title>m</title>{TRACKER}<p>marketing-page"


def flask_app():  # type: ignore[no-untyped-def]
    """Routes with and without a final slash, a converter that takes slashes."""
    from flask import Flask

    app = Flask(__name__, static_folder=None)
    for rule in ("/patients/", "/patients/<path:rest>", "/pay", "/account/form.html",
                 "/termine-ärzte/<rest>"):  # fmt: skip
        app.add_url_rule(rule, f"patient {rule}", lambda rest="": PATIENT)
    for rule in ("/", "/blog", "/blog/<path:rest>", "/<any>"):
        app.add_url_rule(rule, f"marketing {rule}", lambda rest="", any="": MARKETING)
    return app


def django_app():  # type: ignore[no-untyped-def]
    """`path` and `re_path`, whose `$` is also before a line break at the end."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.support.paths.django_site")
    from django.core.wsgi import get_wsgi_application

    return get_wsgi_application()


def starlette_app():  # type: ignore[no-untyped-def]
    """FastAPI's routes."""
    from fastapi import FastAPI
    from fastapi.responses import HTMLResponse

    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    for rule in ("/patients/", "/patients/{rest:path}", "/pay", "/account/form.html",
                 "/termine-ärzte/{rest}"):  # fmt: skip
        app.add_api_route(rule, lambda: HTMLResponse(PATIENT))
    for rule in ("/", "/blog", "/blog/{rest:path}", "/{any}"):
        app.add_api_route(rule, lambda: HTMLResponse(MARKETING))
    return app
