"""Taking over partitions: a new epoch, the blocks they own, the fleet as the catalogue knows it, where to read on.

Control records: `source` (whose log this store is fed by), `epoch/<part>`, `block/<n>` (the part that owns it) and
`offset/<part>` (see `Committed`), all changed by compare-and-set only.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass

from models.errors import BadInput, StoreError
from models.fleet import Vm, newest_lives
from models.minutes import DAY_MIN, HOUR_MIN, Minute, Span
from stream.clock import WATERMARK_PREFIX
from stream.keys import KeyTable, LastHours
from stream.partition import Partition, Rules, Writer
from stream.placing import SILENCE_MIN, Fleet, Slots
from stream.samples import Source
from stream.stores.open import Stores
from stream.stores.protocols import METRIC_CPU, Control


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
    """One partition in this process: how far it is, the newest minute ever seen, and its records' versions."""

    part: int
    partition: Partition
    handled: int
    mark: Minute
    offset_version: int
    mark_version: int

    def commit(self) -> list[tuple[str, int, str | None]]:
        """The changes of its control records that say how far it is now."""
        offset, floor = self.partition.replay_from(self.handled)
        self.mark = max(self.mark, self.partition.watermark or 0)
        committed = Committed(offset, self.handled, floor)
        return [
            (f"offset/{self.part}", self.offset_version, json.dumps(asdict(committed))),
            (f"{WATERMARK_PREFIX}{self.part}", self.mark_version, json.dumps({"minute": self.mark})),
        ]

    def committed(self) -> None:
        """These changes hold."""
        self.offset_version += 1
        self.mark_version += 1


def assign(source: Source, stores: Stores, rules: Rules) -> tuple[Fleet, LastHours, list[Assigned]]:
    """Take over every partition of `source`. BadInput where the store is fed by another source already."""
    _check_source(source, stores.control)
    vms = stores.catalogue.lives()
    slots = [_slots(part, stores.control, vms) for part in range(source.parts)]
    fleet, last_hours = Fleet(newest_lives(vms), slots, source.interval_min), LastHours()
    assigned = []
    for part in range(source.parts):
        offset, mark = stores.control.get(f"offset/{part}"), stores.control.get(f"{WATERMARK_PREFIX}{part}")
        committed = None if offset is None else Committed(**json.loads(offset.value))
        seen = 0 if mark is None else int(json.loads(mark.value)["minute"])
        _remember(stores, slots[part].blocks, seen, last_hours)
        source.seek(part, 0 if committed is None else committed.offset)
        partition = Partition(
            Writer(part, _raise_epoch(stores.control, part)),
            rules,
            slots[part],
            KeyTable(part, fleet, slots[part], last_hours),
            None if committed is None else committed.floor,
        )
        handled = 0 if committed is None else committed.handled
        versions = (0 if offset is None else offset.version, 0 if mark is None else mark.version)
        assigned.append(Assigned(part, partition, handled, seen, *versions))
    return fleet, last_hours, assigned


def _check_source(source: Source, control: Control) -> None:
    mine = json.dumps({"name": source.name, "parts": source.parts})
    control.apply([("source", 0, mine)])
    record = control.get("source")
    if record is None or record.value != mine:
        raise BadInput(
            "store",
            expected=f"an empty one, or one fed by {mine}",
            got=f"one fed by {'nothing' if record is None else record.value}",
            remedy="Name another store, or start afresh: zhuge demo --fresh.",
        )


def _slots(part: int, control: Control, vms: list[Vm]) -> Slots:
    blocks = sorted(
        int(key.split("/")[1]) for key, record in control.list("block/").items() if record.value == str(part)
    )
    mine = set(blocks)
    used = [placement.row for vm in vms for placement in vm.placements if placement.block in mine]
    return Slots(blocks, used, _claimer(part, control))


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
