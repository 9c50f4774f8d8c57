"""The `__gpp` API for a page: the decision as a GPP string, and the script that provides it."""

from __future__ import annotations

import json
from collections.abc import Sequence

from consent_rules.categories import SALE_OR_SHARING, Category
from consent_rules.decision import Decision
from consent_rules.signals.gpp import SECTIONS, gpp
from proxy.banner.assets import minified_script
from proxy.banner.injected_scripts import Script, inline_script


def gpp_script(
    sections: Sequence[str], used: Sequence[Category], decision: Decision, *, has_banner: bool
) -> Script:
    """The script with the string of these sections.

    `used` are the categories that the site uses: the visitor is opted out while any of those that
    sell or share is closed. `has_banner` is set where the banner is on the page.
    """
    sold = [category for category in used if category in SALE_OR_SHARING]
    out = not all(decision.categories[category] for category in sold)
    now, other = (
        gpp(sections, opted_out=state if sold else None, signal=decision.gpc)
        for state in (out, not out)
    )
    payload = {
        "ids": {name: SECTIONS[name].number for name in now.sections},
        "has_banner": has_banner,
        "strings": [now.string, other.string],
        "sections": {name: dict(values) for name, values in now.sections.items()},
        "sold": sold,
    }
    return inline_script(
        minified_script("gpp.js"), {"gpp": json.dumps(payload, separators=(",", ":"))}
    )
