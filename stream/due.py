"""The records of closing: when spans close, whose rows they are, and what a partition finds due to be written."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from models.aggregate import Aggregate
from models.errors import BadInput
from models.minutes import HOUR_MIN, Minute, ceil_to
from stream.ring import RING_MIN
from stream.samples import Refusal
from stream.stores.protocols import BlockRow


@dataclass(frozen=True, slots=True)
class Rules:
    """When spans close and what is too late or too early. BadInput where the ring could not keep the promise.

    `profile_alpha` is the weight of the newest day in the day profile.
    """

    close_delay_min: int = 3
    reopen_for_min: int = 30
    max_ahead_min: int = 5
    profile_alpha: float = 0.25

    def __post_init__(self) -> None:
        if HOUR_MIN + self.close_delay_min + self.reopen_for_min >= RING_MIN:
            raise BadInput(
                "ingest.close_delay_min and ingest.reopen_for_min",
                expected=f"at most {RING_MIN - HOUR_MIN - 1} minutes together, as the ring holds {RING_MIN}",
                got=f"{self.close_delay_min} and {self.reopen_for_min}",
                remedy="Make one of them smaller.",
            )

    def oldest_open_hour(self, watermark: Minute) -> Minute:
        """Start of the oldest hour that a late sample may still re-open."""
        return ceil_to(watermark - HOUR_MIN - self.close_delay_min - self.reopen_for_min, HOUR_MIN)


class ClosedHour(NamedTuple):
    """An hour of one block as it is first written: mean float32[SLOTS] and its twelve 5-minute means [12, SLOTS]."""

    part: int
    block: int
    start: Minute
    hour: Aggregate
    steps: npt.NDArray[np.float32]


class Refused(NamedTuple):
    """Samples of a batch that are in no aggregate, by their index in it."""

    why: Refusal
    samples: npt.NDArray[np.intp]


@dataclass(slots=True)
class Due:
    """What is to be written: block rows, and the hours that were closed for the first time; and what was refused."""

    rows: list[BlockRow] = field(default_factory=list)
    hours: list[ClosedHour] = field(default_factory=list)
    refused: list[Refused] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Writer:
    """Whose rows these are: the partition and the epoch under which this process writes it.

    `per_core`: its samples are percent of one core, so a placement's vcpus make them percent of the VM.
    `corrects`: its rows replace what was written, of whichever VM.
    """

    part: int
    epoch: int
    per_core: bool = False
    corrects: bool = False
