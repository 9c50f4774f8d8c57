"""Path readings: every path that a server may take a request target for.

Servers, and the frameworks behind them, differ in how they normalise a path before they look it up:
how often they decode it, whether they cut path parameters, merge slashes, resolve dot segments, in
which order, and what they ignore. A rule about a path must hold for every reading, so a path is
represented by all its readings: the closure of the single steps below. A step is only in this list
if some server in use does it; the sources are in its docstring.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache

from consent_rules.lazy_pattern import lazy_pattern

MAX_LENGTH = 2048
"""Characters of a path that is read in other ways than as it is."""
MAX_READINGS = 128
"""Of one path. Links that people make have fewer than twenty."""
_MAX_REMEMBERED = 512
"""Characters of a path whose readings are cached: long ones would fill the memory."""

Step = Callable[[str], Iterable[str]]

# --- Characters

_HEX = "0-9A-Fa-f"
_ENCODED = lazy_pattern(rf"%[{_HEX}]{{2}}")
# ECMA-262, B.2.1 (`unescape`); IIS and classic ASP decode it.
_UNICODE_ESCAPE = lazy_pattern(rf"%[uU]([{_HEX}]{{4}})")
_BARE_PERCENT = lazy_pattern(rf"%(?![{_HEX}]{{2}})")
# More bytes than a character takes (RFC 3629, 3); decoders that do not check take `%c0%af` for `/`.
_OVERLONG = lazy_pattern(
    rb"[\xc0\xc1][\x80-\xbf]|\xe0[\x80-\x9f][\x80-\xbf]|\xf0[\x80-\x8f][\x80-\xbf][\x80-\xbf]"
)
# A byte that is no UTF-8 is a letter of an older encoding.
_LATIN_1 = {0xDC00 + byte: byte for byte in range(0x80, 0x100)}
# What "best fit" conversions make of other characters (Microsoft's bestfit1252.txt), and what
# `upper()` makes of a dotless i.
_BEST_FIT = str.maketrans(
    {"\u2044": "/", "\u2215": "/", "\u29f8": "/", "\u2216": "\\", "\u29f5": "\\", "\u29f9": "\\",
     "\u0131": "i", "\u2028": " ", "\u2029": " "}
)  # fmt: skip
_UNSEEN = frozenset({"Mn", "Me", "Cf"})


def decoded(text: str) -> str:
    """Percent-decoded once, as leniently as any server does it."""
    if "%" not in text and text.isascii():
        return text
    text = _UNICODE_ESCAPE.sub(lambda found: chr(int(found[1], 16)), text)
    data = text.encode("utf-8", "surrogatepass" if _has_surrogates(text) else "surrogateescape")
    data = _ENCODED_BYTES.sub(lambda found: bytes((int(found[1], 16),)), data)
    data = _OVERLONG.sub(_shortest, data)
    return data.decode("utf-8", "surrogateescape").translate(_LATIN_1)


_ENCODED_BYTES = lazy_pattern(rf"%([{_HEX}]{{2}})".encode())


def _has_surrogates(text: str) -> bool:
    # Of `%ud800`; those of undecodable bytes (PEP 383) are bytes.
    return any(0xD800 <= ord(char) < 0xE000 and not 0xDC80 <= ord(char) < 0xDD00 for char in text)


def _shortest(found: re.Match[bytes]) -> bytes:
    first, *rest = found[0]
    number = first & (0xFF >> (len(rest) + 2))
    for byte in rest:
        number = number << 6 | byte & 0x3F
    return chr(number).encode()


def folded(text: str) -> str:
    """The form that is equal for servers and databases that ignore letter case, accents, full width
    or invisible characters. A map of characters, so that a glob that matches a path, folded,
    matches it folded too.
    """
    if not text.isascii():
        text = unicodedata.normalize("NFKD", text.translate(_BEST_FIT)).casefold()
        text = unicodedata.normalize("NFKD", text).translate(_BEST_FIT)
        remaining = (char for char in text if unicodedata.category(char) not in _UNSEEN)
        text = "".join(char for char in remaining if not "\x80" <= char < "\xa0")
    return text.lower().replace("+", " ")


# --- What no honest link spells

_DUBIOUS_RAW = lazy_pattern(
    r"(?P<slash>%2f)|(?P<backslash>\\|%5c)|(?P<control>[\x00-\x1f\x7f]|%[01][0-9a-f]|%7f)"
    r"|(?P<twice>%25[0-9a-f]{2}|%u[0-9a-f]{4})|(?P<overlong>%c[01]%[89ab]|%e0%[89]|%f0%8|%f[89a-d]%[89ab])",
    re.IGNORECASE,
)
# Browsers resolve dot segments; Windows drops blanks and dots behind a name, so `.. ` is one too.
# `/static../x` leads out of the folder where nginx has `location /static { alias /srv/static/; }`.
_DOTS = lazy_pattern(r"(?:\A|/) *\.[. ]*(?=[/;:?#]|\Z)|\.\.(?=[/;])")
_SHORT_NAME = lazy_pattern(r"~[0-9]")  # `PATIEN~1` (8.3 names of Windows' file systems)
_REASONS = {
    "slash": "an encoded slash",
    "backslash": "a backslash",
    "control": "a control character",
    "twice": "encoded twice",
    "overlong": "UTF-8 longer than it need be",
}


def dubious(path: str) -> str:
    """Why a path has a spelling that no ordinary link uses; "" where it has none. `path` is raw,
    without query.
    """
    if len(path) > MAX_LENGTH:
        return f"longer than {MAX_LENGTH} characters"
    found = _DUBIOUS_RAW.search(path)
    if found is not None:
        return _REASONS[found.lastgroup or ""]
    text = decoded(path)
    if _ENCODED.search(text) or _UNICODE_ESCAPE.search(text):
        return _REASONS["twice"]
    if _DOTS.search(text):
        return "a dot segment"
    if _SHORT_NAME.search(text):
        return "a short name of Windows"
    return ""


# --- Steps: from one reading to the next

_PARAMETERS = lazy_pattern(r";[^/]*")
_CONTROLS = lazy_pattern(r"[\x00-\x1f\x7f]")
_SLASHES = lazy_pattern(r"//+")
_AUTHORITY = lazy_pattern(r"//+[^/]*")
_SESSION = lazy_pattern(r"/\((?:[A-Za-z]\([^()/]*\))+\)(?=/|\Z)")
_BEHIND_NAME = lazy_pattern(r"(?<![. ])[. ]+(?=/|\Z)")
_BEFORE_NAME = lazy_pattern(r"/ +")
_STREAM = lazy_pattern(r":[^/]*")
_SCRIPT = lazy_pattern(
    r"/[^/]*\.(?:php[0-9s]?|phtml|phar|cgi|fcgi|fpl|pl|py|wsgi|rb|as[hmp]x?|aspx|axd|jspx?|jsf|do"
    r"|action|cfm|cfc|dll|exe|lua|nsf)(?=/)",
    re.IGNORECASE,
)
_FILE = lazy_pattern(r"/[^/]*\.[0-9A-Za-z]{1,8}(?=/)")
_ROOT = r"/(?:public|public_html|web|webroot|htdocs|www|_next/data/[^/]*|page-data)(?=/)"
_ROOTS = lazy_pattern(_ROOT, re.IGNORECASE)


def _decode(text: str) -> Iterator[str]:
    yield decoded(text)


def _drop_bare_percent(text: str) -> Iterator[str]:
    """Classic ASP drops a `%` that encodes nothing."""
    if "%" in text:
        yield _BARE_PERCENT.sub("", text)


def _backslashes(text: str) -> Iterator[str]:
    yield text.replace("\\", "/")


def _parameters(text: str) -> Iterator[str]:
    """RFC 3986, 3.3. Servlet containers cut those of each segment; others all that follows."""
    if ";" in text:
        yield _PARAMETERS.sub("", text)
        yield text.partition(";")[0]


def _segment_parameters(text: str) -> Iterator[str]:
    if ";" in text:
        yield _PARAMETERS.sub("", text)


def _query(text: str) -> Iterator[str]:
    """An encoded `?` or `#`, once decoded, ends the path where it is parsed again; NUL ends it in
    C; `&` where the path is rewritten to a parameter (mod_rewrite's `index.php?url=$1`).
    """
    for char in "?#&\0":
        if char in text:
            yield text.partition(char)[0]


def _controls(text: str) -> Iterator[str]:
    """Dropped (WHATWG URL, 4.4), or not matched by `$` of a route's expression."""
    if _CONTROLS.search(text):
        yield _CONTROLS.sub("", text)


def _slashes(text: str) -> Iterator[str]:
    """Merged (nginx, Apache), or the mark of an authority (`new URL(target, base)`,
    `parse_url`).
    """
    if "//" in text:
        yield _SLASHES.sub("/", text)
        if text.startswith("//"):
            yield _AUTHORITY.sub("", text, count=1) or "/"


def _dot_segments(text: str) -> Iterator[str]:
    if "/." in text:
        remaining: list[str] = []
        segments = text.split("/")
        for segment in segments[1:]:
            if segment == "..":
                del remaining[-1:]
            elif segment != ".":
                remaining.append(segment)
        if segments[-1] in {".", ".."}:
            remaining.append("")
        yield "/" + "/".join(remaining)


def _sessions(text: str) -> Iterator[str]:
    """ASP.NET's session without cookies: `/(S(x))/page`."""
    if "/(" in text:
        yield _SESSION.sub("", text) or "/"


def _scripts(text: str) -> Iterator[str]:
    """`/app/index.php/page` is the script with `/page` as its PATH_INFO (RFC 3875, 4.1.5)."""
    if "." in text:
        for found in _SCRIPT.finditer(text):
            yield text[: found.end()]
            yield text[: found.start()] + text[found.end() :]
            yield text[found.end() :]


def _files(text: str) -> Iterator[str]:
    """`/page.html/x` is the file, with a PATH_INFO that it does not read (Apache's
    `AcceptPathInfo On`, PHP's built-in server).
    """
    if "." in text:
        for found in _FILE.finditer(text):
            yield text[: found.end()]


def _names(text: str) -> Iterator[str]:
    """Blanks and dots around a file's name, which Windows and `trim` drop; a stream of NTFS."""
    if " " in text or "./" in text or text.endswith("."):
        yield _BEFORE_NAME.sub("/", _BEHIND_NAME.sub("", text))
    if ":" in text:
        yield _STREAM.sub("", text)


# WordPress's `sanitize_title_with_dashes`: what it drops, what it joins, what it trims.
_NOT_IN_SLUG = lazy_pattern(r"[!-.:-@\[-^`{-~ ]")
_MARKUP = lazy_pattern(r"<[^<>/]*>|&[^&;/]*;")
_PUNCTUATION = lazy_pattern(r"[!-,:-@\[-^`{-~]+")
_GAPS = lazy_pattern(r"[ .-]+")
_EDGES = lazy_pattern(r"(?<=/)-|-(?=/|\Z)")


def _slugs(text: str) -> Iterator[str]:
    """WordPress looks a page up by what remains of its name without punctuation and markup."""
    if _NOT_IN_SLUG.search(text):
        text = _PUNCTUATION.sub("", _MARKUP.sub("", text))
        yield _EDGES.sub("", _GAPS.sub("-", text))


def _roots(text: str) -> Iterator[str]:
    """Public folders that a project's own rewriting adds; data of a page (Next.js, Gatsby)."""
    found = _ROOTS.match(text)
    if found is not None:
        yield text[found.end() :]


_STRUCTURE: tuple[Step, ...] = (
    _backslashes, _segment_parameters, _query, _controls, _slashes, _dot_segments, _sessions,
    _scripts,
)  # fmt: skip
_ALL: tuple[Step, ...] = (
    _drop_bare_percent, _backslashes, _parameters, _query, _controls, _slashes, _dot_segments,
    _sessions, _scripts, _files, _names, _slugs, _roots,
)  # fmt: skip


def _closure(start: str, steps: Iterable[Step], change: Callable[[str], str]) -> list[str] | None:
    """All readings that the steps produce, nearest first; None where there are more
    than the limit.
    """
    steps = (_decode, *steps)
    seen = dict.fromkeys((change(start), change(decoded(start))))
    waiting = list(seen)
    for text in waiting:  # grows as it goes
        for step in steps:
            for reached in step(text):
                reading = change(reached if reached.startswith("/") else f"/{reached}")
                if reading not in seen:
                    if len(seen) >= MAX_READINGS:
                        return None
                    seen[reading] = None
                    waiting.append(reading)
    return waiting


# --- Readings

# Nothing in such a path can be read in another way, other than its letter case and extension.
_PLAIN = lazy_pattern(
    rf"(?!(?i:{_ROOT}))(?:/[0-9A-Za-z_]+(?:-[0-9A-Za-z_]+)*)*(?:/|(?:\.[0-9A-Za-z_-]+)+)?"
)
_PLAIN_NAMES = lazy_pattern(r"(?:/[0-9A-Za-z_~-](?:[0-9A-Za-z._~-]*[0-9A-Za-z_~-])?)*/?")
_MAX_EXTENSIONS = 4
"""`form.en.html.gz`. Of a name with more, the part before the first dot counts too."""
_INDEX_NAMES = (
    "index", "default", "home", "main", "welcome", "iisstart",
    "__data", "_payload", "page-data",  # data of the folder's page: SvelteKit, Nuxt, Gatsby
)  # fmt: skip
_INDEX = lazy_pattern(rf"(?:{'|'.join(_INDEX_NAMES)})(?:\.[^/]*)?\Z")
_INDEX_ENDS = tuple(f"/{name}" for name in _INDEX_NAMES)


def is_plain(path: str) -> bool:
    """Whether a path has one reading only, except for its letter case and its last extension."""
    return _PLAIN.fullmatch(path) is not None


def readings(path: str) -> tuple[str, ...] | None:
    """The readings of a raw path without query, `folded`, nearest first; None where there are more
    than the limit (or it is too long): then it may be any page.
    """
    if is_plain(path):
        return (path.lower() or "/",)
    if len(path) > MAX_LENGTH:
        return None
    if len(path) <= _MAX_REMEMBERED:
        return _remembered(path)
    return _readings(path)


def _readings(path: str) -> tuple[str, ...] | None:
    # Every server decodes first, where the order makes no difference.
    found = _closure(path if dubious(path) else decoded(path), _ALL, folded)
    return None if found is None else tuple(found)


_remembered = lru_cache(maxsize=2048)(_readings)


def has_other_names(reading: str) -> bool:
    """Whether `page_names` has more than the reading itself."""
    return "." in reading or reading.endswith(_INDEX_ENDS)


def page_names(reading: str) -> Iterator[str]:
    """A reading, and the page's shorter names: without its extensions, without `index`.

    Rails and Spring accept any extension; content negotiation (Apache's MultiViews) and `try_files
    $uri.html` add one; a folder's index is the folder.
    """
    yield reading
    bare = reading.rstrip("/")
    folder, slash, name = bare.rpartition("/")
    if _INDEX.match(name):
        yield folder or "/"
        name = folder.rpartition("/")[2]
        bare, folder = folder, folder.rpartition("/")[0]
    if "." in name:
        yield f"{folder}{slash}{name.replace('.', '-')}"  # WordPress, as `_slugs`
    dot = name.rfind(".")
    for _ in range(_MAX_EXTENSIONS):
        if dot <= 0 or not name[:dot].strip(". "):
            return
        name = name[:dot]
        yield f"{folder}{slash}{name}"
        dot = name.rfind(".")
    yield f"{folder}{slash}{name.partition('.')[0]}"


def pages_named(path: str) -> tuple[str, ...] | None:
    """The pages, in their normal spelling, that a raw path without query may lead to; None where
    there are more than the limit.

    Letter case, accents and extensions are unchanged. Where more than one page may be meant, what
    opens for a page opens only if all of them have it.
    """
    if _PLAIN_NAMES.fullmatch(path) and not _SCRIPT.search(path):
        return (path or "/",)
    if len(path) > MAX_LENGTH:
        return None
    if len(path) <= _MAX_REMEMBERED:
        return _remembered_pages(path)
    return _pages_named(path)


def _pages_named(path: str) -> tuple[str, ...] | None:
    found = _closure(path, _STRUCTURE, lambda text: text)
    if found is None:
        return None
    return tuple(text for text in found if not any(_changes(step, text) for step in _STEPS_OF_PAGE))


_STEPS_OF_PAGE = (_decode, *_STRUCTURE)
_remembered_pages = lru_cache(maxsize=2048)(_pages_named)


def _changes(step: Step, text: str) -> bool:
    return any(reached != text for reached in step(text))


# --- The query, where a front controller reads it

_FRONT = lazy_pattern(r"(?:.*\.(?:php[0-9]?|aspx?|cgi|pl|cfm|jsp|do|py))?\Z", re.IGNORECASE)
_ROUTES = frozenset(
    {
        # Yii, Drupal, OpenCart, Laravel, Phalcon, Symfony, WordPress, CodeIgniter, ThinkPHP, MODX
        # and what home-made ones are called
        "r", "q", "route", "_route", "_route_", "rt", "path", "_path", "pathinfo", "path_info",
        "url", "_url", "uri", "_uri", "request", "req", "page", "p", "pg", "page_name", "pagename",
        "name", "slug", "post_type", "category_name", "attachment", "rest_route", "s", "do", "act",
        "action", "a", "c", "m", "ctrl", "controller", "module", "mod", "section", "sec", "view",
        "v", "content", "site", "go", "goto", "load", "id", "cmd", "option", "task", "file",
        "inc", "include", "x",
    }
)  # fmt: skip
_MAX_PARAMETERS = 64


# Those that rewriting fills with the path (`RewriteRule ^(.*)$ index.php?url=$1 [QSA]`, `try_files
# $uri /index.php?q=$uri&$args`) or that go before it (WordPress): of several PHP takes the last.
_OF_REWRITING = frozenset(
    {
        "r", "q", "s", "p", "u", "route", "_route", "_route_", "rt", "path", "_path", "pathinfo",
        "path_info", "url", "_url", "uri", "_uri", "request", "req", "page", "pg", "pagename",
        "page_name", "name", "attachment", "category_name", "rest_route",
    }
)  # fmt: skip


def routed_paths(path: str, query: str) -> Iterator[str] | None:
    """The paths that a front controller may read from a raw query; None where there are more than
    the limit.

    Where `path` is no usual place for one, every path may still be rewritten to it: then `?/page`
    counts, and the parameters that are used for that; others are called `action` or `id` for other
    reasons as well. What follows a `&` in the path becomes a parameter where it is rewritten.
    """
    folder, _, name = path.rpartition("/")
    is_front = _FRONT.match(name) is not None
    if "&" in path or "%" in path:
        behind = decoded(path[:MAX_LENGTH]).partition("&")[2]
        query = f"{behind}&{query}" if behind else query
    if not query:
        return iter(())
    if len(query) > 4 * MAX_LENGTH:
        return None
    parts = _parts(query)
    if not is_front:
        parts = list(filter(_is_of_rewriting, parts))
    return None if len(parts) > _MAX_PARAMETERS else _routed(f"{folder}/", parts)


def _parts(query: str) -> list[str]:
    """The parameters of a query; where `;` separates them (Java, Perl), and where it does not."""
    parts = query.split("&")
    if ";" in query:
        parts += [part for one in parts for part in one.split(";")[1:]]
    return parts


def _is_of_rewriting(part: str) -> bool:
    name, given, _ = part.partition("=")
    return _parameter(name) in _OF_REWRITING if given else _names_path(part)


def _parameter(name: str) -> str:
    """The name of a parameter as PHP reads it: `.url` is `_url`, `url[]` is `url`."""
    name = decoded(name[:_MAX_NAME].replace("+", " ")).lower().strip().partition("\0")[0]
    return name.partition("[")[0].replace(".", "_").replace(" ", "_")


_MAX_NAME = 100
"""Characters of a parameter's name that are read, encoded."""


def _names_path(part: str) -> bool:
    return decoded(part[:_MAX_ESCAPE]).startswith("/")


_MAX_ESCAPE = len("%u002f")


def _routed(folder: str, parts: Iterable[str]) -> Iterator[str]:
    for part in parts:
        name, given, value = part.partition("=")
        if not given:
            value, name = decoded(name), ""
        value = value.lstrip("/ ")
        if not value:
            continue
        name = _parameter(name)
        if not name or name in _ROUTES or name in _OF_REWRITING:
            yield f"/{value}"
            if folder != "/":
                yield f"{folder}{value}"
        else:
            yield f"/{name}/{value}"  # WordPress: the name of a kind of page, and which
