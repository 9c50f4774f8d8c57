"""The dashboard of one worker, made when somebody first opens it: a start need not wait for it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aiohttp import web

from proxy.dashboard.access import Gatekeeper
from proxy.http.handler import Handler
from proxy.observability.metrics import Metrics
from proxy.receipts.place import StorePlace, store_place
from proxy.runtime import Runtime

if TYPE_CHECKING:
    from proxy.dashboard.choices import ChoiceStatistics


class Dashboard:
    """What handles the requests below /dashboard. `folder` is that of the config file."""

    def __init__(
        self,
        runtime: Callable[[], Runtime],
        status: Callable[[], Mapping[str, Any]],
        metrics: Metrics,
        folder: Path,
        gatekeeper: Gatekeeper,
    ) -> None:
        self._runtime = runtime
        self._status = status
        self._metrics = metrics
        self._folder = folder
        self._gatekeeper = gatekeeper
        self._handler: Handler | None = None
        self._choices: ChoiceStatistics | None = None

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        if self._handler is None:
            self._handler = self._open()
        return await self._handler(request)

    def _open(self) -> Handler:
        from proxy.dashboard.choices import ChoiceStatistics
        from proxy.dashboard.handler import Sources, make_dashboard

        self._choices = ChoiceStatistics(self._place)
        sources = Sources(self._runtime, self._status, self._metrics, self._choices, self._folder)
        return make_dashboard(sources, self._gatekeeper)

    def _place(self) -> StorePlace | None:
        return store_place(self._runtime().config, self._folder)

    async def close(self) -> None:
        """End what counts choices."""
        if self._choices is not None:
            await self._choices.close()
