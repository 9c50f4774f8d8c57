"""Bars and lines on logarithmic scales, as SVG: a plotting library would be the largest dependency
of the project for two pictures.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from html import escape

_ROW, _TOP, _LEFT, _WIDTH, _RIGHT = 22, 48, 400, 520, 80
_OURS, _THEIRS, _TARGET = "#1f6f5c", "#9aa5b1", "#c0392b"
_PANEL_WIDTH, _PANEL_HEIGHT, _PANEL_TOP, _LEGEND_ROW = 560, 240, 40, 18
_LINES = ("#1f6f5c", "#c0392b", "#2c5f9e", "#b8860b", "#7d5ba6", "#5d6d7e", "#d2691e", "#2e8b57")


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


@dataclass(frozen=True, slots=True)
class Line:
    """One figure at several places: (where, value), both above 0."""

    who: str
    points: Sequence[tuple[float, float]]


def lines_svg(panels: Mapping[str, Sequence[Line]]) -> str:
    """A panel below the other, by title: what varies goes to the right, the value goes up."""
    parts, top = list[str](), 0.0
    for title, lines in panels.items():
        parts += _panel(title, lines, top)
        top += _PANEL_TOP + _PANEL_HEIGHT + 40 + _LEGEND_ROW * len(lines)
    width = _PANEL_WIDTH + 100
    return "\n".join(
        [
            # A label of seven digits begins left of the axis's own margin.
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="-12 0 {width + 12} {top:.0f}" '
            'font-family="sans-serif" font-size="12" role="img" '
            f'aria-label="{escape("; ".join(panels))}">',
            f'<rect x="-12" width="{width + 12}" height="{top:.0f}" fill="#fff"/>',
            *parts, "</svg>", "",
        ]
    )  # fmt: skip


def _panel(title: str, lines: Sequence[Line], top: float) -> Iterator[str]:
    across = _log_scale([at for line in lines for at, _ in line.points], _PANEL_WIDTH)
    up = _log_scale([value for line in lines for _, value in line.points], _PANEL_HEIGHT)
    left, floor = 64, top + _PANEL_TOP + _PANEL_HEIGHT

    yield f'<text x="12" y="{top + 20:.1f}" font-size="14" fill="#222">{escape(title)}</text>'
    for value, y in up.lines:
        yield f'<path d="M{left} {floor - y:.1f}h{_PANEL_WIDTH}" stroke="#ddd"/>'
        yield _label(left - 6, floor - y + 4, "end", value)
    for value, x in across.lines:
        yield f'<path d="M{left + x:.1f} {floor:.1f}v-{_PANEL_HEIGHT}" stroke="#eee"/>'
        yield _label(left + x, floor + 16, "middle", value)
    for number, line in enumerate(lines):
        colour = _LINES[number % len(_LINES)]
        places = [(left + across.of(at), floor - up.of(value)) for at, value in line.points]
        path = "L".join(f"{x:.1f} {y:.1f}" for x, y in places)
        yield f'<path d="M{path}" fill="none" stroke="{colour}" stroke-width="2"/>'
        for x, y in places:
            yield f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{colour}"/>'
        row = floor + 36 + number * _LEGEND_ROW
        yield f'<rect x="{left}" y="{row - 9:.1f}" width="14" height="4" fill="{colour}"/>'
        yield f'<text x="{left + 20}" y="{row - 3:.1f}" fill="#222">{escape(line.who)}</text>'


def _label(x: float, y: float, anchor: str, value: float) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="#666">{value:,.0f}</text>'


@dataclass(frozen=True, slots=True)
class _Scale:
    """From the power of ten below the least to the one above the most, over a length."""

    least: float
    most: float
    length: float

    def of(self, value: float) -> float:
        return math.log10(value / self.least) / math.log10(self.most / self.least) * self.length

    @property
    def lines(self) -> Iterator[tuple[float, float]]:
        value = self.least
        while value <= self.most * 1.001:
            yield value, self.of(value)
            value *= 10


def _log_scale(values: Sequence[float], length: float) -> _Scale:
    least = 10.0 ** math.floor(math.log10(min(values)))
    most = 10.0 ** math.ceil(math.log10(max(values)))
    return _Scale(least, max(most, 10 * least), length)
