"""The inline styles and scripts: constant for a theme, so that the CSP can name them by hash."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from functools import cache, lru_cache

from turbohtml.clean import minify_js

from consent_rules.config.theme import Theme
from consent_rules.matching.script_hashes import sha256_source
from proxy.banner.static_files import static_root
from proxy.banner.theme_css import theme_css

_COMMENT = re.compile(r"/\*.*?\*/", re.DOTALL)
_ID = re.compile(r"#yc(?:-[a-z0-9])?(?![\w-])")
_DECLARATION = re.compile(r"(?<=[{;])([a-z-]+:[^;{}]+)(?=[;}])")


class AssetKind(StrEnum):
    """The set of assets that a page needs."""

    UNDECIDED = "undecided"
    """The visitor has yet to choose: banner, link and the whole script."""
    DECIDED = "decided"
    """Only the link and the script's API."""
    PREFERENCES = "preferences"
    """The preferences page: a style of its own, and a script that the page works without."""
    PLACEHOLDER = "placeholder"
    """Closed embeds on the page: a style, and a script that watches whether they are in sight."""
    FRAME = "frame"
    """The page within a closed frame: a style of its own."""
    SAVE_FORM = "save_form"
    """Closed embeds that can be opened: a script that saves form fields."""


@dataclass(frozen=True, slots=True)
class Assets:
    """Contents of `<style>` and `<script>` ("" where there is none) and their hashes, in base64 as
    in CSP: `'sha256-<hash>'` (CSP 3, 2.3.1).
    """

    style: str
    script: str
    style_sha256: str
    script_sha256: str


@lru_cache(maxsize=64)
def assets(theme: Theme, kind: AssetKind = AssetKind.UNDECIDED) -> Assets:
    """The assets of a theme. The same arguments always give the same bytes."""
    style, script = _contents(theme, kind)
    return Assets(style, script, _sha256(style), _sha256(script))


def _contents(theme: Theme, kind: AssetKind) -> tuple[str, str]:
    if kind is AssetKind.PREFERENCES:
        return theme_css(theme, ":root") + _css("preferences"), minified_script(
            "announce_choice.js"
        )
    if kind in {AssetKind.PLACEHOLDER, AssetKind.FRAME}:
        css = _css("placeholder") + (_css("frame") if kind is AssetKind.FRAME else "")
        style = theme_css(theme, ":is(#yc-0,.yc-h)") + _with_high_specificity(css)
        return style, "" if kind is AssetKind.FRAME else minified_script("placeholder.js")
    if kind is AssetKind.SAVE_FORM:
        return "", minified_script("save_form_on_submit.js", save_form=_read("save_form.js"))
    link = _with_high_specificity(_css("link"))
    if kind is AssetKind.DECIDED:
        return link, minified_script("core.js", decided=_read("decided.js"))
    style = theme_css(theme, "#yc") + _with_high_specificity(_css("banner")) + link
    return style, minified_script(
        "core.js", banner=_read("banner.js"), save_form=_read("save_form.js")
    )


def _sha256(content: str) -> str:
    return sha256_source(content.encode()).removeprefix("sha256-") if content else ""


@cache
def _read(name: str) -> str:
    return (static_root() / "banner" / name).read_text(encoding="utf-8")


def _css(name: str) -> str:
    """One of our style sheets, without comments and line ends."""
    lines = _COMMENT.sub("", _read(f"{name}.css")).splitlines()
    return "".join(line.strip() for line in lines)


def _with_high_specificity(css: str) -> str:
    """Every declaration !important and every id twice, for the style is used on pages whose own
    rules may include `#main button{...!important}`.
    """
    return _DECLARATION.sub(r"\1!important", _ID.sub(r"\g<0>\g<0>", css))


@cache
def minified_script(name: str, **parts: str) -> str:
    """One of our scripts, minified; each of `parts`, in order, replaces its `//@name`,
    or nothing.
    """
    text = _read(name)
    for part, content in parts.items():
        text = text.replace(f"//@{part}\n", content)
    return minify_js(text)


def script_part(name: str) -> str:
    """A part of a script, for `minified_script`."""
    return _read(name)
