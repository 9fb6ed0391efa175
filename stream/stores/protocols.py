"""The backends' protocols: at most four methods each; a driver is chosen by URL in `stream.stores.open`.

Every implementation passes the one conformance suite of its protocol under tests/stream/stores/.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from models.fleet import Life, Placement, Vm
from models.minutes import Minute, Span

METRIC_CPU = "cpu"


@dataclass(frozen=True, slots=True)
class BlockRow:
    """One span of one block of one metric.

    mean: float32[SLOTS], percent, NaN = gap (stored as uint16 in 0.01 %, 65535 = gap). count: uint8[SLOTS], minutes
    behind each mean, 0 where and only where mean is NaN. `step_min` is 5 or 60; `part` and `epoch` name the writer.
    `corrects`: bool[SLOTS], where minutes of what was written may have gone to another placement, so that this row
    replaces it; None: nowhere.
    """

    step_min: int
    block: int
    start: Minute
    part: int
    epoch: int
    mean: npt.NDArray[np.float32]
    count: npt.NDArray[np.uint8]
    corrects: npt.NDArray[np.bool_] | None = None


@dataclass(frozen=True, slots=True)
class ProfileRow:
    """One UTC hour of a block's day profile: shape int8[12, SLOTS], scale float32[SLOTS].

    In the k-th 5 minutes of `hour_of_day` the load stands shape[k] / 127 * scale points above its hour's mean; scale 0
    where nothing is known yet. A row an hour of the day keeps an hour's write small. `through` is the end of the last
    hour that went into it, so a replayed hour is not counted twice.
    """

    block: int
    hour_of_day: int
    through: Minute
    shape: npt.NDArray[np.int8]
    scale: npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Cells:
    """A rectangle of aggregates: mean float32[steps, rows] (NaN = gap) and count uint8[steps, rows].

    Column i * SLOTS + slot is that slot of the i-th block asked for. `rev` is the highest rev among the rows read
    (0: none).
    """

    mean: npt.NDArray[np.float32]
    count: npt.NDArray[np.uint8]
    rev: int


class Changed(NamedTuple):
    """A row written after the rev that was asked for."""

    rev: int
    block: int
    start: Minute


class Series(Protocol):
    """Aggregates by metric: block rows of 5-minute and hourly means, and the day profile."""

    def put(self, metric: str, rows: Sequence[BlockRow], profiles: Sequence[ProfileRow] = ()) -> int:
        """Upsert all or nothing; returns the highest rev now in force for these rows.

        Idempotent. Per slot the fuller count wins and a tie goes to the new value, so a partial hour never replaces
        a fuller one, but where it `corrects`; a row of an older epoch than the stored one's is dropped. A row that
        changes no mean and no count keeps its rev (a newer epoch signs it all the same); any other gets
        `rev = epoch << 32 | n`, higher than every rev before it in its table. A profile replaces the stored one only
        where its `through` is later.
        """
        ...

    def read(self, metric: str, step_min: int, blocks: Sequence[int], span: Span) -> Cells:
        """The means and counts of these blocks, one step a row; what is not stored is NaN with count 0."""
        ...

    def changed(self, metric: str, step_min: int, after_rev: int) -> list[Changed]:
        """Rows with rev > after_rev, by rev."""
        ...

    def profiles(self, metric: str, blocks: Sequence[int], hour_of_day: int | None = None) -> list[ProfileRow]:
        """The stored profile rows of these blocks, by (block, hour_of_day); what is not stored is left out.

        With `hour_of_day`, those of that hour only.
        """
        ...


class Catalogue(Protocol):
    """Lives and placements."""

    def put(self, lives: Sequence[Life], placements: Sequence[Placement]) -> None:
        """Upsert all or nothing, keys (vm_id, created_at) and (vm_id, created_at, from_minute); idempotent.

        StartOver where (block, slot) is another life's, whatever the minute; StoreError where a placement has no life.
        """
        ...

    def lives(self, blocks: Sequence[int] | None = None) -> list[Vm]:
        """Every life that has a placement (in these blocks), by (vm_id, created_at): old lives of a reused id too."""
        ...

    def find(self, vm_ids: Sequence[str]) -> dict[str, Vm]:
        """The newest life of each id; unknown ids are left out. Up to 10,000 ids."""
        ...

    def page(self, prefix: str, after: str, limit: int) -> list[Vm]:
        """Newest lives whose id starts with `prefix` and sorts after `after` (code point order), at most `limit`."""
        ...


@dataclass(frozen=True, slots=True)
class ForecastRow:
    """A block's forecast. records: FORECAST_DTYPE[SLOTS]; first_minute: start of its first hour; made_at: minute.

    Slots without a life have rung REFUSED and reason UNKNOWN.
    """

    block: int
    first_minute: Minute
    made_at: Minute
    model: str
    records: npt.NDArray[np.void]


class OneForecast(NamedTuple):
    """One VM's record (a FORECAST_DTYPE scalar) with what its block row says of it."""

    first_minute: Minute
    made_at: Minute
    model: str
    record: np.void


class Forecasts(Protocol):
    """The latest forecast of each block, overwritten, and the log kept for evaluation."""

    def put(self, rows: Sequence[ForecastRow], *, log: bool) -> None:
        """Overwrite the blocks' latest; with `log` also keep (block, first_minute, model). All or nothing.

        A row older (by first_minute, then made_at) than the stored latest leaves it as it is; so does one with an
        older made_at than the logged one of its key.
        """
        ...

    def get(self, places: Sequence[tuple[int, int]]) -> list[OneForecast | None]:
        """The latest record of each (block, slot), in order; None where its block has none."""
        ...

    def latest(self) -> Iterator[ForecastRow]:
        """Every block's latest, by block."""
        ...

    def logged(self, span: Span, blocks: Sequence[int] | None = None) -> Iterator[ForecastRow]:
        """Logged rows (of these blocks) whose first_minute lies in `span`, by (first_minute, block)."""
        ...


@dataclass(frozen=True, slots=True)
class Migration:
    """A migration that happened, or failed. start: the epoch minute it began; length_s: from there to its end.

    `method`: pre-copy, auto-converge, post-copy or cold. `result`: done, failed or cancelled. `downtime_ms` None: not
    known, or there was none. `source` and `target` are hosts.
    """

    vm_id: str
    start: Minute
    method: str
    source: str
    target: str
    length_s: float
    downtime_ms: float | None
    result: str
    reason: str = ""


class KnownMigration(NamedTuple):
    """A migration of the life (migration.vm_id, created_at)."""

    created_at: Minute
    migration: Migration


class Outcomes(Protocol):
    """Migrations that happened, by life and start: what the downtime's learned correction learns from."""

    def put(self, migrations: Sequence[Migration]) -> list[str]:
        """Upsert all or nothing, key (vm_id, start), as an id has one life at a time; idempotent, the last one holds.

        Each belongs to the newest life that had begun by its start, else to the id's first. Returns the ids that no
        life has: their migrations are not stored.
        """
        ...

    def read(self, span: Span) -> list[KnownMigration]:
        """Those that began within `span`, by (start, vm_id)."""
        ...

    def of(self, vm_id: str) -> list[KnownMigration]:
        """Those of one id, of whichever life, by start."""
        ...


class Versioned(NamedTuple):
    """A control record: its version (1 when created, + 1 at each change) and value."""

    version: int
    value: str


class Control(Protocol):
    """Small records under compare-and-set: the clock, block claims, epochs, committed offsets, hour runs."""

    def get(self, key: str) -> Versioned | None:
        """The record, or None."""
        ...

    def list(self, prefix: str) -> dict[str, Versioned]:
        """Every record whose key starts with `prefix`, by key."""
        ...

    def apply(self, changes: Sequence[tuple[str, int, str | None]]) -> bool:
        """(key, expected version, new value), all or nothing; True where every expectation held.

        Expected version 0: the key must be absent. Value None deletes. Each key comes at most once.
        """
        ...
