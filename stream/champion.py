"""The forecasters in force: the registry's champion, where there is one, above the rungs that need no training."""

from __future__ import annotations

import os
from functools import lru_cache

from models.baseline import HourOfDay, KindProfile
from models.calibration import DEFAULT, Calibration, from_json
from models.errors import SetError
from models.features import FEATURES
from models.forecast import Forecaster
from models.manifest import check_golden, check_libraries
from models.objects import Objects, open_objects
from models.registry import champion, load_set
from models.xgb import XgbForecaster, from_files, golden_words

UNTRAINED = "untrained"
_PREFIX = "set-"


class Champion:
    """Reads the registry at `url`; the pointer anew at each hour, a set once. `threads` 0: all cores."""

    _last: XgbForecaster | None = None  # the set that was last in force

    def __init__(self, url: str, threads: int, device: str) -> None:
        self._objects: Objects = open_objects(url)
        self._threads, self._device = threads or os.cpu_count() or 1, device
        self._load = lru_cache(maxsize=2)(self._load_set)
        self._table = lru_cache(maxsize=64)(self._load_table)

    def exists(self) -> bool:
        """Whether a set has been promoted."""
        return champion(self._objects) is not None

    def in_force(self) -> tuple[list[Forecaster], str]:
        """The forecasters, highest rung first, and the name of the set. SetError where the set is broken."""
        record = champion(self._objects)
        rest: list[Forecaster] = [HourOfDay(), KindProfile()]
        if record is None:
            return rest, UNTRAINED
        self._last = forecaster = self._load(record.set_number)
        return [forecaster, *rest], forecaster.name

    @property
    def clipped(self) -> int:
        """Hours that the set last in force has said outside of 0 to 100 %, since it was loaded."""
        return 0 if self._last is None else self._last.clipped

    def calibration(self, model: str) -> Calibration:
        """The confidence table of the set of this name; the default where it brought none."""
        return self._table(model)

    def _load_set(self, number: int) -> XgbForecaster:
        stored = load_set(self._objects, number)
        name = f"{_PREFIX}{number:08}"
        check_features(name, stored.facts.features)
        check_libraries(f"model set {name}", stored.libraries)
        forecaster = from_files(stored.files, name, threads=self._threads, device=self._device)
        check_golden(stored.golden, golden_words(forecaster, stored.golden.rows))
        return forecaster

    def _load_table(self, model: str) -> Calibration:
        if not model.startswith(_PREFIX):
            return DEFAULT
        table = load_set(self._objects, int(model.removeprefix(_PREFIX))).files.get("calibration.json")
        return DEFAULT if table is None else from_json(table)


def check_features(name: str, features: tuple[str, ...]) -> None:
    """SetError unless a set was trained on the features of this version, in their order."""
    if features != FEATURES:
        raise SetError(
            f"model set {name}",
            expected=f"the {len(FEATURES)} features of this version",
            got=f"{len(features)} of another",
            remedy="Train again: zhuge forecast --train.",
        )
