"""WebKit: WebKitGTK's MiniBrowser, by WebKitWebDriver (https://www.w3.org/TR/webdriver2/).

A driver serves one browser, and a browser does one command at a time: so each window is a browser
of its own, on a display that Xvfb makes.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import os
import shutil
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp

from e2e.engines.driver import DriverError, Name, NoBrowserError
from tests.support.guarded import guarded
from tests.support.ports import free_ports

_ELEMENT = "element-6066-11e4-a52e-4f735466cecf"
_SHOWN = "performance.timeOrigin"
_START_SECONDS = 60.0
_COMMAND_SECONDS = 60.0
_TRIES = 3
_BROWSERS = ("webkit2gtk-4.1", "webkitgtk-6.0", "webkit2gtk-4.0")


def _program(name: str, package: str) -> str:
    if path := shutil.which(name):
        return path
    raise NoBrowserError(f"no {name}: `make test-webkit` installs Debian's {package}")


def browser_path() -> str:
    """The MiniBrowser to start: $MINIBROWSER, else the one of Debian's library."""
    if chosen := os.environ.get("MINIBROWSER"):
        return chosen
    for library in _BROWSERS:
        for path in sorted(Path("/usr/lib").glob(f"*/{library}/MiniBrowser")):
            return str(path)
    raise NoBrowserError(
        "no MiniBrowser of WebKitGTK: `make test-webkit` installs Debian's webkit2gtk-driver, "
        "and MINIBROWSER=/path/to/it chooses another"
    )


@dataclass(slots=True)
class WebKitWindow:
    """A session of its own."""

    client: aiohttp.ClientSession
    address: str
    """Of the session: `http://127.0.0.1:PORT/session/ID`."""
    handle: str = ""
    left: object = None
    """The time origin of the document that was shown when the next one was asked for."""
    popups: list[str] = field(default_factory=list)

    async def command(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        """The value of a command's answer."""
        return await _command(self.client, method, f"{self.address}{path}", body)

    async def open(self, url: str) -> int:
        with contextlib.suppress(DriverError):
            self.left = await self.evaluate(_SHOWN)
        await self.command("POST", "/url", {"url": url})
        return 0

    async def loaded(self, seconds: float) -> None:
        deadline = asyncio.get_running_loop().time() + seconds
        while asyncio.get_running_loop().time() < deadline:
            with contextlib.suppress(DriverError):
                # The command returns before the document changes.
                ready = "document.readyState === 'complete' && location.protocol !== 'about:'"
                if await self.evaluate(f"{ready} && {_SHOWN} !== {json.dumps(self.left)}"):
                    return
            await asyncio.sleep(0.05)

    async def evaluate(self, expression: str) -> object:
        script = (
            "const done = arguments[arguments.length - 1];"
            f"(async () => ({expression}))().then(v => done({{v}}), e => done({{e: String(e)}}))"
        )
        found = await self.command("POST", "/execute/async", {"script": script, "args": []})
        if "e" in found:
            raise DriverError(found["e"])
        value: object = found.get("v")
        return value

    async def _point(self, selector: str, more: Sequence[dict[str, object]]) -> None:
        # A pointer reaches what is in the window only.
        found = f"document.querySelector({json.dumps(selector)})"
        await self.evaluate(f"void {found}?.scrollIntoView({{block: 'center'}})")
        locator = {"using": "css selector", "value": selector}
        element = await self.command("POST", "/element", locator)
        origin = {_ELEMENT: element[_ELEMENT]}
        move = {"type": "pointerMove", "x": 0, "y": 0, "duration": 0, "origin": origin}
        actions = [{"type": "pointer", "id": "mouse", "actions": [move, *more]}]
        await self.command("POST", "/actions", {"actions": actions})

    async def click(self, selector: str) -> None:
        press = [{"type": "pointerDown", "button": 0}, {"type": "pointerUp", "button": 0}]
        await self._point(selector, press)

    async def hover(self, selector: str) -> None:
        await self._point(selector, [])

    async def close_popups(self) -> None:
        with contextlib.suppress(DriverError):
            handles = await self.command("GET", "/window/handles")
            for other in handles:
                if other != self.handle:
                    await self.command("POST", "/window", {"handle": other})
                    await self.command("DELETE", "/window")
            if len(handles) > 1:
                await self.command("POST", "/window", {"handle": self.handle})

    async def screenshot(self) -> bytes:
        return base64.b64decode(await self.command("GET", "/screenshot"))


async def _command(
    client: aiohttp.ClientSession, method: str, url: str, body: dict[str, Any] | None
) -> Any:
    try:
        async with client.request(method, url, json=body if body is not None else None) as answer:
            value = (await answer.json())["value"]
    except (TimeoutError, OSError, aiohttp.ClientError) as error:
        raise DriverError(f"{method} {url}: no answer ({error!r})") from error
    if isinstance(value, dict) and "error" in value:
        raise DriverError(f"{value['error']}: {value.get('message', '')}")
    return value


@dataclass(slots=True)
class WebKitBrowser:
    """Windows, each with a driver, a browser and a profile of its own."""

    stack: AsyncExitStack
    client: aiohttp.ClientSession
    environment: dict[str, str]
    version: str = ""

    async def new_window(self, *, scripts: bool = True) -> WebKitWindow:
        # On a busy machine a driver may not come up, or end as its browser starts.
        for _ in range(_TRIES - 1):
            with contextlib.suppress(DriverError):
                return await self._window(scripts=scripts)
        return await self._window(scripts=scripts)

    async def _window(self, *, scripts: bool) -> WebKitWindow:
        (port,) = free_ports(1)
        driver = await asyncio.create_subprocess_exec(
            _program("WebKitWebDriver", "webkit2gtk-driver"),
            f"--port={port}",
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
            env=self.environment,
        )
        self.stack.enter_context(guarded(driver))
        self.stack.push_async_callback(_end, driver)
        address = f"http://127.0.0.1:{port}"
        await _up(self.client, address)
        arguments = ["--automation", *([] if scripts else ["--enable-javascript=false"])]
        options = {"binary": browser_path(), "args": arguments}
        wanted = {
            "pageLoadStrategy": "none",
            "unhandledPromptBehavior": "dismiss",
            "webkitgtk:browserOptions": options,
        }
        session = await _command(
            self.client, "POST", f"{address}/session", {"capabilities": {"alwaysMatch": wanted}}
        )
        capabilities = session["capabilities"]
        self.version = f"WebKitGTK {capabilities['browserVersion']}"
        window = WebKitWindow(self.client, f"{address}/session/{session['sessionId']}")
        self.stack.push_async_callback(_close, window)
        window.handle = await window.command("GET", "/window")
        return window


async def _up(client: aiohttp.ClientSession, address: str) -> None:
    deadline = asyncio.get_running_loop().time() + _START_SECONDS
    while True:
        try:
            await _command(client, "GET", f"{address}/status", None)
        except DriverError:
            if asyncio.get_running_loop().time() > deadline:
                raise
            await asyncio.sleep(0.05)
        else:
            return


async def _close(window: WebKitWindow) -> None:
    with contextlib.suppress(DriverError):
        await window.command("DELETE", "")


async def _end(process: asyncio.subprocess.Process) -> None:
    with contextlib.suppress(ProcessLookupError):
        process.terminate()
    try:
        await asyncio.wait_for(process.wait(), 5)
    except TimeoutError:
        process.kill()
        await process.wait()


def _line(descriptor: int) -> str:
    with os.fdopen(descriptor, encoding="ascii") as stream:
        return stream.readline().strip()


@asynccontextmanager
async def _display() -> AsyncIterator[str]:
    """The name of a display that nobody sees."""
    read, write = os.pipe()
    server = await asyncio.create_subprocess_exec(
        _program("Xvfb", "xvfb"),
        "-displayfd", str(write), "-screen", "0", "1280x900x24", "-nolisten", "tcp",
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
        pass_fds=[write],
    )  # fmt: skip
    os.close(write)
    with guarded(server):
        try:
            # Xvfb writes the number as soon as it listens.
            number = await asyncio.wait_for(asyncio.to_thread(_line, read), _START_SECONDS)
            yield f":{number}"
        finally:
            await _end(server)


@dataclass(frozen=True, slots=True)
class WebKit:
    """WebKitGTK's browser of tests: the engine with nothing around it."""

    name: str = "webkit"
    windows: int = 6
    resolves: bool = True

    @asynccontextmanager
    async def start(
        self, profile: Path, names: Sequence[Name] = (), *, bypass_policy: bool = False
    ) -> AsyncIterator[WebKitBrowser]:
        assert not bypass_policy, "WebKit always applies a policy"
        await asyncio.to_thread(profile.mkdir, parents=True)
        async with AsyncExitStack() as stack:
            display = await stack.enter_async_context(_display())
            limit = aiohttp.ClientTimeout(total=_COMMAND_SECONDS)
            client = await stack.enter_async_context(aiohttp.ClientSession(timeout=limit))
            environment = {
                **os.environ,
                "DISPLAY": display,
                "GDK_BACKEND": "x11",
                "HOME": str(profile),
                "XDG_RUNTIME_DIR": str(profile),
                "NO_AT_BRIDGE": "1",
                # The sandbox needs namespaces that a container seldom has.
                "WEBKIT_DISABLE_SANDBOX_THIS_IS_DANGEROUS": "1",
                "LIBGL_ALWAYS_SOFTWARE": "1",
            }
            yield WebKitBrowser(stack, client, environment)
