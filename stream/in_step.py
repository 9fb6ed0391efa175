"""How far the partitions of other workers are: whoever runs ahead of them waits.

A VM that moves between two partitions may still be reported by the host that it left. So that both hear of the move
while both may still write its hour, nobody reads further than `lead_min` beyond the partition that is furthest behind.
"""

from __future__ import annotations

from collections.abc import Collection

from models.fleet import FOREVER
from models.minutes import Minute
from stream.assignment import PARTS_A_SOURCE
from stream.clock import watermarks
from stream.stays import ALWAYS
from stream.stores.protocols import Control

LEAST_LEAD_MIN = 5


def lead_of(reopen_for_min: int, interval_min: int) -> int:
    """Half of the time in which both may still correct an hour: what others commit and tell is heard a moment later.

    But so much that two of them that are equally far can never wait for each other.
    """
    return max(LEAST_LEAD_MIN, reopen_for_min // 2, 2 * interval_min)


class Others:
    """The partitions of one source in other processes.

    A watermark that stands still for `hold_s` holds nobody up: its partition has no worker, or one that is not well.
    """

    def __init__(self, control: Control, first_part: int, lead_min: int, hold_s: float) -> None:
        self._control, self._parts = control, range(first_part, first_part + PARTS_A_SOURCE)
        self._lead_min, self._hold_s = lead_min, hold_s
        self._seen: dict[int, tuple[Minute, float]] = {}  # by part: its watermark, and since when it stands there

    def horizon(self, ours: Collection[int], now_s: float) -> Minute:
        """The minute before which to stop for now, FOREVER where nobody is waited for; `now_s` is monotonic."""
        for part, minute in watermarks(self._control).items():
            if part in self._parts and self._seen.get(part, (ALWAYS, 0.0))[0] != minute:
                self._seen[part] = (minute, now_s)
        others = [self._seen[part] for part in self._seen.keys() - set(ours)]
        held = [minute for minute, since_s in others if now_s - since_s < self._hold_s]
        return min(held) + self._lead_min if held else FOREVER
