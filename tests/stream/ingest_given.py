"""What tests of ingest by parts share: two VMs, one of which goes from host h1 of partition 0 to h2 of partition 1."""

from __future__ import annotations

from collections.abc import Sequence

from models.errors import StoreError
from models.minutes import Clock, Minute, Span
from stream.clock import write_clock
from stream.due import Rules
from stream.ingest import Ingest
from stream.stores.history import read_steps
from stream.stores.open import Stores
from stream.stores.protocols import BlockRow, ProfileRow
from tests.stream.fakes import LogSource, at, log_of

START = 60 * 1000
WALL_S = float(at(START + 10_000))
HOUR = Span(START, START + 60)
KEYS = [("a", "h1"), ("b", "h1"), ("a", "h2")]


def ingest_of(source: LogSource, stores: Stores) -> Ingest:
    return Ingest(source, stores, Rules(), lambda: WALL_S)


def drain(ingest: Ingest) -> Ingest:
    while ingest.behind:
        ingest.step()
    return ingest


def close(ingest: Ingest, stores: Stores, now: Minute) -> None:
    write_clock(stores.control, Clock(speed=0.0, origin_minute=now))
    ingest.step()


def counts_of(stores: Stores, vm_id: str, span: Span = HOUR, step_min: int = 60) -> list[int]:
    counts: list[int] = read_steps(stores.series, stores.catalogue.find([vm_id])[vm_id], step_min, span)[1].tolist()
    return counts


def two_hosts(*after: Sequence[tuple[int, int, float]]) -> LogSource:
    """VM a on h1, which goes on reporting it for 5 minutes after it has gone; then what `after` says, by partition 1
    where it is of h2."""
    on_h1 = log_of([(k, at(START + m), 10.0) for m in range(66) for k in (0, 1) if k or m < 35], *after[:1])
    return LogSource(KEYS, [on_h1, log_of(*after[1:], part=1)])


def replace_log(source: LogSource, until: int) -> LogSource:
    """The same log as it was when partition 1 had nothing yet."""
    return LogSource(KEYS, [source.log[0][:until], []])


def failing(metric: str, rows: Sequence[BlockRow], profiles: Sequence[ProfileRow] = ()) -> int:
    raise StoreError("disk", expected="room", got="none", remedy="Make some.")
