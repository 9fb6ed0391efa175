"""The ingest loop: poll, place, ring, close, store, commit. A replay and a broker share it.

Order of a commit: catalogue, rows with their profiles (one transaction), then the offsets. The log is the ring's
backup: the committed offset is the first one that touched an hour which may still be re-opened, so a successor builds
the same ring again, and what it writes twice is the same. So at-least-once in, exactly-once visible.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import numpy as np

from models.errors import BadInput, StoreError
from models.minutes import Clock, Minute
from stream.assignment import Assigned, assign
from stream.clock import read_clock
from stream.partition import Due, Rules
from stream.profile import updated_profiles
from stream.samples import Batch, Samples, Source
from stream.stores.open import Stores
from stream.stores.protocols import METRIC_CPU

FACTORS = {"percent": 1.0, "fraction": 100.0}


class Ingest:
    """Every partition of one source in this process. `wall` gives epoch seconds."""

    def __init__(self, source: Source, stores: Stores, rules: Rules, wall: Callable[[], float]) -> None:
        if source.unit not in FACTORS:
            raise BadInput(
                f"unit of {source.name}",
                expected=" or ".join(FACTORS),
                got=source.unit,
                remedy="Declare the unit that the source's values are in.",
            )
        self._source, self._stores, self._rules, self._wall = source, stores, rules, wall
        self._factor = np.float32(FACTORS[source.unit])
        self._fleet, self._last_hours, self._assigned = assign(source, stores, rules)
        self._due = Due()
        self._moved: dict[int, Assigned] = {}  # what the next commit is about

    @property
    def watermark(self) -> Minute | None:
        """The highest watermark of the partitions; None before the first sample."""
        return max((a.partition.watermark for a in self._assigned if a.partition.watermark is not None), default=None)

    @property
    def counts(self) -> Counter[str]:
        """Samples by what became of them: accepted, late, ahead, impossible, superseded; over_100 among accepted.

        `bad_records` counts inventory records that could not be read."""
        return sum((a.partition.counts for a in self._assigned), Counter())

    @property
    def ring_bytes(self) -> int:
        """Memory of all rings."""
        return sum(a.partition.ring_bytes for a in self._assigned)

    @property
    def behind(self) -> bool:
        """Whether the source has more right now."""
        return not all(self._source.caught_up(part) for part in range(self._source.parts))

    def step(self) -> list[Minute]:
        """One round: take what has come, store the spans that it closed, commit.

        Returns the hours that were stored for the first time, by start. After a StoreError the next round stores
        what this one could not.
        """
        clock, wall_s = read_clock(self._stores.control), self._wall()
        now = self.watermark if clock.speed is None else clock.now(wall_s, 0)
        for batch in self._source.poll():
            self._take(batch, self._latest(clock, wall_s))
        for part, assigned in enumerate(self._assigned):
            if now is not None and self._source.caught_up(part):
                self._add(assigned, assigned.partition.tick(now))
        hours = sorted({closed.start for closed in self._due.hours})
        self._store()
        self._commit()
        return hours

    def _latest(self, clock: Clock, wall_s: float) -> Minute:
        """The newest minute that a sample may have; of a clock that follows only the future is known not to be."""
        now = int(wall_s // 60) if clock.speed is None else clock.now(wall_s, 0)
        return now + self._rules.max_ahead_min

    def _take(self, batch: Batch, latest: Minute) -> None:
        assigned = self._assigned[batch.part]
        for record in batch.records:
            try:
                self._fleet.apply(batch.part, record)
            except BadInput:  # one bad record neither stops nor skips its neighbours
                assigned.partition.counts["bad_records"] += 1
        samples = batch.samples
        if self._factor != 1:
            samples = Samples(samples.key, samples.ts_s, samples.value * self._factor)
        loud = batch.next_offset > assigned.handled
        due = assigned.partition.take(self._source.keys, samples, batch.offset, latest, loud=loud)
        assigned.handled = max(assigned.handled, batch.next_offset)
        self._moved[batch.part] = assigned
        self._add(assigned, due)

    def _add(self, assigned: Assigned, due: Due) -> None:
        if due.rows:
            self._moved[assigned.part] = assigned
        self._due.rows.extend(due.rows)
        self._due.hours.extend(due.hours)

    def _store(self) -> None:
        changes = self._fleet.changes()
        if changes.lives:
            self._stores.catalogue.put(changes.lives, changes.placements)
            self._fleet.saved()
        if self._due.rows:
            profiles = updated_profiles(self._stores.series, self._due.hours, self._rules.profile_alpha)
            self._stores.series.put(METRIC_CPU, self._due.rows, profiles)
            for closed in self._due.hours:
                self._last_hours.see(closed.block, closed.start, closed.hour.count)
            self._due = Due()

    def _commit(self) -> None:
        moved = [a for a in self._moved.values() if a.partition.watermark is not None]
        if not moved:
            return
        if not self._stores.control.apply([change for assigned in moved for change in assigned.commit()]):
            raise StoreError(
                f"the partitions of {self._source.name}",
                expected="to be this process's alone",
                got="another process's commit",
                remedy="Stop one of the two ingest processes; the rows of both are whole.",
            )
        for assigned in moved:
            assigned.committed()
        self._moved.clear()
