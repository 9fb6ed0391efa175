"""The stores and models that the settings name, opened for a command; and what the API works with."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import closing, contextmanager

from stream.answer import Limits
from stream.api import Deps
from stream.champion import Champion
from stream.front import stores_of
from stream.live import Fleet
from stream.settings import Settings


@contextmanager
def opened(settings: Settings) -> Iterator[Fleet]:
    """The stores and the registry that the settings name."""
    how = settings.forecast
    with closing(stores_of(settings)) as stores:
        yield Fleet(stores, Champion(settings.stores.registry, how.threads, how.device), settings)


def deps_of(fleet: Fleet) -> Deps:
    """What the API works with."""
    windows = fleet.settings.windows
    limits = Limits(windows.max_load_pct, windows.min_confidence, windows.stale_after_min)
    return Deps(fleet.stores, limits, fleet.champion.calibration, time.time, windows.default_minutes)
