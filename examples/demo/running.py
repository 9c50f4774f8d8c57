"""The demo's three servers, started together and stopped together."""

from __future__ import annotations

import asyncio
import datetime
import errno
import os
import socket
import sys
import tempfile
from collections.abc import AsyncIterator, Callable, Container, Mapping
from contextlib import (
    AbstractContextManager,
    AsyncExitStack,
    asynccontextmanager,
    nullcontext,
    suppress,
)
from dataclasses import dataclass, fields, replace
from pathlib import Path

import aiohttp
from aiohttp import web

from examples.demo.origin import origin_app
from examples.demo.vendors import Ledger, local_addresses, vendor_stubs
from proxy.cookies.signing_keys import key_files, make_key

REPOSITORY = Path(__file__).parents[2]
CONFIG = Path(__file__).with_name("consent-proxy.toml")
HEALTHY_WITHIN = 60.0
"""Seconds. Longer than any start takes; a proxy that is not up by then will not be."""


class StartError(Exception):
    """The demo cannot run; the message says what to do."""


@dataclass(frozen=True, slots=True)
class Ports:
    """The defaults are those of `consent-proxy.toml`."""

    proxy: int = 8080
    admin: int = 8081
    origin: int = 9100
    vendors: int = 9101


def config_text(ports: Ports, state: Path) -> str:
    """The demo's config with other ports, its keys and receipts in the folder `state`."""
    default = Ports()
    text = CONFIG.read_text(encoding="utf-8")
    text = text.replace("../../var/demo", state.as_posix())
    marks = {f":{getattr(default, f.name)}": f":\0{f.name}\0" for f in fields(Ports)}
    for old, mark in marks.items():
        text = text.replace(old, mark)
    for field in fields(Ports):
        text = text.replace(f"\0{field.name}\0", str(getattr(ports, field.name)))
    return text


def is_free(port: int) -> bool:
    """Whether nobody listens there, at any address that a browser takes `localhost` for."""
    for family, address in ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")):
        try:
            with socket.socket(family, socket.SOCK_STREAM) as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                probe.bind((address, port))
        except OSError as error:
            # A machine without IPv6 has no such address, and nobody on it.
            if error.errno in {errno.EADDRINUSE, errno.EACCES}:
                return False
    return True


def settle(wanted: Ports, fixed: Container[str] = ()) -> tuple[Ports, list[str]]:
    """Ports that are free, and a line for each that is another than the one wanted.

    `fixed` names those that the user chose: StartError, with all of them, where one is taken.
    """
    names = [field.name for field in fields(Ports)]
    taken = [name for name in names if not is_free(getattr(wanted, name))]
    if faults := [name for name in taken if name in fixed]:
        raise StartError(
            "\n".join(
                f"Port {getattr(wanted, name)} ({name}) is taken by another program. Stop that "
                f"one, or choose another: --{name}-port N or DEMO_{name.upper()}_PORT=N"
                for name in faults
            )
        )
    used = {getattr(wanted, name) for name in names}
    others: dict[str, int] = {}
    for name in taken:
        first = getattr(wanted, name) + 1
        others[name] = next(
            port for port in range(first, 65_536) if port not in used and is_free(port)
        )
        used.add(others[name])
    return replace(wanted, **others), [
        f"Port {getattr(wanted, name)} ({name}) is taken by another program: taking {port}."
        for name, port in others.items()
    ]


@asynccontextmanager
async def origin(port: int, at: Mapping[str, str]) -> AsyncIterator[None]:
    """The site itself, without the proxy."""
    runner = web.AppRunner(origin_app(at), access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", port).start()
        yield
    finally:
        await runner.cleanup()


@asynccontextmanager
async def consent_proxy(config: Path, port: int) -> AsyncIterator[asyncio.subprocess.Process]:
    """`consent-proxy run` as its own process, healthy. Raises StartError when it is not."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "proxy", "run", "--config", str(config)),
        cwd=REPOSITORY,
        # Ctrl-C on the terminal goes to the whole process group; only we stop the proxy.
        start_new_session=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )
    try:
        await _healthy(process, port)
        yield process
    finally:
        await _stop(process)


async def _healthy(process: asyncio.subprocess.Process, port: int) -> None:
    deadline = asyncio.get_running_loop().time() + HEALTHY_WITHIN
    async with aiohttp.ClientSession() as client:
        while asyncio.get_running_loop().time() < deadline:
            if process.returncode is not None:
                raise StartError(f"consent-proxy stopped at once (exit {process.returncode}).")
            try:
                async with client.get(f"http://localhost:{port}/.consent/state") as answer:
                    if answer.status == 200:
                        return
            except aiohttp.ClientError:
                pass
            await asyncio.sleep(0.05)
    raise StartError(f"consent-proxy did not answer within {HEALTHY_WITHIN:.0f} seconds.")


async def _stop(process: asyncio.subprocess.Process) -> None:
    if process.returncode is not None:
        return
    process.terminate()
    try:
        await asyncio.wait_for(process.wait(), 10)
    except TimeoutError:
        with suppress(ProcessLookupError):  # it has just ended
            process.kill()
        await process.wait()


def _nothing(_: asyncio.subprocess.Process) -> AbstractContextManager[None]:
    return nullcontext()


def _say_nothing(_: str) -> None:
    pass


def _make_folder(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)


def make_keys(folder: Path) -> None:
    """Make the first signing key, where there is none: here its absence is no fault to warn of."""
    folder.mkdir(mode=0o700, exist_ok=True)
    if not key_files(folder):
        make_key(folder, datetime.datetime.now(datetime.UTC))


@asynccontextmanager
async def demo(
    ports: Ports,
    state: Path,
    ledger: Ledger,
    *,
    tell: Callable[[str], None] = _say_nothing,
    change: Callable[[str], str] = str,
    beside: Callable[[asyncio.subprocess.Process], AbstractContextManager[None]] = _nothing,
) -> AsyncIterator[Path]:
    """Everything: stubs, site, proxy; gives the config's path. `state` keeps keys and receipts.

    `tell` hears of each step before it is taken; `change` edits the config's text; `beside` is
    entered with the proxy's process once that serves.
    """
    at = local_addresses(ports.vendors)
    _make_folder(state)
    make_keys(state / "keys")
    async with AsyncExitStack() as stack:
        tell("starting the stand-ins for the vendors")
        await stack.enter_async_context(vendor_stubs(ports.vendors, ledger, at))
        tell("starting the site")
        await stack.enter_async_context(origin(ports.origin, at))
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="consent-demo-"))
        config = Path(folder) / "consent-proxy.toml"
        config.write_text(change(config_text(ports, state)), encoding="utf-8")
        tell("starting consent-proxy in front of it")
        process = await stack.enter_async_context(consent_proxy(config, ports.proxy))
        stack.enter_context(beside(process))
        yield config
