"""The site owner's colours and font, checked so that nobody ships an unreadable banner."""

from __future__ import annotations

import re
from dataclasses import dataclass

_HEX = re.compile(r"#(?:[0-9a-fA-F]{3}|[0-9a-fA-F]{6})\Z")
_FONT = re.compile(r"""[A-Za-z0-9 ,"'_-]{1,200}\Z""")
_RADIUS = re.compile(r"(?:0|[0-9]{1,2}(?:\.[0-9]{1,2})?(?:px|em|rem))\Z")


LEAST_CONTRAST = 4.5
"""Of text of ordinary size (WCAG 2.2, 1.4.3)."""


class ThemeError(ValueError):
    """A theme that cannot be used: which value, why, and what to write instead."""


@dataclass(frozen=True, slots=True)
class Palette:
    """Colours of one scheme, each `#rgb` or `#rrggbb`. `on_accent` is that of the buttons' text;
    where it is "", or could not be read (below 4.5:1), black or white is taken."""

    background: str
    text: str
    accent: str
    on_accent: str = ""


@dataclass(frozen=True, slots=True)
class Theme:
    """Light and dark colours, the font stack (`inherit` for the site's own) and the corners.

    Raises ThemeError for a value that is not plain CSS, and for too little contrast: accent on
    background 3:1 (WCAG 2.2, 1.4.11), text on background 7:1, because quiet text and the track
    of a switch are mixed from both and must still have 4.5:1 and 3:1 (1.4.3, 1.4.11). The text
    on the accent is chosen, unless it is given: black or white, whichever reads better.
    """

    light: Palette = Palette("#ffffff", "#1c2430", "#24476b")
    dark: Palette = Palette("#1b2027", "#e9edf2", "#b5cdea")
    font: str = 'system-ui,-apple-system,"Segoe UI",Roboto,"Noto Sans",sans-serif'
    radius: str = "8px"

    def __post_init__(self) -> None:
        for scheme, palette in (("light", self.light), ("dark", self.dark)):
            _check_palette(scheme, palette)
        if not _FONT.match(self.font):
            raise ThemeError(
                f"theme: font {self.font!r} is not a list of font names; "
                'write names and commas only, such as "Inter, sans-serif", or "inherit"'
            )
        if not _RADIUS.match(self.radius):
            raise ThemeError(f"theme: radius {self.radius!r} is not a length; write such as 8px")


def _check_palette(scheme: str, palette: Palette) -> None:
    for name in ("background", "text", "accent", "on_accent"):
        value = getattr(palette, name)
        if name == "on_accent" and not value:
            continue
        if not _HEX.match(value):
            raise ThemeError(
                f"theme: {scheme}.{name} {value!r} is not a colour; write it as #rrggbb"
            )
    for name, least in (("text", 7), ("accent", 3)):
        ratio = contrast(getattr(palette, name), palette.background)
        if ratio < least:
            raise ThemeError(
                f"theme: {scheme}.{name} on {scheme}.background has a contrast of {ratio:.1f}:1; "
                f"it takes {least}:1 to stay readable; choose colours that differ more"
            )


def _luminance(colour: str) -> float:
    """Relative luminance, 0 to 1 (WCAG 2.2, https://www.w3.org/TR/WCAG22/#dfn-relative-luminance)."""
    digits = colour[1:]
    if len(digits) == 3:
        digits = "".join(d * 2 for d in digits)
    parts = (int(digits[i : i + 2], 16) / 255 for i in (0, 2, 4))
    r, g, b = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts)
    return 0.2126 * r + 0.7152 * g + 0.0722 * b


def contrast(one: str, other: str) -> float:
    """Contrast ratio of two hex colours, 1 to 21 (WCAG 2.2)."""
    low, high = sorted((_luminance(one), _luminance(other)))
    return (high + 0.05) / (low + 0.05)


def text_on(colour: str) -> str:
    """Black or white, whichever reads better on the colour; one of them has at least 4.5:1."""
    return max(("#fff", "#000"), key=lambda text: contrast(text, colour))


def on_accent(palette: Palette) -> str:
    """The colour of the buttons' text."""
    own = palette.on_accent
    if own and contrast(own, palette.accent) >= LEAST_CONTRAST:
        return own
    return text_on(palette.accent)


def variables(theme: Theme, selector: str) -> str:
    """CSS that defines the theme's variables on the selector, for both schemes."""

    def colours(p: Palette) -> str:
        return f"--yc-bg:{p.background};--yc-fg:{p.text};--yc-ac:{p.accent};--yc-on:{on_accent(p)}"

    return (
        f"{selector}{{{colours(theme.light)};--yc-font:{theme.font};--yc-r:{theme.radius}}}"
        f"@media (prefers-color-scheme:dark){{{selector}{{{colours(theme.dark)}}}}}"
    )
