from __future__ import annotations

import asyncio

import pytest
from mode import Service

from stream.strays import kept_up


class Worker(Service):
    """Its task is cancelled by nobody, twice; then it works until it is stopped."""

    def __init__(self) -> None:
        super().__init__()
        self.began = 0
        self.works = asyncio.Event()

    @Service.task
    @kept_up
    async def _run(self) -> None:
        self.began += 1
        if self.began < 3:
            future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            future.cancel()
            await future
        self.works.set()
        await asyncio.Event().wait()


def test_a_task_that_nobody_cancelled_goes_on_and_ends_when_the_service_does() -> None:
    async def work() -> int:
        worker = Worker()
        async with asyncio.timeout(20), worker:
            await worker.works.wait()
        return worker.began

    assert asyncio.run(work()) == 3


def test_who_is_asked_to_end_ends() -> None:
    began = 0

    class Waiting:
        @kept_up
        async def run(self) -> None:
            nonlocal began
            began += 1
            await asyncio.Event().wait()

    async def work() -> None:
        task = asyncio.ensure_future(Waiting().run())
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(work())
    assert began == 1
