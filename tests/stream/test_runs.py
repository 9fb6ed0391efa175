"""Runs of the forecast: one at a time, for all who asked by then, and what they leave in the stores."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from models.errors import BadInput, StoreError
from models.minutes import Clock
from stream.champion import Champion
from stream.clock import write_clock
from stream.live import Fleet
from stream.runs import NOBODY, Runs, check_closed, forecast_after, overdue
from stream.settings import Settings
from tests.stream.small_fleet import END, NOW, fill

LONG_S = 3600.0


class Worked:
    """A run that notes what it was asked for; it waits for `free`, and raises what is in `errors`."""

    def __init__(self) -> None:
        self.ends: list[int] = []
        self.threads: set[int] = set()
        self.errors: list[Exception] = []
        self.began = threading.Event()
        self.free = threading.Event()
        self.free.set()

    def __call__(self, end: int) -> None:
        self.ends.append(end)
        self.threads.add(threading.get_ident())
        self.began.set()
        assert self.free.wait(30)
        if self.errors:
            raise self.errors.pop(0)


def asked(runs: Runs, *said: tuple[int, int]) -> list[asyncio.Task[None]]:
    return [asyncio.create_task(runs.ask(end, part)) for end, part in said]


async def turned(runs: Runs) -> None:
    async with asyncio.timeout(30):
        await runs.turn()


def test_one_run_begins_when_every_partition_has_said_it() -> None:
    async def trial() -> None:
        worked = Worked()
        runs = Runs(worked, lambda: [0, 1, 1000], settle_s=LONG_S)
        first = asked(runs, (60, 0), (60, 1))
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.3):
                await runs.turn()
        assert worked.ends == []
        last = asked(runs, (60, 1000))
        await asyncio.gather(turned(runs), *first, *last)
        assert worked.ends == [60]
        assert threading.get_ident() not in worked.threads

    asyncio.run(trial())


def test_a_partition_that_says_nothing_is_not_waited_for_long() -> None:
    async def trial() -> None:
        worked = Worked()
        runs = Runs(worked, lambda: [0, 1], settle_s=0.05)
        await asyncio.gather(turned(runs), *asked(runs, (60, 0)))
        assert worked.ends == [60]

    asyncio.run(trial())


def test_a_backlog_of_hours_is_one_run_for_the_newest() -> None:
    async def trial() -> None:
        worked = Worked()
        runs = Runs(worked, lambda: [0, 1], settle_s=LONG_S)
        backlog = asked(runs, *((hour * 60, part) for hour in range(1, 50) for part in (0, 1)))
        await asyncio.gather(turned(runs), *backlog)
        assert worked.ends == [49 * 60]

    asyncio.run(trial())


def test_who_asks_during_a_run_waits_for_the_next() -> None:
    async def trial() -> None:
        worked = Worked()
        worked.free.clear()
        runs = Runs(worked, lambda: [0], settle_s=LONG_S)
        turn = asyncio.create_task(turned(runs))
        first = asked(runs, (60, 0))
        assert await asyncio.to_thread(worked.began.wait, 30)
        second = asked(runs, (120, 0))
        await asyncio.sleep(0)
        worked.free.set()
        await asyncio.gather(turn, *first)
        assert worked.ends == [60]
        assert not second[0].done()
        await asyncio.gather(turned(runs), *second)
        assert worked.ends == [60, 120]

    asyncio.run(trial())


def test_a_run_that_fails_is_told_to_all_who_asked_and_the_next_one_works() -> None:
    async def trial() -> None:
        worked = Worked()
        worked.errors = [StoreError("store", expected="a lock", got="none", remedy="Wait.")]
        runs = Runs(worked, lambda: [0, 1], settle_s=LONG_S)
        answers = await asyncio.gather(turned(runs), *asked(runs, (60, 0), (60, 1)), return_exceptions=True)
        assert [type(answer) for answer in answers] == [type(None), StoreError, StoreError]
        await asyncio.gather(turned(runs), *asked(runs, (60, 0), (60, 1)))
        assert worked.ends == [60, 60]

    asyncio.run(trial())


def test_who_no_longer_waits_is_not_told() -> None:
    async def trial() -> None:
        worked = Worked()
        runs = Runs(worked, lambda: [0, 1], settle_s=LONG_S)
        gone, there = asked(runs, (60, 0), (60, 1))
        await asyncio.sleep(0)
        gone.cancel()
        await asyncio.gather(turned(runs), there)
        assert gone.cancelled()

    asyncio.run(trial())


def test_where_the_partitions_cannot_be_read_the_run_says_so() -> None:
    def away() -> list[int]:
        raise StoreError("store", expected="a lock", got="none", remedy="Wait.")

    async def trial() -> None:
        worked = Worked()
        runs = Runs(worked, away, settle_s=LONG_S)
        await asyncio.gather(turned(runs), *asked(runs, (60, NOBODY)))
        assert worked.ends == [60]

    asyncio.run(trial())


@pytest.fixture
def fleet(tmp_path: Path) -> Iterator[Fleet]:
    """The small fleet, its clock standing at 12:07; its data end at 12:00."""
    stores = fill(tmp_path)
    write_clock(stores.control, Clock(0.0, float(NOW), 0.0))
    yield Fleet(stores, Champion(f"file:{tmp_path / 'registry'}", 1, "cpu"), Settings())
    stores.close()


def first_minutes(fleet: Fleet) -> set[int]:
    return {row.first_minute for row in fleet.stores.forecasts.latest()}


def mark(fleet: Fleet, part: int, minute: int) -> None:
    key = f"watermark/{part}"
    record = fleet.stores.control.get(key)
    assert fleet.stores.control.apply([(key, 0 if record is None else record.version, f'{{"minute": {minute}}}')])


def test_a_run_forecasts_from_the_first_open_hour_of_the_clock(fleet: Fleet) -> None:
    write_clock(fleet.stores.control, Clock(0.0, float(NOW + 60), 0.0))
    forecast_after(fleet, END)
    assert first_minutes(fleet) == {END + 60}


def test_a_clock_that_is_not_told_yet_does_not_hold_the_run_back(fleet: Fleet) -> None:
    write_clock(fleet.stores.control, Clock())
    mark(fleet, 0, END + 62)  # the event of the hour that closed came before the watermark that closed it
    forecast_after(fleet, END + 60)
    assert first_minutes(fleet) == {END + 60}
    assert overdue(fleet.stores.control, 3) is None


def test_what_is_overdue_is_what_is_closed_and_not_forecast(fleet: Fleet) -> None:
    control = fleet.stores.control
    assert overdue(control, 3) is None
    mark(fleet, 0, NOW - 300)
    mark(fleet, 1000, NOW)
    assert overdue(control, 3) == END
    forecast_after(fleet, END)
    assert overdue(control, 3) is None
    mark(fleet, 1000, END + 62)
    assert overdue(control, 3) is None
    mark(fleet, 1000, END + 63)
    assert overdue(control, 3) == END + 60


def test_an_older_run_does_not_take_back_what_a_newer_one_said(fleet: Fleet) -> None:
    mark(fleet, 0, END + 63)
    write_clock(fleet.stores.control, Clock(0.0, float(END + 63), 0.0))
    forecast_after(fleet, END + 60)
    write_clock(fleet.stores.control, Clock(0.0, float(NOW), 0.0))
    forecast_after(fleet, END)
    assert overdue(fleet.stores.control, 3) is None
    assert first_minutes(fleet) == {END + 60}


def test_two_that_run_at_once_do_no_harm(fleet: Fleet) -> None:
    mark(fleet, 0, NOW)
    errors: list[BaseException] = []

    def run() -> None:
        try:
            forecast_after(fleet, END)
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=run) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert first_minutes(fleet) == {END}
    assert overdue(fleet.stores.control, 3) is None


def test_no_hour_of_the_future_is_taken_for_closed(fleet: Fleet) -> None:
    check_closed(fleet, END)
    write_clock(fleet.stores.control, Clock(0.0, float(END + 58), 0.0))
    check_closed(fleet, END + 60)  # samples may be five minutes ahead of the clock, and it closes after three
    write_clock(fleet.stores.control, Clock(0.0, float(END + 57), 0.0))
    for end in (END + 60, END + 10**9, END + 1):
        with pytest.raises(BadInput, match="hour that was closed"):
            check_closed(fleet, end)


def test_where_the_clock_follows_only_the_walls_future_is_known_not_to_be(fleet: Fleet) -> None:
    write_clock(fleet.stores.control, Clock())
    check_closed(fleet, END + 60)
    with pytest.raises(BadInput, match="hour that was closed"):
        check_closed(fleet, 60 * 10**6)
