"""How far the partitions of other workers are: whoever runs ahead of them waits.

A VM that moves between two partitions may still be reported by the host that it left. So that both hear of the move
while both may still write its hour, nobody reads further than LEAD_MIN beyond the partition that is furthest behind.
"""

from __future__ import annotations

from collections.abc import Collection

from models.fleet import FOREVER
from models.minutes import Minute
from stream.assignment import PARTS_A_SOURCE
from stream.clock import watermarks
from stream.stays import ALWAYS
from stream.stores.protocols import Control

LEAD_MIN = 15  # of the 30 in which an hour may be re-opened: what a worker commits and tells is heard a moment later


class Others:
    """The partitions of one source in other processes. A watermark that stands still for `hold_s` holds nobody up:

    no worker may have that partition, or one that is not well.
    """

    def __init__(self, control: Control, first_part: int, hold_s: float) -> None:
        self._control, self._parts, self._hold_s = control, range(first_part, first_part + PARTS_A_SOURCE), hold_s
        self._seen: dict[int, tuple[Minute, float]] = {}  # by part: its watermark, and since when it stands there

    def horizon(self, ours: Collection[int], now_s: float) -> Minute:
        """The minute before which to stop for now, FOREVER where nobody is waited for; `now_s` is monotonic."""
        for part, minute in watermarks(self._control).items():
            if part in self._parts and self._seen.get(part, (ALWAYS, 0.0))[0] != minute:
                self._seen[part] = (minute, now_s)
        others = [self._seen[part] for part in self._seen.keys() - set(ours)]
        return min((minute + LEAD_MIN for minute, since_s in others if now_s - since_s < self._hold_s), default=FOREVER)
