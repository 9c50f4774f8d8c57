"""Firefox, by WebDriver BiDi: it speaks it itself, without a driver beside it."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import os
import re
import shutil
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from e2e.engines.bidi import BidiSession, bidi_session
from e2e.engines.driver import DriverError, Name, NoBrowserError
from tests.support.guarded import guarded

_LISTENING = re.compile(rb"WebDriver BiDi listening on (ws://\S+)")
_START_SECONDS = 60.0

# Pages must be treated as visitors' are. Firefox's own set for automation (`recommended`) switches
# off what warms up and prefetches.
_PREFERENCES: dict[str, bool | int | str] = {
    "remote.prefs.recommended": False,
    "browser.aboutwelcome.enabled": False,
    "browser.shell.checkDefaultBrowser": False,
    "browser.tabs.remote.separatePrivilegedContentProcess": False,
    "browser.newtab.preload": False,
    "browser.startup.page": 0,
    "browser.startup.homepage_override.mstone": "ignore",
    "browser.safebrowsing.malware.enabled": False,
    "browser.safebrowsing.phishing.enabled": False,
    "browser.safebrowsing.downloads.remote.enabled": False,
    "app.update.enabled": False,
    "app.normandy.enabled": False,
    "datareporting.policy.dataSubmissionEnabled": False,
    "datareporting.usage.uploadEnabled": False,
    "toolkit.telemetry.enabled": False,
    "extensions.getAddons.cache.enabled": False,
    "extensions.update.enabled": False,
    "network.captive-portal-service.enabled": False,
    "network.connectivity-service.enabled": False,
    "services.settings.server": "http://127.0.0.1:9/",
    "network.trr.mode": 5,
    "network.manage-offline-status": False,
    "dom.disable_open_during_load": False,
    "dom.max_script_run_time": 0,
    # The stubs speak plain HTTP: a second try by it says what was asked for, and a question whether
    # a form may be sent in clear would answer for the proxy.
    "dom.security.https_first": False,
    "security.warn_submit_secure_to_insecure": False,
}


def firefox_path() -> str:
    """The Firefox to start: $FIREFOX, else the system's."""
    for name in (os.environ.get("FIREFOX", ""), "firefox-esr", "firefox"):
        if name and (path := shutil.which(name)):
            return path
    raise NoBrowserError(
        "no Firefox: `make test-firefox` installs Debian's firefox-esr, "
        "and FIREFOX=/path/to/firefox chooses another"
    )


@dataclass(slots=True)
class FirefoxWindow:
    """A top-level browsing context, in a window of its own: tabs behind others do not draw."""

    session: BidiSession
    context: str
    scripts: bool
    popups: list[str] = field(default_factory=list)
    _loading: asyncio.Task[dict[str, Any]] | None = None

    async def open(self, url: str) -> int:
        if self._loading is not None:
            self._loading.cancel()
        navigation = self.session.command(
            "browsingContext.navigate", context=self.context, url=url, wait="complete"
        )
        self._loading = asyncio.create_task(navigation)
        self._loading.add_done_callback(_forget)
        return 0

    async def loaded(self, seconds: float) -> None:
        if self._loading is not None:
            await asyncio.wait([self._loading], timeout=seconds)

    async def evaluate(self, expression: str) -> object:
        # As JSON: the protocol's own form of values says each one's type. Where scripts are
        # switched off, no promise is ever kept.
        text = f"JSON.stringify({expression})"
        if self.scripts:
            text = f"(async () => JSON.stringify(await ({expression})))()"
        answer = await self.session.command(
            "script.evaluate",
            expression=text,
            target={"context": self.context},
            awaitPromise=self.scripts,
        )
        if answer["type"] != "success":
            raise DriverError(answer["exceptionDetails"]["text"])
        value = answer["result"].get("value")
        found: object = None if value is None else json.loads(value)
        return found

    async def _point(self, selector: str, more: Sequence[dict[str, object]]) -> None:
        located = await self.session.command(
            "browsingContext.locateNodes",
            context=self.context,
            locator={"type": "css", "value": selector},
            maxNodeCount=1,
        )
        if not located["nodes"]:
            raise DriverError(f"no {selector} in the page")
        # A pointer reaches what is in the window only.
        found = f"document.querySelector({json.dumps(selector)})"
        await self.evaluate(f"void {found}?.scrollIntoView({{block: 'center'}})")
        element = {"type": "element", "element": {"sharedId": located["nodes"][0]["sharedId"]}}
        move = {"type": "pointerMove", "x": 0, "y": 0, "origin": element}
        await self.session.command(
            "input.performActions",
            context=self.context,
            actions=[{"type": "pointer", "id": "mouse", "actions": [move, *more]}],
        )

    async def click(self, selector: str) -> None:
        press = [{"type": "pointerDown", "button": 0}, {"type": "pointerUp", "button": 0}]
        await self._point(selector, press)

    async def hover(self, selector: str) -> None:
        await self._point(selector, [])

    async def close_popups(self) -> None:
        while self.popups:
            with contextlib.suppress(DriverError):
                await self.session.command("browsingContext.close", context=self.popups.pop())

    async def screenshot(self) -> bytes:
        answer = await self.session.command(
            "browsingContext.captureScreenshot", context=self.context
        )
        return base64.b64decode(answer["data"])


def _forget(task: asyncio.Task[dict[str, Any]]) -> None:
    # A navigation that another one ends is no fault.
    if not task.cancelled():
        task.exception()


@dataclass(slots=True)
class FirefoxBrowser:
    """A Firefox with scripts, and one without as soon as it is asked for."""

    stack: AsyncExitStack
    profile: Path
    session: BidiSession
    version: str
    silent: BidiSession | None = None
    _starting: asyncio.Lock = field(default_factory=asyncio.Lock)
    windows: dict[str, FirefoxWindow] = field(default_factory=dict)

    async def new_window(self, *, scripts: bool = True) -> FirefoxWindow:
        session = self.session if scripts else await self._without_scripts()
        created = await session.command("browsingContext.create", type="window")
        window = FirefoxWindow(session, created["context"], scripts)
        session.listeners.append(_popups_of(window))
        return window

    async def _without_scripts(self) -> BidiSession:
        async with self._starting:
            if self.silent is None:
                folder = self.profile.with_name(f"{self.profile.name}-silent")
                self.silent, _ = await _started(self.stack, folder, {"javascript.enabled": False})
            return self.silent


def _popups_of(window: FirefoxWindow) -> Any:
    def listen(method: str, parameters: dict[str, Any]) -> None:
        if method == "browsingContext.contextCreated":
            opener = parameters.get("originalOpener")
            if opener == window.context and parameters.get("parent") is None:
                window.popups.append(parameters["context"])

    return listen


_TRIES = 3


async def _started(
    stack: AsyncExitStack, profile: Path, more: dict[str, bool | int | str]
) -> tuple[BidiSession, str]:
    """A Firefox that runs until the stack ends. On a busy machine one may not come up."""
    for number in range(_TRIES - 1):
        with contextlib.suppress(DriverError, TimeoutError):
            folder = profile.with_name(f"{profile.name}-{number}")
            return await stack.enter_async_context(_process(folder, more))
    return await stack.enter_async_context(_process(profile, more))


def _make_profile(folder: Path, preferences: dict[str, bool | int | str]) -> None:
    folder.mkdir(parents=True)
    lines = [f"user_pref({json.dumps(n)}, {json.dumps(v)});\n" for n, v in preferences.items()]
    (folder / "user.js").write_text("".join(lines), encoding="utf-8")


@asynccontextmanager
async def _process(
    folder: Path, more: dict[str, bool | int | str]
) -> AsyncIterator[tuple[BidiSession, str]]:
    """A headless Firefox with a profile in that folder, and its version."""
    _make_profile(folder, {**_PREFERENCES, **more})
    command = (firefox_path(), "--headless", "--no-remote", "--profile", str(folder))
    process = await asyncio.create_subprocess_exec(
        *command, "--remote-debugging-port", "0",
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
        env={**os.environ, "HOME": str(folder), "MOZ_CRASHREPORTER_DISABLE": "1"},
    )  # fmt: skip
    assert process.stderr is not None
    drain: asyncio.Task[None] | None = None
    with guarded(process):
        try:
            address = await asyncio.wait_for(_address(process.stderr), _START_SECONDS)
            drain = asyncio.create_task(_discard(process.stderr))
            async with bidi_session(address) as session:
                started = await session.command("session.new", capabilities={})
                await session.command(
                    "session.subscribe", events=["browsingContext.contextCreated"]
                )
                capabilities = started["capabilities"]
                yield session, f"Firefox {capabilities['browserVersion']}"
                with contextlib.suppress(DriverError):
                    await session.command("browser.close", seconds=5.0)
        finally:
            if drain is not None:
                drain.cancel()
            await _end(process)


async def _address(stderr: asyncio.StreamReader) -> str:
    said = b""
    while line := await stderr.readline():
        said += line
        if found := _LISTENING.search(line):
            return found[1].decode()
    raise DriverError(f"Firefox did not start: {said[-500:].decode(errors='replace')}")


async def _discard(stream: asyncio.StreamReader) -> None:
    while await stream.read(65_536):
        pass


async def _end(process: asyncio.subprocess.Process) -> None:
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(process.wait(), 10)
        return
    with contextlib.suppress(ProcessLookupError):
        process.kill()
    await process.wait()


@dataclass(frozen=True, slots=True)
class Firefox:
    """A headless Firefox as visitors have it."""

    name: str = "firefox"
    windows: int = 8
    resolves: bool = True

    @asynccontextmanager
    async def start(
        self, profile: Path, names: Sequence[Name] = (), *, bypass_policy: bool = False
    ) -> AsyncIterator[FirefoxBrowser]:
        assert not bypass_policy, "Firefox always applies a policy"
        async with AsyncExitStack() as stack:
            session, version = await _started(stack, profile, {})
            yield FirefoxBrowser(stack, profile, session, version)
