"""An origin on Django with ConditionalGetMiddleware: each GET has an ETag, nothing else."""

from __future__ import annotations

import os
from pathlib import Path

import django
from django.conf import settings
from django.core.wsgi import get_wsgi_application
from django.http import FileResponse, HttpRequest, HttpResponse, JsonResponse
from django.urls import path
from django.views.static import serve

FOLDER = Path(os.environ["ORIGIN_FOLDER"])
settings.configure(
    ALLOWED_HOSTS=["*"],
    ROOT_URLCONF=__name__,
    SECRET_KEY="of the tests",
    MIDDLEWARE=["django.middleware.http.ConditionalGetMiddleware"],
)
django.setup()


def visitor(request: HttpRequest) -> str:
    return str(request.COOKIES.get("sid", "nobody"))


def me(request: HttpRequest) -> JsonResponse:
    return JsonResponse({"owner": visitor(request)})


def send(request: HttpRequest) -> FileResponse:
    return FileResponse((FOLDER / visitor(request) / "statement.pdf").open("rb"))


def bare(request: HttpRequest) -> HttpResponse:
    return serve(request, "statement.pdf", document_root=FOLDER / visitor(request))


def page(request: HttpRequest) -> HttpResponse:
    who = visitor(request)
    return HttpResponse(f"<!doctype html><title>{who}</title><p>owner {who}")


urlpatterns = [
    path("me", me),
    path("send.pdf", send),
    path("bare.pdf", bare),
    path("page", page),
    path("static/<path:path>", serve, {"document_root": FOLDER / "static"}),
]
app = get_wsgi_application()
