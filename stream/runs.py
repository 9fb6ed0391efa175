"""When the fleet is forecast: one run at a time for all who asked by then, and one where nobody asked but should have.

An event only wakes; what is forecast is read from the stores. So a run is never wrong, at most needless: two workers
that run at once write the same rows. Control record: `forecast/through`, the end of the hours of the last whole run.
"""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import Callable, Collection
from typing import NamedTuple

from models.errors import BadInput, StoreError, ZhugeError
from models.minutes import HOUR_MIN, Minute, floor_to
from stream.clock import newest_minute, read_clock, watermarks
from stream.clock import now as clock_now
from stream.forecasting import Outcome
from stream.live import Fleet
from stream.stores.protocols import Control

THROUGH_KEY = "forecast/through"
NOBODY = -1  # no partition: a run is overdue
SETTLE_S = 5.0  # the partitions of a fleet close an hour within seconds of each other, or not soon

log = logging.getLogger(__name__)


class _Asked(NamedTuple):
    end: Minute
    part: int
    answer: asyncio.Future[None]


class Runs:
    """The state: who waits for the next run.

    `run(end)` forecasts after the hours before `end` have closed; it is called in a thread, once at a time. `parts()`
    gives the partitions that the fleet has, in a thread too. A run begins when each of them has said that it closed
    the newest hour that is asked for, or `settle_s` after the first word.
    """

    def __init__(
        self, run: Callable[[Minute], None], parts: Callable[[], Collection[int]], settle_s: float = SETTLE_S
    ) -> None:
        self._run, self._parts, self._settle_s = run, parts, settle_s
        self._asked: list[_Asked] = []
        self._news = asyncio.Event()

    async def ask(self, end: Minute, part: int) -> None:
        """Partition `part` has closed the hours before `end`. Returns when a run that began after this call has ended;

        raises what it raised.
        """
        asked = _Asked(end, part, asyncio.get_running_loop().create_future())
        self._asked.append(asked)
        self._news.set()
        await asked.answer

    async def turn(self) -> None:
        """Wait until somebody asks, settle, run, and tell them all."""
        await self._news.wait()
        await self._settle()
        asked, self._asked = self._asked, []
        self._news.clear()
        try:
            await asyncio.to_thread(self._run, max(one.end for one in asked))
        except Exception as error:  # those who asked decide whether to ask again
            _answer(asked, error)
        else:
            _answer(asked, None)

    async def _settle(self) -> None:
        try:
            parts = set(await asyncio.to_thread(self._parts))
        except StoreError:  # the run will say it
            return
        until_s = time.monotonic() + self._settle_s
        while not self._all_said(parts) and (left_s := until_s - time.monotonic()) > 0:
            self._news.clear()
            try:
                async with asyncio.timeout(left_s):
                    await self._news.wait()
            except TimeoutError:
                return

    def _all_said(self, parts: set[int]) -> bool:
        newest = max(one.end for one in self._asked)
        return parts <= {one.part for one in self._asked if one.end == newest}


def _answer(asked: list[_Asked], error: Exception | None) -> None:
    for one in asked:
        if one.answer.done():  # nobody waits any longer
            continue
        if error is None:
            one.answer.set_result(None)
        else:
            one.answer.set_exception(error)


def forecast_after(fleet: Fleet, end: Minute) -> Outcome:
    """Forecast the fleet as of its clock, which stands at least where the hours before `end` are closed.

    (Their event is sent before the watermark is committed that a clock may follow.)
    """
    now = _now_after(fleet, end)
    began_s = time.monotonic()
    outcome = fleet.forecast(now)
    _note_through(fleet.stores.control, fleet.first_open_hour(now))
    log.info(
        "forecast %d of %d VMs, %d with a window",
        outcome.forecasts,
        outcome.vms,
        outcome.windows,
        extra={"end": fleet.first_open_hour(now), "took_s": round(time.monotonic() - began_s, 3)},
    )
    return outcome


def judge_after(fleet: Fleet, end: Minute) -> None:
    """Judge what is due after a run for `end`; where that cannot be done now, it is after the next one."""
    began_s = time.monotonic()
    try:
        runs = fleet.judge(_now_after(fleet, end))
    except ZhugeError as error:
        log.warning("yesterday's forecasts are not judged yet: %s", error)
    else:
        if runs:
            log.info("judged %d runs", runs, extra={"took_s": round(time.monotonic() - began_s, 3)})


def _now_after(fleet: Fleet, end: Minute) -> Minute:
    return max(clock_now(fleet.stores.control, time.time()), end + fleet.settings.ingest.close_delay_min)


def check_closed(fleet: Fleet, end: Minute) -> None:
    """BadInput where no hour can have been closed that ends at `end`: forecasts from the future would stay for ever."""
    clock, wall_s, ingest = read_clock(fleet.stores.control), time.time(), fleet.settings.ingest
    latest = newest_minute(clock, wall_s) + ingest.max_ahead_min - ingest.close_delay_min
    if end > latest or end % HOUR_MIN != 0:
        raise BadInput(
            "hour that was closed",
            expected=f"a whole one that ended by minute {latest}",
            got=f"one that ended at {end}",
            remedy="Only ingest workers send such events; see that the fleet's clock is right.",
        )


def overdue(control: Control, close_delay_min: int) -> Minute | None:
    """End of the closed hours, where no run has come that far yet; else None."""
    marks = watermarks(control)
    if not marks:
        return None
    closed = floor_to(max(marks.values()) - close_delay_min, HOUR_MIN)
    record = control.get(THROUGH_KEY)
    return closed if record is None or int(json.loads(record.value)["end"]) < closed else None


def _note_through(control: Control, end: Minute) -> None:
    value = json.dumps({"end": end})
    while True:
        record = control.get(THROUGH_KEY)
        if record is not None and int(json.loads(record.value)["end"]) >= end:
            return
        if control.apply([(THROUGH_KEY, 0 if record is None else record.version, value)]):
            return
