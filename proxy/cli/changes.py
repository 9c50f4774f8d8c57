"""Print changes in plain words, coloured on a terminal."""

from __future__ import annotations

from collections.abc import Iterable

from rich.text import Text

from consent_rules.review.diff import Change
from proxy.cli.options import console

_SIGNS = {"more": ("+", "yellow"), "less": ("-", "green"), "same": ("·", "dim")}


def print_changes(changes: Iterable[Change]) -> None:
    """One line a change: `+` a vendor newly receives data, `-` no longer, `·` neither."""
    out = console()
    shown = False
    for change in changes:
        sign, style = _SIGNS[change.effect]
        line = Text(f"{sign} ", style=style)
        line.append(change.message, style="none")
        out.print(line)
        shown = True
    if not shown:
        out.print("nothing changes for visitors")
