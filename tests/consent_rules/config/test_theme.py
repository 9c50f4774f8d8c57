"""One model of [theme]: what `check` accepts is what the banner can be made of, and the reverse."""

from __future__ import annotations

import datetime
import re
from collections.abc import Mapping

import pytest
import tinycss2
from hypothesis import given, settings
from hypothesis import strategies as st

from consent_rules.config.load import ConfigError, load_config
from consent_rules.config.theme import Theme, contrast, theme_of
from consent_rules.vendors import Vendor
from proxy.banner.theme_css import theme_css

TODAY = datetime.date(2026, 12, 1)
_REST = (
    '[policy]\ncontroller = "Acme"\nversion = "1"\nurl = "/privacy"\n'
    '[[site]]\nname = "www"\nhosts = ["www.example.com"]\n'
    'upstream = "http://127.0.0.1:9000"\naudience = "marketing"\n'
)


def load(own: Mapping[str, str], catalogue: Mapping[str, Vendor]) -> tuple[Theme | None, list[str]]:
    """The banner's theme, or None where `check` refuses it; and what it says."""
    lines = "".join(f"{key} = '''{value}'''\n" for key, value in own.items())
    try:
        loaded = load_config(f"[theme]\n{lines}{_REST}", "c.toml", today=TODAY, catalogue=catalogue)
    except ConfigError as error:
        return None, [problem.message for problem in error.problems]
    return theme_of(vars(loaded.config.theme)), [problem.message for problem in loaded.problems]


@pytest.mark.parametrize(
    ("own", "message"),
    [
        ({"text": "#6b6b6b"}, 'text: "#6b6b6b" on "#ffffff" has a contrast of 5.3:1'),
        (
            {"background": "#555"},
            'background: the text "#1c2430" on "#555" has a contrast of 2.0:1',
        ),
        ({"text": "#777", "background": "#fff"}, 'text: "#777" on "#fff"'),
        ({"accent": "#dddddd"}, 'accent: "#dddddd" on "#ffffff" has a contrast of 1.3:1'),
        ({"dark_text": "#555555"}, 'dark_text: "#555555" on "#1b2027"'),
        ({"dark_accent": "#222222"}, 'dark_accent: "#222222" on "#1b2027"'),
        ({"dark_background": "#ffffff"}, 'dark_background: the text "#e9edf2" on "#ffffff"'),
        ({"radius": "1000px"}, 'radius: "1000px" is not a length'),
        ({"radius": "8px;color:red"}, 'radius: "8px;color:red" is not a length'),
        ({"font": "Inter; } *"}, "is not a list of font families"),
        ({"font": "x" * 301}, "is not a list of font families"),
        ({"text": "red"}, 'text: "red" is not a colour'),
        ({"color_scheme": "black"}, "color_scheme"),
    ],
    ids=lambda value: str(value) if isinstance(value, dict) else "",
)
def test_a_theme_that_cannot_be_used_is_refused_by_check(
    own: Mapping[str, str], message: str, catalogue: Mapping[str, Vendor]
) -> None:
    theme, messages = load(own, catalogue)
    assert theme is None
    assert any(message in one for one in messages), messages


@pytest.mark.parametrize(
    ("own", "css"),
    [
        ({}, "--yc-r:8px"),
        ({"radius": "100px"}, "--yc-r:100px"),
        ({"radius": "0"}, "--yc-r:0"),
        ({"radius": "0.125rem"}, "--yc-r:0.125rem"),
        ({"text": "#595959"}, "--yc-fg:#595959"),
        ({"accent": "#0B6E4F"}, "--yc-ac:#0b6e4f"),
        ({"font": "inherit"}, "--yc-font:inherit"),
        ({"font": "Source Sans 3, -apple-system"}, '--yc-font:"Source Sans 3", -apple-system}'),
        ({"font": Theme().font}, "system-ui"),
        ({"font": ", ".join(f"Family{i}" for i in range(25))}, "Family24"),
        ({"accent": "#0b6e4f", "dark_accent": "#8fd3cf"}, "--yc-ac:light-dark(#0b6e4f,#8fd3cf)"),
        ({"color_scheme": "light"}, "--yc-s:light}"),
        ({"color_scheme": "dark"}, "--yc-s:dark}"),
        ({"color_scheme": "dark"}, "{--yc-bg:#1b2027;"),
        ({"color_scheme": "visitor"}, "--yc-s:light dark}"),
    ],
    ids=str,
)
def test_what_check_accepts_is_served(
    own: Mapping[str, str], css: str, catalogue: Mapping[str, Vendor]
) -> None:
    theme, messages = load(own, catalogue)
    assert theme is not None, messages
    assert css.strip("}") in theme_css(theme, "#yc")


_COLOURS = st.one_of(
    st.from_regex(r"#[0-9a-fA-F]{3}", fullmatch=True),
    st.from_regex(r"#[0-9a-fA-F]{6}", fullmatch=True),
    st.sampled_from(["#fff", "#000000", "#6b6b6b", "#595959", "red", "#12345", "#fff;"]),
)
_LENGTHS = st.one_of(
    st.from_regex(r"[0-9]{1,4}(\.[0-9]{1,4})?(px|em|rem|PX|%)?", fullmatch=True),
    st.sampled_from(["0", "100px", "1e3px", "-1px", "8px;", "calc(1px)"]),
)
_FONTS = st.one_of(
    st.from_regex(r"""[A-Za-z0-9 _'",-]{1,320}""", fullmatch=True),
    st.lists(
        st.from_regex(r"-?[A-Za-z][A-Za-z0-9 -]{0,20}", fullmatch=True), min_size=1, max_size=6
    ).map(", ".join),
    st.sampled_from(["inherit", "Source Sans 3", "'a', b", '"a']),
)
_KEYS = {
    **dict.fromkeys(
        ("accent", "accent_text", "background", "text", "dark_accent", "dark_background"), _COLOURS
    ),
    "dark_text": _COLOURS,
    "radius": _LENGTHS,
    "font": _FONTS,
}


@given(own=st.fixed_dictionaries({}, optional=_KEYS))
@settings(max_examples=400, deadline=None)
def test_any_theme_is_refused_with_a_reason_or_served_as_plain_css_that_can_be_read(
    own: Mapping[str, str], catalogue: Mapping[str, Vendor]
) -> None:
    theme, messages = load(own, catalogue)
    if theme is None:
        assert all(m.partition(":")[0] in own for m in messages), (own, messages)
        return
    for palette in (theme.light, theme.dark):
        assert contrast(palette.text, palette.background) >= 7
        assert contrast(palette.accent, palette.background) >= 3
        assert contrast(palette.text_on_accent, palette.accent) >= 4.5
    rules = tinycss2.parse_stylesheet(theme_css(theme, "#yc"))
    kinds = [rule.type for rule in rules]
    two = theme.light != theme.dark
    assert kinds == (["qualified-rule", "at-rule"] if two else ["qualified-rule"])
    names = [
        declaration.name
        for declaration in tinycss2.parse_blocks_contents(rules[0].content)
        if declaration.type == "declaration"
    ]
    assert names == ["--yc-bg", "--yc-fg", "--yc-ac", "--yc-on", "--yc-font", "--yc-r"]
    # What a browser makes of the font must be a list of families: names in quotes, or identifiers.
    unquoted = re.sub(r'"[^"]*"|\'[^\']*\'', "", theme.font)
    assert not re.search(r"(?:^|[ ,])[0-9]", unquoted), theme.font
