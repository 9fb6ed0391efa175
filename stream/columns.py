"""What a million VMs are kept in: columns that grow by doubling, and texts that are numbered, each kept once."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Generic, TypeVar

import numpy as np
import numpy.typing as npt

_LEAST = 1_024

Thing = TypeVar("Thing", bound=Hashable)
Scalar = TypeVar("Scalar", bound=np.generic)


class Numbered(Generic[Thing]):
    """Things, texts mostly, numbered from 0 in the order in which they first came."""

    def __init__(self) -> None:
        self._numbers: dict[Thing, int] = {}
        self._things: list[Thing] = []

    def __len__(self) -> int:
        return len(self._things)

    def __getitem__(self, number: int) -> Thing:
        return self._things[number]

    def number(self, thing: Thing) -> int:
        """The thing's number; a new one where it has none yet."""
        number = self._numbers.get(thing)
        if number is None:
            number = self._numbers[thing] = len(self._things)
            self._things.append(thing)
        return number

    def find(self, thing: Thing) -> int:
        """The thing's number, -1 where it has none."""
        return self._numbers.get(thing, -1)

    def things(self) -> list[Thing]:
        """All of them, by number."""
        return self._things.copy()


def extended(column: npt.NDArray[Scalar], used: int, size: int, fill: float) -> npt.NDArray[Scalar]:
    """`column` with at least `size` entries: the first `used` are kept, those from there up to `size` are `fill`.

    Its length doubles where it must grow. What lies beyond `size` is undefined, and takes no memory in a large column.
    """
    if size > len(column):
        longer = np.empty(max(size, 2 * len(column), _LEAST), dtype=column.dtype)
        longer[:used] = column[:used]
        column = longer
    column[used:size] = fill
    return column
