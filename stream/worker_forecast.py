"""The service beside the agents of a forecast worker: runs when asked, runs that nobody asked for, and how it is."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from typing import NamedTuple

from mode import Service

from models.errors import StoreError
from models.minutes import Minute
from stream.runs import NOBODY, Runs
from stream.strays import kept_up

CATCH_UP_EVERY_S = 60.0
LOOK_EVERY_S = 5.0

log = logging.getLogger(__name__)


class Ask(NamedTuple):
    """Whom the service asks. overdue(): the end of hours that are closed and not forecast. store() raises where it is

    away. These two are called in a thread. broker(): the partitions of each topic that the agents have, or it raises.
    """

    overdue: Callable[[], Minute | None]
    store: Callable[[], object]
    broker: Callable[[], Awaitable[dict[str, list[int]]]]


class Forecasting(Service):
    """The state: when it last looked around, and what was away. close() is awaited at the end."""

    mundane_level = "debug"

    def __init__(self, runs: Runs, ask: Ask, close: Callable[[], Awaitable[None]]) -> None:
        super().__init__()
        self._runs, self._ask, self._close = runs, ask, close
        self.looked_s = time.monotonic()
        self.trouble = "not started yet"
        self.places: dict[str, list[int]] = {}

    async def on_stop(self) -> None:
        """See mode."""
        await self._close()

    @Service.task
    @kept_up
    async def _run(self) -> None:
        while not self.should_stop:
            await self._runs.turn()

    @Service.task
    @kept_up
    async def _catch_up(self) -> None:
        """From the start on: hours may have closed while no worker ran, and their events may be gone by now."""
        while not self.should_stop:
            try:
                end = await asyncio.to_thread(self._ask.overdue)
                if end is not None:
                    await self._runs.ask(end, NOBODY)
            except StoreError as error:
                log.warning("cannot catch up: %s", error)
            except Exception as error:  # the next one may do better, and events are still attended to
                log.exception("a forecast that was overdue failed: %r", error)
            await self.sleep(CATCH_UP_EVERY_S)

    @Service.task
    @kept_up
    async def _look(self) -> None:
        """One question at a time: one that is not answered is not asked again on top."""
        asking: asyncio.Task[str] | None = None
        while not self.should_stop:
            asking = asking or asyncio.create_task(self._found())
            await asyncio.wait([asking], timeout=LOOK_EVERY_S)
            if asking.done():
                self.trouble, asking = asking.result(), None
            else:
                self.trouble = f"no answer within {LOOK_EVERY_S:g} s from the stores or the brokers"
            self.looked_s = time.monotonic()
            await self.sleep(1.0 if self.trouble else LOOK_EVERY_S)

    async def _found(self) -> str:
        try:
            await asyncio.to_thread(self._ask.store)
            self.places = await self._ask.broker()
        except Exception as error:  # whatever it is, it is what /healthz has to say
            return str(error) or repr(error)
        return ""
