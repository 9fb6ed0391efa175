"""What ingest and trace tests share: a log of samples in memory, a fleet's stores in a folder, the ends of a trace."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from models.fleet import VmRecord
from models.minutes import Clock, Minute
from stream.clock import write_clock
from stream.samples import Batch, Key, Refusal, Samples, Unit
from stream.stores.open import Stores, open_stores
from stream.traces import TableTrace

Sample = tuple[int, int, float]  # key, epoch second, value


class LogSource:
    """Batches of one or more partitions, handed out one a partition and round; offsets count batches."""

    def __init__(self, keys: Iterable[tuple[str, str]], log: list[list[Batch]], interval_min: int = 1) -> None:
        self.name, self.unit, self.interval_min = "log", Unit.PERCENT, interval_min
        self.parts: Sequence[int] = range(len(log))
        self.keys = [Key(*key) for key in keys]
        self.refusals: list[tuple[int, Refusal, list[int]]] = []
        self.log = log
        self._next = [0] * len(log)
        self.handled = [0] * len(log)

    def seek(self, part: int, offset: int, handled: int) -> None:
        self._next[part], self.handled[part] = offset, handled

    def refused(self, part: int, why: Refusal, samples: npt.NDArray[np.intp]) -> None:
        self.refusals.append((part, why, samples.tolist()))

    def poll(self) -> list[Batch]:
        come = [self.log[part][at] for part, at in enumerate(self._next) if at < len(self.log[part])]
        for batch in come:
            self._next[batch.part] += 1
        return [replace(batch, keys=self.keys) for batch in come]

    def caught_up(self, part: int) -> bool:
        return self._next[part] >= len(self.log[part])


def samples_of(samples: Iterable[Sample]) -> Samples:
    columns = list(zip(*samples, strict=True)) or [(), (), ()]
    return Samples(
        np.array(columns[0], dtype=np.int32),
        np.array(columns[1], dtype=np.int64),
        np.array(columns[2], dtype=np.float32),
    )


def log_of(
    *batches: Iterable[Sample], part: int = 0, records: dict[int, list[VmRecord]] | None = None, offset: int = 0
) -> list[Batch]:
    told = records or {}
    return [
        Batch(part, at, at + 1, (), samples_of(samples), records=tuple(told.get(at, ())))
        for at, samples in enumerate(batches, offset)
    ]


def stores_in(folder: Path) -> Stores:
    url = f"sqlite:{folder / 'zhuge.sqlite'}"
    return open_stores(url, url, url)


def following(folder: Path) -> Iterator[Stores]:
    """Stores of a test's own, whose clock follows what has been seen; for a fixture to yield from."""
    opened = stores_in(folder)
    write_clock(opened.control, Clock())
    yield opened
    opened.close()


def at(minute: Minute, second: int = 0) -> int:
    return minute * 60 + second


def ends(trace: TableTrace) -> dict[str, int]:
    """Each VM's last second."""
    found: dict[str, int] = {}
    for part in range(trace.parts):
        samples = trace.samples(part, trace.span)
        keys, from_the_end = np.unique(samples.key[::-1], return_index=True)
        found |= {
            trace.keys[key].vm_id: int(samples.ts_s[-1 - back]) for key, back in zip(keys, from_the_end, strict=True)
        }
    return found
