"""`python -m bench`: CPU time a request, for consent-proxy and for nginx, in one run.

JSON and a table on stdout; the JSON also in `bench/output/latest.json`. Needs nginx and wrk; what
is missing is named on stderr, and what can be measured without it is.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

from bench import load, nginx, page, proxy, report
from bench.compile import CompileCost, measure_generated, measure_saved
from bench.load import Load, Measurement, Request
from bench.processes import Server

_ASKS = {"Host": proxy.HOST, "Accept": "text/html,*/*", "Accept-Encoding": "gzip"}
_HTML = Request("html", "HTML page", "/page.html", _ASKS)
_STATIC = Request("static", "static file", "/static.js", _ASKS)


def main() -> int:
    options = _options()
    missing = [
        name
        for name, program in (("nginx", nginx.program()), ("wrk", load.program()))
        if not program
    ]
    measurements: list[Measurement] = []
    if missing:
        _tell(
            f"Not installed: {', '.join(missing)}. Only compile and render are measured. "
            f"For the whole: apt-get install {' '.join(missing)}"
        )
    else:
        pull = Load(options.seconds, options.connections)
        measurements = _requests(pull, options.rounds)
    costs = list(_compile_costs(options.pages))

    text = report.as_json(
        measurements, costs, seconds=options.seconds, connections=options.connections
    )
    report.LATEST.parent.mkdir(exist_ok=True)
    report.LATEST.write_text(text + "\n")
    print(text)
    report.print_tables(measurements, costs)
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--seconds", type=int, default=6, help="length of each run of wrk")
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


def _requests(pull: Load, rounds: int) -> list[Measurement]:
    """Each server in turn, so that none competes with another; of several rounds the cheapest."""
    with tempfile.TemporaryDirectory(prefix="consent-proxy-bench-") as name, ExitStack() as servers:
        folder = Path(name)
        root = folder / "root"
        root.mkdir()
        (root / "page.html").write_bytes(page.html_page())
        (root / "static.js").write_bytes(page.static_file())

        start = servers.enter_context
        origin = start(nginx.origin(folder, root))
        plain = start(nginx.plain_proxy(folder, origin.port))
        rewriting = start(nginx.rewriting_proxy(folder, origin.port))
        ours = start(proxy.consent_proxy(folder, origin.port))
        _see(plain, _HTML, has=b"fbevents.js")
        _see(rewriting, _HTML, has=b"banner.js", lacks=b"fbevents.js", gzipped=True)
        pairs = [(plain, _HTML), (rewriting, _HTML)]
        pairs += [(ours, request) for request in _requests_of_visitors(ours)]
        pairs += [(plain, _STATIC), (ours, _STATIC)]

        best: dict[tuple[str, str], Measurement] = {}
        for number in range(1, rounds + 1):
            for server, request in pairs:
                _tell(f"round {number} of {rounds}: {server.name}: {request.case} ...")
                found = load.measure(server, request, pull, folder)
                key = (server.name, request.case)
                if key not in best or found.cpu_us_per_request < best[key].cpu_us_per_request:
                    best[key] = found
        return list(best.values())


def _requests_of_visitors(server: Server) -> Iterator[Request]:
    """The page for the visitors there are, each reply looked at first."""
    new_visitor = Request("html", "HTML page: first visit", "/page.html", _ASKS)
    _see(server, new_visitor, has=b"/.consent/", lacks=b"fbevents.js", gzipped=True)
    yield new_visitor

    with_cookie = {**_ASKS, "Cookie": proxy.accept_all(server)}
    returning = Request("html", "HTML page: all accepted", "/page.html", with_cookie)
    _see(server, returning, has=b"fbevents.js", gzipped=True)
    yield returning

    fresh = Request("html", "HTML page: new body each", "/fresh.html", _ASKS)
    _see(server, fresh, has=b"/.consent/", lacks=page.PER_REQUEST.encode(), gzipped=True)
    yield fresh


def _see(
    server: Server, request: Request, *, has: bytes, lacks: bytes = b"", gzipped: bool = False
) -> None:
    """A fast wrong answer is no result: stop where a reply is not what is to be measured."""
    reply = load.fetch(server, request)
    problems = []
    if reply.status != 200:
        problems.append(f"status {reply.status}")
    if has not in reply.text:
        problems.append(f"{has!r} is not in it")
    if lacks and lacks in reply.text:
        problems.append(f"{lacks!r} is in it")
    if gzipped and reply.headers.get("content-encoding") != "gzip":
        problems.append("it is not in gzip")
    if problems:
        raise RuntimeError(f"{server.name}: {request.case}: {', '.join(problems)}")


def _compile_costs(pages: Path | None) -> Iterator[CompileCost]:
    _tell("compile and render ...")
    yield measure_generated()
    if pages is not None:
        yield measure_saved(pages)


def _tell(message: str) -> None:
    print(message, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
