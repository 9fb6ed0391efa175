"""What is done with small events: handled, tried again, buried, and acknowledged in the order of the log."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.errors import BadInput, SetError, StoreError
from models.fleet import Life
from stream.agents import RETRIES_S, Arrived, Care, Handler, InOrder, NotKnownYet, attend
from stream.dead import DeadLetter, decode_dead
from stream.events import encode_event
from stream.handlers import migration_of, store_outcome
from stream.stores.open import Stores, open_stores
from stream.stores.protocols import KnownMigration, Migration
from tests.stream.stores.given import placement

AWAY = StoreError("store", expected="a lock", got="none", remedy="Wait.")
ARRIVED = Arrived("outcomes", 3, 14, b"key", b"value", 1_700_000_000_000)
MOVED = Migration("vm-1", 100, "pre-copy", "host-a", "host-b", 12.5, 37.25, "done")


class Watched:
    """Care that is watched: what was buried, counted and waited for. `away` burials fail first."""

    def __init__(self, away: int = 0) -> None:
        self.letters: list[DeadLetter] = []
        self.tallies: list[tuple[str, str]] = []
        self.pauses_s: list[float] = []
        self._away = away
        self.care = Care(self._bury, lambda topic, what: self.tallies.append((topic, what)), self._pause)

    async def _bury(self, key: bytes, value: bytes) -> None:
        if self._away:
            self._away -= 1
            raise AWAY
        self.letters.append(decode_dead(key, value))

    async def _pause(self, seconds: float) -> None:
        self.pauses_s.append(seconds)


def failing(*errors: Exception) -> tuple[Handler, list[bytes]]:
    """A handler that raises these, one a call, and then works; and what it was called with."""
    left, calls = list(errors), []

    async def handle(value: bytes) -> None:
        calls.append(value)
        if left:
            raise left.pop(0)

    return handle, calls


def attended(handler: Handler, watched: Watched, arrived: Arrived = ARRIVED) -> None:
    asyncio.run(attend(arrived, handler, watched.care))


def test_an_event_is_handled_once() -> None:
    watched = Watched()
    handle, calls = failing()
    attended(handle, watched)
    assert calls == [b"value"]
    assert watched.tallies == [("outcomes", "handled")]
    assert watched.letters == []


def test_a_store_that_is_away_is_waited_for_as_long_as_it_is() -> None:
    watched = Watched()
    handle, calls = failing(*[AWAY] * 500)
    attended(handle, watched)
    assert len(calls) == 501
    assert watched.tallies == [*[("outcomes", "retried")] * 500, ("outcomes", "handled")]
    assert watched.letters == []
    assert max(watched.pauses_s) <= 15
    assert min(watched.pauses_s[10:]) >= 5  # patient, so that a store that comes back is not run over
    assert len(set(watched.pauses_s[10:])) > 400  # and not all at the same moment


def test_what_fails_is_tried_three_times_more() -> None:
    watched = Watched()
    handle, calls = failing(*[ValueError("x")] * 3)
    attended(handle, watched)
    assert len(calls) == 4
    assert watched.letters == []
    for pause_s, meant_s in zip(watched.pauses_s, RETRIES_S, strict=True):
        assert meant_s / 2 <= pause_s <= meant_s * 1.5


@pytest.mark.parametrize(
    ("error", "calls", "reason"),
    [
        (ValueError("odd\nthing"), 4, "failed"),
        (SetError("set", expected="a", got="b", remedy="c"), 4, "broken_set"),
        (NotKnownYet("vm", expected="a", got="b", remedy="c"), 4, "unknown_vm"),
        (BadInput("event", expected="a", got="b", remedy="c"), 1, "bad_event"),
    ],
)
def test_what_goes_on_failing_is_buried_with_its_bytes_and_why(error: Exception, calls: int, reason: str) -> None:
    watched = Watched()
    handle, called = failing(*[error] * 9)
    attended(handle, watched)
    assert len(called) == calls
    (letter,) = watched.letters
    assert (letter.topic, letter.partition, letter.offset) == ("outcomes", 3, 14)
    assert (letter.key, letter.value, letter.timestamp_ms) == (b"key", b"value", 1_700_000_000_000)
    assert letter.reason == reason
    assert letter.detail == (repr(error) if reason == "failed" else str(error))
    assert watched.tallies == [*[("outcomes", "retried")] * (calls - 1), ("outcomes", f"dead_{reason}")]


def test_a_store_that_comes_and_goes_does_not_use_up_the_tries() -> None:
    watched = Watched()
    handle, _ = failing(ValueError(), AWAY, ValueError(), AWAY, AWAY, ValueError(), AWAY)
    attended(handle, watched)
    assert watched.tallies[-1] == ("outcomes", "handled")


def test_a_letter_waits_for_the_brokers() -> None:
    watched = Watched(away=20)
    handle, calls = failing(BadInput("event", expected="a", got="b", remedy="c"))
    attended(handle, watched)
    assert len(calls) == 1
    assert len(watched.pauses_s) == 20
    assert len(watched.letters) == 1


def test_an_event_without_a_value_is_bad() -> None:
    watched = Watched()
    handle, calls = failing()
    attended(handle, watched, ARRIVED._replace(value=None, key=None))
    assert calls == []
    assert [(letter.reason, letter.key, letter.value) for letter in watched.letters] == [("bad_event", None, None)]


def test_a_cancellation_is_neither_a_failure_nor_the_end_of_an_event() -> None:
    async def trial() -> None:
        watched = Watched()
        began = asyncio.Event()

        async def endless(_value: bytes) -> None:
            began.set()
            await asyncio.Event().wait()

        attending = asyncio.create_task(attend(ARRIVED, endless, watched.care))
        await began.wait()
        attending.cancel()
        with pytest.raises(asyncio.CancelledError):
            await attending
        assert watched.letters == []
        assert watched.tallies == []

    asyncio.run(trial())


@given(st.lists(st.integers(0, 2), min_size=1, max_size=30), st.randoms(use_true_random=False))
def test_acknowledged_in_the_order_of_each_partition(partitions: list[int], random: Random) -> None:
    in_order = InOrder()
    acknowledged: list[tuple[int, int]] = []
    finished: set[tuple[int, int]] = set()
    waiting = []
    for offset, partition in enumerate(partitions):
        arrived = ARRIVED._replace(partition=partition, offset=offset)
        done = in_order.came(arrived, lambda at=(partition, offset): acknowledged.append(at))  # type: ignore[misc]
        waiting.append(((partition, offset), done))
    random.shuffle(waiting)
    for at, done in waiting:
        done()
        finished.add(at)
        for partition in set(partitions):
            log = [(partition, offset) for offset, of in enumerate(partitions) if of == partition]
            whole = next((index for index, one in enumerate(log) if one not in finished), len(log))
            assert [one for one in acknowledged if one[0] == partition] == log[:whole]


def test_an_event_that_comes_again_is_acknowledged_again() -> None:
    in_order, acknowledged = InOrder(), []
    first, again = (in_order.came(ARRIVED, lambda n=n: acknowledged.append(n)) for n in (1, 2))  # type: ignore[misc]
    again()
    assert acknowledged == []
    first()
    assert acknowledged == [1, 2]


@pytest.fixture
def stores(tmp_path: Path) -> Iterator[Stores]:
    url = f"sqlite:{tmp_path / 'store.db'}"
    opened = open_stores(url, url, url)
    yield opened
    opened.close()


def test_a_migration_is_stored_once_however_often_it_is_told(stores: Stores) -> None:
    stores.catalogue.put([Life("vm-1", 40)], [placement("vm-1", 0, created_at=40)])
    for _ in range(3):
        store_outcome(stores.outcomes, encode_event(MOVED))
    known = KnownMigration(40, MOVED)
    assert stores.outcomes.of("vm-1") == [known]


def test_a_migration_of_a_vm_that_nobody_knows_may_be_tried_again(stores: Stores) -> None:
    with pytest.raises(NotKnownYet, match="migration of 'vm-1': expected a VM that has reported"):
        store_outcome(stores.outcomes, encode_event(MOVED))


@pytest.mark.parametrize(
    ("field", "value", "expected"),
    [
        ("vm_id", "", "an id"),
        ("start", 2**40, "an epoch minute"),
        ("start", -(2**40), "an epoch minute"),
        ("method", "teleport", "pre-copy, auto-converge, post-copy, cold"),
        ("result", "fine", "done, failed, cancelled"),
        ("length_s", -0.5, "0 or more seconds"),
        ("downtime_ms", -1, "0 or more milliseconds, or null"),
    ],
)
def test_a_migration_that_cannot_have_been_is_refused(field: str, value: object, expected: str) -> None:
    fields = json.loads(encode_event(MOVED)) | {field: value}
    with pytest.raises(BadInput) as caught:
        migration_of(json.dumps(fields).encode())
    assert (caught.value.what, caught.value.expected) == (f"{field} of a migration", expected)


@pytest.mark.parametrize("value", [b"", b"null", b"[]", b"{}", b'{"vm_id": "\\ud800"}', b"\xff", b'"x"', b"{" * 10_000])
def test_bytes_that_are_no_migration_are_refused(value: bytes) -> None:
    with pytest.raises(BadInput, match="event Migration"):
        migration_of(value)


def test_a_migration_without_a_known_downtime_is_one() -> None:
    fields = json.loads(encode_event(MOVED)) | {"downtime_ms": None, "length_s": 0, "new_field": 1}
    assert migration_of(json.dumps(fields).encode()).downtime_ms is None
