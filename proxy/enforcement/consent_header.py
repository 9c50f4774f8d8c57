"""`Consent`: the request field that tells the upstream the visitor's decision.

    Consent: functional=1, analytics=1, session_replay=0, advertising=0, social=0, gpc=1,
             regime=opt_in, refused=("youtube")

A dictionary of RFC 9651. The categories and `gpc` are integers, 1 or 0; `regime` is a token. The
inner lists `allowed` and `refused` hold the ids of vendors that the visitor decided on one by one;
they are left out where they are empty. On patient pages, and for what a patient page's scripts
request, every category is 0 and there are no lists.

A browser's requests for files (scripts, styles, images, ...) do not carry it: their responses stay
the same for everybody, and may be stored by shared caches. Responses to requests that carry it are
stored under its value here, and are private to caches downstream.
"""

from __future__ import annotations

from collections.abc import Iterable

from aiohttp import hdrs, web

from consent_rules.categories import Audience, Category
from consent_rules.decision import Decision
from consent_rules.rules import SiteRules
from proxy.http.fetch_metadata import destination, is_navigation

CONSENT_HEADER = "Consent"

_FILES = frozenset(
    {
        "audio", "audioworklet", "font", "image", "manifest", "paintworklet", "script",
        "serviceworker", "sharedworker", "style", "track", "video", "worker", "xslt",
    }
)  # fmt: skip
"""Destinations of requests that do not carry the field."""


def consent_field(decision: Decision, *, patient: bool) -> str:
    """The field's value. `decision` is the whole site's; with `patient` nothing is allowed."""
    members = [
        f"{category}={int(is_open and not patient)}"
        for category, is_open in decision.categories.items()
        if category is not Category.NECESSARY
    ]
    members += [f"gpc={int(decision.gpc)}", f"regime={decision.regime}"]
    if not patient:
        chosen = [(v, yes) for v, yes in decision.exceptions if v in decision.by_vendor]
        allowed = [v for v, yes in chosen if yes and decision.by_vendor[v].open]
        members += _listed("allowed", allowed)
        members += _listed("refused", [vendor for vendor, yes in chosen if not yes])
    return ", ".join(members)


def _listed(name: str, vendors: Iterable[str]) -> list[str]:
    inner = " ".join(f'"{vendor}"' for vendor in vendors)
    return [f"{name}=({inner})"] if inner else []


def carries_consent(request: web.BaseRequest) -> bool:
    """Whether a request is of a kind that carries the field."""
    return destination(request) not in _FILES


def comes_from_patient_page(request: web.BaseRequest, site: SiteRules, origin: str) -> bool:
    """Whether a patient page may have sent a request: then what it causes is about a patient,
    whatever its own address is. `origin` is the site's.

    Patient pages send no referrer. So do a visitor's own navigations, whose pages are decided on by
    their own address, and other sites.
    """
    if not site.has_patient_pages:
        return False
    referrer = request.headers.get(hdrs.REFERER, "")
    if not referrer and is_navigation(request):
        return False
    if request.headers.get("Sec-Fetch-Site") in {"cross-site", "none"}:
        return False
    if is_navigation(request) and not referrer.startswith(f"{origin}/"):
        return False
    return site.audience_of_referrer(referrer, origin) is Audience.PATIENT
