"""`python -m examples.demo`: the site, the vendors' stubs and the proxy, until Ctrl-C."""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import sys
from dataclasses import fields
from pathlib import Path

from examples.demo.running import REPOSITORY, Ports, StartError, check_free, demo
from examples.demo.vendors import Ledger


def ports_from(arguments: list[str]) -> Ports:
    """Ports from the flags, else from DEMO_<NAME>_PORT, else the defaults."""
    parser = argparse.ArgumentParser(prog="python -m examples.demo", description=__doc__)
    for field in fields(Ports):
        default = os.environ.get(f"DEMO_{field.name.upper()}_PORT", field.default)
        parser.add_argument(f"--{field.name}-port", dest=field.name, type=int, default=default)
    return Ports(**vars(parser.parse_args(arguments)))


def welcome(ports: Ports, config: Path) -> str:
    """What to open, and what to try."""
    return f"""
  The site, behind consent-proxy   http://localhost:{ports.proxy}/
  What the vendors see             http://vendors.localhost:{ports.vendors}/
  The site without the proxy       http://127.0.0.1:{ports.origin}/
  The config; change it, save it   {config}

  Try this, with both pages side by side:
   1. Open the site and leave the banner alone: every vendor stays silent.
   2. Accept all: the approved ones fire, Mystery Metrics never does.
   3. Open "Pay a bill": a page for patients, silent whatever you chose.
   4. "Cookie preferences" in the footer: say no again, and the cookies go too.
   5. Open the site without the proxy: that is what visitors get today.

  Ctrl-C stops everything.
"""


async def main(ports: Ports) -> None:
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stopped.set)
    check_free(ports)
    async with demo(ports, REPOSITORY / "var" / "demo", Ledger()) as config:
        print(welcome(ports, config), flush=True)
        await stopped.wait()
        print("Stopping.", flush=True)


if __name__ == "__main__":
    try:
        asyncio.run(main(ports_from(sys.argv[1:])))
    except StartError as fault:
        sys.exit(str(fault))
