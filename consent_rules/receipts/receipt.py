"""The receipt of a choice: what was shown, chosen and opened, when and how.

It has no address, no query, no User-Agent and no path of a page.
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from consent_rules.receipts.canonical import CanonicalError, canonical, read_canonical

FORMAT = 1
"""The version of a receipt's content."""
_TIME = "%Y-%m-%dT%H:%M:%SZ"


class ReceiptError(ValueError):
    """Content that is no receipt of this version."""


@dataclass(frozen=True, slots=True)
class ConsentState:
    """Which categories and vendors of a site are open."""

    categories: Mapping[str, bool] = field(default_factory=dict)
    vendors: Mapping[str, bool] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Receipt:
    """One choice.

    `made_at` is in seconds since 1970. `notice` is the hash of the notice that was shown ("": none
    was known). `surface` and `action` say how the choice was made, `gpc` whether the browser sent
    an opt-out preference signal with it, `enforced` whether the site held to it (observe mode does
    not). `region` and `previous` (the id of the visitor's receipt before) are "" where unknown.
    """

    receipt_id: str
    made_at: int
    site: str
    policy_version: str
    notice: str
    regime: str
    region: str
    surface: str
    action: str
    gpc: bool
    device: str
    enforced: bool
    before: ConsentState
    after: ConsentState
    previous: str = ""

    @property
    def content(self) -> bytes:
        """The canonical bytes, of which the log holds a commitment."""
        return canonical(self.to_json())

    def to_json(self) -> dict[str, Any]:
        return {
            "format": FORMAT,
            "id": self.receipt_id,
            "time": timestamp(self.made_at),
            "site": self.site,
            "policy_version": self.policy_version,
            "notice": self.notice,
            "regime": self.regime,
            "region": self.region,
            "surface": self.surface,
            "action": self.action,
            "gpc": self.gpc,
            "device": self.device,
            "enforced": self.enforced,
            "before": _state_json(self.before),
            "after": _state_json(self.after),
            "previous": self.previous,
        }


def read_receipt(content: bytes) -> Receipt:
    """The receipt with this content. Raises ReceiptError."""
    try:
        value = read_canonical(content)
        if value["format"] != FORMAT:
            raise ReceiptError(
                f"a receipt of format {value['format']!r}; this version knows {FORMAT}"
            )
        found = Receipt(
            receipt_id=value["id"],
            made_at=seconds(value["time"]),
            site=value["site"],
            policy_version=value["policy_version"],
            notice=value["notice"],
            regime=value["regime"],
            region=value["region"],
            surface=value["surface"],
            action=value["action"],
            gpc=value["gpc"],
            device=value["device"],
            enforced=value["enforced"],
            before=ConsentState(**value["before"]),
            after=ConsentState(**value["after"]),
            previous=value["previous"],
        )
        same = found.content == content and _is_well_typed(found)
    except (CanonicalError, KeyError, TypeError, ValueError) as error:
        raise ReceiptError(f"not a receipt: {error}") from error
    if not same:
        raise ReceiptError("not a receipt: it has more than this version knows")
    return found


def _is_well_typed(receipt: Receipt) -> bool:
    texts: list[object] = [receipt.receipt_id, receipt.site, receipt.policy_version, receipt.notice]
    texts += [receipt.regime, receipt.region, receipt.surface, receipt.action, receipt.device]
    states = [receipt.before.categories, receipt.before.vendors]
    states += [receipt.after.categories, receipt.after.vendors]
    return (
        all(isinstance(text, str) for text in (*texts, receipt.previous))
        and type(receipt.gpc) is type(receipt.enforced) is bool
        and all(type(yes) is bool for state in states for yes in state.values())
    )


def _state_json(state: ConsentState) -> dict[str, Any]:
    return {"categories": dict(state.categories), "vendors": dict(state.vendors)}


def timestamp(seconds_since_1970: int) -> str:
    """A time as in RFC 3339, in UTC and whole seconds."""
    return datetime.datetime.fromtimestamp(seconds_since_1970, datetime.UTC).strftime(_TIME)


def seconds(text: str) -> int:
    """The seconds since 1970 of a `timestamp`. Raises ValueError."""
    if not re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z", text):
        raise ValueError(f"not a time: {text[:40]!r}")
    return int(datetime.datetime.strptime(text, _TIME).replace(tzinfo=datetime.UTC).timestamp())
