"""The bytes of a block row: SLOTS means as uint16 in 0.01 % (little-endian) and SLOTS counts as uint8. Pure.

0.0 is code 0 and a gap is GAP with count 0; nothing turns one into the other.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from models.fleet import SLOTS
from models.minutes import HOUR_MIN, STEP_MIN
from stream.stores.protocols import BlockRow

GAP = 65_535
MAX_PCT = (GAP - 1) / 100.0
CODE = np.dtype("<u2")

Codes = npt.NDArray[np.uint16]
Counts = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Packed:
    """Means and counts as they are stored. mean: uint16 in 0.01 %, GAP = gap; count: uint8, of the same shape."""

    mean: Codes
    count: Counts


def encode(mean: Floats) -> Codes:
    """Means in percent (float32 of any shape, NaN = gap) as codes, rounded to the nearest 0.01 %.

    ValueError where a mean is negative or rounds to more than MAX_PCT: what decodes samples lets none such through.
    """
    scaled = np.rint(mean * np.float32(100.0))
    if ((mean < 0.0) | (scaled >= GAP)).any():
        low, high = np.nanmin(mean), np.nanmax(mean)
        raise ValueError(f"means of a block row: expected 0 to {MAX_PCT} percent, got {low} to {high}")
    return np.where(np.isnan(scaled), np.float32(GAP), scaled).astype(CODE)


def decode_into(codes: Codes, out: Floats) -> None:
    """Codes as percent into `out` (float32 of the same shape), NaN = gap."""
    np.divide(codes, np.float32(100.0), out=out)
    np.copyto(out, np.float32(np.nan), where=codes == GAP)


def decode(codes: Codes) -> Floats:
    """Codes as percent, float32 of the same shape, NaN = gap."""
    out = np.empty(codes.shape, np.float32)
    decode_into(codes, out)
    return out


def pack(row: BlockRow) -> Packed:
    """The row as it is stored. ValueError where it breaks what `BlockRow` promises: a writer's mistake, not data's."""
    if row.step_min not in (STEP_MIN, HOUR_MIN) or row.start % row.step_min:
        raise ValueError(f"block row: expected a start on a grid of 5 or 60, got {row.start} on {row.step_min}")
    if row.block < 0 or not 0 <= row.epoch < 2**31:
        raise ValueError(f"block row: expected block and epoch of 0 to 2**31, got {row.block} and {row.epoch}")
    if row.mean.shape != (SLOTS,) or row.count.shape != (SLOTS,) or row.count.dtype != np.uint8:
        got = f"{row.mean.shape} and {row.count.dtype}{row.count.shape}"
        raise ValueError(f"block row: expected {SLOTS} means and {SLOTS} counts of uint8, got {got}")
    if ((row.count == 0) != np.isnan(row.mean)).any():
        raise ValueError("block row: expected count 0 where and only where the mean is NaN")
    return Packed(encode(row.mean), row.count)


def merge_fuller(old: Packed, new: Packed, corrects: npt.NDArray[np.bool_] | None = None) -> Packed:
    """Per slot the value with the larger count; a tie goes to `new`, and so does every slot of `corrects`."""
    wins = new.count >= old.count
    if corrects is not None:
        wins |= corrects
    return Packed(np.where(wins, new.mean, old.mean), np.where(wins, new.count, old.count))
