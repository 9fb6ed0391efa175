"""What every command starts from: the settings in force, their stores, and training, which is another room's."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from models.effort import Effort
from models.minutes import Minute
from stream.due import Rules
from stream.settings import Loaded, Settings
from stream.stores.open import Stores, open_stores

Progress = Callable[[float, str], None]
Ints = npt.NDArray[np.int64]
Rows = tuple[tuple[str, ...], int, Ints, Ints, npt.NDArray[np.float32]]


@dataclass(frozen=True, slots=True)
class Front:
    """What the front door hands to every command: the settings, and what is another room's.

    `trainer(stores, registry, effort, end, progress)` makes a champion of the hours before `end`.
    `read_trace(path)`: ids, interval in minutes, and by sample the VM's index, epoch seconds, percent (NaN = gap).
    `bar(what)`: a bar on standard error for the length of a block.
    """

    loaded: Loaded
    trainer: Callable[[Stores, str, Effort, Minute, Progress], None]
    read_trace: Callable[[Path], Rows]
    bar: Callable[[str], AbstractContextManager[Progress]]

    @property
    def settings(self) -> Settings:
        """The settings in force."""
        return self.loaded.settings

    def train(self, stores: Stores, settings: Settings, end: Minute, progress: Progress) -> None:
        """Train with what is stored, as `settings` say."""
        self.trainer(stores, settings.stores.registry, effort_of(settings), end, progress)

    @property
    def effort(self) -> Effort:
        """How hard to train."""
        return effort_of(self.settings)


def effort_of(settings: Settings) -> Effort:
    """How hard to train, as `settings` say."""
    how = settings.forecast
    return Effort(threads=how.threads or os.cpu_count() or 1, device=how.device, vm_days=how.train_vm_days)


def rules_of(settings: Settings) -> Rules:
    """The rules of closing that are set."""
    ingest = settings.ingest
    return Rules(ingest.close_delay_min, ingest.reopen_for_min, ingest.max_ahead_min, ingest.profile_alpha)


def stores_of(settings: Settings) -> Stores:
    """The stores that the settings name, opened."""
    urls = settings.stores
    return open_stores(urls.cstore, urls.control, urls.answers)


def stores_in(folder: Path) -> dict[str, str]:
    """The settings of [stores] that keep everything in one folder."""
    database = f"sqlite:{folder / 'zhuge.sqlite'}"
    return {"cstore": database, "control": database, "answers": database, "registry": f"file:{folder / 'registry'}"}
