"""The figures: as JSON, as tables to look at, as a table and a plot for the docs."""

from __future__ import annotations

import json
import os
import platform
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from rich.console import Console
from rich.table import Table

from bench import banner_sizes, cases, nginx, proxy, workerd
from bench.banner_sizes import BannerSize
from bench.compile import CompileCost
from bench.idle import IdleCost
from bench.load import Measurement
from bench.plot import Bar, Line, bars_svg, lines_svg
from bench.start import StartCost

LATEST = Path(__file__).parent / "output" / "latest.json"
DOCS = Path(__file__).parent.parent / "docs"
_BEGIN, _END = "<!-- bench: begin -->\n", "<!-- bench: end -->\n"
_SWEEPS = {
    "size_kb": "Size of the page, KB",
    "resources": "Resources of a page of 110 KB",
    "connections": "Connections",
    "workers": "Workers",
    "rules": "Vendors and tags made up",
    "sites": "Sites",
}


@dataclass(frozen=True, slots=True)
class Point:
    """One step of a sweep: `what` was varied, and where it stood."""

    what: str
    at: float
    measured: Measurement


@dataclass(slots=True)
class Result:
    """Everything that one run found out."""

    seconds: int
    connections: int
    main: list[Measurement] = field(default_factory=list)
    sweeps: list[Point] = field(default_factory=list)
    idle: list[IdleCost] = field(default_factory=list)
    choices: list[Measurement] = field(default_factory=list)
    compiled: list[CompileCost] = field(default_factory=list)
    started: StartCost | None = None
    started_two: StartCost | None = None
    """With two workers."""
    interpreter_mb: float = 0.0
    banners: list[BannerSize] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Verdict:
    """A target beside the figure. Both in µs, KB, or times a peer's CPU time."""

    target: str
    wanted: str
    found: str
    met: bool


def verdicts(result: Result) -> Iterator[Verdict]:
    ours = {one.case: one for one in result.main if one.server == proxy.NAME}
    for case, most in cases.TARGETS.items():
        if case in ours:
            cpu = ours[case].cpu_us_per_request
            yield Verdict(f"{case}, CPU µs", f"≤ {most}", f"{cpu:.0f}", cpu <= most)
    for case, theirs, peer, times in cases.RATIOS:
        other = _find(result.main, peer, theirs)
        if case in ours and other is not None:
            ratio = ours[case].cpu_us_per_request / other.cpu_us_per_request
            yield Verdict(
                f"{case}, times {peer} ({theirs})", _times(times), _times(ratio), ratio <= times
            )
    for idle in result.idle:
        if idle.server == proxy.NAME:
            case = f"memory of each of {idle.connections:,} idle connections, KB"
            met = idle.kb <= cases.IDLE_TARGET_KB
            yield Verdict(case, f"≤ {cases.IDLE_TARGET_KB}", f"{idle.kb:.1f}", met)
    yield from _own_verdicts(result)


def _own_verdicts(result: Result) -> Iterator[Verdict]:
    """Of what is measured without a peer."""
    for cost in result.compiled:
        ratio = cost.compile_ms_per_100_kb / cost.parse_ms_per_100_kb
        case = f"compile, {cost.corpus}, times the bare parse"
        yield Verdict(
            case, f"{cases.COMPILE_TARGET:.2f}", f"{ratio:.2f}", ratio <= cases.COMPILE_TARGET
        )
    if result.started is not None:
        yield _memory_verdict("a worker alone", result.started.rss_mb - result.interpreter_mb)
        if result.started_two is not None:
            each = result.started_two.together_mb / 2
            yield _memory_verdict(
                "each of two workers, half of what they hold with their parent,",
                each - result.interpreter_mb,
            )
        took = result.started.seconds
        case = "start to the first reply, s"
        yield Verdict(case, f"≤ {cases.START_TARGET}", f"{took:.2f}", took <= cases.START_TARGET)


def _memory_verdict(whose: str, mb: float) -> Verdict:
    case = f"memory of {whose} beyond the bare interpreter's, whole catalogue, MB"
    met = mb <= cases.WORKER_TARGET_MB
    return Verdict(case, f"≤ {cases.WORKER_TARGET_MB}", f"{mb:.0f}", met)


def _times(ratio: float) -> str:
    return f"1/{1 / ratio:.1f}" if ratio < 0.5 else f"{ratio:.2f}"


def write(result: Result) -> None:
    """JSON and tables on stdout, the JSON in `LATEST` as well."""
    text = _as_json(result)
    LATEST.parent.mkdir(exist_ok=True)
    LATEST.write_text(text + "\n")
    print(text)
    _print_tables(result)


def write_docs(result: Result) -> None:
    """Put the tables and the plot into docs/."""
    (DOCS / "performance.svg").write_text(_plot(result))
    (DOCS / "performance-sweeps.svg").write_text(_sweeps_plot(result))
    path = DOCS / "performance.md"
    before, begin, rest = path.read_text().partition(_BEGIN)
    _, end, after = rest.partition(_END)
    if not (begin and end):
        raise RuntimeError(f"{path} lacks the lines {_BEGIN.strip()} and {_END.strip()}")
    path.write_text(before + _BEGIN + "\n".join(_markdown(result)) + "\n" + _END + after)


# --- JSON -----------------------------------------------------------------------------------


def _as_json(result: Result) -> str:
    return json.dumps(
        {
            "machine": _machine(),
            "load": {"seconds": result.seconds, "connections": result.connections},
            "requests": [
                {**asdict(one), **{f"to_{n}": r for n, r in _ratios(one, result.main)}}
                for one in result.main
            ],
            "sweeps": [{"what": p.what, "at": p.at, **asdict(p.measured)} for p in result.sweeps],
            "idle": [asdict(one) for one in result.idle],
            "choices": [asdict(one) for one in result.choices],
            "targets": [asdict(one) for one in verdicts(result)],
            "compile": [asdict(one) for one in result.compiled],
            "start": None if result.started is None else asdict(result.started),
            "banners": [asdict(one) for one in result.banners],
            "skipped": result.skipped,
        },
        indent=2,
    )


def _machine() -> dict[str, object]:
    return {
        "cpu": _cpu_model(),
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "nginx": _nginx_version(),
        "load_average": os.getloadavg()[2],
    }


def _ratios(one: Measurement, all_: Sequence[Measurement]) -> Iterator[tuple[str, float]]:
    """CPU time as a multiple of the peers', for the same thing in the same run."""
    theirs = {"html": cases.PAGE, "changed": cases.CHANGED, "static": cases.STATIC}[one.kind].case
    for name, peer in (
        ("nginx_plain", nginx.PLAIN), ("nginx_sub_filter", nginx.REWRITING),
        ("workerd", workerd.NAME),
    ):  # fmt: skip
        other = _find(all_, peer, theirs)
        if other is not None:
            yield name, round(one.cpu_us_per_request / other.cpu_us_per_request, 3)


def _find(all_: Sequence[Measurement], server: str, case: str) -> Measurement | None:
    return next((one for one in all_ if (one.server, one.case) == (server, case)), None)


# --- tables to look at ----------------------------------------------------------------------


def _print_tables(result: Result) -> None:
    console = Console(width=180)
    if result.main:
        console.print(_table("A request", _MAIN_HEADINGS, _main_rows(result)))
        console.print(_table("Targets", ("target", "wanted", "found", "met"), _target_rows(result)))
    for what, title in _SWEEPS.items():
        rows = list(_sweep_rows(result, what))
        if rows:
            console.print(_table(title, _SWEEP_HEADINGS, rows))
    if result.idle:
        rows = [[one.server, f"{one.connections:,}", f"{one.kb:.1f}"] for one in result.idle]
        console.print(_table("Idle connections", ("server", "connections", "KB each"), rows))
    if result.choices:
        console.print(_table("A visitor's choice", _CHOICE_HEADINGS, _choice_rows(result)))
    if result.compiled:
        title = "Compile and render without I/O: CPU ms for 100 KB"
        console.print(_table(title, _COMPILE_HEADINGS, _compile_rows(result)))
    if result.banners:
        rows = banner_sizes.rows(result.banners)
        console.print(_table("What a first-time visitor loads", banner_sizes.HEADINGS, rows))


def _table(title: str, headings: Sequence[str], rows: Sequence[Sequence[str]]) -> Table:
    table = Table(title=title)
    for heading in headings:
        left = heading in {"request", "receipts", "server", "target", "corpus", "banner"}
        table.add_column(heading, justify="left" if left else "right", no_wrap=left)
    for row in rows:
        table.add_row(*row)
    return table


_MAIN_HEADINGS = (
    "request", "server", "CPU µs", "/ plain", "/ sub_filter", "/ workerd", "req/s", "p50 ms",
    "p99 ms", "MB", "bytes", "errors",
)  # fmt: skip


def _main_rows(result: Result) -> list[list[str]]:
    rows = []
    for one in result.main:
        ratios = dict(_ratios(one, result.main))
        times = [
            f"{ratios[name]:.2f}" if name in ratios else "-"
            for name in ("nginx_plain", "nginx_sub_filter", "workerd")
        ]
        rows.append(
            [
                one.case, one.server, f"{one.cpu_us_per_request:,.0f}", *times,
                f"{one.requests_per_second:,.0f}", f"{one.p50_ms:.1f}", f"{one.p99_ms:.1f}",
                f"{one.pss_kb / 1024:.0f}", f"{one.bytes_per_reply:,}", f"{one.errors}",
            ]
        )  # fmt: skip
    return rows


def _target_rows(result: Result) -> list[list[str]]:
    return [
        [one.target, one.wanted, one.found, "yes" if one.met else "no"] for one in verdicts(result)
    ]


_SWEEP_HEADINGS = ("at", "request", "server", "CPU µs", "req/s", "p50 ms", "p99 ms", "MB", "errors")


def _sweep_rows(result: Result, what: str) -> Iterator[list[str]]:
    for point in result.sweeps:
        one = point.measured
        if point.what == what:
            yield [
                f"{point.at:,.0f}", one.case, one.server, f"{one.cpu_us_per_request:,.0f}",
                f"{one.requests_per_second:,.0f}", f"{one.p50_ms:.1f}", f"{one.p99_ms:.1f}",
                f"{one.pss_kb / 1024:.0f}", f"{one.errors}",
            ]  # fmt: skip


_CHOICE_HEADINGS = ("receipts", "CPU µs", "choices/s", "p50 ms", "p99 ms", "errors")


def _choice_rows(result: Result) -> list[list[str]]:
    return [
        [
            one.server, f"{one.cpu_us_per_request:,.0f}", f"{one.requests_per_second:,.0f}",
            f"{one.p50_ms:.1f}", f"{one.p99_ms:.1f}", f"{one.errors}",
        ]
        for one in result.choices
    ]  # fmt: skip


_COMPILE_HEADINGS = ("corpus", "pages", "KB", "parse", "compile", "render", "slowest to compile")


def _compile_rows(result: Result) -> list[list[str]]:
    return [
        [
            cost.corpus, f"{cost.pages}", f"{cost.kilobytes}",
            f"{cost.parse_ms_per_100_kb:.3f}", f"{cost.compile_ms_per_100_kb:.2f}",
            f"{cost.render_ms_per_100_kb:.3f}",
            f"{cost.slowest_ms_per_100_kb:.2f} ({cost.slowest_page})",
        ]
        for cost in result.compiled
    ]  # fmt: skip


# --- for the docs ---------------------------------------------------------------------------


def _markdown(result: Result) -> Iterator[str]:
    machine = _machine()
    yield (
        f"\n{machine['cores']} cores ({machine['cpu']}), Python {machine['python']}, nginx "
        f"{machine['nginx']}; {result.seconds} s each, {result.connections} connections.\n"
    )
    yield "![CPU time of a page and a file, by server](performance.svg)\n"
    yield from _markdown_table(_MAIN_HEADINGS, _main_rows(result))
    yield "\nTargets:\n"
    yield from _markdown_table(("target", "wanted", "found", "met"), _target_rows(result))
    if result.sweeps:
        yield "\n![CPU time by size of page, by load, by size of config](performance-sweeps.svg)"
    for what, title in _SWEEPS.items():
        rows = list(_sweep_rows(result, what))
        if rows:
            yield f"\n{title}:\n"
            yield from _markdown_table(_SWEEP_HEADINGS, rows)
    if result.idle:
        yield "\nIdle connections:\n"
        rows = [[one.server, f"{one.connections:,}", f"{one.kb:.1f}"] for one in result.idle]
        yield from _markdown_table(("server", "connections", "KB each"), rows)
    if result.choices:
        yield "\nA visitor's choice, by where its receipt is written:\n"
        yield from _markdown_table(_CHOICE_HEADINGS, _choice_rows(result))
    if result.compiled:
        yield "\nCompile and render without I/O, CPU ms for 100 KB:\n"
        yield from _markdown_table(_COMPILE_HEADINGS, _compile_rows(result))
    if result.banners:
        yield "\nWhat a first-time visitor loads for the banner:\n"
        yield from _markdown_table(banner_sizes.HEADINGS, banner_sizes.rows(result.banners))
    for line in result.skipped:
        yield f"\nSkipped: {line}"
    yield ""


def _markdown_table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    yield f"| {' | '.join(headings)} |"
    left = {"request", "receipts", "server", "target", "banner", "corpus"}
    yield f"|{'|'.join('---' if h in left else '--:' for h in headings)}|"
    for row in rows:
        yield f"| {' | '.join(row)} |"


def _plot(result: Result) -> str:
    bars = [
        Bar(
            one.case,
            one.server,
            one.cpu_us_per_request,
            own=one.server == proxy.NAME,
            target=cases.TARGETS.get(one.case) if one.server == proxy.NAME else None,
        )
        for kind in ("html", "changed", "static")
        for one in sorted(
            (m for m in result.main if m.kind == kind), key=lambda m: -m.cpu_us_per_request
        )
    ]
    return bars_svg(
        "CPU µs a request (less is better; each line is ten times the one before)", bars
    )


def _sweeps_plot(result: Result) -> str:
    panels: dict[str, list[Line]] = {}
    for what, title in _SWEEPS.items():
        lines: dict[str, list[tuple[float, float]]] = {}
        for point in result.sweeps:
            if point.what == what:
                one = point.measured
                name = proxy.NAME if what == "workers" else one.server
                places = lines.setdefault(f"{name}: {one.case}", [])
                places.append((point.at, one.cpu_us_per_request))
        if lines:
            panels[f"{title}: CPU µs a request"] = [Line(who, at) for who, at in lines.items()]
    return lines_svg(panels)


def _cpu_model() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def _nginx_version() -> str:
    program = nginx.program()
    if program is None:
        return ""
    result = subprocess.run([program, "-v"], capture_output=True, text=True, check=False)
    return result.stderr.strip().rpartition("/")[2]
