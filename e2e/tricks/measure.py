"""The whole experiment: stubs, origin, proxy and browser; every trick in every setting."""

from __future__ import annotations

import asyncio
import tempfile
import threading
from collections.abc import Iterable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field, replace
from enum import StrEnum
from pathlib import Path
from zlib import crc32

from e2e.engines.chromium import Chromium
from e2e.engines.driver import Engine, Name
from e2e.engines.resolver import resolver
from e2e.tricks.browse import LATEST, MAX_LENGTH, SHORTEST, Outcome, Visit, visit_all
from e2e.tricks.origin import Origin
from e2e.tricks.relay import Relay
from e2e.tricks.stub import ClosedHost
from e2e.tricks.table import KNOWN, UNKNOWN, Trick, serve
from examples.demo.running import consent_proxy
from tests.support.guarded import guarded
from tests.support.ports import free_ports

MAX_PAGE_BYTES = 200_000
PLAIN_HOST = "tricks.test"
"""The site's name where it is asked for over plain HTTP, unlike `localhost`, which is secure."""
_PARTS = 2
CHROMIUM = Chromium()

_CONFIG = """
[proxy]
listen = "127.0.0.1:{proxy}"
admin_listen = "127.0.0.1:{admin}"
workers = 1
access_log = false
max_page_bytes = {max_page_bytes}

[policy]
controller = "Tricks"
version = "1"
url = "/privacy"
regime = "opt_in"

[preferences]
keys = "keys/"

[receipts]
store = "sqlite:///receipts.db"

[[site]]
name = "tricks"
hosts = ["localhost", "{plain}"]
upstream = "http://127.0.0.1:{origin}"
audience = "marketing"

[[tag]]
vendor = "known-pixel"
sites = ["tricks"]
pages = ["/*"]
approved_by = "privacy@example.com"
approved_on = 2026-01-02
expires = 2036-01-02

[[vendor]]
id = "known-pixel"
name = "Known Pixel"
category = "advertising"
hosts = ["*.{known}"]
inline = ["knownPixel("]
policy_url = "https://known.example/privacy"
"""


def part(trick_id: str) -> int:
    """Which part of the table is measured together: two workers share the work."""
    return crc32(trick_id.encode()) % _PARTS


def config_text(proxy: int, admin: int, origin: int) -> str:
    """A site in front of the origin, with one vendor to which visitors have not agreed."""
    return _CONFIG.format(
        proxy=proxy,
        admin=admin,
        origin=origin,
        known=KNOWN,
        plain=PLAIN_HOST,
        max_page_bytes=MAX_PAGE_BYTES,
    )


class Setting(StrEnum):
    """How a trick's page is opened."""

    DIRECT = "without the proxy"
    UNKNOWN = "through the proxy, the host unknown"
    KNOWN = "through the proxy, the host a vendor's"
    ALONE = "through the proxy, the browser ignoring its policy"
    OLD = "through the proxy, without fetch metadata"
    PLAIN = "through the proxy, at a host that browsers do not trust like https"


IN_CHROMIUM = (Setting.DIRECT, Setting.UNKNOWN, Setting.KNOWN, Setting.ALONE)
IN_OTHERS = (Setting.DIRECT, Setting.UNKNOWN, Setting.KNOWN, Setting.OLD, Setting.PLAIN)
"""No other engine can be made to ignore a policy."""


@dataclass(slots=True)
class Seen:
    """What one trick did in one setting."""

    outcome: Outcome
    connections: int
    requests: tuple[str, ...]
    own: int
    """How often the page's own image was asked for: that the page was shown at all."""

    @property
    def arrived(self) -> bool:
        return bool(self.connections or self.requests)


@dataclass(slots=True)
class Measured:
    """All of it, by setting and the trick's number."""

    version: str = ""
    """Of the browser."""
    seen: dict[Setting, dict[int, Seen]] = field(default_factory=dict)

    def of(self, trick: Trick, setting: Setting) -> Seen:
        return self.seen[setting][trick.number]


def measure(
    chosen: Sequence[Trick],
    settings: Iterable[Setting] = IN_CHROMIUM,
    engine: Engine = CHROMIUM,
) -> Measured:
    """Try tricks in a thread of its own: the tests' thread has an event loop already."""
    measured = Measured()
    faults: list[BaseException] = []

    def run() -> None:
        try:
            asyncio.run(_measure(chosen, tuple(settings), engine, measured))
        except BaseException as fault:
            faults.append(fault)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join()
    if faults:
        raise faults[0]
    return measured


def _scratch_folder() -> tempfile.TemporaryDirectory[str]:
    # A browser's last process may still write as the folder goes.
    return tempfile.TemporaryDirectory(prefix="consent-tricks-", ignore_cleanup_errors=True)


async def _measure(
    chosen: Sequence[Trick], settings: tuple[Setting, ...], engine: Engine, measured: Measured
) -> None:
    proxy_port, admin_port = free_ports(2)
    origin = Origin()
    async with AsyncExitStack() as stack:
        await origin.start()
        stack.callback(origin.stop)
        folder = Path(stack.enter_context(_scratch_folder()))
        config = folder / "consent-proxy.toml"
        config.write_text(config_text(proxy_port, admin_port, origin.port), encoding="utf-8")
        process = await stack.enter_async_context(consent_proxy(config, proxy_port))
        stack.enter_context(guarded(process))
        relay = Relay(proxy_port)
        await relay.start()
        stack.callback(relay.stop)
        ports = {Setting.DIRECT: origin.port, Setting.OLD: relay.port}
        took: dict[int, float] = {}
        for setting in settings:
            port = ports.get(setting, proxy_port)
            profile = folder / f"profile-{setting.name}"
            some = [trick for trick in chosen if is_tried(trick, setting)]
            seen = await _in_setting(engine, profile, some, setting, origin, port, took, measured)
            measured.seen[setting] = seen
            if setting is Setting.DIRECT:
                took = {number: one.outcome.took for number, one in seen.items()}


def is_tried(trick: Trick, setting: Setting) -> bool:
    """Whether a trick is one of those that are tried in that setting."""
    if setting is Setting.ALONE:
        return trick.alone
    if setting is Setting.PLAIN:
        # What tells a worker or a frame from other files is gone there; a page's Accept tells it.
        return bool(trick.files) or "Worker" in trick.html + trick.page
    return trick.known or setting is not Setting.KNOWN


async def _in_setting(
    engine: Engine,
    profile: Path,
    chosen: Sequence[Trick],
    setting: Setting,
    origin: Origin,
    port: int,
    took: dict[int, float],
    measured: Measured,
) -> dict[int, Seen]:
    """With a browser and ports of its own: a connection kept alive must hide no other."""
    domain = KNOWN if setting is Setting.KNOWN else UNKNOWN
    hosts = {trick.number: ClosedHost(_address(trick, engine)) for trick in chosen}
    async with AsyncExitStack() as stack:
        for host in hosts.values():
            await host.start()
            stack.callback(host.stop)
        names = [
            Name(trick.host(domain), hosts[trick.number].port, hosts[trick.number].address)
            for trick in chosen
        ]
        names.append(Name(PLAIN_HOST, port, "127.0.0.1"))
        if engine.resolves:
            await stack.enter_async_context(resolver(names))
        bypass = setting is Setting.ALONE
        browser = await stack.enter_async_context(
            engine.start(profile, names, bypass_policy=bypass)
        )
        measured.version = browser.version
        visits: list[Visit] = []
        for trick in chosen:
            host = hosts[trick.number]
            # Twice as long as it took to arrive directly is long enough to call it stopped.
            longer = max(SHORTEST, 2 * min(took.get(trick.number, SHORTEST), MAX_LENGTH))
            watch = 0.0 if setting is Setting.DIRECT else longer
            site = PLAIN_HOST if setting is Setting.PLAIN else "localhost"
            url = f"http://{site}:{port}/{_key(setting, trick)}/"
            origin.served[_key(setting, trick)] = serve(trick, domain, host.port, url)
            inert = trick.is_inert(engine.name) or trick.is_later(browser.version)
            inert = inert and not trick.asked_once(browser.version)
            visits.append(Visit(trick, url, host.arrivals, watch, inert))
        many = [visit for visit in visits if not visit.trick.front]
        outcomes = await visit_all(browser, many, windows=engine.windows)
        few = [visit for visit in visits if visit.trick.front]
        if setting is Setting.DIRECT:
            # On a busy machine some come late: once more, with less beside them.
            late = [v for v in many if not v.inert and not v.arrivals.fired(v.trick.bare)]
            few += [replace(visit, patience=LATEST) for visit in late]
        else:
            # So do some pages; of one that was not shown, silence tells nothing.
            direct = measured.seen.get(Setting.DIRECT, {})
            shown = {number for number, seen in direct.items() if seen.own}
            few += [
                visit
                for visit in many
                if visit.trick.number in shown and not origin.own[_key(setting, visit.trick)]
            ]
        outcomes |= await visit_all(browser, few, windows=1)
        if setting is Setting.DIRECT:
            # One of some thousands was seen to be silent twice in a busy Firefox, and never alone.
            again = [v for v in few if not v.inert and not v.arrivals.fired(v.trick.bare)]
            outcomes |= await visit_all(browser, again, windows=1)
    return {
        trick.number: Seen(
            outcomes[trick.number],
            hosts[trick.number].arrivals.connections,
            tuple(hosts[trick.number].arrivals.requests),
            origin.own[_key(setting, trick)],
        )
        for trick in chosen
    }


def _address(trick: Trick, engine: Engine) -> str:
    """An address of loopback for each trick."""
    return f"127.1.{trick.number // 250}.{1 + trick.number % 250}" if engine.resolves else ""


def _key(setting: Setting, trick: Trick) -> str:
    return f"{setting.name.lower()}-{trick.label}"
