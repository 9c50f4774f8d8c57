"""The figures as JSON and as a table."""

from __future__ import annotations

import json
import os
import platform
import subprocess
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from rich.console import Console
from rich.table import Table

from bench import nginx
from bench.compile import CompileCost
from bench.load import Measurement

LATEST = Path(__file__).parent / "output" / "latest.json"


def as_json(
    measurements: Sequence[Measurement],
    compile_costs: Sequence[CompileCost],
    *,
    seconds: int,
    connections: int,
) -> str:
    return json.dumps(
        {
            "machine": {
                "cpu": _cpu_model(),
                "cores": os.cpu_count(),
                "python": platform.python_version(),
                "nginx": _nginx_version(),
            },
            "load": {"seconds": seconds, "connections": connections},
            "requests": [
                {
                    **asdict(each),
                    "to_nginx_sub_filter": _ratio(each, measurements, nginx.REWRITING),
                    "to_nginx_plain": _ratio(each, measurements, nginx.PLAIN),
                }
                for each in measurements
            ],
            "compile": [asdict(each) for each in compile_costs],
        },
        indent=2,
    )


def print_tables(measurements: Sequence[Measurement], compile_costs: Sequence[CompileCost]) -> None:
    console = Console(width=120)
    if measurements:
        table = Table(title="CPU time of the server a request")
        table.add_column("request", no_wrap=True)
        table.add_column("server", no_wrap=True)
        for heading in (
            "CPU µs",
            "/plain",
            "/filter",
            "req/s",
            "p50 ms",
            "p99 ms",
            "bytes",
            "errors",
        ):
            table.add_column(heading, justify="right")
        for each in measurements:
            table.add_row(
                each.case,
                each.server,
                f"{each.cpu_us_per_request:.0f}",
                _show(_ratio(each, measurements, nginx.PLAIN)),
                _show(_ratio(each, measurements, nginx.REWRITING)),
                f"{each.requests_per_second:.0f}",
                f"{each.p50_ms:.2f}",
                f"{each.p99_ms:.1f}",
                f"{each.bytes_per_reply}",
                f"{each.errors}",
            )
        console.print(table)
        console.print(
            "/plain, /filter: CPU time as a multiple of that of nginx with proxy_pass alone, and "
            "with\nsub_filter and gzip 1, for the same file in this run.\n"
        )
    if compile_costs:
        table = Table(title="Compile and render without I/O: CPU ms for 100 KB")
        for heading in ("corpus", "pages", "KB", "compile", "render", "slowest to compile"):
            table.add_column(heading, justify="left" if heading == "corpus" else "right")
        for cost in compile_costs:
            table.add_row(
                cost.corpus,
                f"{cost.pages}",
                f"{cost.kilobytes}",
                f"{cost.compile_ms_per_100_kb:.2f}",
                f"{cost.render_ms_per_100_kb:.3f}",
                f"{cost.slowest_ms_per_100_kb:.2f} ({cost.slowest_page})",
            )
        console.print(table)


def _ratio(each: Measurement, measurements: Sequence[Measurement], server: str) -> float | None:
    for other in measurements:
        if other.server == server and other.kind == each.kind:
            return round(each.cpu_us_per_request / other.cpu_us_per_request, 3)
    return None


def _show(ratio: float | None) -> str:
    return "-" if ratio is None else f"{ratio:.2f}"


def _cpu_model() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def _nginx_version() -> str:
    program = nginx.program()
    if program is None:
        return ""
    told = subprocess.run([program, "-v"], capture_output=True, text=True, check=False)
    return told.stderr.strip().rpartition("/")[2]
