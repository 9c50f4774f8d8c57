"""The `[theme]` table: its values as CSS, and the required contrast of its colours.

The only model of the theme: `check` validates by it, and the banner is made from it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum

from consent_rules.lazy_pattern import lazy_pattern
from consent_rules.wording import quoted

MIN_TEXT_CONTRAST = 4.5
"""Text of ordinary size (WCAG 2.2, 1.4.3)."""
MIN_THEME_TEXT_CONTRAST = 7.0
"""Text on background. Quiet text and the track of a switch are mixed from both colours, and must
still have 4.5:1 and 3:1 (WCAG 2.2, 1.4.3 and 1.4.11)."""
MIN_ACCENT_CONTRAST = 3.0
"""Buttons on background (WCAG 2.2, 1.4.11)."""
MAX_FONT_LENGTH = 300

_COLOUR = lazy_pattern(r"#(?:[0-9a-f]{3}|[0-9a-f]{6})")
_LENGTH = lazy_pattern(r"0|[0-9]{1,3}(?:\.[0-9]{1,3})?(?:px|rem|em)")
_QUOTED_FAMILY = lazy_pattern(r"""'[A-Za-z0-9 -]+'|"[A-Za-z0-9 -]+\"""")
_PLAIN_FAMILY = lazy_pattern(r"-?[A-Za-z][A-Za-z0-9 _-]*")
_IDENTIFIERS = lazy_pattern(r"-?[A-Za-z_][A-Za-z0-9_-]*(?: +-?[A-Za-z_][A-Za-z0-9_-]*)*")


def normal_colour(text: str) -> str:
    """`#rgb` or `#rrggbb`, lower case. Raises ValueError."""
    colour = text.strip().lower()
    if not _COLOUR.fullmatch(colour):
        raise ValueError(f'{quoted(text)} is not a colour; write it like "#0b6e4f"')
    return colour


def normal_length(text: str) -> str:
    """A CSS length, lower case. Raises ValueError."""
    length = text.strip().lower()
    if not _LENGTH.fullmatch(length):
        raise ValueError(f'{quoted(text)} is not a length; write "8px" or "0.5rem"')
    return length


def normal_font(text: str) -> str:
    """A list of font families. Raises ValueError.

    A family whose words are not all CSS identifiers ("Source Sans 3") is put into quotes, without
    which browsers drop the list (CSS Fonts 4, 3.1.1).
    """
    families = [family.strip() for family in text.split(",")]
    if len(text) > MAX_FONT_LENGTH or not all(map(_is_family, families)):
        raise ValueError(
            f"{quoted(text)} is not a list of font families; write names with commas between "
            'them, such as "Inter, system-ui, sans-serif"'
        )
    return ", ".join(
        family if _QUOTED_FAMILY.fullmatch(family) or _IDENTIFIERS.fullmatch(family)
        else f'"{family}"'
        for family in families
    )  # fmt: skip


def _is_family(text: str) -> bool:
    return bool(_QUOTED_FAMILY.fullmatch(text) or _PLAIN_FAMILY.fullmatch(text))


class ColorScheme(StrEnum):
    """What decides between the light and the dark colours."""

    PAGE = "page"
    """The page's own `color-scheme` (CSS Color Adjustment 1), by property or by meta element: a
    page that names none is light."""
    VISITOR = "visitor"
    """The visitor's preference (`prefers-color-scheme`)."""
    LIGHT = "light"
    DARK = "dark"


@dataclass(frozen=True, slots=True)
class Palette:
    """Colours of one scheme, each `#rgb` or `#rrggbb`. `on_accent` is the configured text colour of
    buttons, or "".
    """

    background: str
    text: str
    accent: str
    on_accent: str = ""

    @property
    def text_on_accent(self) -> str:
        """The buttons' text colour: the configured one where it has 4.5:1, else black or white."""
        own = self.on_accent
        if own and contrast(own, self.accent) >= MIN_TEXT_CONTRAST:
            return own
        return text_on(self.accent)


@dataclass(frozen=True, slots=True)
class Theme:
    """Light and dark colours, the font stack and the corners, as CSS values."""

    light: Palette = Palette("#ffffff", "#1c2430", "#24476b")
    dark: Palette = Palette("#1b2027", "#e9edf2", "#b5cdea")
    font: str = 'system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", sans-serif'
    radius: str = "8px"
    color_scheme: ColorScheme = ColorScheme.PAGE


def theme_of(table: Mapping[str, str | None]) -> Theme:
    """The theme of the values of a `[theme]` table, the defaults for what it leaves out."""
    default = Theme()
    light = Palette(
        background=table.get("background") or default.light.background,
        text=table.get("text") or default.light.text,
        accent=table.get("accent") or default.light.accent,
        on_accent=table.get("accent_text") or "",
    )
    dark = Palette(
        background=table.get("dark_background") or default.dark.background,
        text=table.get("dark_text") or default.dark.text,
        accent=table.get("dark_accent") or default.dark.accent,
    )
    # Where only the light colours are the site's own, they stay in the dark too: its pages may
    # know no other.
    if _gives_colours(table, "") and not _gives_colours(table, "dark_"):
        dark = light
    return Theme(
        light=light,
        dark=dark,
        font=table.get("font") or default.font,
        radius=table.get("radius") or default.radius,
        color_scheme=ColorScheme(table.get("color_scheme") or default.color_scheme),
    )


def contrast_errors(table: Mapping[str, str | None]) -> Iterator[tuple[str, str]]:
    """The keys whose colours have too little contrast, with the reason."""
    theme = theme_of(table)
    for prefix, palette in (("", theme.light), ("dark_", theme.dark)):
        if prefix and palette is theme.light:
            continue
        for name, least, why in (
            ("text", MIN_THEME_TEXT_CONTRAST, "quieter text is mixed from both (WCAG 2.2, 1.4.3)"),
            ("accent", MIN_ACCENT_CONTRAST, "buttons must be seen (WCAG 2.2, 1.4.11)"),
        ):
            front, back = getattr(palette, name), palette.background
            ratio = contrast(front, back)
            if ratio >= least:
                continue
            own = table.get(f"{prefix}{name}") is not None
            key = f"{prefix}{name if own else 'background'}"
            what = quoted(front) if own else f"the {name} {quoted(front)}"
            yield (
                key,
                f"{key}: {what} on {quoted(back)} has a contrast of {_shown(ratio)}; it takes "
                f"{least:g}:1, since {why}; choose colours that differ more",
            )


def contrast_warning(table: Mapping[str, str | None]) -> str | None:
    """A warning where `accent_text` cannot be used."""
    palette = theme_of(table).light
    if palette.on_accent in {"", palette.text_on_accent}:
        return None
    ratio = contrast(palette.on_accent, palette.accent)
    return (
        f"accent_text: {quoted(palette.on_accent)} on {quoted(palette.accent)} has a contrast of "
        f"{_shown(ratio)}; people need {MIN_TEXT_CONTRAST:g}:1 to read it (WCAG 2.2, 1.4.3), so "
        f"the banner takes {quoted(palette.text_on_accent)}"
    )


def contrast(one: str, other: str) -> float:
    """Contrast ratio of two `#rgb` or `#rrggbb` colours, 1 to 21 (WCAG 2.2, "contrast ratio")."""
    low, high = sorted((_luminance(one), _luminance(other)))
    return (high + 0.05) / (low + 0.05)


def text_on(colour: str) -> str:
    """Black or white, whichever has the higher contrast to the colour: at least 4.5:1."""
    return max(("#fff", "#000"), key=lambda text: contrast(text, colour))


def _gives_colours(table: Mapping[str, str | None], prefix: str) -> bool:
    return any(table.get(f"{prefix}{name}") for name in ("background", "text", "accent"))


def _shown(ratio: float) -> str:
    # Cut, not rounded: 6.96 is not 7.0.
    return f"{int(ratio * 10) / 10:.1f}:1"


def _luminance(colour: str) -> float:
    """Relative luminance, 0 to 1 (WCAG 2.2, https://www.w3.org/TR/WCAG22/#dfn-relative-luminance)."""
    digits = colour[1:]
    if len(digits) == 3:
        digits = "".join(digit * 2 for digit in digits)
    parts = (int(digits[i : i + 2], 16) / 255 for i in (0, 2, 4))
    r, g, b = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts)
    return 0.2126 * r + 0.7152 * g + 0.0722 * b
