"""What a preload scanner would ask for, told by other means than the pipeline's: html5lib's
tokenizer, without a tree.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import tinycss2
from html5lib._tokenizer import HTMLTokenizer
from html5lib.constants import tokenTypes

from tests.html.oracle import base_of, candidates, host_of

_STATES = {
    **dict.fromkeys(("title", "textarea"), "rcdataState"),
    **dict.fromkeys(("style", "xmp", "iframe", "noembed", "noframes"), "rawtextState"),
    "script": "scriptDataState",
    "plaintext": "plaintextState",
}
_RELS = frozenset({"stylesheet", "preload", "modulepreload"})
_NAMES = {"script": "src", "img": "src", "input": "src", "video": "poster", "link": "href"}
_CANDIDATES = {"img": "srcset", "source": "srcset", "link": "imagesrcset"}
_Attributes = list[tuple[str, str]]


class _Tokenizer(HTMLTokenizer):
    written: _Attributes
    """Of the last start tag, those of one name too."""

    def emitCurrentToken(self) -> None:  # noqa: N802
        token: Any = self.currentToken
        if token["type"] == tokenTypes["StartTag"]:
            self.written = [(name, value) for name, value in token["data"]]
        super().emitCurrentToken()


def scanned_hosts(text: str, url: str, *, scripting: bool) -> set[str]:
    """Hosts that a browser's preload scanner would ask for the page `text` at `url`."""
    asked: list[str] = []
    base = None
    for tag, attributes, style in _start_tags(text, scripting=scripting):
        if tag == "base":
            base = _value(attributes, "href") if base is None else base
        elif tag == "style":
            asked += _imports(tinycss2.parse_component_value_list(style, skip_comments=True))
        else:
            asked += _urls(tag, attributes)
    base = url if base is None else base_of(base, url)
    return {host for one in asked if (host := host_of(one, base))}


def _start_tags(text: str, *, scripting: bool) -> Iterator[tuple[str, _Attributes, str]]:
    """The start tags outside of templates, and the content of a <style>."""
    tokens = _Tokenizer(text)
    templates = 0
    style: list[str] | None = None
    token: Any
    for token in tokens:
        kind, name = token["type"], token.get("name")
        if style is not None and kind in {tokenTypes["Characters"], tokenTypes["SpaceCharacters"]}:
            style.append(token["data"])
        if style is not None and kind == tokenTypes["EndTag"]:
            yield "style", [], "".join(style)
            style = None
        if name == "template":
            step = 1 if kind == tokenTypes["StartTag"] else -1
            templates = max(0, templates + step)
        if kind != tokenTypes["StartTag"]:
            continue
        if name in _STATES:
            tokens.state = getattr(tokens, _STATES[name])
        elif name == "noscript" and scripting:
            tokens.state = tokens.rawtextState
        if templates:
            continue
        if name == "style":
            style = []
        else:
            yield name, tokens.written, ""
    if style is not None:
        yield "style", [], "".join(style)


def _value(attributes: _Attributes, name: str) -> str | None:
    values = [value for one, value in attributes if one.lower() == name]
    return next((value for value in values if value.strip()), values[0] if values else None)


def _urls(tag: str, attributes: _Attributes) -> Iterator[str]:
    values: dict[str, list[str]] = {}
    for name, value in attributes:
        values.setdefault(name.lower(), []).append(value.strip().lower())
    if tag == "input" and "image" not in values.get("type", ()):
        return
    # The last one counts where there are several, but of ours, which is the first.
    rels = values.get("rel", [""])
    if tag == "link" and not any(_RELS.intersection(one.split()) for one in rels):
        return
    yield _value(attributes, _NAMES.get(tag, "")) or ""
    yield from candidates(_value(attributes, _CANDIDATES.get(tag, "")) or "")


def _imports(tokens: list[Any]) -> Iterator[str]:
    imported = False
    for token in tokens:
        if imported and token.type in {"string", "url"}:
            yield token.value
        elif imported and token.type == "function" and token.lower_name == "url":
            # Behind a string that a line break ends stands no address.
            first = next((one for one in token.arguments if one.type != "whitespace"), None)
            if first is not None and first.type == "string":
                yield first.value
        if token.type == "{} block":
            return  # imports come before all rules
        if token.type != "whitespace":
            imported = token.type == "at-keyword" and token.lower_value == "import"
