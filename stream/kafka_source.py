"""A broker's topic as a source: what `stream.firehose` has fetched becomes batches; what is refused becomes letters.

It knows no client library: messages are anything with an offset, key, value and timestamp.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from operator import attrgetter
from time import monotonic
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from models.fleet import FOREVER
from models.minutes import Minute
from stream.counters import Counters
from stream.samples import Batch, Refusal, Samples, Unit
from stream.stays import ALWAYS
from stream.wire import Decoder, Message, Wire, open_decoder
from stream.wire_keys import Keys

LEAD_MIN = 5
LONGEST_WAIT_S = 5.0
_TIMESTAMP = attrgetter("timestamp")
LOG_APPEND_TIME = 1  # the message's timestamp is the broker's, not the producer's


class Letter(NamedTuple):
    """A message of partition `part` that is, or holds samples that are, in no aggregate."""

    part: int
    message: Message
    reason: str
    detail: str


@dataclass(slots=True)
class _Block:
    """Decoded messages, all of them handled before or none, and how many of them were handed out."""

    messages: Sequence[Message]
    samples: Samples
    message: npt.NDArray[np.int32]
    since: npt.NDArray[np.int64] | None
    out: int = 0

    def head(self, latest: Minute) -> Minute | None:
        """The minute of the first sample that waits, those after `latest` not counted; None where none does."""
        ts_s = self.samples.ts_s[int(np.searchsorted(self.message, self.out)) :]
        timely = ts_s < (latest + 1) * 60
        return int(ts_s[np.argmax(timely)]) // 60 if timely.any() else None

    def end(self, horizon: Minute, latest: Minute) -> int:
        """The first message that waits and has a sample from `horizon` to `latest`; it and what follows wait on."""
        first = int(np.searchsorted(self.message, self.out))
        ts_s = self.samples.ts_s[first:]
        beyond = np.flatnonzero((ts_s >= horizon * 60) & (ts_s < (latest + 1) * 60))
        return int(self.message[first + beyond[0]]) if len(beyond) else len(self.messages)


@dataclass(slots=True)
class _Reading:
    """One partition: what has been fetched of it and decoded, and what its last batch was made of.

    `lag`: messages that the broker has beyond what was fetched, as it said last.
    """

    handled: int
    keys: Keys
    decoder: Decoder
    counters: Counters | None
    fetched: list[Message] = field(default_factory=list)
    blocks: deque[_Block] = field(default_factory=deque)
    lag: int = 1
    caught_up: bool = False
    newest: Minute | None = None
    last: tuple[Sequence[Message], npt.NDArray[np.int32]] = ((), np.zeros(0, dtype=np.int32))

    @property
    def waiting(self) -> int:
        """Messages that were fetched and not handed out."""
        return len(self.fetched) + sum(len(block.messages) - block.out for block in self.blocks)

    def head(self, latest: Minute) -> Minute | None:
        """The minute that comes next; of a partition that is behind and has nothing here, the newest one it gave."""
        if not self.blocks:
            return self.newest if self.lag else None
        return next((head for block in self.blocks if (head := block.head(latest)) is not None), None)


class KafkaSource:
    """`stream.samples.Source` of a topic. The state is one reading a partition, and letters nobody has fetched yet.

    `latest`: samples after this minute are ahead of the clock; they will be refused, and nobody waits for their time.
    `horizon`: where to stop for other workers' sake, see `stream.in_step`.
    """

    def __init__(self, topic: str, wire: Wire) -> None:
        self.name = f"kafka:{topic}"
        self.unit = Unit(wire.unit)
        self.interval_min = wire.interval_min
        self.parts: Sequence[int] = ()
        self.counts: Counter[str] = Counter()
        self.latest: Minute = FOREVER
        self.horizon: Minute = FOREVER
        self._wire = wire
        self._readings: dict[int, _Reading] = {}
        self._letters: list[Letter] = []
        self._sought: dict[int, int] = {}
        self._waits_since_s = 0.0
        self._gave = False

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

    def says(self, part: int, lag: int, *, at_end: bool) -> None:
        """The broker says that it has `lag` messages beyond what was put; `at_end`: so the clock may be followed."""
        reading = self._readings[part]
        reading.lag, reading.caught_up = lag, at_end

    def waiting(self, part: int) -> int:
        """Messages of `part` that were put and not polled."""
        return self._readings[part].waiting

    def letters(self) -> list[Letter]:
        """What has been refused since the last call."""
        letters, self._letters = self._letters, []
        return letters

    def poll(self) -> list[Batch]:
        """See the protocol. No partition is given further than LEAD_MIN beyond the one that is furthest behind.

        So a VM that moves between them is heard of by both while both may still write its hour.
        """
        for part, reading in self._readings.items():
            if reading.fetched:
                self._decode(part, reading)
        horizon = self._horizon()
        batches = (self._batch(part, reading, horizon) for part, reading in self._readings.items() if reading.blocks)
        given = [batch for batch in batches if batch is not None]
        self._gave = bool(given)
        return given

    @property
    def moving(self) -> bool:
        """Whether another poll may give more of what was put."""
        return self._gave and any(reading.waiting for reading in self._readings.values())

    def _horizon(self) -> Minute:
        """Where to stop for now. One of whom nothing is known yet is waited for, but not for ever."""
        readings = self._readings.values()
        unknown = any(r.lag and r.newest is None and not r.blocks for r in readings)
        self._waits_since_s = (self._waits_since_s or monotonic()) if unknown else 0.0
        if unknown and monotonic() - self._waits_since_s < LONGEST_WAIT_S:
            return ALWAYS
        heads = (head for reading in readings if (head := reading.head(self.latest)) is not None)
        return min(min(heads, default=FOREVER) + LEAD_MIN, self.horizon)

    def caught_up(self, part: int) -> bool:
        """See the protocol."""
        reading = self._readings[part]
        return reading.caught_up and not reading.waiting

    def refused(self, part: int, why: Refusal, samples: npt.NDArray[np.intp]) -> None:
        """See the protocol: each of their messages becomes a letter."""
        messages, message = self._readings[part].last
        refused = np.bincount(message[samples], minlength=len(messages))
        of = np.bincount(message, minlength=len(messages))
        for at in np.flatnonzero(refused).tolist():
            self._letters.append(Letter(part, messages[at], why.value, f"{refused[at]} of its {of[at]} samples"))

    def _decode(self, part: int, reading: _Reading) -> None:
        messages, reading.fetched = reading.fetched, []
        cut = bisect_left(messages, reading.handled, key=lambda message: message.offset)
        for some, loud in ((messages[:cut], False), (messages[cut:], True)):
            if some:
                reading.blocks.append(self._block(part, reading, some, loud=loud))

    def _block(self, part: int, reading: _Reading, messages: Sequence[Message], *, loud: bool) -> _Block:
        decoded = reading.decoder.decode(messages)
        for at, reason, detail in decoded.bad if loud else ():
            self._letters.append(Letter(part, messages[at], reason, detail))
        self.counts["messages"] += len(messages) if loud else 0
        if reading.counters is None:
            with np.errstate(over="ignore"):  # what is beyond float32 is impossible all the same
                samples = Samples(decoded.key, decoded.ts_s, decoded.value.astype(np.float32))
            return _Block(messages, samples, decoded.message, None)
        offset = np.array([message.offset for message in messages], dtype=np.int64)[decoded.message]
        rates = reading.counters.rates(decoded.key, decoded.ts_s, decoded.value, offset)
        self.counts["counter_fell"] += len(rates.fell) if loud else 0
        samples = Samples(decoded.key[rates.chosen], rates.ts_s, rates.value)
        return _Block(messages, samples, decoded.message[rates.chosen], rates.since)

    def _batch(self, part: int, reading: _Reading, horizon: Minute) -> Batch | None:
        """The next messages of the reading's first block, as far as they may go; None where they may not."""
        block = reading.blocks[0]
        start, end = block.out, block.end(horizon, self.latest)
        if start == end:
            return None
        block.out = end
        if end == len(block.messages):
            reading.blocks.popleft()
        messages = block.messages[start:end]
        inside = slice(*np.searchsorted(block.message, (start, end)).tolist())
        samples, message = block.samples.where(inside), block.message[inside] - np.int32(start)
        reading.last = messages, message
        minute = samples.ts_s // 60
        timely = minute[minute <= self.latest]
        if len(timely):
            reading.newest = max(int(timely.max()), ALWAYS if reading.newest is None else reading.newest)
        since = None if block.since is None else block.since[inside]
        arrived_s = _arrived_s(messages, message)
        return Batch(part, messages[0].offset, messages[-1].offset + 1, reading.keys, samples, since, arrived_s)


def _arrived_s(messages: Sequence[Message], of: npt.NDArray[np.int32]) -> npt.NDArray[np.float64] | None:
    """When the broker got the message of each sample, where the topic keeps that and not what the producer says."""
    if getattr(messages[0], "timestamp_type", None) != LOG_APPEND_TIME:
        return None
    return (np.fromiter(map(_TIMESTAMP, messages), np.float64, len(messages)) / 1000.0)[of]
