"""A batch of samples cut by hour: the watermark must not pass an hour before its samples are in the ring."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from models.minutes import HOUR_MIN, Minute, floor_to
from stream.samples import Samples


class Piece(NamedTuple):
    """Samples of the hour that begins at `hour`, in columns; `at` says which samples of the batch they are."""

    hour: Minute
    at: npt.NDArray[np.intp]
    key: npt.NDArray[np.int32]
    minute: npt.NDArray[np.int64]
    second: npt.NDArray[np.uint8]
    value: npt.NDArray[np.float32]

    def where(self, chosen: npt.NDArray[np.bool_]) -> Piece:
        """Some of them."""
        return Piece(
            self.hour,
            self.at[chosen],
            self.key[chosen],
            self.minute[chosen],
            self.second[chosen],
            self.value[chosen],
        )


def pieces_of(samples: Samples, minute: npt.NDArray[np.int64], index: npt.NDArray[np.intp]) -> Iterator[Piece]:
    """The samples at `index` (int[n], rising), whose minutes are among `minute` (int64[all]), hour by hour."""
    if not len(index):
        return
    if len(index) < len(minute):
        samples, minute = samples.where(index), minute[index]
    second = (samples.ts_s - minute * 60).astype(np.uint8)
    first, last = floor_to(int(minute.min()), HOUR_MIN), floor_to(int(minute.max()), HOUR_MIN)
    if first == last:
        yield Piece(first, index, samples.key, minute, second, samples.value)
        return
    whole, hours = Piece(first, index, samples.key, minute, second, samples.value), minute - minute % HOUR_MIN
    for hour in np.unique(hours):
        yield whole.where(hours == hour)._replace(hour=int(hour))
