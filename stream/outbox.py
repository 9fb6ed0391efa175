"""A writer that connects when it is first needed, and tries anew after it could not: its process may start first."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from stream.broker_topics import Out, Writer
from stream.kafka import Connection


class Outbox:
    """For one event loop. The state: the writer, once it is connected."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._writer: Writer | None = None
        self._connecting = asyncio.Lock()

    async def write(self, messages: Sequence[Out]) -> None:
        """Have every message acknowledged. StoreError where one was not, or no broker answers."""
        writer = self._writer or await self._connected()
        await writer.write(messages)

    async def stop(self) -> None:
        """Close the connection, if there is one."""
        if self._writer is not None:
            await self._writer.stop()

    async def _connected(self) -> Writer:
        async with self._connecting:
            if self._writer is None:
                writer = Writer(self._connection)
                try:
                    await writer.start()
                except BaseException:  # a cancellation too: who asked has waited long enough
                    await writer.stop()
                    raise
                self._writer = writer
            return self._writer
