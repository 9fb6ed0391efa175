"""What every command starts from: the settings in force, and the stores and models that they name."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from models.minutes import Minute
from stream.answer import Limits
from stream.api import Deps
from stream.champion import Champion
from stream.live import Fleet
from stream.settings import Loaded, Settings
from stream.stores.open import Stores, open_stores

Progress = Callable[[float, str], None]


@dataclass(frozen=True, slots=True)
class Front:
    """What the front door hands to every command: the settings, and training, which is another room's.

    `trainer(stores, registry, device, threads, end, progress)` makes a champion of the hours before `end`.
    """

    loaded: Loaded
    trainer: Callable[[Stores, str, str, int, Minute, Progress], None]

    @property
    def settings(self) -> Settings:
        """The settings in force."""
        return self.loaded.settings

    def train(self, stores: Stores, settings: Settings, end: Minute, progress: Progress) -> None:
        """Train with what is stored, as `settings` say."""
        how = settings.forecast
        self.trainer(stores, settings.stores.registry, how.device, how.threads, end, progress)


def stores_in(folder: Path) -> dict[str, str]:
    """The settings of [stores] that keep everything in one folder."""
    database = f"sqlite:{folder / 'zhuge.sqlite'}"
    return {"cstore": database, "control": database, "answers": database, "registry": f"file:{folder / 'registry'}"}


@contextmanager
def opened(settings: Settings) -> Iterator[Fleet]:
    """The stores and the registry that the settings name."""
    urls = settings.stores
    stores = open_stores(urls.cstore, urls.control, urls.answers)
    try:
        yield Fleet(stores, Champion(urls.registry, settings.forecast.threads, settings.forecast.device), settings)
    finally:
        stores.close()


def deps_of(fleet: Fleet) -> Deps:
    """What the API works with."""
    windows = fleet.settings.windows
    limits = Limits(windows.max_load_pct, windows.min_confidence, windows.stale_after_min)
    return Deps(fleet.stores, limits, fleet.champion.calibration, time.time, windows.default_minutes)
