"""The ingest loop: poll, place, ring, close, store, commit. A replay and a broker share it.

Order of a commit: catalogue, rows with their profiles (one transaction), then the offsets. The log is the ring's
backup: the committed offset is the first one that touched an hour which may still be re-opened, so a successor builds
the same ring again, and what it writes twice is the same. So at-least-once in, exactly-once visible.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from models.errors import BadInput, StartOver, StoreError
from models.fleet import Vm, VmRecord
from models.minutes import STEP_MIN, Clock, Minute
from stream.assignment import Assigned, Committed, assign, claim_source, known_vms, mark_correction
from stream.clock import newest_minutes, read_clock
from stream.columns import Numbered
from stream.due import Due, Rules
from stream.keys import LastHours
from stream.placements import encode_placed
from stream.placing import Fleet
from stream.profile import updated_profiles
from stream.samples import Batch, Samples, Source, Unit
from stream.stored import Stored, coverage_of, events_of, vms_of
from stream.stores.open import Stores
from stream.stores.protocols import METRIC_CPU

VMS_AT_ONCE = 20_000  # objects on their way from the fleet's columns to the catalogue


class Ingest:
    """The partitions of one source that are this process's. `wall` gives epoch seconds."""

    def __init__(self, source: Source, stores: Stores, rules: Rules, wall: Callable[[], float]) -> None:
        if source.unit not in set(Unit):
            raise BadInput(
                f"unit of {source.name}",
                expected=" or ".join(Unit),
                got=source.unit,
                remedy="Declare the unit that the source's values are in.",
            )
        self._source, self._stores, self._rules, self._wall = source, stores, rules, wall
        self.first_part = claim_source(stores.control, source.name)
        self._fleet = Fleet(known_vms(stores.catalogue), source.interval_min)
        self._last_hours = LastHours()
        self._assigned: dict[int, Assigned] = {}
        self._counts: Counter[str] = Counter()  # of partitions that are another's by now, and of the whole process
        self._due, self._stored = Due(), Stored()
        self._again: set[int] = set()  # partitions of which placed minutes have got another owner
        self._moved: dict[int, Assigned] = {}  # what the next commit is about
        for part in source.parts:
            self.assign(part)

    @property
    def parts(self) -> list[int]:
        """The partitions of this process."""
        return list(self._assigned)

    @property
    def ids(self) -> Numbered[str]:
        """The ids that are known, of any partition, to be shared with who else keeps them."""
        return self._fleet.ids

    @property
    def watermark(self) -> Minute | None:
        """The highest watermark of the partitions; None before the first sample."""
        return max((m for m in self.watermarks().values() if m is not None), default=None)

    def watermarks(self) -> dict[int, Minute | None]:
        """The watermark of each partition."""
        return {part: a.partition.watermark for part, a in self._assigned.items()}

    @property
    def counts(self) -> Counter[str]:
        """Samples by what became of them: accepted (repeated, over_100), superseded and each `Refusal`.

        `reopened` counts closed spans that were written again, `bad_records` inventory that could not be applied.
        """
        return sum((a.partition.counts for a in self._assigned.values()), self._counts)

    @property
    def ring_bytes(self) -> int:
        """Memory of all rings."""
        return sum(a.partition.ring_bytes for a in self._assigned.values())

    @property
    def behind(self) -> bool:
        """Whether the source has more right now."""
        return not all(self._source.caught_up(part) for part in self._assigned)

    def assign(self, part: int) -> None:
        """Take `part` over from whoever had it, and read on where that one's replay must begin."""
        per_core = self._source.unit in (Unit.CORE_PERCENT, Unit.CORE_SECONDS)
        taken = assign(part, self._stores, self._fleet, self._last_hours, self._rules, per_core=per_core)
        self._assigned[part] = taken
        self._source.seek(part, taken.position, taken.handled)

    def revoke(self, part: int) -> None:
        """Let `part` go: what was not stored yet is dropped, the successor replays it."""
        gone = self._assigned.pop(part)
        self._counts += gone.partition.counts
        self._moved.pop(part, None)
        self._due.rows = [row for row in self._due.rows if row.part != part]
        self._due.hours = [closed for closed in self._due.hours if not gone.slots.owns(closed.block)]
        self._fleet.disown(part)

    def learn(self, vm: Vm) -> None:
        """Another process has placed this VM."""
        self._fleet.learn(vm)

    def tell(self, part: int, record: VmRecord) -> None:
        """The inventory says this of a VM whose host reports by `part`. Event time decides: where it changes the owner
        of minutes that are placed already, the open hours of `part` are replayed."""
        try:
            with _whole():
                changed = self._fleet.apply(part, record)
        except BadInput:  # one bad record neither stops nor skips its neighbours
            self._counts["bad_records"] += 1
            return
        watermark = self._assigned[part].partition.watermark
        if changed is not None and watermark is not None and changed <= watermark:
            self._again.add(part)

    def step(self) -> list[Minute]:
        """Take, store and commit once. Returns the hours that were stored for the first time, by start."""
        wall_s, clock = self._wall(), read_clock(self._stores.control)
        self.take(clock, wall_s)
        self.commit()
        return sorted({hour.start for hour in self.stored().hours})

    def take(self, clock: Clock, wall_s: float) -> None:
        """Take what has come, and close what is due by it.

        `clock` as it was at `wall_s` (epoch seconds), before the source was asked whether it has more: idle partitions
        follow it that far. StartOver where a store failed on the way: another ingest replays what this one had in hand.
        """
        if self._again:
            self.commit()
        with _whole():
            self._replay_again()
            self._take_all(clock, wall_s)

    def store(self) -> None:
        """Store what was closed; after a StoreError the next call does it."""
        self._save_places()
        if self._due.rows:
            profiles = updated_profiles(self._stores.series, self._due.hours, self._rules.profile_alpha)
            self._stores.series.put(METRIC_CPU, self._due.rows, profiles)
            self._stored.rows += len(self._due.rows)
            self._stored.hours += events_of(self._due.hours)
            self._stored.coverage = coverage_of(self._due.hours, self._source.interval_min)
            self._due = Due()

    def stored(self) -> Stored:
        """What has been stored since the last call."""
        stored, self._stored = self._stored, Stored()
        return stored

    def commit(self) -> dict[int, Committed]:
        """Store what is closed, then say in the control store how far each partition is; returns what was said.

        StartOver where another process has one of them by now.
        """
        self.store()
        moved = list(self._moved.values())
        if not moved:
            return {}
        said = {a.part: a.committing() for a in moved}
        changes = [change for a in moved for change in a.commit(said[a.part])]
        if not self._stores.control.apply(changes):
            raise StartOver(
                f"the partitions of {self._source.name}",
                expected="to be this process's alone",
                got="another process's commit",
                remedy="Stop one of the two ingest processes; the rows of both are whole.",
            )
        for assigned in moved:
            assigned.committed(said[assigned.part])
        self._moved.clear()
        return said

    def _take_all(self, clock: Clock, wall_s: float) -> None:
        now = self.watermark if clock.speed is None else clock.now(wall_s, 0)
        for batch in self._source.poll():
            self._take(batch, newest_minutes(clock, batch, wall_s) + self._rules.max_ahead_min)
        for part, assigned in self._assigned.items():
            assigned.partition.settle()
            if now is not None and self._source.caught_up(part):
                self._add(assigned, assigned.partition.tick(now))
                if assigned.newest >= assigned.mark + STEP_MIN:  # who keeps step with it is to know
                    self._moved[part] = assigned

    def _replay_again(self) -> None:
        """Begin anew with partitions whose placed minutes have got another owner.

        That their rows now correct what is stored is said in the control store before the catalogue knows of the new
        owner, so that a crash in between leaves no minute with two.
        """
        again = sorted(self._again & self._assigned.keys())
        for part in again:
            mark_correction(self._stores.control, part, self._assigned[part].newest + 1)
        self._save_places()
        for part in again:
            self.revoke(part)
            self.assign(part)
        self._again.clear()

    def _take(self, batch: Batch, latest: Minute | npt.NDArray[np.int64]) -> None:
        assigned = self._assigned[batch.part]
        for record in batch.records:
            self.tell(batch.part, record)
        if self._source.unit == Unit.FRACTION:
            samples = batch.samples
            batch = replace(batch, samples=Samples(samples.key, samples.ts_s, samples.value * np.float32(100)))
        due = assigned.partition.take(batch, latest, loud=batch.next_offset > assigned.handled)
        for why, refused in due.refused:
            self._source.refused(batch.part, why, refused)
        assigned.position, assigned.handled = batch.next_offset, max(assigned.handled, batch.next_offset)
        self._moved[batch.part] = assigned
        self._add(assigned, due)

    def _add(self, assigned: Assigned, due: Due) -> None:
        if due.rows:
            self._moved[assigned.part] = assigned
        for closed in due.hours:
            self._last_hours.see(closed.block, closed.start, closed.hour.count)
        self._due.rows.extend(due.rows)
        self._due.hours.extend(due.hours)

    def _save_places(self) -> None:
        while (changes := self._fleet.changes(VMS_AT_ONCE)).lives:
            self._stores.catalogue.put(changes.lives, changes.placements)
            self._fleet.saved()
            self._stored.placed += encode_placed(vms_of(changes))


@contextmanager
def _whole() -> Iterator[None]:
    """What is begun here cannot be taken up in the middle: a store that fails on the way makes it begin anew."""
    try:
        yield
    except StoreError as error:
        raise StartOver(error.what, expected=error.expected, got=error.got, remedy=error.remedy) from error
