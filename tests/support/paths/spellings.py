"""Spellings of patient pages' paths, as an attacker or a careless link may write them."""

from __future__ import annotations

import random
from collections.abc import Iterator

import ada_url

RULES = ("/patients/*", "/pay", "/account/form.html", "/termine-ärzte/*")
"""The rules of the site in the fuzz; below are pages that they name, each with a name that a
file, a route or a slug may have.
"""
PATIENT_PAGES = ("/patients", "/patients/", "/patients/x", "/patients/pay", "/patients/bill.html",
                 "/pay", "/account/form.html", "/termine-ärzte/neu")  # fmt: skip
MARKETING_PAGES = ("/", "/blog", "/blog/x", "/pricing.html", "/static/site.css", "/x", "/account")

_BEFORE = (
    "/index.php", "/INDEX.PHP", "/index.php/", "/app.php", "/public", "/(S(x))", "/(A(b)S(c))",
    "/.", "/x/..", "/blog/..", "/static..", "/files..", "/static/..", "/blog/%2e%2e", "/x/..;",
    "/;x", "/;jsessionid=1", "/%2e", "//www.example.com", "//x", "/\\x", "///", "/%2f", "/%5c",
    "/x%2f..", "/x%2f%2e%2e", "/x/%252e%252e", "/x%252f..", "/x/..%00", "/x/..%2f", "/%20", "/+",
    "/x/.%2e", "/blog;a/..", "/blog/..%3b", "/blog/%2e%2e;a", "/x/..\\", "/x/..%5c", "/%09",
    "/%c0%af", "/x/%c0%ae%c0%ae", "/%ef%bc%8f", "/~", "/index.html", "/index", "/blog/index.php",
    "/static/index.php", "/x.php", "/static", "/blog", "/files", "/_next/data/b", "/web",
)  # fmt: skip
_BEHIND = (
    "/", "//", "/.", "/..", ".html", ".HTML", ".htm", ".php", ".json", ".xml", ".en.html", ".",
    "..", "%20", "%20.", ". ", "+", "%00", "%00.css", "%0a", "%0d%0a", "%09", "%0b", "%7f", "%85",
    "%c2%a0", "%e2%80%8b", ";", ";a", ";a=b", ";a/b", ";/x.css", ";x.css", "%3b", "%3ba", "?", "?x",
    "%3f", "%3fx", "%3f.css", "%23", "%23x", "::$DATA", ":x", "%3ax", "/index.html", "/index.php",
    "/index", "/x.css", "/x.css/..", "/..;/x", "/%2e%2e/patients", "/%252e", "/x/..", "~", "~1",
    "*", "%2a", "%2f", "%2fx", "%5c", "%5cx", "\\", "\\x", "%252f", "%25", "%", "%zz", "%u002f",
    "/.json", ".css", "/.css", "/x;.css", "/%2e", ".bak", "$", "@", "&", "=", ",", "'", "(", ")",
    "!", "|", "^",
)  # fmt: skip
_BETWEEN = (
    "//", "///", "/./", "/x/../", "/%2e/", "/%2e%2e/patients/", "/;/", "/;a/", ";a/", "%2f", "%2F",
    "\\", "%5c", "/\\", "/%20/", "%20/", "./", "../", "/.;/", "/..;/patients/", "%252f", "%00/",
    "/%00/", "%09/", "/+/", "::/", ":x/", "/()/", "/(S(x))/", ".php/", ".html/", "%c0%af", "%u002f",
    "%ef%bc%8f", "%e2%88%95", "/%e2%80%8b", "?/", "%3f/", "%23/", "/x.php/../",
)  # fmt: skip
_QUERIES = (
    "/?r={}", "/index.php?r={}", "/?q={}", "/index.php?/{}", "/?path=/{}", "/index.php?path={}",
    "/?page={}", "/index.php?x=1&r={}", "/?x=1;r={}", "//?r={}", "/blog/?r={}", "/index.php/?r={}",
    "/?%72={}", "/?R={}", "/?r[]={}", "/?r=./{}", "/?r=x/../{}", "/?url=http://x/{}",
    "/?route=%2f{}",
)  # fmt: skip


def spellings(count: int, seed: int) -> Iterator[str]:
    """`count` request targets without repeats, all made from patient pages, none with what no
    request line can hold. Half of them are what a browser sends of such a link (WHATWG URL), half
    go as they are.
    """
    chance = random.Random(seed)
    seen: set[str] = set()
    while len(seen) < count:
        raw = _spelling(chance)
        target = as_browser(raw) if chance.random() < 0.5 else raw
        if target is None or target in seen or not can_be_sent(target):
            continue
        seen.add(target)
        yield target


def can_be_sent(target: str) -> bool:
    """Whether a request line can hold it, and the proxy does not refuse it: `#` it does."""
    return target.startswith("/") and "#" not in target and all("!" <= c <= "~" for c in target)


def as_browser(spelling: str) -> str | None:
    """What a browser asks of the site for such a link; None where the link leads elsewhere."""
    try:
        url = ada_url.URL("http://www.example.com" + spelling)
    except ValueError:
        return None
    return url.pathname + url.search if url.hostname == "www.example.com" else None


def _spelling(chance: random.Random) -> str:
    page = chance.choice(PATIENT_PAGES)
    if chance.random() < 0.08:
        return chance.choice(_QUERIES).format(_mutated(page[1:], chance))
    parts = [_mutated(part, chance) for part in page.split("/")[1:]]
    spelled = "/"
    for number, part in enumerate(parts):
        if number:
            spelled += chance.choice(_BETWEEN) if chance.random() < 0.25 else "/"
        spelled += part
    while chance.random() < 0.4:
        spelled = chance.choice(_BEFORE) + spelled
    while chance.random() < 0.4:
        spelled += chance.choice(_BEHIND)
    return spelled


def _mutated(word: str, chance: random.Random) -> str:
    if chance.random() < 0.45:
        return _plain(word)
    rate = chance.choice((0.1, 0.3, 1.0))
    return "".join(
        _other(char, chance) if chance.random() < rate else _plain(char) for char in word
    )


def _plain(text: str) -> str:
    return "".join(c if c.isascii() else _percent(c.encode()) for c in text)


def _percent(data: bytes, upper: bool = True) -> str:
    return "".join(f"%{byte:02X}" if upper else f"%{byte:02x}" for byte in data)


def _other(char: str, chance: random.Random) -> str:
    data = char.encode()
    kind = chance.randrange(14)
    if kind < 3:
        return _percent(data, upper=kind == 0)
    if kind == 3:
        return _percent(data).replace("%", "%25")
    if kind == 4:
        return f"%u{ord(char):04x}"
    if kind == 5 and char.isascii():
        return _percent(bytes((0xC0 | ord(char) >> 6, 0x80 | ord(char) & 0x3F)))
    if kind == 6 and "!" <= char <= "~":
        return _percent(chr(ord(char) + 0xFEE0).encode())
    if kind == 7:
        return _plain(char.upper())
    if kind == 8:
        return _plain(char) + chance.choice(
            ("%00", "%0a", "%e2%80%8b", "%cc%81", "%", "%c2%ad", "~")
        )
    if kind == 9:
        first, second = f"{ord(char) & 0xFF:02x}".encode()
        return chance.choice(("%", "%25")) + f"%{first:02x}%{second:02x}"
    if kind == 10 and not char.isascii():
        return _percent(char.encode("latin-1"))
    if kind == 11:
        return {"s": "%c5%bf", "i": "%c4%b1", "a": "%c3%a1", "k": "%e2%84%aa"}.get(char, char)
    if kind == 12 and not char.isascii():
        return {"ä": "a%CC%88"}.get(char, "a")
    return _plain(char.swapcase())
