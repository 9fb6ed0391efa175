"""The sample firehose: one service of a Faust worker that reads its partitions in batches into the minute ring."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable
from typing import NamedTuple

from mode import Service

from models.errors import StartOver, StoreError
from models.minutes import Minute
from stream.joining import joined
from stream.plumbing import Plumbing, Step
from stream.session import Session
from stream.strays import kept_up

LONGEST_PAUSE_S = 10.0
log = logging.getLogger(__name__)


class FirehoseState(NamedTuple):
    """How it goes. By global part number: lag in messages, and watermark. Times are epoch seconds, 0 before the first.

    `counts`: messages, samples by what became of them (see `Ingest.counts`), `dead_<reason>`, sessions.
    """

    counts: Counter[str]
    lag: dict[int, int]
    watermark: dict[int, Minute | None]
    behind: bool
    rebalances: int
    ring_bytes: int
    vms: int
    coverage: float | None
    last_turn_s: float
    last_commit_s: float
    trouble: str


class Firehose(Service):
    """Reads one declared source for as long as the worker runs. `observe` gets every turn that took something."""

    def __init__(self, plumbing: Plumbing, observe: Callable[[Step], None]) -> None:
        super().__init__()
        self._plumbing, self._observe = plumbing, observe
        self._session: Session | None = None
        self._before: Counter[str] = Counter()  # what earlier sessions counted
        self._turned_s = self._committed_s = 0.0
        self._trouble = ""

    def report(self) -> FirehoseState:
        """How it goes right now; may be asked from any thread."""
        session = self._session
        if session is None:
            times = self._turned_s, self._committed_s
            return FirehoseState(self._before, {}, {}, True, 0, 0, 0, None, *times, self._trouble)
        return FirehoseState(
            counts=self._before + session.counts(),
            lag=dict(session.lag),
            watermark=session.ingest.watermarks(),
            behind=any(session.lag.values()),
            rebalances=session.rebalances,
            ring_bytes=session.ingest.ring_bytes,
            vms=len(session.ingest.ids),
            coverage=session.coverage,
            last_turn_s=max(session.turned_s, self._turned_s),
            last_commit_s=max(session.committed_s, self._committed_s),
            trouble=session.trouble or self._trouble,
        )

    @Service.task
    @kept_up
    async def _run(self) -> None:
        """Session after session: another begins where partitions were taken over, or where one could not be opened."""
        pause_s = 0.5
        while not self.should_stop:
            try:
                async with joined(self._plumbing, self._observe) as self._session:
                    self._trouble, pause_s = "", 0.5
                    while not self.should_stop:
                        await self._session.turn()
                    await self._session.finish()
            except StartOver as error:
                log.warning("partitions were taken over, joining anew: %s", error)
            except StoreError as error:
                self._trouble = str(error)
                log.warning("cannot start, next try in %.1f s: %s", pause_s, error)
                await self.sleep(pause_s)
                pause_s = min(LONGEST_PAUSE_S, 2 * pause_s)
            finally:
                if self._session is not None:
                    state = self.report()
                    self._before, self._turned_s, self._committed_s = state.counts, *state[-3:-1]
                    self._session = None
