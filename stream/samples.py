"""What a source hands to the ingest loop: batches of decoded samples in columns, and the inventory beside them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from models.fleet import VmRecord
from models.minutes import Minute, Span


class Key(NamedTuple):
    """Who a sample is about, as its source says it."""

    vm_id: str
    host: str


class Samples(NamedTuple):
    """n samples in columns. key: int32[n], index into the source's keys. ts_s: int64[n], epoch seconds UTC, any order.

    value: float32[n], in the unit that the source declares.
    """

    key: npt.NDArray[np.int32]
    ts_s: npt.NDArray[np.int64]
    value: npt.NDArray[np.float32]

    def where(self, chosen: npt.NDArray[np.bool_] | npt.NDArray[np.intp] | slice) -> Samples:
        """These samples only: a mask, indices, or a slice (then a view)."""
        return Samples(self.key[chosen], self.ts_s[chosen], self.value[chosen])


@dataclass(frozen=True, slots=True)
class Batch:
    """Samples of one partition, from `offset` up to (not including) `next_offset` of its log.

    keys: whom the samples' `key` indexes; it grows only at its end, so an index stays valid. `since`: int64[n], the
    offset from which a reader must start to make each sample again (a counter's predecessor); None: `offset`.
    `arrived_s`: float64[n], epoch seconds at which the log got each sample, by its own clock; None where it does not
    say. `records` is the inventory that became known there; it is applied before the samples.
    """

    part: int
    offset: int
    next_offset: int
    keys: Sequence[Key]
    samples: Samples
    since: npt.NDArray[np.int64] | None = None
    arrived_s: npt.NDArray[np.float64] | None = None
    records: tuple[VmRecord, ...] = ()


class Refusal(StrEnum):
    """Why a sample is in no aggregate, or not yet."""

    IMPOSSIBLE = "impossible"  # NaN, below 0, or more than anything real
    AHEAD = "ahead"  # of the clock
    LATE = "late"  # its hour can no longer be re-opened
    NO_VCPUS = "no_vcpus"  # percent of a core, and nobody said how many cores the VM has


class Unit(StrEnum):
    """What a source's values are: of the VM's allocation, of one core, or seconds of a core so far (a counter)."""

    PERCENT = "percent"
    FRACTION = "fraction"
    CORE_PERCENT = "core_percent"
    CORE_SECONDS = "core_seconds"


class Source(Protocol):
    """A log of samples in partitions that can be read again from any offset: a replay, or a broker's topic.

    `interval_min` is what the source declares (1 to 60). `parts`: the partitions that are there from the start, all of
    a replay's; a broker hands its own out one by one.
    """

    name: str
    unit: Unit
    interval_min: int
    parts: Sequence[int]

    def seek(self, part: int, offset: int, handled: int) -> None:
        """Read `part` from `offset` on (0: from the start). No batch lies on both sides of `handled`."""
        ...

    def poll(self) -> list[Batch]:
        """What has come since, at most one batch a partition; empty when nothing has."""
        ...

    def caught_up(self, part: int) -> bool:
        """The source answers and everything it has for `part` has been polled."""
        ...

    def refused(self, part: int, why: Refusal, samples: npt.NDArray[np.intp]) -> None:
        """These samples (indices into the last batch of `part`) are in no aggregate: keep what can be looked into."""
        ...


class Trace(Protocol):
    """A replayable fleet: recorded (a Parquet file) or synthetic. Deterministic: any split of a span gives the same.

    `span`: the minutes in which something arrives; `now`: the minute at which a demo of it begins to be live. Keys are
    spread over `parts` partitions by host, as a broker would.
    """

    name: str
    unit: str
    interval_min: int
    parts: int
    keys: list[Key]
    span: Span
    now: Minute

    def samples(self, part: int, span: Span) -> Samples:
        """What arrives at `part` within `span`, in order of arrival; mostly, but not always, minutes of that span."""
        ...

    def records(self, part: int, span: Span) -> tuple[VmRecord, ...]:
        """The inventory records that arrive at `part` within `span`."""
        ...
