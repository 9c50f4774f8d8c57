"""URLs in style sheets: `url()`, `@import`, `image-set()` and `src()`, escapes included.

https://drafts.csswg.org/css-syntax-3/#tokenization. Two methods find the same URLs: a plain search
for the names, many times faster than tokenizing, and the tokenizer, for style sheets that spell a
name with escapes or use functions that take URLs as strings.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

# Without one of these no URL in a style sheet leaves the page's own host.
_LEAVING = ("//", "\\", "http:", "https:", "ws:", "wss:", "ftp:")


def _may_leave(text: str) -> bool:
    if "//" in text:
        return True
    squeezed = text.lower().replace("\t", "")  # URLs drop tabs
    return any(mark in squeezed for mark in _LEAVING)


def _escaped(letter: str) -> str:
    """A letter or hyphen, written plainly or as a CSS escape."""
    low, high = f"{ord(letter):x}", f"{ord(letter.upper()):x}"
    hexadecimal = rf"\\0{{0,4}}(?:{low}|{high})[ \t\n\f\r]?"
    plain = "".join({re.escape(letter), letter.upper()})
    if letter in "abcdef":  # `\a` to `\f` are hexadecimal escapes, not letters
        return rf"(?:[{plain}]|{hexadecimal})"
    return rf"(?:\\?[{plain}]|{hexadecimal})"


def _name(word: str) -> str:
    # The digits of escapes, too, may be capital letters (CSS Syntax, 4.3.7).
    return f"(?ai:{''.join(_escaped(character) for character in word)})"


_BLANKS = r"[ \t\n\f\r]*"
_GAP = r"(?:[ \t\n\f\r]|/\*[\s\S]*?\*/)*+"  # possessive: comments must not be tried together
_STRING = "|".join(
    rf"{quote}(?:[^{quote}\\\n\f\r]++|\\[\s\S])*+(?:{quote}|\\?\Z|(?=[\n\f\r]))"
    for quote in ('"', "'")
)
_URL = (
    rf"(?<![\w-]){_name('url')}\({_BLANKS}(?:(?P<quoted>{_STRING}){_BLANKS}"
    r"|(?P<bare>(?:[^ \t\n\f\r\"'()\\]++|\\[\s\S])*+))"
)
_IMPORT = rf"@{_name('import')}{_GAP}(?P<imported>{_STRING})"
_NAMED = re.compile(rf"(?P<url>{_URL})|{_IMPORT}")
_TOKEN = re.compile(
    r"(?P<skip>/\*[\s\S]*?(?:\*/|\Z))"
    # A bad URL continues to the next parenthesis, quotes included.
    rf"|(?P<url>{_URL}(?(bare)(?:[^)\\]++|\\[\s\S])*+)(?P<whole>\))?)"
    rf"|{_IMPORT}"
    rf"|(?P<set>(?:{_name('image-set')}|(?<![\w-]){_name('src')}|{_name('image')})\()"
    rf"|(?P<string>{_STRING})"
    r"|(?P<open>\()|(?P<close>\))|(?P<escape>\\[\s\S])"
)
_ESCAPE = re.compile(r"\\(?:([0-9A-Fa-f]{1,6})[ \t\n\f\r]?|\n|([\s\S]))")

# An escape that spells a letter or the hyphen: only then can a name be written so that its text
# does not show it. The escapes of icon fonts (`\f101`) are not of that kind.
_DISGUISED = re.compile(r"\\(?:0{0,4}(?:2[dD]|[4-7][0-9a-fA-F])(?![0-9a-fA-F])|[g-zG-Z-])")
_TAKES_STRINGS = ("image-set(", "image(", "src(")
_NAMES = ("url(", "@import")


@dataclass(frozen=True, slots=True)
class CssUrl:
    """One URL: its value, and the span of what is written between quotes or parentheses."""

    url: str
    start: int
    end: int
    imported: bool


def css_urls(text: str, *, relative: bool = False) -> list[CssUrl]:
    """Every URL of a style sheet or declaration list that may name another host, in order.

    A relative URL counts only if `relative`: where the page's base is another host.
    """
    lowered = text.lower()
    if not relative and not _may_leave(text) and not ("@import" in lowered and "data:" in lowered):
        return []
    if (
        len(lowered) != len(text)
        or any(name in lowered for name in _TAKES_STRINGS)
        or ("\\" in text and _DISGUISED.search(text) is not None)
    ):
        found = tokenized_urls(text)
    else:
        found = searched_urls(text, lowered)
    if "--" in text or "\\" in text:
        found = _with_custom_strings(found, text, lowered)
    return [url for url in found if relative or _may_leave(url.url) or _is_data_sheet(url)]


def _is_data_sheet(url: CssUrl) -> bool:
    return url.imported and "data:" in url.url[:64].lower()


_OPENINGS = tuple(
    f"{quote}{start}" for quote in ('"', "'") for start in ("http", "//", "\\", "/\\", " ")
)
_CUSTOM = re.compile(
    r"(?:\s|/\*.*?\*/)*(?:--|\\|(?:initial-value|result)\s*:)", re.IGNORECASE | re.DOTALL
)
_ONE_STRING = re.compile(rf"(?P<quoted>{_STRING})")
# What style sheets are full of: `"\\f101"` begins no address.
_ICON = re.compile(r"""["']\\[EFef][0-9A-Fa-f]""")
_MAX_DECLARATION = 4000
_MAX_BOUNDARIES = 8


def _with_custom_strings(found: list[CssUrl], text: str, lowered: str) -> list[CssUrl]:
    """The URLs found, and those among the strings of custom properties: `image-set(var(--name))`
    takes them for such, be it in another style sheet.
    """
    known = {url.start for url in found}
    strings: list[CssUrl] = []
    for opening in _OPENINGS:
        at = lowered.find(opening)
        while at >= 0:
            if at + 1 not in known and not _ICON.match(text, at) and _is_custom(text, at):
                match = _ONE_STRING.match(text, at)
                if match is not None:
                    strings.append(_css_url(match, "quoted", imported=False))
            at = lowered.find(opening, at + 1)
    return sorted((*found, *strings), key=lambda url: url.start) if strings else found


def _is_custom(text: str, at: int) -> bool:
    """Whether what stands at an offset is in the value of a custom property, of its registration or
    of a function's result.
    """
    first = max(0, at - _MAX_DECLARATION)
    end = at
    for _ in range(_MAX_BOUNDARIES):
        start = max(text.rfind(mark, first, end) for mark in ";{}") + 1
        if _CUSTOM.match(text, max(start, first), at) is not None:
            return True
        # What looks like a declaration's start may stand in a string or a comment.
        if start <= first or not any(mark in text[start:at] for mark in ('"', "'", "*/")):
            return False
        end = start - 1
    return False


def searched_urls(text: str, lowered: str) -> list[CssUrl]:
    """The URLs that the plain search finds.

    It does not recognise strings and comments: a `url(` in them counts as one, because a comment's
    start may as well be in a string.
    """
    found: list[CssUrl] = []
    for name in _NAMES:
        at = lowered.find(name)
        while at >= 0:
            match = _NAMED.match(text, at)
            if match is not None and (url := _url_of(match)) is not None:
                found.append(url)
            at = lowered.find(name, at + len(name))
    found.sort(key=lambda url: url.start)
    return found


def tokenized_urls(text: str) -> list[CssUrl]:
    """The URLs that the tokenizer finds."""
    found: list[CssUrl] = []
    functions: list[bool] = []  # enclosing functions; True for one whose strings are URLs
    sets = 0
    for match in _TOKEN.finditer(text):
        kind = match.lastgroup
        url = _url_of(match)
        if url is not None:
            found.append(url)
            if match["quoted"] is not None and match["whole"] is None:
                functions.append(False)
        elif kind == "set" or kind == "open":
            functions.append(kind == "set")
            sets += kind == "set"
        elif kind == "close" and functions:
            sets -= functions.pop()
        elif kind == "string" and sets:
            found.append(_css_url(match, "string", imported=False))
    return found


_IMPORT_BEFORE = re.compile(rf"@{_name('import')}{_GAP}\Z")


def _url_of(match: re.Match[str]) -> CssUrl | None:
    if match["url"] is not None:
        start = match.start()
        imported = _IMPORT_BEFORE.search(match.string, max(0, start - 64), start) is not None
        group = "quoted" if match["quoted"] is not None else "bare"
        return _css_url(match, group, imported=imported)
    if match["imported"] is not None:
        return _css_url(match, "imported", imported=True)
    return None


def _css_url(match: re.Match[str], group: str, *, imported: bool) -> CssUrl:
    start, end = match.span(group)
    raw = match[group]
    if raw[:1] in {'"', "'"}:
        start += 1
        if len(raw) > 1 and raw[-1] == raw[0]:
            end -= 1
        raw = match.string[start:end]
    return CssUrl(_unescape(raw), start, end, imported)


def _unescape(text: str) -> str:
    if "\\" not in text:
        return text

    def character(match: re.Match[str]) -> str:
        if match[1]:
            number = int(match[1], 16)
            return chr(number) if 0 < number <= 0x10FFFF else "\ufffd"
        return match[2] or ""

    return _ESCAPE.sub(character, text)
