"""`python -m bench.compile_beside --pages FOLDER --base TREE`: compile, beside the bare parse of
the same pages, and beside another checkout of this project.

Each page is compiled by both in turn, in processes of their own, several times; of each the
quickest counts, in CPU time of the thread: so it says the same on a machine that does other work.
`warm`: by a boundary that compiled the page before; `cold`: by a new one. `site`: block by block,
after some pages that differ from it in three places.
"""

from __future__ import annotations

import argparse
import gc
import math
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path

from bench.page import html_page
from consent_rules.catalogue.load import catalogue
from consent_rules.matching.hosts import HostSet
from consent_rules.matching.vendor_index import VendorIndex
from proxy.html import Boundary, UndecodableError, compile_page
from proxy.html.tree import parse

_MODES = ("parse", "warm", "cold", "site")
_EARLIER = 6
_PLACES = (0.25, 0.5, 0.75)
"""Where the pages of a site differ, of the whole length."""
_URL = "https://www.example.com/"
_CONTENT_TYPE = "text/html; charset=utf-8"
_GENERATED = "(generated)"


def _body(name: str) -> bytes:
    return html_page(script_per_request=True) if name == _GENERATED else Path(name).read_bytes()


def _of_site(body: bytes, number: int) -> bytes:
    """A page with paragraphs of its own in three places."""
    own = b'<p>%d <a href="/own/%d"><img src="/media/%d.jpg" alt=""></a></p>' % ((number,) * 3)
    parts, start = [], 0
    for place in _PLACES:
        at = body.find(b"</p>", max(start, int(place * len(body)))) + 4
        if at > 4:
            parts += [body[start:at], own]
            start = at
    return b"".join((*parts, body[start:]))


def _compiler(boundary: Boundary) -> Callable[[bytes], object]:
    """Compiles pages of one site; as a whole in a checkout that knows no blocks."""
    try:
        from proxy.html.block_memory import BlockMemory
        from proxy.html.blocks import compile_by_blocks
    except ImportError:
        return lambda body: compile_page(body, _CONTENT_TYPE, _URL, boundary)
    memory = BlockMemory(2**26)
    return lambda body: compile_by_blocks(body, _CONTENT_TYPE, _URL, boundary, memory)


def _work() -> None:
    """Answer each line of the input, `mode file`, with nanoseconds."""
    index = VendorIndex(catalogue().values())
    known: dict[str, Boundary] = {}
    gc.disable()
    for line in sys.stdin:
        mode, _, name = line.rstrip("\n").partition(" ")
        body = _body(name)
        text = body.decode("latin-1").replace("\r", "\n")
        boundary = Boundary(own=HostSet(["www.example.com"]), index=index)
        if mode == "warm":
            if name not in known:
                _compile(body, boundary)
            boundary = known.setdefault(name, boundary)
        compiler: Callable[[bytes], object] | None = None
        if mode == "site":
            compiler = _compiler(boundary)
            for number in range(_EARLIER):
                _compile(_of_site(body, number), boundary, compiler)
            body = _of_site(body, _EARLIER)
        gc.collect(0)
        start = time.thread_time_ns()
        if mode == "parse":
            parse(text, scripting=False)
        else:
            _compile(body, boundary, compiler)
        sys.stdout.write(f"{time.thread_time_ns() - start}\n")
        sys.stdout.flush()


def _compile(
    body: bytes, boundary: Boundary, compiler: Callable[[bytes], object] | None = None
) -> None:
    try:
        if compiler is not None:
            compiler(body)
        else:
            compile_page(body, _CONTENT_TYPE, _URL, boundary)
    except UndecodableError:
        return


class _Tree:
    """A checkout at work, and the quickest of what it was asked for."""

    def __init__(self, folder: Path) -> None:
        self.best: dict[tuple[str, str], int] = {}
        script = Path(__file__).resolve()
        code = (
            f"import sys; sys.path.insert(0, {str(folder)!r}); exec(open({str(script)!r}).read())"
        )
        self._process = subprocess.Popen(
            [sys.executable, "-c", code, "--work"],
            cwd=folder,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def ask(self, mode: str, name: str) -> None:
        sending, receiving = self._process.stdin, self._process.stdout
        assert sending is not None and receiving is not None
        sending.write(f"{mode} {name}\n")
        sending.flush()
        took = int(receiving.readline())
        self.best[mode, name] = min(self.best.get((mode, name), took), took)

    def end(self) -> None:
        self._process.communicate()


def measure(folders: Iterable[Path], names: list[str], rounds: int) -> None:
    """Print a table: each mode of each tree, in all and as the mean of the pages' ratios."""
    trees = {folder: _Tree(folder) for folder in folders}
    for _ in range(rounds):
        for name in names:
            for mode in _MODES:
                for tree in trees.values():
                    tree.ask(mode, name)
    for folder, tree in trees.items():
        tree.end()
        bare = sum(tree.best["parse", name] for name in names)
        for mode in _MODES:
            whole = sum(tree.best[mode, name] for name in names)
            ratios = [tree.best[mode, name] / tree.best["parse", name] for name in names]
            mean = math.exp(sum(map(math.log, ratios)) / len(ratios))
            print(
                f"{folder!s:40} {mode:6} {whole / 1e6:9.1f} ms {whole / bare:7.2f} x parse, "
                f"{mean:.2f} x as a mean of {len(names)} pages"
            )


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.compile_beside", description=__doc__)
    parser.add_argument("--pages", type=Path, help="a folder of .html files")
    parser.add_argument("--base", type=Path, help="another checkout")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--work", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.work:
        _work()
        return 0
    found = sorted(options.pages.resolve().glob("*.html")) if options.pages else []
    here = Path(__file__).resolve().parents[1]
    folders = [here, *([options.base.resolve()] if options.base else [])]
    measure(folders, [_GENERATED, *map(str, found)], options.rounds)
    return 0


if __name__ == "__main__":
    sys.exit(main())
