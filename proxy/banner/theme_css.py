"""The theme as CSS variables."""

from __future__ import annotations

from consent_rules.config.theme import ColorScheme, Palette, Theme

_SCHEMES = {
    # The style sheets' own fallback: `inherit` on the site's pages, the visitor's on ours.
    ColorScheme.PAGE: "",
    ColorScheme.VISITOR: ";--yc-s:light dark",
    ColorScheme.LIGHT: ";--yc-s:light",
    ColorScheme.DARK: ";--yc-s:dark",
}


def theme_css(theme: Theme, selector: str) -> str:
    """CSS that defines the theme's variables on the selector. Where the scheme decides between two
    palettes, browsers without `light-dark()` (before 2024) have the light one.
    """
    scheme = theme.color_scheme
    first = theme.dark if scheme is ColorScheme.DARK else theme.light
    own = f"{_colours(first)};--yc-font:{theme.font};--yc-r:{theme.radius}{_SCHEMES[scheme]}"
    if scheme in {ColorScheme.LIGHT, ColorScheme.DARK} or theme.light == theme.dark:
        return f"{selector}{{{own}}}"
    both = _pairs(theme.light, theme.dark)
    return f"{selector}{{{own}}}@supports(color:light-dark(red,red)){{{selector}{{{both}}}}}"


def _values(palette: Palette) -> dict[str, str]:
    return {
        "--yc-bg": palette.background,
        "--yc-fg": palette.text,
        "--yc-ac": palette.accent,
        "--yc-on": palette.text_on_accent,
    }


def _colours(palette: Palette) -> str:
    return ";".join(f"{name}:{value}" for name, value in _values(palette).items())


def _pairs(light: Palette, dark: Palette) -> str:
    pairs = zip(_values(light).items(), _values(dark).values(), strict=True)
    return ";".join(f"{name}:light-dark({one},{other})" for (name, one), other in pairs)
