"""`python -m bench.flat_cost`: what many vendors and tags cost, beside few.

CPU time of a page and of a request, in this process: of many rounds, those of both configs in turn,
the quickest counts, because what slows a round is another process. Start-up and memory are those of
a real proxy with one worker.
"""

from __future__ import annotations

import argparse
import datetime
import json
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

from bench import proxy
from bench.page import html_page
from bench.processes import cpu_seconds, free_port, memory, runtime
from consent_rules.catalogue.load import catalogue
from consent_rules.categories import CHOOSABLE
from consent_rules.config.build_rules import build_rules
from consent_rules.config.load import load_config
from consent_rules.decision import Visitor
from consent_rules.preferences import Preferences
from consent_rules.rules import Rules
from consent_rules.vendors import Vendor
from proxy.cookies.vendor_cookies import CookieIndex, without_closed_cookies
from proxy.enforcement.decision_cache import decisions, path_contexts
from proxy.html import Boundary, compile_page

_TODAY = datetime.date(2026, 11, 2)
_STEPS = ((10, 100), (100, 1_000), (1_000, 1_000), (10_000, 10_000))
"""(vendors, tags), the fewest first."""
_ROUNDS = 25
_PATHS = 90
_COOKIES = "; ".join(f"{name}={'x' * 20}" for name in (
    "_ga", "_ga_ABC", "_gcl_au", "_fbp", "session", "csrftoken", "made_up_7_id", "lang", "cart",
    "made_up_9_", "_hjSession_1", "consent",
))  # fmt: skip


_CONFIG = """
[proxy]
listen = "127.0.0.1:{port}"
workers = 1
admin_listen = "127.0.0.1:{admin_port}"
discovered = "{folder}/discovered.db"
[policy]
controller = "Benchmark"
version = "1"
url = "/privacy"
[preferences]
keys = "{folder}/keys/"
[receipts]
store = "sqlite:///{folder}/receipts.db"
[[site]]
name = "www"
hosts = ["localhost"]
upstream = "http://127.0.0.1:9"
audience = "marketing"
"""


@dataclass(frozen=True, slots=True)
class FlatCost:
    """At a number of vendors and tags: CPU of one page compiled (ms), of one request to a path that
    nobody asked for before (us), of one to a known path (us); start-up (seconds, elapsed and CPU)
    and memory of a worker (MB, its share of what is shared).
    """

    vendors: int
    tags: int
    page_ms: float
    new_path_us: float
    known_path_us: float
    start_seconds: float
    start_cpu_seconds: float
    memory_mb: float


class _Subject:
    """One config at work, without sockets."""

    def __init__(self, rules: Rules) -> None:
        self.rules = rules
        self.boundary = Boundary(rules.sites[0].own, rules.index)
        self.cookies = CookieIndex(rules.vendors.values())
        self._context = path_contexts(rules)
        self._decide = decisions(rules)

    def compile(self, body: bytes) -> None:
        compile_page(body, "text/html; charset=utf-8", "https://localhost/", self.boundary)

    def ask(self, paths: Iterable[str], remembers: bool) -> None:
        """Decide for each path, and filter its cookies."""
        site = self.rules.sites[0]
        visitor = Visitor(Preferences(frozenset(CHOOSABLE), self.rules.policy_version))
        if not remembers:
            self._context = path_contexts(self.rules)
        for path in paths:
            audience = site.audience_of(path, ())
            decision = self._decide(self._context(site, path, audience, _TODAY), visitor)
            without_closed_cookies(_COOKIES, self.cookies, decision.open)


def measure(steps: Iterable[tuple[int, int]] = _STEPS) -> list[FlatCost]:
    """All steps. What is measured in this process goes in turns."""
    steps = list(steps)
    body = html_page()
    subjects = [_subject(*step) for step in steps]
    paths = [f"/part-{n}/page-{n}" for n in range(_PATHS)]
    pages = _quickest([lambda s=s: s.compile(body) for s in subjects])  # type: ignore[misc]
    new = _quickest([lambda s=s: s.ask(paths, False) for s in subjects])  # type: ignore[misc]
    known = _quickest([lambda s=s: s.ask(paths, True) for s in subjects])  # type: ignore[misc]
    found = []
    for step, page_ns, new_ns, known_ns in zip(steps, pages, new, known, strict=True):
        started, cpu, held = _process(*step)
        found.append(
            FlatCost(
                *step,
                page_ms=round(page_ns / 1e6, 3),
                new_path_us=round(new_ns / 1e3 / _PATHS, 2),
                known_path_us=round(known_ns / 1e3 / _PATHS, 2),
                start_seconds=round(started, 2),
                start_cpu_seconds=round(cpu, 2),
                memory_mb=round(held / 1024, 1),
            )
        )
    return found


def config_text(vendors: int, tags: int, port: int, folder: Path) -> str:
    """The vendors of the page are among the vendors; most tags are for a part of the site each, as
    on a large site: how many act on one page stays the same.
    """
    own = proxy.VENDORS
    text = _CONFIG.format(port=port, admin_port=free_port(), folder=folder)
    text += "".join(proxy._TAG.format(vendor=vendor) for vendor in own)
    made_up = max(1, vendors - len(own))
    for n in range(made_up):
        category = proxy._CATEGORIES[n % len(proxy._CATEGORIES)]
        text += proxy._MADE_UP.format(n=n, category=category)
    for n in range(tags - len(own)):
        tag = proxy._TAG.format(vendor=f"made-up-{n % made_up}")
        text += tag.replace('pages = ["/*"]', f'pages = ["/part-{n}/*"]')
    return text


def _subject(vendors: int, tags: int) -> _Subject:
    # Only the page's own vendors of the catalogue: else there could not be as few as ten.
    known: dict[str, Vendor] = {v: catalogue()[v] for v in proxy.VENDORS}
    text = config_text(vendors, tags, 8080, Path("/nowhere"))
    config = load_config(text, "c.toml", today=_TODAY, catalogue=known).config
    return _Subject(build_rules(config, known))


def _quickest(works: list[Callable[[], None]]) -> list[int]:
    """Nanoseconds of each."""
    best = [0] * len(works)
    for _ in range(_ROUNDS):
        for number, work in enumerate(works):
            start = time.process_time_ns()
            work()
            took = time.process_time_ns() - start
            best[number] = min(best[number] or took, took)
    return best


def _process(vendors: int, tags: int) -> tuple[float, float, int]:
    """Seconds until the port opens, CPU seconds until then, and KB held."""
    with tempfile.TemporaryDirectory(prefix="consent-proxy-flat-") as name:
        folder = Path(name)
        port = free_port()
        config = folder / "c.toml"
        config.write_text(config_text(vendors, tags, port, folder))
        command = [sys.executable, "-m", "proxy", "run", "--config", str(config)]
        start = time.monotonic()
        with runtime(proxy.NAME, command, port, folder) as server:
            return time.monotonic() - start, cpu_seconds(server.pid), memory(server.pid).pss


def show(found: list[FlatCost]) -> None:
    """A table, each figure beside that of the fewest."""
    table = Table(title="Many vendors and tags", title_justify="left")
    for column in ("Vendors", "Tags", "Page ms", "New path µs", "Known path µs", "Start s",
                   "Start CPU s", "Worker MB"):  # fmt: skip
        table.add_column(column, justify="right")
    first = found[0]
    for one in found:

        def beside(name: str, one: FlatCost = one) -> str:
            value, least = getattr(one, name), getattr(first, name)
            return f"{value} ({100 * (value / least - 1):+.1f} %)"

        table.add_row(
            f"{one.vendors:,}", f"{one.tags:,}", beside("page_ms"), beside("new_path_us"),
            beside("known_path_us"), str(one.start_seconds), str(one.start_cpu_seconds),
            str(one.memory_mb),
        )  # fmt: skip
    Console().print(table)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.flat_cost", description=__doc__)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    found = measure()
    if options.json:
        print(json.dumps([asdict(one) for one in found], indent=2))
    else:
        show(found)
    return 0


if __name__ == "__main__":
    sys.exit(main())
