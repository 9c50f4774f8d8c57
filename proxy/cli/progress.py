"""The progress of a visit of a site, on a terminal."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as ProgressBar

from proxy.audit.crawl import Progress


@contextmanager
def shown_progress(title: str) -> Iterator[Callable[[Progress], None]]:
    """A bar with the time left on a terminal, on stderr; elsewhere nothing."""
    out = Console(stderr=True)
    bar = ProgressBar(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=out,
        transient=True,
        disable=not sys.stderr.isatty(),
    )
    with bar:
        task = bar.add_task(title, total=None)

        def tell(progress: Progress) -> None:
            bar.update(
                task,
                completed=progress.done,
                total=progress.total,
                description=progress.state.words,
            )

        yield tell
