"""Mixed traffic for an hour, while everything changes that can change in operation.

    python -m tests.support.soak --minutes 60
    python -m tests.support.soak --minutes 8 --events "changed config" --kinds page,file

Visitors with each choice ask for pages, files, streams, uploads and tunnels; beside them the config
is changed, and broken, and read again, keys are rotated, the origin fails and PostgreSQL is killed.
No body may be wrong, nothing may arrive that the visitor's choice keeps closed, and memory and
descriptors must stay level, once caches, which are small here, are full. Some kinds of events and
requests alone tell which of them costs.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import http.client
import itertools
import random
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests.support.postgresql import Server, postgresql
from tests.support.processes import ROOT, Process, running
from tests.support.receipt_clients import HEADERS, workers_of
from tests.support.site import TAG
from tests.support.soak_origin import PIXEL, Faults, file_body, origin_of, page_marker
from tests.support.waiting import PATIENCE

VISITORS = 8
WORKERS = 2
_PAGES = 150
_RELOADED = "config reloaded from"
_REJECTED = "config rejected, still serving"
EVENTS = ("changed config", "origin at fault", "broken config", "rotated keys", "database killed")
KINDS = ("page", "page", "page", "patient page", "private page", "file", "upload", "events",
         "tunnel", "choose")  # fmt: skip
"""What a visitor asks for, as often as it is named."""
_CACHE_BYTES = 4_000_000
_SAMPLE_SECONDS = 2.0
_EVENT_SECONDS = 4.0
_MAX_GROWTH = 1.10
_MAX_GROWTH_AT_FIRST = 1.30
"""In a run of less than ten minutes: caches still fill."""
_FILLED_SECONDS = 600
_MAX_GROWTH_BYTES = 12 * 2**20
"""What allocators keep, in all workers together, beside the share."""
_MAX_MORE_FILES = 20
_SLOPE_SECONDS = 1800
"""A run as long as this has a slope: what memory does in a few minutes is what allocators do."""
_MAX_SLOPE = 32 * 2**20
"""Bytes an hour, of all workers together, over the second half of the run. An hour has 450 reloads,
rotated keys and faults: what allocators lose to each is seen as a slope, which ends. Tables that
were still filling were 34."""
_SLOPE_POINTS = 200


@dataclass(frozen=True)
class Sample:
    """Of all workers together."""

    at: float
    resident: int
    files: int


@dataclass
class Soaked:
    """What happened, and what is wrong with it."""

    requests: Counter[str] = field(default_factory=Counter)
    failed: int = 0
    """Requests that failed while the origin did."""
    events: Counter[str] = field(default_factory=Counter)
    samples: list[Sample] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    def report(self) -> str:
        done = ", ".join(f"{number} {kind}" for kind, number in sorted(self.requests.items()))
        events = ", ".join(f"{number} x {kind}" for kind, number in sorted(self.events.items()))
        early, late = _halves(self.samples)
        return "\n".join(
            (
                f"{self.requests.total()} requests ({done}), {self.failed} failed with the origin",
                f"beside them: {events}",
                f"memory of the workers, by tenths: {_by_tenths(self.samples)} MiB",
                f"memory of the workers: {_mib(early)} in the second quarter, {_mib(late)} in the "
                f"last, {slope(self.samples) / 2**20:+.1f} MiB an hour in the second half; "
                f"descriptors: {_files(early)} and {_files(late)}",
                "\n".join(self.problems[:20]) or "good",
            )
        )


def _by_tenths(samples: list[Sample]) -> str:
    step = max(len(samples) // 10, 1)
    tenths = (samples[at : at + step] for at in range(0, len(samples), step))
    return ", ".join(f"{_resident(one) / 2**20:.0f}" for one in tenths)


def _mib(samples: list[Sample]) -> str:
    return f"{_resident(samples) / 2**20:.0f} MiB"


def _resident(samples: list[Sample]) -> float:
    return statistics.median(one.resident for one in samples)


def _files(samples: list[Sample]) -> float:
    return statistics.median(one.files for one in samples)


def _halves(samples: list[Sample]) -> tuple[list[Sample], list[Sample]]:
    """The second quarter, when caches are full, and the last one."""
    quarter = max(len(samples) // 4, 1)
    return samples[quarter : 2 * quarter] or samples, samples[-quarter:]


def slope(samples: Sequence[Sample]) -> float:
    """By how many bytes an hour memory rises in the second half: the median of the slopes between
    each two samples (Theil and Sen), which peaks of some seconds do not move.
    """
    half = samples[len(samples) // 2 :]
    some = half[:: len(half) // _SLOPE_POINTS + 1]
    slopes = [
        (two.resident - one.resident) / (two.at - one.at)
        for one, two in itertools.combinations(some, 2)
        if two.at > one.at
    ]
    return 3600 * statistics.median(slopes) if slopes else 0.0


def soak(
    seconds: float,
    folder: Path,
    seed: int = 1,
    *,
    events: Sequence[str] = EVENTS,
    kinds: Sequence[str] = KINDS,
) -> Soaked:
    """Run the whole, or some kinds of events and of requests alone; `folder` is empty."""
    soaked, faults, stop = Soaked(), Faults(), threading.Event()
    with postgresql() as server, contextlib.ExitStack() as stack:
        receipts = f'\n[receipts]\nstore = "{server.new_database()}"\noutbox = "outbox.db"\n'
        process, config, text, port = stack.enter_context(
            running(
                folder,
                WORKERS,
                more=receipts,
                proxy=f"cache_bytes = {_CACHE_BYTES}",
                origin=origin_of(faults),
                module="tests.support.small_caches",
            )
        )
        visitors = [
            threading.Thread(target=_visit, args=(number, seed, port, faults, stop, soaked, kinds))
            for number in range(VISITORS)
        ]
        for visitor in visitors:
            visitor.start()
        operator = _Operator(process, config, text, server, faults, random.Random(seed), soaked)
        operator.run_until(time.monotonic() + seconds, events)
        stop.set()
        for visitor in visitors:
            visitor.join(PATIENCE)
        if process.stop() != 0:
            soaked.problems.append("the proxy did not end by itself")
        for line in process.errors.splitlines():
            soaked.problems.append(f"on stderr: {line}")
        if "Traceback" in process.log:
            soaked.problems.append("the log has a traceback")
    judge(soaked)
    return soaked


def judge(soaked: Soaked) -> None:
    """Add what is wrong with the samples to the problems."""
    early, late = _halves(soaked.samples)
    took = soaked.samples[-1].at - soaked.samples[0].at
    most = _MAX_GROWTH if took >= _FILLED_SECONDS else _MAX_GROWTH_AT_FIRST
    if _resident(late) > _resident(early) * most + _MAX_GROWTH_BYTES:
        soaked.problems.append(f"memory grew from {_mib(early)} to {_mib(late)}")
    rise = slope(soaked.samples)
    if took >= _SLOPE_SECONDS and rise > _MAX_SLOPE:
        soaked.problems.append(f"memory rises by {rise / 2**20:.1f} MiB an hour in the second half")
    if _files(late) > _files(early) + _MAX_MORE_FILES:
        soaked.problems.append(f"descriptors grew from {_files(early)} to {_files(late)}")


# --- what is changed beside the traffic


class _Operator:
    def __init__(
        self,
        process: Process,
        config: Path,
        text: str,
        server: Server,
        faults: Faults,
        chance: random.Random,
        soaked: Soaked,
    ) -> None:
        self._process, self._config, self._text = process, config, text
        self._server, self._faults, self._chance, self._soaked = server, faults, chance, soaked
        self._turn = 0

    def run_until(self, end: float, names: Sequence[str]) -> None:
        known: Mapping[str, Callable[[], None]] = {
            "changed config": self._change_config,
            "origin at fault": self._fail_origin,
            "broken config": self._break_config,
            "rotated keys": self._rotate_keys,
            "database killed": self._kill_database,
        }
        events = [(name, known[name]) for name in names]
        due = time.monotonic() + _EVENT_SECONDS
        while time.monotonic() < end:
            self._sample()
            time.sleep(_SAMPLE_SECONDS)
            if not events or time.monotonic() < due:
                continue
            name, event = events[self._turn % len(events)]
            self._turn += 1
            event()
            self._soaked.events[name] += 1
            due = time.monotonic() + _EVENT_SECONDS
        self._faults.end()

    def _sample(self) -> None:
        resident = files = 0
        for pid in workers_of(self._process.process.pid):
            status = Path(f"/proc/{pid}/status").read_text()
            resident += int(status.partition("VmRSS:")[2].split()[0]) * 1024
            files += sum(1 for _ in Path(f"/proc/{pid}/fd").iterdir())
        self._soaked.samples.append(Sample(time.monotonic(), resident, files))

    def _read_again(self, text: str) -> None:
        self._config.write_text(text)
        self._process.process.send_signal(signal.SIGHUP)

    def _change_config(self) -> None:
        # The pixel stays approved: what changes is beside it.
        vendors = ("linkedin-insight", "tiktok-pixel", "microsoft-clarity")
        vendor = vendors[self._soaked.events["changed config"] % len(vendors)]
        before = self._process.log.count(_RELOADED)
        self._text = self._text.partition("# more\n")[0] + f"# more\n{TAG.format(vendor=vendor)}"
        self._read_again(self._text)
        self._process.wait_for(_RELOADED, before + 1)

    def _break_config(self) -> None:
        before = self._process.log.count(_REJECTED)
        self._read_again(self._text + "\n[[tag]]\nvendor = nonsense\n")
        self._process.wait_for(_REJECTED, before + 1)
        self._read_again(self._text)

    def _rotate_keys(self) -> None:
        done = subprocess.run(
            [sys.executable, "-m", "proxy", "keys", "rotate", "--config", str(self._config)],
            cwd=ROOT,
            check=False,
            capture_output=True,
            text=True,
        )
        if done.returncode:
            self._soaked.problems.append(f"keys rotate: {done.stderr}")

    def _fail_origin(self) -> None:
        self._faults.now = True
        time.sleep(self._chance.uniform(0.5, 2))
        self._faults.end()

    def _kill_database(self) -> None:
        self._server.kill()
        time.sleep(self._chance.uniform(0.5, 2))
        self._server.start()


# --- visitors


class _WrongReplyError(Exception):
    """A response that may not be."""


@dataclass
class _Visitor:
    port: int
    chance: random.Random
    faults: Faults
    cookie: str = ""
    accepted: bool = False
    connection: http.client.HTTPConnection | None = None

    def ask(
        self, method: str, path: str, body: bytes = b"", **headers: str
    ) -> tuple[int, bytes, http.client.HTTPMessage]:
        if self.connection is None:
            self.connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)
        fields = {**HEADERS, **headers} if method == "POST" else {"Host": HEADERS["Host"]}
        if self.cookie:
            fields["Cookie"] = self.cookie
        self.connection.request(method, path, body or None, fields)
        reply = self.connection.getresponse()
        return reply.status, reply.read(), reply.headers

    def close(self) -> None:
        if self.connection is not None:
            self.connection.close()
        self.connection = None


def _visit(
    number: int,
    seed: int,
    port: int,
    faults: Faults,
    stop: threading.Event,
    soaked: Soaked,
    kinds: Sequence[str],
) -> None:
    visitor = _Visitor(port, random.Random(seed * 1000 + number), faults)
    while not stop.is_set():
        kind = _KINDS[visitor.chance.choice(kinds)]
        began = time.monotonic()
        try:
            kind(visitor)
        except (OSError, http.client.HTTPException, _WrongReplyError) as error:
            visitor.close()
            if isinstance(error, _WrongReplyError) and error.args[0].startswith("LEAK"):
                soaked.problems.append(f"{kind.__name__}: {error}")
            elif faults.overlap(began):
                soaked.failed += 1
            else:
                soaked.problems.append(f"{kind.__name__}: {type(error).__name__} {error}")
        soaked.requests[kind.__name__.strip("_")] += 1


def _expect(truth: bool, said: str) -> None:
    if not truth:
        raise _WrongReplyError(said)


def _no_leak(visitor: _Visitor, body: bytes, headers: http.client.HTTPMessage, what: str) -> None:
    cookies = " ".join(headers.get_all("Set-Cookie") or ())
    _expect(PIXEL not in body, f"LEAK: the pixel on {what}")
    _expect("_fbp" not in cookies, f"LEAK: its cookie on {what}")


def _page_at(visitor: _Visitor, path: str, *, may_open: bool) -> None:
    status, body, headers = visitor.ask("GET", path)
    if not (may_open and visitor.accepted):
        _no_leak(visitor, body, headers, path)
    _expect(status == 200, f"{status} for {path}")
    _expect(page_marker(path) in body, f"another page than {path}")
    if may_open and visitor.accepted:
        _expect(PIXEL in body, f"no pixel on {path} for a visitor who accepted it")


def _page(visitor: _Visitor) -> None:
    _page_at(visitor, f"/page/{visitor.chance.randrange(_PAGES)}", may_open=True)


def _patient_page(visitor: _Visitor) -> None:
    _page_at(visitor, f"/patients/{visitor.chance.randrange(20)}", may_open=False)


def _private_page(visitor: _Visitor) -> None:
    _page_at(visitor, f"/private/{visitor.chance.getrandbits(40)}", may_open=True)


def _file(visitor: _Visitor) -> None:
    number = visitor.chance.randrange(50)
    status, body, _ = visitor.ask("GET", f"/file/{number}")
    _expect(status == 200, f"{status} for a file")
    _expect(body == file_body(number), "a wrong file")


def _upload(visitor: _Visitor) -> None:
    body = visitor.chance.randbytes(visitor.chance.randrange(1, 200_000))
    status, digest, _ = visitor.ask("POST", "/upload", body)
    _expect(status == 200, f"{status} for an upload")
    _expect(digest.decode() == hashlib.sha256(body).hexdigest(), "a wrong upload")


def _events(visitor: _Visitor) -> None:
    status, body, _ = visitor.ask("GET", "/events")
    _expect(status == 200, f"{status} for a stream")
    _expect(body == b"".join(b"data: %d\n\n" % one for one in range(5)), "a wrong stream")


def _tunnel(visitor: _Visitor) -> None:
    with socket.create_connection(("127.0.0.1", visitor.port), timeout=PATIENCE) as sock:
        sock.sendall(
            b"GET /socket HTTP/1.1\r\nHost: www.example.com\r\nConnection: Upgrade\r\n"
            b"Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
            b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        )
        head = b""
        while b"\r\n\r\n" not in head and (data := sock.recv(4096)):
            head += data
        _expect(b" 101 " in head[:13], f"no tunnel: {head[:60]!r}")
        for _ in range(3):
            said = visitor.chance.randbytes(500)
            sock.sendall(said)
            heard = b""
            while len(heard) < len(said) and (data := sock.recv(4096)):
                heard += data
            _expect(heard == said, "a wrong echo")


def _choose(visitor: _Visitor) -> None:
    action = visitor.chance.choice(("accept_all", "reject_all"))
    status, _, headers = visitor.ask("POST", "/.consent/choice", f"action={action}".encode())
    _expect(status == 204, f"{status} for a choice")
    (token,) = (one for one in headers.get_all("Set-Cookie") or () if "consent" in one)
    visitor.cookie = token.partition(";")[0]
    visitor.accepted = action == "accept_all"


_KINDS: Mapping[str, Callable[[_Visitor], None]] = {
    "page": _page,
    "patient page": _patient_page,
    "private page": _private_page,
    "file": _file,
    "upload": _upload,
    "events": _events,
    "tunnel": _tunnel,
    "choose": _choose,
}


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--events", default=",".join(EVENTS), help="of these alone; '' for none")
    parser.add_argument("--kinds", default=",".join(KINDS), help="of requests, of these alone")
    arguments = parser.parse_args()
    events = [one for one in arguments.events.split(",") if one]
    kinds = [one for one in arguments.kinds.split(",") if one]
    folder = Path(tempfile.mkdtemp(prefix="consent-soak-"))
    try:
        soaked = soak(arguments.minutes * 60, folder, arguments.seed, events=events, kinds=kinds)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    print(soaked.report())
    return 1 if soaked.problems else 0


if __name__ == "__main__":
    sys.exit(main())
