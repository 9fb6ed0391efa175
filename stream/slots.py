"""A partition's blocks and which of their slots are free."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import numpy as np
import numpy.typing as npt

from models.fleet import SLOTS


class Slots:
    """A partition's blocks and their free slots; `claim` gets another block from the control store.

    A row of the partition's own arrays is its block's place in `blocks` * SLOTS + slot. `used`: global rows that are
    not free. A slot is never let twice.
    """

    def __init__(self, blocks: Sequence[int], used: Iterable[int], claim: Callable[[], int]) -> None:
        self.blocks: list[int] = []
        self._places = np.full(1, -1, dtype=np.int32)  # by block, -1 where it is not ours; the last one is nobody's
        self._claim = claim
        self._free: list[int] = []  # the next one to let is the last
        for block in blocks:
            self._own(block)
        rows = np.fromiter(used, dtype=np.int32)
        taken = np.zeros((len(self.blocks), SLOTS), dtype=np.bool_)
        local = self.local_rows(rows)
        taken.reshape(-1)[local[local >= 0]] = True
        for block, slots in zip(reversed(self.blocks), reversed(taken), strict=True):
            self._free += (np.flatnonzero(~slots)[::-1] + block * SLOTS).tolist()

    def take(self) -> tuple[int, int]:
        """A free (block, slot)."""
        if not self._free:
            block = self._claim()
            self._own(block)
            self._free += range((block + 1) * SLOTS - 1, block * SLOTS - 1, -1)
        return divmod(self._free.pop(), SLOTS)

    def owns(self, block: int) -> bool:
        """Whether the block is this partition's."""
        return block < len(self._places) and self._places.item(block) >= 0

    def local(self, row: int) -> int:
        """The partition's own row of a global one that it owns."""
        block, slot = divmod(row, SLOTS)
        return self._places.item(block) * SLOTS + slot

    def local_rows(self, rows: npt.NDArray[np.int32]) -> npt.NDArray[np.int32]:
        """The same of int32[n]; -1 where the row is not the partition's (or below 0: no row)."""
        block, slot = np.divmod(rows, np.int32(SLOTS))
        place = self._places[np.minimum(block, len(self._places) - 1)]  # of block -1 too: the last one
        return np.where(place >= 0, place * np.int32(SLOTS) + slot, np.int32(-1))

    def _own(self, block: int) -> None:
        if block >= len(self._places) - 1:
            self._places = np.concatenate((self._places, np.full(block + 1, -1, dtype=np.int32)))
        self._places[block] = len(self.blocks)
        self.blocks.append(block)
