"""What the front door takes from this room: training on the hours that are stored."""

from __future__ import annotations

import os
from collections.abc import Callable

from batch.train import How, train_champion
from batch.windows import calibrate_windows
from models.fleet import newest_lives
from models.minutes import Minute
from models.objects import open_objects
from stream.stores.history import read_history
from stream.stores.open import Stores

TRAIN_HOURS = 24 * 28
SEED = 7


def train_from_stores(
    stores: Stores, registry: str, device: str, threads: int, end: Minute, progress: Callable[[float, str], None]
) -> None:
    """Train on the 28 days before `end` and promote. BadInput as `train_champion`. `threads` 0: all cores."""
    vms = newest_lives(stores.catalogue.lives())
    history = read_history(stores.series, vms, end, TRAIN_HOURS)
    how = How(
        seed=SEED,
        threads=threads or os.cpu_count() or 1,
        calibrate=lambda forecaster, past, origins: calibrate_windows(stores.series, vms, forecaster, past, origins),
        device=device,
    )
    train_champion(history, open_objects(registry), how, progress)
