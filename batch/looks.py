"""What PNG and HTML have in common: colours, names of classes, room between labels.

The colours are Okabe & Ito's, told apart by the colour-blind; a method has the same one in every picture.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from batch.scoring import OURS, PLAIN
from models.conformal import LEAD_EDGES_H, LEVEL_EDGES_PCT

INK, MUTED, LINE = "#17212b", "#586674", "#dfe5ea"  # as in `zhuge plot`
OURS_COLOUR, PLAIN_COLOUR, RULE_COLOUR = "#0072B2", "#D55E00", "#5b6570"
COLOURS = ("#0072B2", "#E69F00", "#009E73")
BEST_COLOUR = "#E69F00"
CHOSEN_COLOUR = "#009E73"
ID_CHARS = 28
LEAST_COST_S = 1e-4  # where the log scale begins: below it nothing is measured
LEVEL_NAMES = (
    f"under {LEVEL_EDGES_PCT[0]:g}",
    *(f"{low:g} to {high:g}" for low, high in pairwise(LEVEL_EDGES_PCT)),
    f"over {LEVEL_EDGES_PCT[-1]:g}",
)
LEAD_NAMES = (
    f"next {LEAD_EDGES_H[0]} h",
    f"{LEAD_EDGES_H[0]} to {LEAD_EDGES_H[1]} h",
    f"later than {LEAD_EDGES_H[1]} h",
)


def style_of(method: str, k: int) -> tuple[str, str]:
    """Colour and matplotlib marker of a method; `k`: its place among those shown, for what has none of its own."""
    if method == OURS:
        return OURS_COLOUR, "D"
    return (PLAIN_COLOUR, "s") if method == PLAIN else (RULE_COLOUR, "ov^"[k % 3])


def apart(values: Sequence[float], least: float) -> list[float]:
    """The values moved as little as their order lets, so that neighbours stand `least` apart; highest first given."""
    order = np.argsort(values, kind="stable")
    rising = np.array(values, dtype=np.float64)[order] - least * np.arange(len(values))
    blocks: list[list[float]] = []
    for value in rising:  # pooled where they would cross
        blocks.append([value])
        while len(blocks) > 1 and np.mean(blocks[-2]) > np.mean(blocks[-1]):
            blocks[-2:] = [blocks[-2] + blocks[-1]]
    moved = np.concatenate([np.full(len(block), np.mean(block)) for block in blocks]) if blocks else np.empty(0)
    out = np.empty(len(values))
    out[order] = moved + least * np.arange(len(values))
    return [float(value) for value in out]


def short(vm_id: str) -> str:
    """An id may have 255 characters, and any."""
    shown = "".join(character if character.isprintable() else "�" for character in vm_id)
    return shown if len(shown) <= ID_CHARS else f"{shown[: ID_CHARS - 1]}…"
