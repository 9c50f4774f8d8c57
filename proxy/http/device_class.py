"""The class of device that a User-Agent names (RFC 9110, 10.1.5), by ua-parser's rules.

Parsing takes about half a millisecond, so the result is cached by the header's text. The only
decision that depends on it is whether the banner is shown: a User-Agent is easily forged.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from enum import StrEnum
from functools import cache
from typing import TYPE_CHECKING

from consent_rules.lazy_pattern import lazy_pattern
from proxy.http.recent import Recent

if TYPE_CHECKING:
    from ua_parser.core import PartialResult

MAX_LENGTH = 300
"""Characters of a User-Agent that are read; browsers' have 60 to 250. ua-parser's expressions take
up to 6 ms for as many that were chosen to be slow."""
MAX_REMEMBERED = 8192
"""User-Agents that a worker caches: 4 MB at most, about 1 MB of those that browsers send."""


class DeviceClass(StrEnum):
    PHONE = "phone"
    TABLET = "tablet"
    DESKTOP = "desktop"
    BOT = "bot"
    """A crawler, or a link preview."""
    OTHER = "other"


class DeviceClasses:
    """The device classes of recent User-Agents.

    `may_parse` limits how many new ones are parsed per second: a client that sends a different one
    with each request must not keep the worker busy.
    """

    def __init__(self, may_parse: Callable[[], bool]) -> None:
        self._may_parse = may_parse
        self._known: Recent[DeviceClass] = Recent(MAX_REMEMBERED)

    def known(self, raw: bytes) -> DeviceClass | None:
        """The class of a header's value as it was sent, if it is cached."""
        return self._known.get(raw[:MAX_LENGTH])

    def of(self, agent: str) -> DeviceClass:
        """The class of a User-Agent; OTHER while the rate limit of new ones is exceeded."""
        raw = agent.encode("utf-8", "surrogateescape")[:MAX_LENGTH]
        found = self._known.get(raw)
        if found is None:
            if not self._may_parse():
                return DeviceClass.OTHER
            found = classify(raw.decode("utf-8", "replace"))
            self._known.put(raw, found)
        return found


_PREVIEWS = lazy_pattern(
    r"facebookexternalhit|meta-external|applebot|urlpreview|uripreview|vkshare|embedly|iframely"
    r"|cardyb|mastodon|pleroma|misskey|chatgpt-user|claude-user|perplexity-user|google-read-aloud"
    r"|bitlybot|linkpreview|link-preview",
    re.IGNORECASE,
)
"""Crawlers and previews that ua-parser takes for browsers or does not know."""
_SCREENS = lazy_pattern(
    r"smart-?tv|\btv\b|googletv|hbbtv|web0s|bravia|\baft[a-z]{1,4}\b|roku|playstation|xbox|nintendo"
    r"|crkey|oculus|quest \d",
    re.IGNORECASE,
)
"""Televisions, consoles, headsets: some name Android or Windows beside."""
_DESKTOP = {
    "Windows", "Mac OS X", "Linux", "Ubuntu", "Chrome OS", "Fedora", "Debian", "FreeBSD", "OpenBSD",
    "NetBSD", "Red Hat", "SUSE", "Mandriva", "Arch Linux", "Linux Mint", "Gentoo", "CentOS",
    "Slackware", "Solaris",
}  # fmt: skip
_PHONE = {
    "Windows Phone", "Windows Mobile", "KaiOS", "Firefox OS", "BlackBerry OS", "Symbian OS",
    "Symbian^3", "Bada", "HarmonyOS",
}  # fmt: skip


@cache
def _parser() -> Callable[[str], PartialResult]:
    """Imported and set up on first use: most commands do not need it."""
    from ua_parser import BasicResolver, Domain
    from ua_parser.loaders import load_lazy_builtins

    resolve = BasicResolver(load_lazy_builtins())
    return lambda agent: resolve(agent, Domain.DEVICE | Domain.OS)


_USUAL = lazy_pattern(
    r"Mozilla/5\.0 \("
    r"(?:(?P<phone>iPhone; CPU iPhone OS \d\d?_\d\d?(?:_\d)? like Mac OS X"
    r"\) AppleWebKit/605\.1\.15 \(KHTML, like Gecko\) Version/\d\d\.\d Mobile/15E148 Safari/604\.1"
    r"|Linux; Android 10; K"
    r"\) AppleWebKit/537\.36 \(KHTML, like Gecko\) Chrome/\d{3}\.0\.0\.0 Mobile Safari/537\.36)"
    r"|(?:Macintosh; Intel Mac OS X 10_15_7"
    r"\) AppleWebKit/605\.1\.15 \(KHTML, like Gecko\) Version/\d\d\.\d Safari/605\.1\.15"
    r"|(?:Windows NT 10\.0; Win64; x64|Macintosh; Intel Mac OS X 10\.15|X11; Linux x86_64)"
    r"; rv:\d{3}\.0\) Gecko/20100101 Firefox/\d{3}\.0"
    r"|(?:Windows NT 10\.0; Win64; x64|Macintosh; Intel Mac OS X 10_15_7|X11; Linux x86_64)"
    r"\) AppleWebKit/537\.36 \(KHTML, like Gecko\) Chrome/\d{3}\.0\.0\.0 Safari/537\.36"
    r"(?: Edg/\d{3}\.0\.0\.0)?))",
    re.ASCII,
)
"""What the browsers of most visitors send, but for the numbers of their versions: known without
ua-parser, which needs a tenth of a second to be ready."""


def classify(agent: str) -> DeviceClass:
    """The class of a User-Agent."""
    if not agent:
        return DeviceClass.OTHER
    usual = _USUAL.fullmatch(agent)
    if usual is not None:
        return DeviceClass.PHONE if usual["phone"] else DeviceClass.DESKTOP
    return parsed_class(agent)


def parsed_class(agent: str) -> DeviceClass:
    """As `classify`, by ua-parser."""
    found = _parser()(agent)
    device = found.device.family if found.device else ""
    system = found.os.family if found.os else ""
    if device == "Spider" or _PREVIEWS.search(agent):
        return DeviceClass.BOT
    if _SCREENS.search(agent):
        return DeviceClass.OTHER
    if device == "iPad" or "Tablet" in device:
        return DeviceClass.TABLET
    if system == "iOS" or system in _PHONE or device.endswith(("Smartphone", "Feature Phone")):
        return DeviceClass.PHONE
    if system == "Android":
        # https://developer.chrome.com/docs/multidevice/user-agent: "Mobile" is a phone.
        return DeviceClass.PHONE if "Mobile" in agent else DeviceClass.TABLET
    if system in _DESKTOP and agent.startswith(("Mozilla/", "Opera/")):
        return DeviceClass.DESKTOP
    return DeviceClass.OTHER


def warm_up() -> None:
    """Compile the regular expressions, which takes a tenth of a second, before somebody needs
    them.
    """
    parsed_class("Mozilla/5.0")
