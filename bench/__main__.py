"""`python -m bench`: CPU time a request, and what else it costs, for consent-proxy and for other
proxies on the same pages in one run.

JSON and tables on stdout; the JSON also in `bench/output/latest.json`, and with --docs a table and
a plot in docs/. Needs nginx and wrk; workerd and mitmproxy are installed on first use. What cannot
be had is named, and the rest is measured without it.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

from bench import caching_peers, cases, choices, load, nginx, page, proxy, report, start
from bench.banner_sizes import banner_sizes
from bench.compile import CompileCost, measure_generated, measure_saved
from bench.idle import IdleCost, measure_idle
from bench.load import Load, Measurement, Request
from bench.mitmproxy import mitmproxy
from bench.processes import MissingPeerError, Server
from bench.table import write_table
from bench.workerd import workerd

KB = 1024


@dataclass
class Bench:
    """Measures one after the other: no server competes with another."""

    folder: Path
    pull: Load
    rounds: int
    skipped: list[str]

    def measure(
        self, server: Server, request: Request, connections: int = 0
    ) -> Iterator[Measurement]:
        """One; of several rounds the cheapest. None where the server answers nothing."""
        pull = replace(self.pull, connections=connections or self.pull.connections)
        _tell(f"{server.name}: {request.case} ...")
        found = []
        try:
            for _ in range(self.rounds):
                found.append(self._measure_once(server, request, pull))
        except (load.NoAnswerError, subprocess.CalledProcessError) as error:
            self.skipped.append(str(error))
        if found:
            yield min(found, key=lambda one: one.cpu_us_per_request)

    def _measure_once(self, server: Server, request: Request, pull: Load) -> Measurement:
        try:
            return load.measure(server, request, pull, self.folder)
        except load.NoAnswerError:
            longer = replace(pull, seconds=5 * pull.seconds)
            return load.measure(server, request, longer, self.folder)

    def sweep(
        self, what: str, at: float, server: Server, request: Request, connections: int = 0
    ) -> Iterator[report.Point]:
        for found in self.measure(server, request, connections):
            yield report.Point(what, at, found)


def main() -> int:
    options = _options()
    _raise_file_limit()
    result = report.Result(seconds=options.seconds, connections=options.connections)
    missing = [n for n, found in (("nginx", nginx.program()), ("wrk", load.program())) if not found]
    if missing:
        result.skipped.append(
            f"not installed: {', '.join(missing)}. Only compile and render are measured. "
            f"For the whole: apt-get install {' '.join(missing)}"
        )
    else:
        with tempfile.TemporaryDirectory(prefix="consent-proxy-bench-") as name:
            pull = Load(options.seconds, options.connections)
            bench = Bench(Path(name), pull, options.rounds, result.skipped)
            if not options.only_choices:
                _measure(bench, options, result)
            if not options.only_main:
                _measure_choices(bench, result)
    if not options.only_choices:
        result.compiled = list(_compile_costs(options.pages))
        _tell("start ...")
        result.started, result.interpreter_mb = start.measure_own(), start.bare_interpreter_mb()
        result.started_two = start.measure_own(workers=2)
    if not options.no_peers and not options.only_choices:
        result.banners = banner_sizes(result.skipped)
    report.write(result)
    if options.docs:
        report.write_docs(result)
    for line in result.skipped:
        _tell(f"SKIPPED {line}")
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--full", action="store_true", help="every step of every sweep")
    parser.add_argument("--only-main", action="store_true", help="no sweeps, no idle connections")
    parser.add_argument("--only-choices", action="store_true", help="visitors' choices alone")
    parser.add_argument(
        "--no-peers", action="store_true", help="nginx plain and consent-proxy only"
    )
    parser.add_argument("--docs", action="store_true", help="write the table and plot in docs/")
    parser.add_argument("--seconds", type=int, default=3, help="length of each run of wrk")
    parser.add_argument("--connections", type=int, default=32)
    parser.add_argument(
        "--rounds", type=int, default=1, help="on a busy machine: repeat, and keep the cheapest"
    )
    parser.add_argument(
        "--pages",
        type=Path,
        help="a folder of saved .html pages, to measure compile and render on those too",
    )
    return parser.parse_args()


def _measure(bench: Bench, options: argparse.Namespace, result: report.Result) -> None:
    folder, full = bench.folder, options.full
    root = folder / "root"
    root.mkdir()
    sizes = [1, 10, 110, 1024, 5120] if full else [1, 1024]
    (root / "page.html").write_bytes(page.html_page())
    (root / "unlike.html").write_bytes(page.html_page(script_per_request=True))
    own_content = page.html_page(script_per_request=True, own_content=True)
    (root / "own.html").write_bytes(own_content)
    (root / "static.js").write_bytes(page.static_file())
    for size in sizes:
        (root / f"{size}k.html").write_bytes(page.sized_page(size * KB))
    counts = [1, 10, 100, 1000] if full else [1, 1000]
    for count in counts:
        (root / f"{count}r.html").write_bytes(page.page_of_resources(count))
    with ExitStack() as servers:
        enter = servers.enter_context
        origin = enter(nginx.origin(folder, root))
        ours = enter(proxy.consent_proxy(folder / "ours", origin.port))
        peers = [enter(nginx.plain_proxy(folder, origin.port))]
        if not options.no_peers:
            peers.append(enter(nginx.rewriting_proxy(folder, origin.port)))
            table = write_table(folder, ours, proxy.config_file(folder / "ours"))
            for peer in (workerd, mitmproxy):
                try:
                    peers.append(enter(peer(folder, origin.port, table)))
                except (MissingPeerError, RuntimeError, OSError) as error:
                    result.skipped.append(str(error))
            for cache in caching_peers.PEERS:
                try:
                    peers.append(enter(cache(folder, origin.port)))
                except (MissingPeerError, RuntimeError, OSError) as error:
                    result.skipped.append(str(error))
        result.main += [
            found
            for peer in peers
            for request in _of_peer(peer, ours)
            for found in bench.measure(peer, request)
        ]
        for request in cases.ours(ours):
            result.main += bench.measure(ours, request)
        if options.only_main:
            return
        quick = {server.name: server for server in (*peers, ours)}
        for name in cases.LEFT_OUT_OF_SWEEPS:
            quick.pop(name, None)
        pages = [("size_kb", size, f"{size}k") for size in sizes]
        pages += [("resources", count, f"{count}r") for count in counts]
        for what, step, name in pages:
            # What has begun and not ended when time is up counts as nobody's: of large ones, one at
            # a time.
            few = 1 if what == "size_kb" and step >= KB else 0
            for server in quick.values():
                for request in cases.of_page(name, server):
                    result.sweeps += bench.sweep(what, step, server, request, few)
        for connections in [1, 10, 100, 1000] if full else [1, 1000]:
            for server in quick.values():
                result.sweeps += bench.sweep(
                    "connections", connections, server, cases.HIT, connections
                )
    _sweep_configs(bench, root, result, full=full)


def _of_peer(peer: Server, ours: Server) -> Iterator[Request]:
    yield from cases.of_peer(peer)
    if peer.name in cases.REWRITERS:
        yield cases.of_peer_accepted(peer, proxy.accept_all(ours))


def _sweep_configs(bench: Bench, root: Path, result: report.Result, *, full: bool) -> None:
    """What needs servers of its own: idle connections (where nothing was held before), more
    workers, more rules, more sites.
    """
    own = bench.folder / "again"
    own.mkdir()
    with nginx.origin(own, root) as origin:
        with (
            proxy.consent_proxy(own / "idle", origin.port) as ours,
            nginx.plain_proxy(own, origin.port) as plain,
        ):
            for server in (ours, plain):
                result.idle += _idle(server, [1000, 5000] if full else [1000], result)
        for workers in (1, 2):
            with proxy.consent_proxy(own / f"w{workers}", origin.port, workers=workers) as server:
                for request in (cases.HIT, cases.CHANGING, cases.CACHED):
                    result.sweeps += bench.sweep("workers", workers, server, request)
        for rules in [10, 100, 1000, 10_000] if full else [10, 10_000]:
            with proxy.consent_proxy(own / f"r{rules}", origin.port, rules=rules) as server:
                for request in (cases.HIT, cases.CHANGING):
                    result.sweeps += bench.sweep("rules", rules, server, request)
        for sites in [1, 10, 100, 1000] if full else [1, 1000]:
            with proxy.consent_proxy(own / f"s{sites}", origin.port, sites=sites) as server:
                for request in (cases.HIT, cases.CHANGING):
                    result.sweeps += bench.sweep("sites", sites, server, request)


def _measure_choices(bench: Bench, result: report.Result) -> None:
    """On one worker, so that CPU time and throughput can be compared."""
    folder = bench.folder / "choices"
    root = folder / "root"
    root.mkdir(parents=True)
    with nginx.origin(folder, root) as origin:
        for store in choices.STORES:
            try:
                with choices.proxy_with(store, folder, origin.port) as server:
                    for found in bench.measure(server, choices.CHOICE):
                        result.choices.append(replace(found, server=store))
            except MissingPeerError as error:
                result.skipped.append(f"choices with {store}: {error}")


def _idle(server: Server, numbers: list[int], result: report.Result) -> Iterator[IdleCost]:
    for number in numbers:
        _tell(f"{server.name}: {number} idle connections ...")
        try:
            yield measure_idle(server, cases.IDLE, number)
        except OSError as error:
            result.skipped.append(f"{number} idle connections to {server.name}: {error}")


def _raise_file_limit() -> None:
    """A thousand connections of ours, of wrk's, of the servers'."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 65536 if hard == resource.RLIM_INFINITY else min(hard, 65536)
    if soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def _compile_costs(pages: Path | None) -> Iterator[CompileCost]:
    _tell("compile and render ...")
    yield measure_generated()
    if pages is not None:
        yield measure_saved(pages)


def _tell(message: str) -> None:
    print(message, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
