"""Taking over a partition: a new epoch, the blocks it owns, where to read on, and who was last seen when.

Control records: `source/<name>` (the number of the source's first partition), `epoch/<part>`, `block/<n>` (the part
that owns it), `offset/<part>` (see `Committed`) and `correct/<part>` (see `mark_correction`), all changed by
compare-and-set only.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass

from models.errors import BadInput, StoreError
from models.fleet import Vm
from models.minutes import DAY_MIN, HOUR_MIN, Minute, Span
from stream.clock import WATERMARK_PREFIX
from stream.due import Rules, Writer
from stream.keys import KeyTable, LastHours
from stream.partition import Partition
from stream.placing import SILENCE_MIN, Fleet
from stream.slots import Slots
from stream.stores.open import Stores
from stream.stores.overwrite import overwrite
from stream.stores.protocols import METRIC_CPU, Catalogue, Control, Versioned

PARTS_A_SOURCE = 1_000
_PAGE = 10_000
BROKER = "kafka:"  # the name of a source that may share the store with others of its kind


@dataclass(frozen=True, slots=True)
class Committed:
    """How far a partition is. offset: where a successor reads on; handled: the end of what was handled.

    floor: the oldest hour that is whole when read from `offset`.
    """

    offset: int
    handled: int
    floor: Minute


@dataclass(slots=True)
class Assigned:
    """One partition in this process: how far it is, the newest minute ever seen, and its records' versions.

    `position`: where it reads on; `handled`: the end of what was ever handled, which a replay is not at yet.
    """

    part: int
    partition: Partition
    slots: Slots
    position: int
    handled: int
    mark: Minute
    offset_version: int
    mark_version: int
    correction: Versioned | None

    @property
    def newest(self) -> Minute:
        """The newest minute that was ever seen here."""
        return max(self.mark, self.partition.watermark or 0)

    def committing(self) -> Committed:
        """How far it is now."""
        offset, floor = self.partition.replay_from(self.position)
        return Committed(offset, self.handled, floor)

    def commit(self, committed: Committed) -> list[tuple[str, int, str | None]]:
        """The changes of its control records that say so."""
        self.mark = self.newest
        changes: list[tuple[str, int, str | None]] = [
            (f"offset/{self.part}", self.offset_version, json.dumps(asdict(committed))),
            (f"{WATERMARK_PREFIX}{self.part}", self.mark_version, json.dumps({"minute": self.mark})),
        ]
        if self.correction is not None and committed.floor > int(self.correction.value):
            changes.append((f"correct/{self.part}", self.correction.version, None))
        return changes

    def committed(self, committed: Committed) -> None:
        """These changes hold."""
        self.offset_version += 1
        self.mark_version += 1
        if self.correction is not None and committed.floor > int(self.correction.value):
            self.correction = None


def claim_source(control: Control, name: str) -> int:
    """The number of the source's first partition in this store, the same at every start.

    BadInput where the store is fed by another source already; topics of a broker may share one.
    """
    while True:
        known = {key.removeprefix("source/"): int(record.value) for key, record in control.list("source/").items()}
        if name in known:
            return known[name]
        strangers = [other for other in known if not (other.startswith(BROKER) and name.startswith(BROKER))]
        if strangers:
            raise BadInput(
                "store",
                expected=f"an empty one, or one fed by {name}",
                got=f"one fed by {strangers[0]}",
                remedy="Name another store, or start afresh: zhuge demo --fresh.",
            )
        first = PARTS_A_SOURCE * len(known)
        if control.apply([(f"source/{name}", 0, str(first)), (f"first_part/{first}", 0, name)]):
            return first


def known_vms(catalogue: Catalogue) -> Iterator[Vm]:
    """The newest life of every id, a page at a time: a million of them are never objects together."""
    after = ""
    while page := catalogue.page("", after, _PAGE):
        yield from page
        after = page[-1].life.vm_id


def mark_correction(control: Control, part: int, until: Minute) -> None:
    """Say that minutes of `part` before `until` have got another owner or size: what is replayed replaces what was
    written, for every successor until all those hours are past re-opening.
    """
    overwrite(control, f"correct/{part}", str(until))


def assign(part: int, stores: Stores, fleet: Fleet, last_hours: LastHours, rules: Rules, *, per_core: bool) -> Assigned:
    """Take over `part`: from now on an older writer's rows and commits are refused."""
    epoch = _raise_epoch(stores.control, part)
    blocks = blocks_of(stores.control, part)
    slots = Slots(blocks, _used(blocks, stores.catalogue, fleet), _claimer(part, stores.control))
    fleet.own(part, slots)
    offset, mark = stores.control.get(f"offset/{part}"), stores.control.get(f"{WATERMARK_PREFIX}{part}")
    committed = Committed(0, 0, 0) if offset is None else Committed(**json.loads(offset.value))
    seen = 0 if mark is None else int(json.loads(mark.value)["minute"])
    _remember(stores, slots.blocks, seen, last_hours)
    correction = stores.control.get(f"correct/{part}")
    writer = Writer(part, epoch, per_core, corrects=correction is not None)
    table = KeyTable(part, fleet, slots, last_hours)
    return Assigned(
        part=part,
        partition=Partition(writer, rules, slots, table, None if offset is None else committed.floor),
        slots=slots,
        position=committed.offset,
        handled=committed.handled,
        mark=seen,
        offset_version=0 if offset is None else offset.version,
        mark_version=0 if mark is None else mark.version,
        correction=correction,
    )


def blocks_of(control: Control, part: int) -> list[int]:
    """The blocks that `part` has claimed, by number."""
    claims = control.list("block/").items()
    return sorted(int(key.split("/")[1]) for key, record in claims if record.value == str(part))


def _used(blocks: Iterable[int], catalogue: Catalogue, fleet: Fleet) -> Iterator[int]:
    """Every row of the blocks that was ever let; the fleet learns of who is in them on the way."""
    for block in blocks:
        for vm in catalogue.lives([block]):
            fleet.learn(vm)
            yield from (placement.row for placement in vm.placements if placement.block == block)


def _claimer(part: int, control: Control) -> Callable[[], int]:
    def claim() -> int:
        while True:
            taken = [int(key.split("/")[1]) for key in control.list("block/")]
            block = max(taken, default=-1) + 1
            if control.apply([(f"block/{block}", 0, str(part))]):
                return block

    return claim


def _raise_epoch(control: Control, part: int) -> int:
    key = f"epoch/{part}"
    for _ in range(100):
        record = control.get(key)
        epoch = 1 if record is None else int(record.value) + 1
        if control.apply([(key, 0 if record is None else record.version, str(epoch))]):
            return epoch
    raise StoreError(
        f"control record {key!r}",
        expected="to raise it by one",
        got="another process changing it all the time",
        remedy="Stop the other ingest processes of this store.",
    )


def _remember(stores: Stores, blocks: list[int], watermark: Minute, last_hours: LastHours) -> None:
    """Who was last seen when, from the stored hours: silence must not be forgotten by a restart."""
    end = watermark - watermark % HOUR_MIN + HOUR_MIN
    span = Span(end - SILENCE_MIN - 2 * DAY_MIN, end)
    for block in blocks:
        count = stores.series.read(METRIC_CPU, HOUR_MIN, [block], span).count
        for index, hour in enumerate(range(span.start, span.end, HOUR_MIN)):
            last_hours.see(block, hour, count[index])
