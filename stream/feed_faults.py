"""The faults that a feed can be told to make, drawn once for every message: the same for any number of producers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from models.errors import BadInput
from models.minutes import Minute

DUPLICATE_WITHIN_S = 300  # the copy of a message comes so much later at most
MOST_POISON = 0.9
_SKEW, _MINUTE, _POISON = 1, 2, 3  # streams of random numbers

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Faults:
    """Shares are of messages, 0 to 1.

    late: they arrive `late_min` minutes after their time. duplicate: they come twice, within five minutes. shuffle_s:
    each is held back for up to so many seconds, so that a host's messages change places. drop: never sent. poison: so
    many of all messages are bad ones, beside the good. skew_s: a host's clock is wrong by up to so much, either way.
    """

    late: float = 0.0
    late_min: int = 10
    duplicate: float = 0.0
    shuffle_s: float = 0.0
    drop: float = 0.0
    poison: float = 0.0
    skew_s: float = 0.0
    seed: int = 7

    def check(self) -> Faults:
        """Itself. BadInput where a share or a length cannot be."""
        limits = {"late": 1.0, "duplicate": 1.0, "drop": 1.0, "poison": MOST_POISON}
        for name, most in limits.items():
            _within(name, getattr(self, name), most, "a share of the messages")
        for name, most in {"late_min": 10_080.0, "shuffle_s": 86_400.0, "skew_s": 86_400.0}.items():
            _within(name, getattr(self, name), most, "a length of time")
        return self


class Drawn(NamedTuple):
    """What happens to n messages. kept: bool[n]. at_s: float64[n], when each arrives (epoch seconds).

    copies: intp[m] with copy_at_s: float64[m], the messages that come again and when. poison: int64[n], bad ones that
    come before each. late: how many of the kept are.
    """

    kept: npt.NDArray[np.bool_]
    at_s: Floats
    copies: npt.NDArray[np.intp]
    copy_at_s: Floats
    poison: Ints
    late: npt.NDArray[np.bool_]


def draw(faults: Faults, minute: Minute, at_s: Floats) -> Drawn:
    """What happens to the messages that would arrive at `at_s` (float64[n]) within `minute`."""
    chance = np.random.default_rng((faults.seed, _MINUTE, abs(minute))).random((6, len(at_s)))
    kept = chance[0] >= faults.drop
    late = (chance[1] < faults.late) & kept
    arrives_s = at_s + late * (faults.late_min * 60.0) + chance[2] * faults.shuffle_s
    copies = np.flatnonzero((chance[3] < faults.duplicate) & kept)
    copy_at_s = arrives_s[copies] + chance[4][copies] * DUPLICATE_WITHIN_S
    poison = np.floor(faults.poison / (1 - faults.poison) + chance[5]).astype(np.int64)
    return Drawn(kept, arrives_s, copies, copy_at_s, poison, late)


def skews_s(faults: Faults, hosts: int) -> Ints:
    """How wrong each host's clock is, int64[hosts] seconds."""
    chance = np.random.default_rng((faults.seed, _SKEW)).random(hosts)
    return np.rint((2 * chance - 1) * faults.skew_s).astype(np.int64)


def poisoned(encode: Callable[[Floats], bytes], value: Floats, listed: bool, place: tuple[int, ...]) -> bytes:
    """A message that cannot be taken, made of a good one whose values are float64[n].

    It is cut off, of wrong types, random bytes, empty, has impossible values, or (`listed`) one value too few. `place`
    seeds the choice: the feed's seed, the minute and the number of the message there.
    """
    rng = np.random.default_rng((_POISON, *place))
    match int(rng.integers(6 if listed else 5)):
        case 0:
            good = encode(value)
            return good[: int(rng.integers(1, len(good) // 2))]
        case 1:
            return b'{"host":1,"ts":"soon","vm":{"a":[]},"cpu":["high",null,true]}'
        case 2:
            return rng.bytes(int(rng.integers(1, 200)))
        case 3:
            return b""
        case 4:
            return encode(np.full(len(value), rng.choice((-1.0, -1e9, 1e9))))
        case _:
            return encode(value[1:])


def _within(name: str, got: float, most: float, what: str) -> None:
    if not 0 <= got <= most:
        raise BadInput(f"fault {name}", expected=f"{what} from 0 to {most:g}", got=f"{got:g}", remedy="Give another.")
