"""Settings and routes of the Django site."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.urls import path, re_path

from tests.support.paths.apps import MARKETING, PATIENT

SECRET_KEY = "tests only"
ALLOWED_HOSTS = ["*"]
ROOT_URLCONF = "tests.support.paths.django_site"
MIDDLEWARE = ["django.middleware.common.CommonMiddleware"]


def patient(request: HttpRequest, rest: str = "") -> HttpResponse:
    return HttpResponse(PATIENT)


def marketing(request: HttpRequest, rest: str = "") -> HttpResponse:
    return HttpResponse(MARKETING)


urlpatterns = [
    path("patients/", patient),
    re_path(r"^patients/(?P<rest>.+)$", patient),
    re_path(r"^pay$", patient),
    re_path(r"(?i)^account/form\.html$", patient),
    path("termine-ärzte/<path:rest>", patient),
    path("", marketing),
    path("blog", marketing),
    path("blog/<path:rest>", marketing),
]
