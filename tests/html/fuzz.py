"""`python -m tests.html.fuzz --documents 100000`: nasty pages, each against every property.

A fault is made as small as it gets and printed; the exit code tells.
"""

from __future__ import annotations

import argparse
import hashlib
import sys
import time
import traceback

from hypothesis import HealthCheck, given, seed, settings

from tests.html.fragments import Written, page
from tests.html.properties import PROPERTIES

_ROUND = 5_000
"""Documents a round: hypothesis remembers all that it tried, so a round must not be endless."""


def main(documents: int, first_seed: int) -> int:
    """Try so many documents. Returns 1 when a property did not hold of one."""
    known: set[bytes] = set()
    tried = faults = 0
    started = time.monotonic()
    number = first_seed

    while tried < documents:

        @seed(number)
        @settings(
            max_examples=min(_ROUND, documents - tried),
            deadline=None,
            database=None,
            suppress_health_check=list(HealthCheck),
        )
        @given(written=page())
        def hold(written: Written) -> None:
            nonlocal tried
            tried += 1
            key = hashlib.blake2b(written.body + written.content_type.encode(), digest_size=12)
            known.add(key.digest())
            for holds in PROPERTIES:
                holds(written)

        try:
            hold()
        except Exception:
            faults += 1
            print(f"seed {number}:", flush=True)
            traceback.print_exc(limit=3, file=sys.stdout)
        number += 1
        rate = tried / (time.monotonic() - started)
        print(
            f"{tried} documents, {len(known)} of them different, {rate:.0f} a second, "
            f"seeds {first_seed} to {number - 1}, rounds with a fault: {faults}",
            flush=True,
        )
    return 1 if faults else 0


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--documents", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=1)
    given_arguments = parser.parse_args()
    sys.exit(main(given_arguments.documents, given_arguments.seed))
