"""The table of tricks: `rows/*.toml`, one `[[trick]]` a row, one file a channel.

`name`      what the trick is.
`html`      what stands in the body, `head` in the head; `page` is a whole document instead.
`headers`   the origin's header lines; `Name: value`. A Content-Type replaces the usual one, and
            `Content-Type:` with nothing behind it sends none.
`status`    of the origin's answer.
`encoding`  Python's name for the codec of the page's bytes. A page in `latin-1` spells bytes.
`codings`   how the body is compressed, in this order.
`pad`       bytes of comment in front of the page.
`files`     what else lies beside the page, by name; `=>307 URL` is a redirect. One in `.sxg` is
            a signed exchange of the URL that is its content.
`action`    what the visitor does: `click SELECTOR`, `hover SELECTOR` or `leave`.
`scripts`   false: a browser with JavaScript switched off.
`bare`      a connection without a request is all that the trick makes.
`alone`     false: the page's markup cannot stop it, only the policy can.
`inert`     why Chromium asks for nothing, proxy or no proxy. Such a row does not count, but it
            must ask for nothing through the proxy either.
`silent_in` other engines, by name, that ask for nothing, where Chromium asks.
`fires_in`  other engines that ask where Chromium is `inert`.
`connects`  why a connection is made all the same. No request may follow it.
`leaks`     why it gets through: nothing that a proxy sends can stop it. Does not count.
`leaks_in`  the engines in which it does; all, where it is not given.
`leaked_in` engines in which it got through once: it is always of their tenth (`tenth.py`).
`later_than` engines, each with a release up to which it asks for nothing: it counts in later ones
            only, and is of no tenth.
`asked_up_to` engines, each with the last release that asked where the row is `inert` now.
`plain_in`  the engines that show the page as text behind the proxy, and as a page without it.
`known`     false: it is all one whether the closed host is a known vendor's.
`front`     only the tab in front does it: the page is opened by itself.
`linger`    seconds to go on watching after the last request.

In all of these, `{host}` is the closed host, a name of the trick's own; `{mixed}`, `{entities}`,
`{percent}`, `{fullwidth}`, `{csshex}` are other spellings of it. `{port}` is the port at which
it answers on 127.0.0.1, `{local}` a name for that which browsers trust like https; `{own}` is an
image of the site's, by which it is known that a page was shown.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

ROWS = Path(__file__).with_name("rows")

ENGINES = ("chromium", "firefox", "webkit")
_LISTS = (
    "headers",
    "codings",
    "silent_in",
    "fires_in",
    "leaks_in",
    "leaked_in",
    "plain_in",
)

UNKNOWN = "closed.example"
"""Below it lie the hosts that nobody knows."""
KNOWN = "known.example"
"""Below it lie the hosts of a vendor with a tag, to which the visitor has not agreed."""


def _is_within(version: str, releases: Mapping[str, int]) -> bool:
    name, _, release = version.partition(" ")
    last = releases.get(name.lower())
    return last is not None and int(release.partition(".")[0]) <= last


@dataclass(frozen=True, slots=True)
class Trick:
    """One row. `number` is its place in the whole table."""

    number: int
    channel: str
    name: str
    html: str = ""
    head: str = ""
    page: str = ""
    headers: tuple[str, ...] = ()
    status: int = 200
    encoding: str = "utf-8"
    codings: tuple[str, ...] = ()
    pad: int = 0
    files: Mapping[str, str] = field(default_factory=dict)
    action: str = ""
    scripts: bool = True
    bare: bool = False
    alone: bool = True
    inert: str = ""
    connects: str = ""
    leaks: str = ""
    silent_in: tuple[str, ...] = ()
    fires_in: tuple[str, ...] = ()
    leaks_in: tuple[str, ...] = ENGINES
    leaked_in: tuple[str, ...] = ()
    later_than: Mapping[str, int] = field(default_factory=dict)
    asked_up_to: Mapping[str, int] = field(default_factory=dict)
    plain_in: tuple[str, ...] = ()
    known: bool = True
    front: bool = False
    linger: float = 0.0

    @property
    def id(self) -> str:
        return f"{self.channel}: {self.name}"

    @property
    def label(self) -> str:
        """The trick's name as a host has it."""
        return f"t{self.number:03}"

    def is_inert(self, engine: str) -> bool:
        """Whether that engine asks for nothing, proxy or no proxy."""
        return engine not in self.fires_in if self.inert else engine in self.silent_in

    def is_later(self, version: str) -> bool:
        """Whether a browser ("Firefox 140.12.0") is too old to ask."""
        return _is_within(version, self.later_than)

    def asked_once(self, version: str) -> bool:
        """Whether a browser is so old that it asks, where the row is inert today."""
        return _is_within(version, self.asked_up_to)

    def does_leak(self, engine: str) -> bool:
        """Whether it gets through in that engine, whatever a proxy does."""
        return bool(self.leaks) and engine in self.leaks_in

    def counts(self, engine: str) -> bool:
        """Whether that engine asks without the proxy, and must not with it."""
        return not self.is_inert(engine) and not self.does_leak(engine)

    def host(self, domain: str) -> str:
        return f"{self.label}.{domain}"


@dataclass(frozen=True, slots=True)
class Served:
    """A trick with its placeholders filled in, for one domain and one port."""

    trick: Trick
    document: str
    headers: tuple[str, ...]
    files: Mapping[str, str]


@cache
def tricks() -> tuple[Trick, ...]:
    """All rows, in the order of the files' names."""
    found: list[Trick] = []
    for file in sorted(ROWS.glob("*.toml")):
        table = tomllib.loads(file.read_text(encoding="utf-8"))
        shared = {key: value for key, value in table.items() if key != "trick"}
        for row in table["trick"]:
            values = {**shared, **row}
            values |= {name: tuple(values[name]) for name in _LISTS if name in values}
            found.append(Trick(number=len(found), channel=file.stem, **values))
    return tuple(found)


def _spellings(host: str, port: int, label: str) -> dict[str, str]:
    return {
        "host": host,
        "mixed": "".join(c.upper() if i % 2 else c for i, c in enumerate(host)),
        "entities": "".join(f"&#{ord(c)};" for c in host),
        "percent": "".join(f"%{ord(c):02x}" for c in host),
        "fullwidth": "".join(chr(ord(c) + 0xFEE0) for c in host),
        "csshex": "".join(f"\\{ord(c):06x}" for c in host),
        "port": str(port),
        "local": f"{label}.localhost:{port}",
    }


def serve(trick: Trick, domain: str, port: int, url: str) -> Served:
    """Fill in where the closed host is. `url` is the page's own address."""
    words = {**_spellings(trick.host(domain), port, trick.label), "own": f"{url}own.gif"}

    def filled(text: str) -> str:
        for word, value in words.items():
            text = text.replace(f"{{{word}}}", value)
        return text

    return Served(
        trick,
        filled(trick.page or _wrapped(trick)),
        tuple(map(filled, trick.headers)),
        {name: filled(text) for name, text in trick.files.items()},
    )


def _wrapped(trick: Trick) -> str:
    return (
        f"<!doctype html>\n<html lang=en><head><meta charset=utf-8><title>{trick.label}</title>"
        f'{trick.head}</head>\n<body><p>Text.</p><img src="{{own}}" alt="">\n{trick.html}\n'
        "</body></html>\n"
    )
