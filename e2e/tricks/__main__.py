"""`python -m e2e.tricks [WORD ...]`: what the tricks whose names hold a word do, as a table."""

from __future__ import annotations

import sys

from e2e.tricks.measure import Measured, Setting, measure
from e2e.tricks.table import Trick, tricks


def _row(trick: Trick, measured: Measured) -> str:
    cells = []
    for setting in Setting:
        seen = measured.seen[setting].get(trick.number)
        if seen is None:
            cells.append(f"{'':14}")
            continue
        what = f"{seen.connections}c {len(seen.requests)}r"
        cells.append(f"{what if seen.arrived else '-':9}{seen.outcome.status} {seen.own}")
    took = measured.of(trick, Setting.DIRECT).outcome.took
    remark = (
        "inert" if trick.inert else "leaks" if trick.leaks else "connects" if trick.connects else ""
    )
    return f"{trick.label} {trick.id[:62]:62} {took:4.1f} s | {' | '.join(cells)} | {remark}"


def main(words: list[str]) -> None:
    chosen = [t for t in tricks() if not words or any(w in t.id for w in words)]
    measured = measure(chosen)
    print("columns:", "; ".join(Setting), "(connections, requests, status, own image)")
    for trick in chosen:
        print(_row(trick, measured))


main(sys.argv[1:])
