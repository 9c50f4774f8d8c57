"""A million spellings of patient paths against real servers: does any serve a patient page that
the proxy takes for a marketing page?

    python -m tests.support.paths.path_fuzz [--count 1000000] [--seed 1] [--servers nginx,flask]
                                    [--sample 1000]

Every spelling is judged by the product's own function. Those judged marketing are sent to every
server: a patient page that comes back is a fault. A sample of all spellings is sent through the
whole proxy in front of each server, by a visitor who has allowed everything: a patient page that
comes back with an open gate is a fault, too. Needs nginx, apache2 with mod_php, php, tomcat10 and
node with express, fastify, koa and @koa/router in FUZZ_NODE_MODULES; what is missing is left out,
and told.
"""

from __future__ import annotations

import argparse
import asyncio
import datetime
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from consent_rules.categories import Audience
from proxy.http.targets import split_target
from tests.support.example_rules import site as site_with
from tests.support.paths.apps import TRACKER
from tests.support.paths.servers import Server, available, known, started
from tests.support.paths.spellings import RULES, spellings

_CONNECTIONS = 8


def judged(targets: Iterable[str]) -> tuple[list[str], int]:
    """The targets that are no patient page for the product, and how many there are in all."""
    rules = site_with(patient_paths=RULES)
    rules.patient_paths._remembered = rules.patient_paths._find  # type: ignore[assignment]
    marketing, count = [], 0
    for target in targets:
        count += 1
        if rules.audience_of(split_target(target).path, ()) is Audience.MARKETING:
            marketing.append(target)
    return marketing, count


class Client:
    """One connection that is kept."""

    def __init__(self, port: int, cookie: str = "") -> None:
        self._port = port
        self._more = f"Cookie: {cookie}\r\nSec-Fetch-Dest: document\r\n" if cookie else ""
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def get(self, target: str) -> tuple[int, bytes]:
        """Status and body; 0 where the server hangs up."""
        for _ in range(2):
            try:
                async with asyncio.timeout(20):
                    return await self._get(target)
            except (OSError, asyncio.IncompleteReadError, TimeoutError, ValueError):
                self.close()
        return 0, b""

    async def _get(self, target: str) -> tuple[int, bytes]:
        if self._streams is None:
            self._streams = await asyncio.open_connection("127.0.0.1", self._port)
        reader, writer = self._streams
        writer.write(
            f"GET {target} HTTP/1.1\r\nHost: www.example.com\r\n{self._more}\r\n".encode("latin-1")
        )
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
        status = int(head.split(None, 2)[1])
        if b"transfer-encoding: chunked" in head:
            body = b""
            while size := int((await reader.readuntil(b"\r\n")).split(b";")[0], 16):
                body += await reader.readexactly(size)
                await reader.readexactly(2)
            await reader.readuntil(b"\r\n")
        elif b"content-length:" in head:
            length = int(head.split(b"content-length:")[1].split(b"\r\n")[0])
            body = await reader.readexactly(length)
        elif status in {204, 304}:
            body = b""
        else:
            body = await reader.read()
            self.close()
        if b"connection: close" in head:
            self.close()
        return status, body

    def close(self) -> None:
        if self._streams is not None:
            self._streams[1].close()
            self._streams = None


async def ask_all(port: int, targets: list[str], cookie: str = "") -> list[tuple[str, int, bytes]]:
    """What comes back for each target."""
    waiting = iter(targets)
    found: list[tuple[str, int, bytes]] = []

    async def visitor() -> None:
        client = Client(port, cookie)
        for target in waiting:
            status, body = await client.get(target)
            found.append((target, status, body))
        client.close()

    await asyncio.gather(*(visitor() for _ in range(_CONNECTIONS)))
    return found


def served_patients(found: Iterable[tuple[str, int, bytes]]) -> list[str]:
    return [target for target, _, body in found if b"patient-page" in body]


async def _through_proxy(server: Server, targets: list[str], folder: Path) -> tuple[int, list[str]]:
    """How many patient pages came through, and the targets of those with an open gate."""
    from tests.support.site import proxied

    one = '[[site.page]]\npath = "{}"\naudience = "patient"'
    rules = "\n".join(map(one.format, RULES))

    def change(text: str) -> str:
        origin = text.partition('upstream = "')[2].partition('"')[0]
        text = text.replace(origin, f"http://127.0.0.1:{server.port}")
        return text.replace(one.format("/patients/*"), rules)

    async with proxied(folder, change=change) as site:
        cookie = site.cookie("analytics", "advertising", "social", "functional", "session_replay")
        found = await ask_all(site.port, targets, cookie)
    patients = [(target, body) for target, _, body in found if b"patient-page" in body]
    return len(patients), [target for target, body in patients if TRACKER.encode() in body]


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--count", type=int, default=1_000_000, help="spellings that are judged")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--sample", type=int, default=1_000, help="sent through the proxy as well")
    parser.add_argument("--servers", default="", help="by name, with commas; default: all there")
    options = parser.parse_args()
    began = time.monotonic()
    marketing, count = judged(spellings(options.count, options.seed))
    print(
        f"{datetime.date.today()}  {count} spellings judged in {time.monotonic() - began:.0f} s "
        f"(made in the same time): {len(marketing)} are taken for marketing pages", flush=True,
    )  # fmt: skip
    chance = random.Random(options.seed)
    sample = chance.sample(
        list(spellings(min(options.count, 50_000), options.seed)), options.sample
    )
    faults = 0
    wanted = options.servers.split(",") if options.servers else available()
    with tempfile.TemporaryDirectory(prefix="path-fuzz-") as folder:
        Path(folder).chmod(0o755)
        for number, name in enumerate(wanted):
            began = time.monotonic()
            with started(name, Path(folder) / str(number)) as server:
                asked = asyncio.run(ask_all(server.port, marketing))
                wrong = served_patients(asked)
                control = len(served_patients(asyncio.run(ask_all(server.port, sample))))
                own = Path(folder) / f"p{number}"
                own.mkdir()
                through, leaking = asyncio.run(_through_proxy(server, sample, own))
            faults += len(wrong) + len(leaking)
            statuses = Counter(status for _, status, _ in asked)
            print(
                f"{name:14} {len(asked)} sent, {len(wrong)} patient pages among them; "
                f"of {len(sample)} others {control} are patient pages there, {through} through the "
                f"proxy, {len(leaking)} with an open gate; {time.monotonic() - began:.0f} s; "
                f"{dict(statuses.most_common(5))}", flush=True,
            )  # fmt: skip
            for target in sorted(wrong, key=len)[:25]:
                print("   wrong  ", target)
            for target in leaking[:10]:
                print("   leaking", target)
    missing = set(known()) - set(wanted)
    print(f"left out: {', '.join(sorted(missing)) or 'none'}; {faults} faults")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
