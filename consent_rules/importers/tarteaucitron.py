"""tarteaucitron: the services pushed to its `job` list."""

from __future__ import annotations

import re
from collections.abc import Mapping

from consent_rules.importers.js_literals import assignments_in, calls_in
from consent_rules.importers.service import (
    ImportResult,
    NothingToImportError,
    Service,
    Tool,
    policy_url_of,
    remainder,
    vendor_of,
)
from consent_rules.vendors import Vendor

# --- tarteaucitron


def read_tarteaucitron(source: str, catalogue: Mapping[str, Vendor]) -> ImportResult:
    found = ImportResult(Tool.TARTEAUCITRON)
    calls = list(calls_in(source))
    init = next((c for c in calls if c.name == "tarteaucitron.init"), None)
    jobs = [
        argument
        for call in calls
        if re.search(r"tarteaucitron\.job\b[\s\S]*\.push\Z", call.name)
        for argument in call.arguments
    ]
    if init is None and not jobs:
        raise NothingToImportError(
            'no tarteaucitron.init({...}) and no tarteaucitron.job.push("...")'
        )
    options = init.arguments[0] if init is not None and init.arguments else {}
    if isinstance(options, dict):
        policy_url_of(found, options.get("privacyUrl"))
        remainder(found, options, {"privacyUrl"})
    for job in dict.fromkeys(job for job in jobs if isinstance(job, str)):
        vendor = vendor_of(job, job, catalogue)
        category = catalogue[vendor].category if vendor else None
        found.services.append(Service(job, job, vendor, category))
    if any(not isinstance(job, str) for job in jobs):
        found.left_out.append("a service whose name is computed")
    for left, value in assignments_in(source):
        if left.startswith("tarteaucitron.user.") and not left.endswith("More"):
            shown = f" = {value!r}" if isinstance(value, str | int) else ""
            found.left_out.append(
                f"{left}{shown}: the tag itself stays in the page, as its vendor gives it"
            )
    return found
