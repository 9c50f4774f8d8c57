"""The command with small caches: `python -m tests.support.small_caches run --config FILE`.

They are full within a minute, so that what grows after that is no cache. By default a worker's
take 286 MiB, and an hour of the soak's traffic would pass without having filled them.
"""

from __future__ import annotations

import proxy.runtime
from proxy.cli.commands import main

DIVISOR = 64
BUDGETS = (
    "_PAGES_BUDGET", "_ALIKE_BUDGET", "_STREAMED_BUDGET", "_VARIANTS_BUDGET", "_READY_BUDGET",
    "_VISITORS_BUDGET", "_REPEATED_BUDGET", "_FILES_BUDGET",
)  # fmt: skip

if __name__ == "__main__":
    for name in BUDGETS:
        setattr(proxy.runtime, name, getattr(proxy.runtime, name) // DIVISOR)
    main()
