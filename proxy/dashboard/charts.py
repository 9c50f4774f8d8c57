"""Charts as SVG: shapes and classes alone. Colours are those of the dashboard's style sheet, which
knows light and dark; words stand beside them, in HTML, where they keep their size on a phone.

A number that is not shown has a mark of one size, whatever it is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from proxy.dashboard.statistics import Number
from proxy.dashboard.suppression import Hidden

_WIDTH, _HEIGHT = 600, 160
_MARK = 4
"""Height of the mark of a number that is not shown."""


@dataclass(frozen=True, slots=True)
class Bar:
    """One place on the time axis: its name, its total, and its parts in the order of classes."""

    label: str
    total: Number
    parts: tuple[Number, ...]


def stacked_bars(bars: Sequence[Bar], names: Sequence[str], description: str) -> Markup:
    """Bars over time, each part in its class (`part-0`, ...). `names` are those of the parts.

    A bar with a part that is not shown is drawn as a whole, without parts (`part-whole`).
    """
    highest = max((bar.total for bar in bars if not isinstance(bar.total, Hidden)), default=0)
    step = _WIDTH / max(len(bars), 1)
    shapes = [
        Markup("<g><title>{}</title>{}</g>").format(
            _in_words(bar, names), _bar(bar, number * step, step * 0.8, highest)
        )
        for number, bar in enumerate(bars)
    ]
    return Markup(
        '<svg class="bars" viewBox="0 0 {} {}" preserveAspectRatio="none" role="img" '
        'aria-label="{}">{}</svg>'
    ).format(_WIDTH, _HEIGHT, description, Markup("").join(shapes))


def share_bar(parts: Sequence[Number]) -> Markup:
    """A row's parts side by side; empty where one is not shown. The row says them in words."""
    known = [part for part in parts if not isinstance(part, Hidden)]
    total = sum(known)
    if len(known) != len(parts) or not total:
        return Markup('<svg class="share" viewBox="0 0 100 10" aria-hidden="true"></svg>')
    shapes, x = [], 0.0
    for number, part in enumerate(known):
        width = 100 * part / total
        shapes.append(_rect(f"part-{number}", x, 0, width, 10))
        x += width
    return Markup(
        '<svg class="share" viewBox="0 0 100 10" preserveAspectRatio="none" aria-hidden="true">'
        "{}</svg>"
    ).format(Markup("").join(shapes))


def _bar(bar: Bar, x: float, width: float, highest: int) -> Markup:
    if isinstance(bar.total, Hidden):
        return _rect("part-hidden", x, _HEIGHT - _MARK, width, _MARK)
    scale = (_HEIGHT - 2) / max(highest, 1)
    known = [part for part in bar.parts if not isinstance(part, Hidden)]
    if len(known) != len(bar.parts):
        height = bar.total * scale
        return _rect("part-whole", x, _HEIGHT - height, width, height)
    shapes, y = [], float(_HEIGHT)
    for number, part in enumerate(known):
        height = part * scale
        y -= height
        shapes.append(_rect(f"part-{number}", x, y, width, height))
    return Markup("").join(shapes)


def _rect(name: str, x: float, y: float, width: float, height: float) -> Markup:
    return Markup('<rect class="{}" x="{:.2f}" y="{:.2f}" width="{:.2f}" height="{:.2f}"/>').format(
        name, x, y, width, height
    )


def _in_words(bar: Bar, names: Sequence[str]) -> str:
    parts = ", ".join(f"{name}: {part}" for name, part in zip(names, bar.parts, strict=True))
    return f"{bar.label}: {bar.total} ({parts})"
