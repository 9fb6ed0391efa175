"""One process that ingests and forecasts: replay what is there, and forecast each hour as it closes."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from models.fleet import Vm, newest_lives
from models.minutes import DAY_MIN, HOUR_MIN, Minute, floor_to
from stream.champion import Champion
from stream.clock import now as clock_now
from stream.forecasting import Outcome, Plan, forecast_fleet
from stream.ingest import Ingest
from stream.judging import Measure, judge_due
from stream.settings import Settings
from stream.stores.judgements import read_judged, shift_in_force
from stream.stores.open import Stores

_PAUSE_S = 0.25


def _unseen(done: int, of: int) -> None:
    pass


@dataclass(frozen=True, slots=True)
class Fleet:
    """What the forecast step works with: stores, champion, settings."""

    stores: Stores
    champion: Champion
    settings: Settings

    def forecast(self, now: Minute, progress: Callable[[int, int], None] = _unseen) -> Outcome:
        """Forecast every VM from the first hour that is open at `now`."""
        forecasters, model = self.champion.in_force()
        clipped = self.champion.clipped
        plan = Plan(
            forecasters=forecasters,
            model=model,
            end=self.first_open_hour(now),
            now=now,
            stale_after_min=self.settings.windows.stale_after_min,
            minutes=self.settings.windows.default_minutes,
            log_every_h=self.settings.forecast.log_every_h,
            shift=shift_in_force(read_judged(self.stores.control), model),
        )
        outcome = forecast_fleet(self.stores, plan, progress)
        outcome.clipped = self.champion.clipped - clipped
        return outcome

    def judge(self, now: Minute) -> int:
        """Hold the logged forecasts whose day is over at `now` against what happened; how many runs there were."""
        windows = self.settings.windows
        measure = Measure(self.champion.calibration, windows.max_load_pct, windows.default_minutes)
        return judge_due(self.stores, measure, now, self._settled_after_min)

    def last_settled_hour(self, now: Minute) -> Minute:
        """The newest hour from which forecasts are logged and whose day is over at `now`."""
        made_after_min = self.settings.ingest.close_delay_min
        return floor_to(
            now - DAY_MIN - self._settled_after_min - made_after_min, self.settings.forecast.log_every_h * HOUR_MIN
        )

    @property
    def _settled_after_min(self) -> int:
        ingest = self.settings.ingest
        return ingest.close_delay_min + ingest.reopen_for_min

    def first_open_hour(self, now: Minute) -> Minute:
        """Start of the hour that is not closed at `now`."""
        return floor_to(now - self.settings.ingest.close_delay_min, HOUR_MIN)

    def newest(self) -> list[Vm]:
        """The newest life of every id."""
        return newest_lives(self.stores.catalogue.lives())


def catch_up(ingest: Ingest, progress: Callable[[Minute | None], None]) -> None:
    """Take everything that the source has now; `progress` gets the watermark after each round."""
    while ingest.behind:
        ingest.step()
        progress(ingest.watermark)


def follow(ingest: Ingest, fleet: Fleet, said: Callable[[Outcome], None]) -> None:
    """Go on for ever: take what comes; forecast the fleet whenever an hour has closed, and judge what is due by then.

    Ends by an exception.
    """
    while True:
        if ingest.step():
            now = clock_now(fleet.stores.control, time.time())
            said(fleet.forecast(now))
            fleet.judge(now)
        if not ingest.behind:
            time.sleep(_PAUSE_S)
