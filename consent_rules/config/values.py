"""Parse and normalise values of the config: hosts, paths, addresses.

Every `normal_*` function returns the normal form that matching expects, or raises ValueError with a
sentence that says what is wrong and what to write instead.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable

import ada_url

from consent_rules.matching.urls import normal_path
from consent_rules.wording import CONTROL_CHARACTER, quoted

MAX_PATTERN_LENGTH = 1000
"""Characters. No URL path worth a rule is longer; matching cost stays small."""

_PORT = re.compile(r":([0-9]+)\Z")
_HOST = re.compile(r"[a-z0-9_-]{1,63}(?:\.[a-z0-9_-]{1,63})*")
# Lower-case ASCII, ends in a label that starts with a letter (so no IPv4 address), no punycode
# that a browser might refuse: what the parser returns unchanged.
_PLAIN_HOST = re.compile(r"(?:(?!xn--)[a-z0-9][a-z0-9-]{0,62}\.)+(?!xn--)[a-z][a-z0-9]{0,62}")
_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")


def plain_text(text: str) -> str:
    """Text on one line, stripped, not empty: it is used in headers, pages and logs."""
    stripped = text.strip()
    if not stripped:
        raise ValueError("it is empty; write something or leave the key out")
    if CONTROL_CHARACTER.search(stripped):
        raise ValueError("line breaks and control characters cannot stand here")
    return stripped


def name_of_somebody(text: str) -> str:
    """Who approved something: a name, an address or a ticket, so not `...`."""
    plain = plain_text(text)
    if not any(character.isalnum() for character in plain):
        raise ValueError(f"{plain!r} names nobody; write who approved it")
    return plain


def normal_host(text: str) -> str:
    """A host name as browsers normalise it: lower case, IDN as punycode, no trailing dot."""
    if _PLAIN_HOST.fullmatch(text) and len(text) <= 253:
        return text
    if any(c in text for c in "/\\?#@%") or any(c.isspace() for c in text):
        raise ValueError(f"{quoted(text)} is not a host name")
    try:
        host = str(ada_url.URL(f"http://{text}/").hostname).rstrip(".")
    except ValueError:
        raise ValueError(f"{quoted(text)} is not a host name") from None
    if host.startswith("["):
        raise ValueError("an IPv6 address cannot stand here; use a name")
    if not _HOST.fullmatch(host) or len(host) > 253:
        raise ValueError(f"{quoted(text)} is not a host name")
    return host


def normal_host_pattern(text: str, *, port_allowed: bool) -> str:
    """`example.com` or `*.example.com`, with `:port` where that is allowed."""
    text = text.strip()
    if _PLAIN_HOST.fullmatch(text.removeprefix("*.")) and len(text) <= 253:
        return text
    if not text:
        raise ValueError('a host is empty; write a name such as "www.example.com"')
    if _URL.match(text):
        bare = re.split(r"[/?#]", _URL.sub("", text, count=1), maxsplit=1)[0]
        raise ValueError(f"{quoted(text)} is a URL; write the host alone: {quoted(bare)}")
    if "/" in text:
        bare = text.lstrip("/").split("/", 1)[0]
        hint = f": {quoted(bare)}" if bare else ""
        raise ValueError(f"{quoted(text)} has a path in it; write the host alone{hint}")
    if text == "*":
        raise ValueError('"*" would be every host; name each host, or use "*.example.com"')
    if any(c.isspace() for c in text):
        raise ValueError(f"{quoted(text)} has a space in it; write each host by itself")
    port = _PORT.search(text)
    host = text[: port.start()] if port and text.count(":") == 1 else text
    star = host.startswith("*.")
    name = host[2:] if star else host
    if "*" in name:
        raise ValueError(
            f'{quoted(text)} has "*" where none can be; it stands first only, as in '
            '"*.example.com" (that host and everything below it)'
        )
    if ":" in name and not name.startswith("["):
        raise ValueError(f"{quoted(text)} is not a host name; a port is a number after one colon")
    name = normal_host(name)
    if star and _is_ip(name):
        raise ValueError(f'{quoted(text)}: nothing lies below an IP address; remove "*."')
    shown = f"*.{name}" if star else name
    if port is None or host is text:
        return shown
    if not port_allowed:
        raise ValueError(
            f"{quoted(text)} has a port; a site is found by its host name alone: {quoted(shown)}"
        )
    return f"{shown}:{_port(port[1])}"


def normal_path_pattern(text: str) -> str:
    """`/path`, `*` for any run of characters; decoded as the paths that it is held against."""
    text = text.strip()
    if not text:
        raise ValueError('the path is empty; write "/" for the home page, "/*" for every page')
    if len(text) > MAX_PATTERN_LENGTH:
        raise ValueError(f"the path is longer than {MAX_PATTERN_LENGTH} characters")
    if CONTROL_CHARACTER.search(text):
        raise ValueError("a path has no line breaks or control characters")
    if _URL.match(text):
        path = "/" + _URL.sub("", text, count=1).partition("/")[2]
        raise ValueError(f"{quoted(text)} is a URL; write the path alone: {quoted(path)}")
    if _REGULAR_EXPRESSION.search(text):
        simple = _from_regular_expression(text)
        meant = None
        if not _REGULAR_EXPRESSION.search(simple):
            meant = _valid(simple, normal_path_pattern)
        hint = f"; did you mean {quoted(meant)}?" if meant else ""
        raise ValueError(
            f'{quoted(text)} is a regular expression; a pattern is a path with "*" for any run of '
            f"characters{hint}"
        )
    if not text.startswith("/"):
        meant = _valid("/" + text, normal_path_pattern)
        hint = f"did you mean {quoted(meant)}?" if meant else 'write it like "/blog/*"'
        raise ValueError(f'{quoted(text)} does not start with "/"; {hint}')
    cut = min((i for i in (text.find("?"), text.find("#")) if i >= 0), default=-1)
    if cut >= 0:
        raise ValueError(
            f"{quoted(text)} has a query or fragment; a rule sees the path only: "
            f"{quoted(text[:cut])}"
        )
    return normal_path(text)


def normal_page_pattern(text: str) -> str:
    """A path pattern, or `!` and one: the pages that are left out."""
    bare = text.strip()
    if not bare.startswith("!"):
        return normal_path_pattern(bare)
    try:
        return f"!{normal_path_pattern(bare[1:])}"
    except ValueError as error:
        raise ValueError(f'{error} (behind the "!")') from None


_REGULAR_EXPRESSION = re.compile(r"^\^|\$$|/\.[*+]|\(\.[*+]|\\|\(\?|\(.*\|.*\)|\][*+]")
"""What no path has, and a regular expression may. `/file.*` and `/.well-known/*` are patterns."""


def _from_regular_expression(text: str) -> str:
    """The pattern that was meant, where it is a simple one: `^/p/.*$` is `/p/*`."""
    bare = re.sub(r"\\([./-])", r"\1", text.strip("^$"))
    found = re.sub(r"\((?:\?:)?\.[*+]\??\)|\.[*+]\??", "*", bare)
    return found if found.startswith("/") else f"/{found}"


def _valid(candidate: str, normal: Callable[[str], str]) -> str | None:
    """What a value could be, if it can be one: advice is never refused in its turn."""
    try:
        return normal(candidate)
    except ValueError:
        return None


def normal_vendor_path(text: str) -> str:
    """`host-pattern/path-glob`, or `/path-glob` for a tracker on the site's own host."""
    text = text.strip()
    if _URL.match(text):
        raise ValueError(
            f"{quoted(text)} is a URL; write it without the scheme: "
            f"{quoted(_URL.sub('', text, count=1))}"
        )
    authority, slash, rest = text.partition("/")
    if not slash:
        raise ValueError(
            f"{quoted(text)} has no path; write a whole host under hosts, or add a path here"
        )
    if not authority and rest.strip("*/ ") == "":
        raise ValueError(f"{quoted(text)} would be every page of the site; name a path")
    host = normal_host_pattern(authority, port_allowed=True) if authority else ""
    return host + normal_path_pattern(slash + rest)


def normal_origin(text: str) -> str:
    """`http(s)://host[:port]`, without a final slash, or `unix:/path`."""
    text = text.strip()
    if not re.match(r"https?://", text, re.IGNORECASE):
        if text.startswith(("unix:", "/", "http+unix:")):
            return _socket(text)
        if _URL.match(text):
            raise ValueError(f"{quoted(text)}: an upstream speaks http:// or https://")
        meant = _valid(f"http://{'127.0.0.1:' if text.isdigit() else ''}{text}", normal_origin)
        hint = (
            f"did you mean {quoted(meant)}?" if meant else 'write it like "http://127.0.0.1:9000"'
        )
        raise ValueError(f"{quoted(text)} has no scheme; {hint}")
    if any(c.isspace() for c in text):
        raise ValueError(f"{quoted(text)} has a space in it")
    try:
        url = ada_url.URL(text)
    except ValueError:
        raise ValueError(
            f'{quoted(text)} is not a URL; write it like "http://127.0.0.1:9000"'
        ) from None
    origin = f"{url.protocol}//{url.host}"
    if url.username or url.password:
        raise ValueError(f"there is a user name or password in it; write {quoted(origin)}")
    if url.search or url.hash or "?" in text or "#" in text:
        raise ValueError(f"{quoted(text)} has a query or fragment; write {quoted(origin)}")
    if url.pathname != "/":
        raise ValueError(
            f"{quoted(text)} has a path; requests keep their own path, so write {quoted(origin)}"
        )
    if url.port == "0":
        raise ValueError(f"{quoted(text)}: nothing answers on port 0")
    return origin


def _socket(text: str) -> str:
    """`unix:/path` of a socket to connect to. nginx writes `http://unix:/path:`, Caddy
    `unix//path`.
    """
    path = text.removeprefix("http+").removeprefix("unix:").removeprefix("//")
    socket = f"unix:{path}"
    if (
        CONTROL_CHARACTER.search(text)
        or len(socket) > _MAX_SOCKET_LENGTH
        or not path.startswith("/")
        or path.endswith("/")
    ):
        raise ValueError(
            f"{quoted(text)} names no socket; write a whole path of at most "
            f'{_MAX_SOCKET_LENGTH - 5} characters, as in "unix:/run/app.sock"'
        )
    if socket != text:
        raise ValueError(f"{quoted(text)}: a Unix socket is written {quoted(socket)}")
    return socket


def normal_include(text: str) -> str:
    """A pattern of files below the folder of the including file: `tags/*.toml`."""
    text = text.strip()
    if not text or CONTROL_CHARACTER.search(text):
        raise ValueError('a name of a file is missing; write one such as "tags/*.toml"')
    if "\\" in text:
        raise ValueError(f'{quoted(text)}: write "/" between folders')
    if text.startswith(("/", "~")) or re.match(r"[A-Za-z]:|[A-Za-z][A-Za-z0-9+.-]*://", text):
        raise ValueError(
            f"{quoted(text)} leads out of the folder of this file; name files below it, such as "
            '"tags/*.toml"'
        )
    if ".." in text.split("/"):
        raise ValueError(
            f'{quoted(text)} leads upwards with ".."; included files lie below the folder of the '
            'config file: "tags/*.toml"'
        )
    if not text.lower().endswith(".toml"):
        meant = text.rstrip("/*") or "tags"
        raise ValueError(
            f'{quoted(text)} names no ".toml" file; did you mean {quoted(meant + "/*.toml")}?'
        )
    return text.removeprefix("./")


_MAX_SOCKET_LENGTH = 5 + 107  # "unix:" and what fits a socket's address (unix(7))


def normal_address(text: str) -> str:
    """`host:port` or `unix:/path` to listen on; port 0 lets the system pick one."""
    text = text.strip()
    if text.startswith("unix:"):
        if not text.startswith("unix:/") or "\0" in text or len(text) > _MAX_SOCKET_LENGTH:
            raise ValueError(
                f"{quoted(text)} names no socket; write a whole path of at most "
                f'{_MAX_SOCKET_LENGTH - 5} characters, as in "unix:/run/consent-proxy.sock"'
            )
        return text
    host, colon, port = text.rpartition(":")
    hint = 'write a host and a port, as in "127.0.0.1:8080" ("0.0.0.0:8080" is every interface)'
    if _URL.match(text) or not colon or not host or not (port.isascii() and port.isdigit()):
        meant = _valid(_listening(text), normal_address)
        if meant is not None:
            hint = (
                f'did you mean {quoted(meant)}? ("0.0.0.0" in place of the host is every interface)'
            )
        raise ValueError(f"{quoted(text)} is not an address to listen on; {hint}")
    number = _port(port, lowest=0)
    if host.startswith("[") and host.endswith("]"):
        try:
            return f"[{ipaddress.IPv6Address(host[1:-1])}]:{number}"
        except ValueError:
            raise ValueError(f"{quoted(host)} is not an IPv6 address; {hint}") from None
    if ":" in host:
        raise ValueError(f'{quoted(text)}: an IPv6 address stands in brackets, "[::1]:8080"')
    try:
        return f"{normal_host(host)}:{number}"
    except ValueError:
        raise ValueError(f"{quoted(text)} is not an address to listen on; {hint}") from None


def _listening(text: str) -> str:
    """An address that may be meant: a port alone, a host alone, or a URL."""
    bare = _URL.sub("", text, count=1).rstrip("/").removeprefix(":")
    if bare.isdigit():
        return f"127.0.0.1:{bare}"
    return bare if bare.rpartition(":")[1] else f"{bare}:8080"


def split_address(address: str) -> tuple[str, int]:
    """Host (IPv6 without brackets) and port of a normal address; the whole of it, and port 0, for
    a Unix socket.
    """
    if address.startswith("unix:"):
        return address, 0
    host, _, port = address.rpartition(":")
    return host.strip("[]"), int(port)


def _port(digits: str, *, lowest: int = 1) -> int:
    number = int(digits) if len(digits) <= 5 else 65536
    if not lowest <= number <= 65535:
        raise ValueError(f"port {quoted(digits)} is not between {lowest} and 65535")
    return number


def _is_ip(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def is_loopback(host: str) -> bool:
    """Whether a normalised host (IPv6 without brackets) is a loopback address or name (RFC 6761,
    6.3).
    """
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
