"""URLs in style sheets: `url()`, `@import`, `image-set()` and `src()`, escapes included.

https://drafts.csswg.org/css-syntax-3/#tokenization. Two methods find the same URLs: a plain search
for the names, many times faster than tokenizing, and the tokenizer. That reads a whole style sheet
only where one of the names is spelled with escapes, else the arguments of the functions that take
URLs as strings.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from consent_rules.lazy_pattern import lazy_pattern
from proxy.html.data_url import is_data

LEAVING = ("//", "\\", "http:", "https:", "ws:", "wss:", "ftp:")
"""Without one of these, in small or capital letters and perhaps with tabs in it, no URL in a style
sheet leaves the page's own host.
"""


def _may_leave(text: str) -> bool:
    if "//" in text:
        return True
    squeezed = text.lower().replace("\t", "")  # URLs drop tabs
    return any(mark in squeezed for mark in LEAVING)


_ENDING = r"(?:\r\n|[ \t\n\f\r])?"
"""The blank that belongs to a hexadecimal escape."""


def _escaped(letter: str) -> str:
    """A letter or hyphen, written plainly or as a CSS escape."""
    low, high = f"{ord(letter):x}", f"{ord(letter.upper()):x}"
    hexadecimal = rf"\\0{{0,4}}(?:{low}|{high}){_ENDING}"
    plain = "".join({re.escape(letter), letter.upper()})
    if letter in "abcdef":  # `\a` to `\f` are hexadecimal escapes, not letters
        return rf"(?:[{plain}]|{hexadecimal})"
    return rf"(?:\\?[{plain}]|{hexadecimal})"


def _name(word: str) -> str:
    # The digits of escapes, too, may be capital letters (CSS Syntax, 4.3.7).
    return f"(?ai:{''.join(_escaped(character) for character in word)})"


_BLANKS = r"[ \t\n\f\r]*"
_GAP = r"(?>(?:[ \t\n\f\r]|/\*[\s\S]*?\*/)*)"  # atomic: comments must not be tried together
_STRING = "|".join(
    rf"{quote}(?>(?:[^{quote}\\\n\f\r]++|\\(?:\r\n|[\s\S]))*)(?:{quote}|\\?\Z|(?=[\n\f\r]))"
    for quote in ('"', "'")
)
_URL = (
    rf"(?<![A-Za-z0-9_-]){_name('url')}\({_BLANKS}(?:(?P<quoted>{_STRING}){_BLANKS}"
    r"|(?P<bare>(?>(?:[^ \t\n\f\r\"'()\\]++|\\[\s\S])*)))"
)
_IMPORT = rf"@{_name('import')}{_GAP}(?P<imported>{_STRING})"
_URL_THERE = lazy_pattern(rf"(?P<url>{_URL})")
_IMPORTED = lazy_pattern(rf"(?P<imported>{_STRING})")
_TOKEN = lazy_pattern(
    r"(?P<skip>/\*[\s\S]*?(?:\*/|\Z))"
    # A bad URL continues to the next parenthesis, quotes included.
    rf"|(?P<url>{_URL}(?(bare)(?>(?:[^)\\]++|\\[\s\S])*))(?P<whole>\))?)"
    rf"|{_IMPORT}"
    rf"|(?P<set>(?:{_name('image-set')}|(?<![A-Za-z0-9_-]){_name('src')}|(?<![A-Za-z0-9_]){_name('image')})\()"
    rf"|(?P<string>{_STRING})"
    r"|(?P<open>\()|(?P<close>\))|(?P<escape>\\[\s\S])"
)
_ESCAPE = lazy_pattern(rf"\\(?:([0-9A-Fa-f]{{1,6}}){_ENDING}|\r\n|[\n\f\r]|([\s\S]))")

# An escape that spells a letter or the hyphen, and what follows it of its name. Six digits are a
# whole escape, whatever follows.
_SPELLED = lazy_pattern(
    r"\\(?:0{0,3}(?:2[dD]|[4-7][0-9a-fA-F])(?![0-9a-fA-F])|0000(?:2[dD]|[4-7][0-9a-fA-F])|[g-zG-Z-])"
    rf"{_ENDING}(?>(?:[\w-]|\\[0-9a-fA-F]{{1,6}}{_ENDING}|\\[^0-9a-fA-F\n\f\r])*)"
)
_FUNCTION = lazy_pattern(rf"(?:{'|'.join(map(_name, ('url', 'image-set', 'image', 'src')))})\(")
_AT_IMPORT = lazy_pattern(rf"@{_name('import')}")
_BLANK_RUN = lazy_pattern(_BLANKS)
_CLOSING = lazy_pattern(r"\*/")
_MAX_SPELLED = 9 * len("image-set")
"""Characters of a name, each one an escape of six digits with a line break of two behind."""
_TAKES_STRINGS = {
    "image-set(": lazy_pattern(""),  # whatever precedes it: `-webkit-image-set(`
    "image(": lazy_pattern(r"(?<![A-Za-z0-9_])"),  # `BasicImage(` is a filter's
    "src(": lazy_pattern(r"(?<![A-Za-z0-9_-])"),
}
"""Functions whose strings are URLs, and what is true of their first letter."""
_MAX_READ_AGAIN = 4
"""How often a style sheet's length is read at most for the arguments of its functions."""


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
    if not relative and not _may_leave(text) and not _may_import_data(lowered):
        return []
    if len(lowered) != len(text) or ("\\" in text and _spells_a_name(text)):
        found = tokenized_urls(text)
    else:
        found = searched_urls(text, lowered)
        starts = [at for name in _TAKES_STRINGS for at in _functions(name, text, lowered)]
        if starts:
            found = _with_strings(found, starts, text)
    if "--" in text or "\\" in text:
        found = _with_custom_strings(found, text, lowered)
    return [url for url in found if relative or _may_leave(url.url) or _may_be_sheet(url, text)]


def _may_import_data(lowered: str) -> bool:
    return "@import" in lowered and "data:" in lowered.replace("\t", "")


def _may_be_sheet(url: CssUrl, text: str) -> bool:
    return url.imported and (is_data(url.url) or "\\" in text[url.start : url.end])


_OPENINGS = tuple(
    f"{quote}{start}"
    for quote in ('"', "'")
    for start in ("http", "//", "\\", "/\\", " ", "\t", "/\t", "h\t", "ht\t", "htt\t")
)
_CUSTOM = lazy_pattern(
    r"(?:\s|/\*.*?\*/)*(?:--|\\|(?:initial-value|result)\s*:)", re.IGNORECASE | re.DOTALL
)
_ONE_STRING = lazy_pattern(rf"(?P<quoted>{_STRING})")
# What style sheets are full of: `"\\f101"` begins no address, and one character is none.
_ICON = lazy_pattern(r"""["']\\(?:[EFef][0-9A-Fa-f]|[0-9A-Fa-f]{1,6} ?["'])""")
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
    imports = _imports_of(text) if "@import" in lowered else frozenset[int]()
    strings = (_IMPORTED.match(text, at) for at in imports)
    found = [_css_url(match, "imported", imported=True) for match in strings if match is not None]
    at = lowered.find("url(")
    while at >= 0:
        match = _URL_THERE.match(text, at)
        if match is not None:
            found.append(_url_in(match, imports))
        at = lowered.find("url(", at + len("url("))
    found.sort(key=lambda url: url.start)
    return found


def _spells_a_name(text: str) -> bool:
    """Whether an escape may be a part of a name that the plain search looks for. Most are not: the
    characters of icon fonts, the colons of class names, `::first\\-letter`.
    """
    for found in _SPELLED.finditer(text):
        start, end = found.span()
        first = max(0, start - _MAX_SPELLED)
        if text.startswith("(", end):
            for at in range(max(0, end - _MAX_SPELLED), end):
                if _FUNCTION.match(text, at):
                    return True
        at = text.rfind("@", first, start)
        if at >= 0 and _AT_IMPORT.match(text, at):
            return True
    return False


def _functions(name: str, text: str, lowered: str) -> Iterator[int]:
    """Where functions of a name begin that take strings."""
    begins = _TAKES_STRINGS[name]
    at = lowered.find(name)
    while at >= 0:
        if begins.match(text, at):
            yield at
        at = lowered.find(name, at + len(name))


def _with_strings(found: list[CssUrl], starts: list[int], text: str) -> list[CssUrl]:
    """The URLs found, and those that functions take as strings: the tokenizer reads from each start
    of one to its end.
    """
    known = {url.start: url for url in found}
    left = _MAX_READ_AGAIN * len(text)
    for start in starts:
        urls, end = _tokenized(text, start, is_part=True)
        known.update((url.start, url) for url in urls)
        left -= end - start
        if left < 0:  # they lie in one another, and hardly any of them ends
            known.update((url.start, url) for url in tokenized_urls(text))
            break
    return [known[start] for start in sorted(known)]


def tokenized_urls(text: str) -> list[CssUrl]:
    """The URLs that the tokenizer finds."""
    return _tokenized(text, 0, is_part=False)[0]


def _tokenized(text: str, start: int, *, is_part: bool) -> tuple[list[CssUrl], int]:
    """The URLs that the tokenizer finds from an offset on, and where it ended: if `is_part`, with
    the function that begins there.
    """
    found: list[CssUrl] = []
    functions: list[bool] = []  # enclosing functions; True for one whose strings are URLs
    sets = 0
    imports = frozenset[int]() if is_part else _imports_of(text)
    for match in _TOKEN.finditer(text, start):
        kind = match.lastgroup
        url = _url_of(match, imports)
        if url is not None:
            found.append(url)
            if match["quoted"] is not None and match["whole"] is None:
                functions.append(False)
        elif kind == "set" or kind == "open":
            functions.append(kind == "set")
            sets += kind == "set"
        elif kind == "close" and functions:
            sets -= functions.pop()
            if is_part and not functions:
                return found, match.end()
        elif kind == "string" and sets:
            found.append(_css_url(match, "string", imported=False))
    return found, len(text)


def _imports_of(text: str) -> frozenset[int]:
    """Where what follows each `@import` begins, behind blanks and comments."""
    gap_end = _gaps_of(text)
    return frozenset([gap_end(found.end()) for found in _AT_IMPORT.finditer(text)])


def _gaps_of(text: str) -> Callable[[int], int]:
    """What says where blanks and comments end that begin at an offset.

    An `@import` in a comment behind another has a gap of its own, with the same end: so no comment
    is read twice, however many begin before it.
    """
    closings = [found.start() for found in _CLOSING.finditer(text)]
    known: dict[int, int] = {}

    def end_of(at: int) -> int:
        passed: list[int] = []
        while at not in known:
            passed.append(at)
            blanks = _BLANK_RUN.match(text, at)
            end = at if blanks is None else blanks.end()
            number = bisect_left(closings, end + 2) if text.startswith("/*", end) else len(closings)
            if number == len(closings):
                known[at] = end
            else:
                at = closings[number] + 2
        end = known[at]
        known.update(dict.fromkeys(passed, end))
        return end

    return end_of


def _url_of(match: re.Match[str], imports: frozenset[int]) -> CssUrl | None:
    if match["url"] is not None:
        return _url_in(match, imports)
    if match["imported"] is not None:
        return _css_url(match, "imported", imported=True)
    return None


def _url_in(match: re.Match[str], imports: frozenset[int]) -> CssUrl:
    group = "quoted" if match["quoted"] is not None else "bare"
    return _css_url(match, group, imported=match.start() in imports)


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
            is_one = 0 < number < 0xD800 or 0xDFFF < number <= 0x10FFFF
            return chr(number) if is_one else "\ufffd"
        return match[2] or ""

    return _ESCAPE.sub(character, text)
