"""Bars on a logarithmic scale, as an SVG of a few lines: a plotting library would be the largest
dependency of the project for one picture.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

_ROW, _TOP, _LEFT, _WIDTH, _RIGHT = 22, 48, 400, 520, 80
_OURS, _THEIRS, _TARGET = "#1f6f5c", "#9aa5b1", "#c0392b"


@dataclass(frozen=True, slots=True)
class Bar:
    """One figure. `target` is marked on the bar if there is one."""

    label: str
    who: str
    value: float
    own: bool = False
    target: float | None = None


def bars_svg(title: str, bars: Sequence[Bar]) -> str:
    """All bars, one below the other. The picture reads on light and on dark pages."""
    least = 10 ** math.floor(math.log10(min(bar.value for bar in bars)))
    most = 10 ** math.ceil(math.log10(max(bar.value for bar in bars)))
    scale = _WIDTH / math.log10(most / least)

    def x(value: float) -> float:
        return _LEFT + math.log10(value / least) * scale

    height = _TOP + _ROW * len(bars) + 12
    width = _LEFT + _WIDTH + _RIGHT
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
        f'font-family="sans-serif" font-size="12" role="img" aria-label="{escape(title)}">',
        f'<rect width="{width}" height="{height}" fill="#fff"/>',
        f'<text x="12" y="20" font-size="14" fill="#222">{escape(title)}</text>',
    ]
    line = float(least)
    while line <= most:
        parts.append(
            f'<path d="M{x(line):.1f} {_TOP - 8}V{height - 8}" stroke="#ddd"/>'
            f'<text x="{x(line):.1f}" y="{_TOP - 12}" text-anchor="middle" fill="#666">'
            f"{line:,.0f}</text>"
        )
        line *= 10
    for row, bar in enumerate(bars):
        top = _TOP + row * _ROW
        colour = _OURS if bar.own else _THEIRS
        long = x(bar.value) - _LEFT
        parts.append(
            f'<text x="{_LEFT - 8}" y="{top + 14}" text-anchor="end" fill="#222">'
            f"{escape(bar.label)}: {escape(bar.who)}</text>"
            f'<rect x="{_LEFT}" y="{top + 3}" width="{long:.1f}" height="{_ROW - 7}" '
            f'fill="{colour}"/>'
            f'<text x="{_LEFT + long + 6:.1f}" y="{top + 14}" fill="#222">{bar.value:,.0f}</text>'
        )
        if bar.target is not None:
            at = x(bar.target)
            parts.append(
                f'<path d="M{at:.1f} {top + 1}v{_ROW - 3}" stroke="{_TARGET}" stroke-width="2">'
                f"<title>target: {bar.target:,.0f}</title></path>"
            )
    return "\n".join([*parts, "</svg>", ""])
