"""The site, the vendors' stubs and the proxy, until Ctrl-C."""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import sys
from dataclasses import fields
from pathlib import Path

from examples.demo.running import REPOSITORY, Ports, StartError, demo, settle
from examples.demo.vendors import Ledger


def ports_from(arguments: list[str]) -> tuple[Ports, frozenset[str]]:
    """Ports from the flags, else DEMO_<NAME>_PORT, else the defaults; and which were chosen."""
    parser = argparse.ArgumentParser(prog="python -m examples.demo", description=__doc__)
    for field in fields(Ports):
        default = os.environ.get(f"DEMO_{field.name.upper()}_PORT")
        parser.add_argument(
            f"--{field.name}-port",
            dest=field.name,
            type=_port,
            default=default,
            metavar="N",
            help=f"instead of {field.default}, or the next that is free",
        )
    chosen = {name: n for name, n in vars(parser.parse_args(arguments)).items() if n is not None}
    return Ports(**chosen), frozenset(chosen)


def _port(text: str) -> int:
    if not text.isascii() or not text.isdecimal() or not 0 < int(text) < 65_536:
        raise argparse.ArgumentTypeError(f"{text!r} is no port: 1 to 65535")
    return int(text)


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
    """Until it is cancelled: everything that was started is stopped then."""
    state = REPOSITORY / "var" / "demo"
    async with demo(ports, state, Ledger(), tell=lambda step: print(f"  {step}", flush=True)) as at:
        print(welcome(ports, at), flush=True)
        await asyncio.Event().wait()


async def until_signal(ports: Ports) -> None:
    """Run the demo until Ctrl-C, SIGTERM or the end of the terminal, also while it still starts."""
    running = asyncio.create_task(main(ports))
    stopping = False

    def stop() -> None:
        nonlocal stopping
        if not stopping:  # again while it stops: it does already
            stopping = True
            print("\nStopping.", flush=True)
            running.cancel()

    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, stop)
    try:
        await running
    except asyncio.CancelledError:
        if not stopping:
            raise


def run(arguments: list[str]) -> None:
    """The command. Exits with a message where the demo cannot run."""
    try:
        ports, changed = settle(*ports_from(arguments))
        print("== the demo", *changed, sep="\n  ", flush=True)
        asyncio.run(until_signal(ports))
    except StartError as fault:
        sys.exit(str(fault))
