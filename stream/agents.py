"""How small events are attended to, whoever brings them: `stream.worker` has Faust bring them.

An event is acknowledged when it was handled or lies among the dead, and never before. What a store or broker that is
away keeps from being handled waits as long as that is away; what fails otherwise is tried again three times.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections import defaultdict, deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import NamedTuple

from models.errors import BadInput, SetError, StoreError, ZhugeError
from stream.dead import encode_dead

RETRIES_S = (0.5, 2.0, 8.0)
LONGEST_PAUSE_S = 10.0

Handler = Callable[[bytes], Awaitable[None]]
log = logging.getLogger(__name__)


class Arrived(NamedTuple):
    """An event as its topic has it. timestamp: milliseconds."""

    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    timestamp: int


class NotKnownYet(ZhugeError):  # noqa: N818 (read as a sentence)
    """An event about something that the stores have not heard of, and may yet."""


@dataclass(frozen=True, slots=True)
class Care:
    """How an event is cared for. bury(key, value): returns when the dead letter is kept, StoreError where it is not.

    tally(topic, what): what is handled, retried or dead_<reason>. pause(s): wait so long.
    """

    bury: Callable[[bytes, bytes], Awaitable[None]]
    tally: Callable[[str, str], None]
    pause: Callable[[float], Awaitable[None]] = asyncio.sleep


async def attend(arrived: Arrived, handler: Handler, care: Care) -> None:
    """Returns when `handler` has handled the event or its letter is kept; then it may be acknowledged."""
    failures, pause_s = 0, RETRIES_S[0]
    while True:
        try:
            await handler(_value(arrived))
            care.tally(arrived.topic, "handled")
            return
        except StoreError as error:
            log.warning("an event waits: %s", error, extra=_whence(arrived))
            pause_s = min(LONGEST_PAUSE_S, pause_s * 2)
        except Exception as error:
            if isinstance(error, BadInput) or failures == len(RETRIES_S):
                await _bury(arrived, error, care)
                return
            log.warning("an event failed, trying again: %r", error, extra=_whence(arrived))
            pause_s = RETRIES_S[failures]
            failures += 1
        care.tally(arrived.topic, "retried")
        await care.pause(pause_s * random.uniform(0.5, 1.5))


def _value(arrived: Arrived) -> bytes:
    if arrived.value is None:
        raise BadInput("event", expected="JSON", got="no value", remedy="Send it again, with one.")
    return arrived.value


async def _bury(arrived: Arrived, error: Exception, care: Care) -> None:
    reason = reason_of(error)
    detail = str(error) if isinstance(error, ZhugeError) else repr(error)
    log.error("an event could not be handled: %s", detail, extra=_whence(arrived), exc_info=error)
    key, value = encode_dead(arrived.topic, arrived.partition, arrived, reason, detail)
    while True:
        try:
            await care.bury(key, value)
            break
        except StoreError as away:
            log.warning("a dead letter waits: %s", away, extra=_whence(arrived))
            await care.pause(LONGEST_PAUSE_S * random.uniform(0.5, 1.5))
    care.tally(arrived.topic, f"dead_{reason}")


def reason_of(error: Exception) -> str:
    """The label of a dead event."""
    match error:
        case BadInput():
            return "bad_event"
        case NotKnownYet():
            return "unknown_vm"
        case SetError():
            return "broken_set"
        case _:
            return "failed"


def _whence(arrived: Arrived) -> dict[str, object]:
    return {"topic": arrived.topic, "partition": arrived.partition, "offset": arrived.offset}


class InOrder:
    """Acknowledges a partition's events in the order of its log, whenever each is done. The state: those under way.

    Faust does not see to that: of events under way it commits over the first, not acknowledged though it is, when a
    later one is, so that a restart skips it.
    """

    def __init__(self) -> None:
        self._under_way: dict[tuple[str, int], deque[_UnderWay]] = defaultdict(deque)

    def came(self, arrived: Arrived, acknowledge: Callable[[], object]) -> Callable[[], None]:
        """The next event of its partition; what is returned is to be called when it was attended to."""
        queue, mine = self._under_way[arrived.topic, arrived.partition], _UnderWay(acknowledge)
        queue.append(mine)

        def done() -> None:
            mine.done = True
            while queue and queue[0].done:
                queue.popleft().acknowledge()

        return done


@dataclass(slots=True)
class _UnderWay:
    acknowledge: Callable[[], object]
    done: bool = False
