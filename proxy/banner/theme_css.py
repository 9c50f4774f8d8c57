"""The theme as CSS variables."""

from __future__ import annotations

from consent_rules.config.theme import Palette, Theme


def theme_css(theme: Theme, selector: str) -> str:
    """CSS that defines the theme's variables on the selector, for both colour schemes."""
    return (
        f"{selector}{{{_colours(theme.light)};--yc-font:{theme.font};--yc-r:{theme.radius}}}"
        f"@media (prefers-color-scheme:dark){{{selector}{{{_colours(theme.dark)}}}}}"
    )


def _colours(palette: Palette) -> str:
    return (
        f"--yc-bg:{palette.background};--yc-fg:{palette.text};"
        f"--yc-ac:{palette.accent};--yc-on:{palette.text_on_accent}"
    )
