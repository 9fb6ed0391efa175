"""The service beside the agents: it runs what is asked and what is overdue, and knows what is away."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from models.errors import StoreError
from stream.runs import Runs
from stream.worker_forecast import Ask, Forecasting
from tests.stream.faust_apps import until

AWAY = StoreError("store", expected="a lock", got="none", remedy="Wait.")


class World:
    """Stores and brokers that can go away, and a run that is counted."""

    def __init__(self) -> None:
        self.ends: list[int] = []
        self.overdue: list[int | Exception] = []
        self.store: Exception | None = None
        self.broker: Exception | None = None
        self.closed = False

    def ask_overdue(self) -> int | None:
        found = self.overdue.pop(0) if self.overdue else None
        if isinstance(found, Exception):
            raise found
        return found

    def ask_store(self) -> None:
        if self.store is not None:
            raise self.store

    async def ask_broker(self) -> dict[str, list[int]]:
        if self.broker is not None:
            raise self.broker
        return {"hours": [0, 1]}

    async def close(self) -> None:
        self.closed = True


@asynccontextmanager
async def forecasting(world: World) -> AsyncIterator[tuple[Forecasting, Runs]]:
    runs = Runs(world.ends.append, lambda: [0], settle_s=0.01)
    service = Forecasting(runs, Ask(world.ask_overdue, world.ask_store, world.ask_broker), world.close)
    await service.start()
    try:
        yield service, runs
    finally:
        await service.stop()


def test_it_runs_when_asked_and_closes_at_its_end() -> None:
    async def trial() -> None:
        world = World()
        async with forecasting(world) as (_, runs):
            await runs.ask(60, 0)
            await runs.ask(120, 0)
            assert world.ends == [60, 120]
        assert world.closed

    asyncio.run(trial())


def test_what_is_overdue_when_it_starts_is_run_without_an_event() -> None:
    async def trial() -> None:
        world = World()
        world.overdue = [600]
        async with forecasting(world):
            await until(lambda: world.ends == [600])

    asyncio.run(trial())


def test_a_catch_up_that_fails_is_no_end() -> None:
    async def trial() -> None:
        for error in (AWAY, ValueError("odd")):
            world = World()
            world.overdue = [error]
            async with forecasting(world) as (service, runs):
                await until(lambda world=world: not world.overdue)
                await runs.ask(60, 0)
                assert not service.crashed

    asyncio.run(trial())


def test_it_knows_its_partitions_and_what_is_away() -> None:
    async def trial() -> None:
        world = World()
        world.store = AWAY
        async with forecasting(world) as (service, _):
            await until(lambda: service.trouble == str(AWAY))
            world.store, world.broker = None, ConnectionError("broker")
            await until(lambda: service.trouble == "broker")
            world.broker = None
            await until(lambda: service.trouble == "" and service.places == {"hours": [0, 1]})

    asyncio.run(trial())
