"""Blackout hours: local times in which a customer does not want a VM moved.

A rule is `22:00-06:00` (every day), `mon-fri 08:00-18:00` or `sat,sun 00:00-24:00`: days, then a half-open span of
wall-clock time. A rule that wraps midnight belongs to the day on which it starts. Wall-clock time is what counts: an
hour that the spring change skips is not there to be covered, one that the autumn change repeats is covered twice.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from models.errors import BadInput
from models.minutes import DAY_MIN, EPOCH_WEEKDAY, Minute, utc_offsets_min

_DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_RULE = re.compile(r"(?:(?P<days>[a-z,-]+) +)?(?P<start>[0-9]{2}:[0-9]{2})-(?P<end>[0-9]{2}:[0-9]{2})")
_REMEDY = "Write it like 22:00-06:00, mon-fri 08:00-18:00 or sat,sun 00:00-24:00."


class Rule(NamedTuple):
    """One parsed rule. days: weekdays (0 = Monday) on which it starts; minutes of the local day, 0 to 1440.

    end_min < start_min: it ends on the day after.
    """

    days: tuple[int, ...]
    start_min: int
    end_min: int


@lru_cache(maxsize=4096)
def parse_rule(text: str) -> Rule:
    """The rule that `text` says; BadInput where it says none."""
    match = _RULE.fullmatch(text.strip().lower())
    if match is None:
        raise _bad("days and a span of hours", text)
    start_min, end_min = _minute_of_day(match["start"], text), _minute_of_day(match["end"], text)
    if start_min in {end_min, DAY_MIN}:
        raise _bad("a span that is not empty (a whole day is 00:00-24:00)", text)
    days = _weekdays(match["days"], text) if match["days"] else tuple(range(7))
    return Rule(days, start_min, end_min)


def blacked_out(rules: tuple[str, ...], timezone: str, minutes: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
    """Whether any rule covers each epoch minute; bool, the shape of `minutes`. `timezone` is an IANA name.

    BadInput where a rule cannot be read.
    """
    covered = np.zeros(minutes.shape, dtype=np.bool_)
    if not rules:
        return covered
    day, minute_of_day = np.divmod(minutes + utc_offsets_min(timezone, minutes), DAY_MIN)
    weekday = (day + EPOCH_WEEKDAY) % 7
    for rule in map(parse_rule, rules):
        today, yesterday = np.isin(weekday, rule.days), np.isin((weekday - 1) % 7, rule.days)
        begun, not_over = minute_of_day >= rule.start_min, minute_of_day < rule.end_min
        if rule.start_min < rule.end_min:
            covered |= today & begun & not_over
        else:
            covered |= (today & begun) | (yesterday & not_over)
    return covered


@lru_cache(maxsize=1024)
def covered_before(rules: tuple[str, ...], timezone: str, start: Minute, minutes: int) -> npt.NDArray[np.int32]:
    """How many of the first m minutes from `start` on are covered, m = 0 to `minutes`: int32[minutes + 1].

    Two of its entries tell whether a span is free; few rules serve many VMs, so it is kept, read-only.
    """
    covered = blacked_out(rules, timezone, np.arange(start, start + minutes, dtype=np.int64))
    sums = np.zeros(minutes + 1, dtype=np.int32)
    np.cumsum(covered, out=sums[1:])
    sums.setflags(write=False)
    return sums


def _minute_of_day(clock: str, text: str) -> int:
    hour, minute = int(clock[:2]), int(clock[3:])
    if minute > 59 or hour * 60 + minute > DAY_MIN:
        raise _bad("times from 00:00 to 24:00", text)
    return hour * 60 + minute


def _weekdays(days: str, text: str) -> tuple[int, ...]:
    """Weekdays of `mon-fri`, `sat,sun` or `fri-mon,wed`."""
    found: set[int] = set()
    for part in days.split(","):
        first, _, last = part.partition("-")
        if first not in _DAYS or (last or first) not in _DAYS or part.endswith("-"):
            raise _bad("days among " + ", ".join(_DAYS), text)
        low, high = _DAYS.index(first), _DAYS.index(last or first)
        found.update((low + i) % 7 for i in range((high - low) % 7 + 1))
    return tuple(sorted(found))


def _bad(expected: str, text: str) -> BadInput:
    return BadInput("blackout", expected=expected, got=repr(text), remedy=_REMEDY)
