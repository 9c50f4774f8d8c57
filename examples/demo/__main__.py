"""`python -m examples.demo`, which is `make demo`."""

from __future__ import annotations

import signal
import sys

if __name__ == "__main__":
    # Until the demo takes it over, Ctrl-C ends this process without a traceback.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    from examples.demo.command import run

    run(sys.argv[1:])
