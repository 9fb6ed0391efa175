"""A broker's topic as a source: what `stream.firehose` has fetched becomes batches; what is refused becomes letters.

It knows no client library: messages are anything with an offset, key, value and timestamp.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from stream.counters import Counters
from stream.samples import Batch, Refusal, Samples, Unit
from stream.wire import Decoder, Message, Wire, open_decoder
from stream.wire_keys import Keys

LOG_APPEND_TIME = 1  # the message's timestamp is the broker's, not the producer's


class Letter(NamedTuple):
    """A message of partition `part` that is, or holds samples that are, in no aggregate."""

    part: int
    message: Message
    reason: str
    detail: str


@dataclass(slots=True)
class _Reading:
    """One partition: what has been fetched of it, and what its last batch was made of."""

    handled: int
    keys: Keys
    decoder: Decoder
    counters: Counters | None
    fetched: list[Message] = field(default_factory=list)
    caught_up: bool = False
    taken: Sequence[Message] = ()
    message: npt.NDArray[np.int32] = field(default_factory=lambda: np.zeros(0, dtype=np.int32))
    loud: bool = True


class KafkaSource:
    """`stream.samples.Source` of a topic. The state is one reading a partition, and letters nobody has fetched yet."""

    def __init__(self, topic: str, wire: Wire) -> None:
        self.name = f"kafka:{topic}"
        self.unit = Unit(wire.unit)
        self.interval_min = wire.interval_min
        self.parts: Sequence[int] = ()
        self.counts: Counter[str] = Counter()
        self._wire = wire
        self._readings: dict[int, _Reading] = {}
        self._letters: list[Letter] = []
        self._sought: dict[int, int] = {}

    def seek(self, part: int, offset: int, handled: int) -> None:
        """See the protocol. What had been fetched is dropped; `sought` says where to fetch from."""
        keys = Keys()
        counters = Counters(self.interval_min) if self.unit is Unit.CORE_SECONDS else None
        self._readings[part] = _Reading(handled, keys, open_decoder(self._wire, keys), counters)
        self._sought[part] = offset

    def sought(self) -> dict[int, int]:
        """Partitions that were sought since the last call, and the offsets from which they are to be fetched."""
        sought, self._sought = self._sought, {}
        return sought

    def drop(self, part: int) -> None:
        """`part` is another's now."""
        del self._readings[part]
        self._sought.pop(part, None)

    def put(self, part: int, messages: Sequence[Message]) -> None:
        """What the broker gave, in the order of its log."""
        self._readings[part].fetched += messages

    def at_end(self, part: int, *, there: bool) -> None:
        """Whether the broker says that there is nothing after what was put."""
        self._readings[part].caught_up = there

    @property
    def waiting(self) -> bool:
        """Whether something was put that has not been polled."""
        return any(reading.fetched for reading in self._readings.values())

    def letters(self) -> list[Letter]:
        """What has been refused since the last call."""
        letters, self._letters = self._letters, []
        return letters

    def poll(self) -> list[Batch]:
        """See the protocol."""
        return [self._batch(part, reading) for part, reading in self._readings.items() if reading.fetched]

    def caught_up(self, part: int) -> bool:
        """See the protocol."""
        reading = self._readings[part]
        return reading.caught_up and not reading.fetched

    def refused(self, part: int, why: Refusal, samples: npt.NDArray[np.intp]) -> None:
        """See the protocol: each of their messages becomes a letter."""
        reading = self._readings[part]
        refused = np.bincount(reading.message[samples], minlength=len(reading.taken))
        of = np.bincount(reading.message, minlength=len(reading.taken))
        for index in np.flatnonzero(refused).tolist():
            detail = f"{refused[index]} of its {of[index]} samples"
            self._letters.append(Letter(part, reading.taken[index], why.value, detail))

    def _batch(self, part: int, reading: _Reading) -> Batch:
        messages = self._next(reading)
        decoded = reading.decoder.decode(messages)
        for index, reason, detail in decoded.bad if reading.loud else ():
            self._letters.append(Letter(part, messages[index], reason, detail))
        self.counts["messages"] += len(messages) if reading.loud else 0
        reading.message = decoded.message
        if reading.counters is None:
            with np.errstate(over="ignore"):  # what is beyond float32 is impossible all the same
                samples, since = Samples(decoded.key, decoded.ts_s, decoded.value.astype(np.float32)), None
        else:
            offset = np.array([message.offset for message in messages], dtype=np.int64)[decoded.message]
            rates = reading.counters.rates(decoded.key, decoded.ts_s, decoded.value, offset)
            samples, since = Samples(decoded.key[rates.chosen], rates.ts_s, rates.value), rates.since
            reading.message = decoded.message[rates.chosen]
            self.counts["counter_fell"] += len(rates.fell) if reading.loud else 0
        arrived_s = _arrived_s(messages, reading.message)
        first, last = messages[0].offset, messages[-1].offset
        return Batch(part, first, last + 1, reading.keys, samples, since, arrived_s)

    def _next(self, reading: _Reading) -> Sequence[Message]:
        """The next messages of one kind: those that were handled before, or those that were not."""
        messages = reading.fetched
        reading.loud = messages[0].offset >= reading.handled
        cut = len(messages)
        if not reading.loud and messages[-1].offset >= reading.handled:
            cut = next(index for index, message in enumerate(messages) if message.offset >= reading.handled)
        reading.fetched = messages[cut:]
        reading.taken = messages[:cut]
        return reading.taken


def _arrived_s(messages: Sequence[Message], of: npt.NDArray[np.int32]) -> npt.NDArray[np.float64] | None:
    """When the broker got the message of each sample, where the topic keeps that and not what the producer says."""
    if getattr(messages[0], "timestamp_type", None) != LOG_APPEND_TIME:
        return None
    return (np.array([message.timestamp for message in messages], dtype=np.float64) / 1000.0)[of]
