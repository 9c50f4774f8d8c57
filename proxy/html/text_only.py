"""Rewrite markup that cannot be gated to text and plain tags.

Where no offset can be found at which the parser's state is known (an element of many megabytes that
never ends), every tag that follows is rewritten: as one that this module knows to be harmless, with
harmless attributes, or removed. So whatever the bytes are to a browser, every tag that it gets is
from here, and none of its markup fetches or runs anything.
"""

from __future__ import annotations

import html
from collections.abc import Callable

from consent_rules.lazy_pattern import lazy_pattern
from proxy.html.resource import RESERVED_ID


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_TEXT_TAGS = _words("""
    a abbr address article aside b bdi bdo big blockquote br caption center cite code col colgroup
    dd del details dfn dir div dl dt em fieldset figcaption figure font footer h1 h2 h3 h4 h5 h6
    header hgroup hr i ins kbd label legend li main map mark menu meter nav ol p pre progress q rp
    rt ruby s samp search section small span strike strong sub summary sup table tbody td tfoot th
    thead time tr tt u ul var wbr
""")
"""Elements that neither run nor fetch, whatever is in them. An `img` of the site's own stays."""
_ATTRIBUTES = _words("""
    id class lang dir title alt colspan rowspan span scope headers width height role start open
    datetime align valign name
""")
_RAW = frozenset({"script", "style", "iframe", "noembed", "noframes", "textarea", "title", "xmp"})
"""Elements whose content is no text of the page: removed up to their end tag."""
_MAX_TAG_LENGTH = 65_536

_NAME = r"[A-Za-z][^\s/>\0]*"
_START = lazy_pattern(rf"<({_NAME})((?:[^<>\"']|\"[^\"]*\"|'[^']*')*)>")
_END = lazy_pattern(rf"</({_NAME})[^>]*>")
_ATTRIBUTE = lazy_pattern(r"([^\s/>=\"'<]+)(?:\s*=\s*(?:\"([^\"]*)\"|'([^']*)'|([^\s>\"'<]+)))?")
_SCHEME = lazy_pattern(r"[^/?#:]*:")
_LINKS = ("http:", "https:", "mailto:", "tel:")
_CONTROLS = lazy_pattern(r"[\0-\x20]")


class TextOnlyWriter:
    """`is_own` decides whether a URL is the site's own. Without `strips` all bytes pass
    unchanged.
    """

    def __init__(self, is_own: Callable[[str], bool], *, strips: bool = True) -> None:
        self._is_own = is_own
        self._strips = strips
        self._rest = ""
        self._until = ""

    def feed(self, data: bytes, *, last: bool = False) -> bytes:
        """The next bytes, rewritten; incomplete tags wait for more."""
        if not self._strips:
            return data
        # Escape sequences would switch some browsers to a charset in which tags look different.
        text = self._rest + data.decode("latin-1").replace("\x1b", "")
        parts: list[str] = []
        at = 0
        while at < len(text):
            if self._until:
                found = text.lower().find(self._until, at)
                if found < 0:
                    at = len(text) if last else max(at, len(text) - len(self._until))
                    break
                at, self._until = found, ""
                if text.startswith("-->", at):
                    at += 3
            start = text.find("<", at)
            if start < 0:
                parts.append(text[at:])
                at = len(text)
                break
            parts.append(text[at:start])
            at = start
            step = self._tag(text, start, last=last)
            if step is None:
                break
            written, at = step
            parts.append(written)
        self._rest = text[at:]
        return "".join(parts).encode("latin-1")

    def _tag(self, text: str, start: int, *, last: bool) -> tuple[str, int] | None:
        """What stands for the tag at `start`, and where it ends; None to wait for more."""
        if text.startswith("<!--", start):
            self._until = "-->"
            # `<!-->` is a whole one.
            return "", start + 2
        found = _START.match(text, start)
        if found is not None:
            return self._start_tag(found[1].lower(), found[2]), found.end()
        found = _END.match(text, start)
        if found is not None:
            name = found[1].lower()
            return (f"</{name}>" if name in _TEXT_TAGS else ""), found.end()
        following = text[start + 1 : start + 2]
        if following and following in "!?/":
            end = text.find(">", start)
            if end >= 0:
                return "", end + 1
        elif following and not following.isalpha():
            return "&lt;", start + 1
        if not last and len(text) - start < _MAX_TAG_LENGTH:
            return None
        return "&lt;", start + 1

    def _start_tag(self, name: str, attributes: str) -> str:
        if name in _RAW:
            self._until = f"</{name}"
            return ""
        if name not in _TEXT_TAGS and name != "img":
            return ""
        parts = [f"<{name}"]
        for found in _ATTRIBUTE.finditer(attributes):
            key = found[1].lower()
            value = found[2] or found[3] or found[4] or ""
            if key == "id" and RESERVED_ID.fullmatch(html.unescape(value)):
                continue
            if key in _ATTRIBUTES or self._is_kept(name, key, value):
                parts.append(f' {key}="{_quoted(value)}"')
        return "".join(parts) + ">"

    def _is_kept(self, name: str, key: str, value: str) -> bool:
        plain = _CONTROLS.sub("", html.unescape(value)).lower()
        if name == "a" and key == "href":
            return _SCHEME.match(plain) is None or plain.startswith(_LINKS)
        if name == "img" and key == "src":
            return plain.isascii() and self._is_own(html.unescape(value))
        return False


def _quoted(value: str) -> str:
    return value.replace('"', "&quot;").replace("<", "&lt;").replace(">", "&gt;")
