"""Tasks of a service that outlive a cancellation which nobody has asked for."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from functools import wraps
from typing import TypeVar

Owner = TypeVar("Owner")
log = logging.getLogger(__name__)


def kept_up(run: Callable[[Owner], Awaitable[None]]) -> Callable[[Owner], Awaitable[None]]:
    """`run`, begun again where a CancelledError comes out of it though its task was not asked to end.

    A client may cancel what it makes its caller wait for; and before Python 3.13 a time-out that expires as the answer
    comes (as after SIGCONT) throws its cancellation at whatever is awaited next. mode would take that for the task's
    end, and the service would live on without it.
    """

    @wraps(run)
    async def again(self: Owner) -> None:
        while True:
            try:
                await run(self)
                return
            except asyncio.CancelledError:
                task = asyncio.current_task()
                if task is None or task.cancelling():
                    raise
                log.warning("%s was cancelled by nobody, beginning again", run.__qualname__)

    return again
