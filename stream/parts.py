"""The partitions of this process as the fleet sees them: their slots, and who is told of changes in their rows."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from models.fleet import SLOTS
from stream.slots import Slots
from stream.stays import Lost, Stay, lost


class Change(NamedTuple):
    """Of the rows of one partition: those whose owner is to be asked for again, and the minutes that they have lost."""

    rows: list[int]
    lost: list[Lost]


class Parts:
    """Slots and watcher of each partition, by its number."""

    def __init__(self, slots: Iterable[Slots]) -> None:
        self._slots = dict(enumerate(slots))
        self._watchers: dict[int, Callable[[Change], None]] = {}

    def own(self, part: int, slots: Slots) -> None:
        """The partition is ours."""
        self._slots[part] = slots
        self._watchers.pop(part, None)

    def disown(self, part: int) -> Slots:
        """It is another's now; its slots as they were."""
        self._watchers.pop(part, None)
        return self._slots.pop(part)

    def watch(self, part: int, changed: Callable[[Change], None]) -> None:
        """Whom to tell of the partition's rows."""
        self._watchers[part] = changed

    def has(self, part: int, stay: Stay) -> bool:
        """Whether the stay's row is the partition's."""
        return self._slots[part].owns(stay.block)

    def ours(self, stay: Stay) -> bool:
        """Whether the stay's row is that of any partition of this process."""
        return any(slots.owns(stay.block) for slots in self._slots.values())

    def local_rows(self, part: int, rows: npt.NDArray[np.int32]) -> npt.NDArray[np.int32]:
        """`Slots.local_rows` of the partition."""
        return self._slots[part].local_rows(rows)

    def row(self, part: int, life: Iterable[Stay] = ()) -> int:
        """The row that a life has in the partition; a free one, taken by this, where it has none."""
        slots = self._slots[part]
        here = next((stay.row for stay in life if slots.owns(stay.block)), None)
        if here is not None:
            return here
        block, slot = slots.take()
        return block * SLOTS + slot

    def tell(self, before: Sequence[Stay], after: Sequence[Stay]) -> None:
        """Let those who watch the rows of `before` know what becomes of them, unless only sizes have changed."""
        if not before or [_but_size(stay) for stay in before] == [_but_size(stay) for stay in after]:
            return
        moved, rows = lost(before, after), {stay.row for stay in before}
        for part, changed in self._watchers.items():
            owns = self._slots[part].owns
            mine = [row for row in rows if owns(row // SLOTS)]
            if mine:
                changed(Change(mine, [one for one in moved if owns(one.row // SLOTS)]))


def _but_size(stay: Stay) -> Stay:
    return stay._replace(vcpus=None)
