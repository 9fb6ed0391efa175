"""A trace as a source: a log of arrival minutes that can be read again from any of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from difflib import get_close_matches

import numpy as np
import numpy.typing as npt

from models.errors import BadInput
from models.minutes import HOUR_MIN, Minute, Span, floor_to
from stream.samples import Batch, Refusal, Trace, Unit
from stream.synthetic import SyntheticTrace
from stream.traces import read_trace

SCHEMES = ("synthetic", "replay")
SYNTHETIC_OPTIONS = ("vms", "days", "seed", "parts")


class ReplaySource:
    """Hands out `trace` up to (not including) the minute that `until` says.

    An offset is the number of arrival minutes since the trace's start. The state is the next minute of each partition.
    """

    def __init__(self, trace: Trace, until: Callable[[], Minute]) -> None:
        self.name = f"replay:{trace.name}"
        self.unit = Unit(trace.unit)
        self.interval_min = trace.interval_min
        self.parts: Sequence[int] = range(trace.parts)
        self._trace = trace
        self._until = until
        self._next = [trace.span.start] * trace.parts
        self._handled = [trace.span.start] * trace.parts

    def seek(self, part: int, offset: int, handled: int) -> None:
        """See the protocol. BadInput where the log cannot have such an offset."""
        if offset < 0:
            raise BadInput(
                f"offset of {self.name}", expected="0 or more", got=str(offset), remedy="Seek to 0 to read it all."
            )
        self._next[part] = self._trace.span.start + offset
        self._handled[part] = self._trace.span.start + handled

    def poll(self) -> list[Batch]:
        """At most an hour of arrivals a partition, ending with the hour where there is enough of it."""
        horizon = self._horizon()
        batches = []
        for part, start in enumerate(self._next):
            if start < horizon:
                end = min(floor_to(start, HOUR_MIN) + HOUR_MIN, horizon)
                if start < self._handled[part] < end:
                    end = self._handled[part]
                span = Span(start, end)
                batches.append(self._batch(part, span))
                self._next[part] = span.end
        return batches

    def caught_up(self, part: int) -> bool:
        """Everything before `until`, or the trace's end, has been polled."""
        return self._next[part] >= self._horizon()

    def refused(self, part: int, why: Refusal, samples: npt.NDArray[np.intp]) -> None:
        """Nothing more is kept than the counts that ingest keeps: the trace is a file, and stays."""

    def _horizon(self) -> Minute:
        return min(self._until(), self._trace.span.end)

    def _batch(self, part: int, span: Span) -> Batch:
        origin = self._trace.span.start
        return Batch(
            part=part,
            offset=span.start - origin,
            next_offset=span.end - origin,
            keys=self._trace.keys,
            samples=self._trace.samples(part, span),
            records=self._trace.records(part, span),
        )


def open_trace(url: str, *, keep_times: bool = False) -> Trace:
    """The trace behind `synthetic:` (with options: `synthetic:vms=2000,days=16,seed=7,parts=2`) or `replay:FILE`.

    `keep_times` as in `stream.traces.read_trace`. BadInput for another scheme or an option that cannot be right.
    """
    scheme, _, rest = url.partition(":")
    match scheme:
        case "synthetic":
            return SyntheticTrace(**_options(rest))
        case "replay":
            return read_trace(rest, keep_times=keep_times)
        case _:
            near = get_close_matches(scheme, SCHEMES, n=1)
            remedy = f"Did you mean {near[0]}:?" if near else "A Parquet file FILE is written replay:FILE."
            raise BadInput("source of samples", expected="synthetic: or replay:FILE", got=repr(url), remedy=remedy)


def _options(text: str) -> dict[str, int]:
    """`vms=2000,days=16` as numbers by name."""
    options = {}
    for item in filter(None, text.split(",")):
        name, _, number = item.partition("=")
        if name not in SYNTHETIC_OPTIONS:
            near = get_close_matches(name, SYNTHETIC_OPTIONS, n=1)
            remedy = f"Did you mean {near[0]}?" if near else "Leave it out."
            expected = f"one of {', '.join(SYNTHETIC_OPTIONS)}"
            raise BadInput("option of synthetic:", expected=expected, got=repr(name), remedy=remedy)
        if not (number.isascii() and number.isdigit()):
            remedy = f"Write it like {name}=2."
            raise BadInput(f"synthetic fleet, {name}", expected="a whole number", got=repr(number), remedy=remedy)
        options[name] = int(number)
    return options
