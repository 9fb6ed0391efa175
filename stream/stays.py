"""Where a VM has been, as ingest thinks of it: stays, which minutes each of them owns, and what may follow on them.

A stay is a placement with a number in place of its host's name. A VM's stays are sorted by life and time; those of the
life before the newest one are among them, as it still owns the minutes before the newest began.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import pairwise, takewhile
from typing import NamedTuple

from models.fleet import FOREVER, SLOTS
from models.minutes import Minute, Span

ALWAYS: Minute = -(2**31)
FLAP_MIN = 10


class Stay(NamedTuple):
    """From `from_minute` on the life that began at `created_at` is on `host` (a number), in `row`, a global row."""

    created_at: Minute
    from_minute: Minute
    host: int
    vcpus: float | None
    row: int

    @property
    def block(self) -> int:
        """The row's block."""
        return self.row // SLOTS


class Lost(NamedTuple):
    """Minutes that are another stay's now; `row` is a global row."""

    row: int
    span: Span


def newest_life(stays: Sequence[Stay]) -> Sequence[Stay]:
    """Those of the newest life."""
    return [stay for stay in stays if stay.created_at == stays[-1].created_at]


def merged(stays: Sequence[Stay], others: Sequence[Stay]) -> tuple[Stay, ...]:
    """Both together: of one life and minute that of `others`. Of the lives the two newest are kept."""
    if not stays and len(others) == 1:  # as it is with nearly every VM
        return tuple(others)
    known = {(stay.created_at, stay.from_minute): stay for stay in (*stays, *others)}
    ordered = sorted(known.values())
    lives = sorted({stay.created_at for stay in ordered})[-2:]
    return tuple(stay for stay in ordered if stay.created_at in lives)


def reconciled(known: Sequence[Stay], told: Sequence[Stay], ours: Callable[[Stay], bool]) -> tuple[list[Stay], bool]:
    """What is to be taken of stays that the catalogue or another process told of, and whether ours must be told again.

    Of a stay in our rows we know best: what comes may be an echo of what we told ourselves before. Where two processes
    have placed one life at one minute, the higher row holds for both of them.
    """
    mine = {stay[:2]: stay for stay in known if ours(stay)}
    taken, again = [], False
    for stay in told:
        own = mine.get(stay[:2])
        if own is None or (stay.row > own.row and not ours(stay)):
            taken.append(stay)
        elif own.vcpus is None and own.host == stay.host:
            taken.append(own._replace(vcpus=stay.vcpus))
        again = again or (own is not None and stay.row < own.row and not ours(stay))
    return taken, again


def owned(stays: Sequence[Stay]) -> list[tuple[Span, Stay]]:
    """Which minutes each stay owns, by time; the first one owns all before it too, and the last one all after it.

    A life begins when it was created, or with its first stay where that is earlier; until then the one before goes on.
    """
    if len(stays) < 2:  # as it is with nearly every VM
        return [(Span(ALWAYS, FOREVER), stay) for stay in stays]
    starts = [ALWAYS, *(stay.from_minute for stay in stays[1:])]
    for index, (before, stay) in enumerate(pairwise(stays), 1):
        if stay.created_at != before.created_at:
            birth = min(stay.created_at, stay.from_minute)
            starts[: index + 1] = [*(min(start, birth) for start in starts[:index]), birth]
    ends = [*starts[1:], FOREVER]
    return [(Span(start, end), stay) for start, end, stay in zip(starts, ends, stays, strict=True) if start < end]


def lost(before: Sequence[Stay], after: Sequence[Stay]) -> list[Lost]:
    """The minutes that another row, or another host in the same one, has taken over."""
    return [
        Lost(old.row, span)
        for span, old, new in _differences(before, after)
        if old is not None and new is not None and (old.row, old.host) != (new.row, new.host)
    ]


def earliest_change(before: Sequence[Stay], after: Sequence[Stay]) -> Minute | None:
    """The first minute that had an owner and has another one, or one of another size. None where there is none."""
    for span, old, _ in _differences(before, after):
        if old is not None:
            return span.start if span.start > ALWAYS else min(before[0].from_minute, after[0].from_minute)
    return None


def switch_from(life: Sequence[Stay], host: int, *, reported: bool) -> Minute:
    """From when on a report ends the newest stay: of another host, or of `host` by a partition that is not the stay's.

    Another host waits for FLAP_MIN. A host's other partition does so too where it is not the first one that this host
    has changed to: a producer that spreads a host over partitions must not make a placement a minute. Where nobody has
    `reported` the stay, it was but the inventory's guess, and may be replaced.
    """
    current = life[-1]
    if current.host != host:
        there = takewhile(lambda stay: stay.host == current.host, reversed(life))  # it may have changed its partition
        return min(stay.from_minute for stay in there) + FLAP_MIN
    if not reported:
        return current.from_minute
    since = current.from_minute
    for stay in reversed(life[:-1]):
        if stay.host != host:
            break
        if stay.row != current.row:
            return max(since + FLAP_MIN, current.from_minute + 1)
        since = stay.from_minute
    return current.from_minute + 1


def due(
    life: Sequence[Stay], host: int, minutes: Sequence[Minute], mine: Callable[[Stay], bool], *, reported: bool
) -> tuple[Minute, Stay] | None:
    """The first of a host's reported minutes at which a stay of its own is due, and the stay that it ends there.

    Each minute is judged by who owns it, not by the newest stay: what is read late may lie between two stays. `mine`:
    a stay of this host, in the partition by which it reports.
    """
    ends = [*(stay.from_minute for stay in life[1:]), FOREVER]
    for number, (stay, end) in enumerate(zip(life, ends, strict=True), 1):
        if mine(stay):
            continue
        first = switch_from(life[:number], host, reported=reported or number < len(life))
        at = bisect_left(minutes, first)
        if at < len(minutes) and minutes[at] < end:
            return minutes[at], stay
    return None


def may_precede(stays: Sequence[Stay], host: int, minute: Minute) -> bool:
    """Whether a report of `minute` is of a stay before the first one: the partitions of a log are not read in step.

    Not where an earlier life owns the minute. Another host must be FLAP_MIN ahead, and so must one that has changed
    its partition since.
    """
    first = stays[0]
    alone = len(stays) == 1 and first.host == host
    one_life = first.created_at == stays[-1].created_at
    return one_life and minute + (1 if alone else FLAP_MIN) <= first.from_minute


def corrected(
    life: Sequence[Stay], minute: Minute, host: int, vcpus: float | None, new_row: Callable[[], int]
) -> list[Stay]:
    """What the inventory makes of a life's stays: from `minute` on it is on `host` with `vcpus` (None: as before).

    Those that are new or altered. A size that nobody had told is no resize, and whatever sits on the host already, by
    its own reports, keeps its row and takes the size over.
    """
    index = bisect_right([stay.from_minute for stay in life], minute) - 1
    owner, following = life[max(index, 0)], life[index + 1 :]
    if owner.host == host and owner.vcpus is None and vcpus is not None:
        return [stay._replace(vcpus=vcpus) for stay in life if stay.host == host and stay.vcpus is None]
    if owner.host == host and vcpus in (None, owner.vcpus):
        return []
    size = owner.vcpus if vcpus is None else vcpus
    on_host = next((stay for stay in (owner, *following[:1]) if stay.host == host), None)
    made = [Stay(owner.created_at, minute, host, size, new_row() if on_host is None else on_host.row)]
    for stay in following if index >= 0 else ():
        if stay.host != host or stay.vcpus != owner.vcpus:
            break
        made.append(stay._replace(vcpus=size))
    return made


def _differences(before: Sequence[Stay], after: Sequence[Stay]) -> Iterator[tuple[Span, Stay | None, Stay | None]]:
    """Spans in which the owner's host, size or row is not what it was, with both owners."""
    old, new = owned(before), owned(after)
    edges = sorted({edge for span, _ in (*old, *new) for edge in span})
    was, now = _owners(old, edges[:-1]), _owners(new, edges[:-1])
    for span, one, other in zip(map(Span, edges, edges[1:]), was, now, strict=True):
        if one is None or other is None or one[2:] != other[2:]:
            yield span, one, other


def _owners(tenures: Sequence[tuple[Span, Stay]], minutes: Iterable[Minute]) -> list[Stay | None]:
    """Who owns each minute: someone owns every one, or nobody any."""
    starts = [span.start for span, _ in tenures]
    return [tenures[bisect_right(starts, minute) - 1][1] if tenures else None for minute in minutes]
