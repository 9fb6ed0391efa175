"""What an ingest worker hears of the fleet beside samples: the inventory, and what other workers have placed.

Each record of the inventory is applied where the worker has the partition by which the record's host reports, which is
where Kafka's default partitioner puts a message with the host as its key.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from uuid import uuid4

import numpy as np
import numpy.typing as npt

from models.errors import BadInput
from models.fleet import VmRecord
from stream.ingest import Ingest
from stream.inventory import Inventory, decode_record
from stream.kafka import Topics
from stream.kafka_tools import partition_of
from stream.placements import decode_placed
from stream.wire_base import Message

log = logging.getLogger(__name__)


class Roster:
    """The inventory in columns, and the ingest that is told of it.

    `name`: the key under which the others are told what this ingest has placed; what comes back by it is no news.
    """

    def __init__(self, topics: Topics, ingest: Ingest) -> None:
        self.name = uuid4().hex.encode()
        self._topics, self._ingest = topics, ingest
        self._inventory = Inventory(ingest.ids)

    def hear(self, messages: Sequence[tuple[str, Message]], partitions: int) -> None:
        """Take messages of the topics of inventory and placements; the samples' topic has so many partitions."""
        for topic, message in messages:
            try:
                if topic != self._topics.placements:
                    self._record(message, partitions)
                elif message.key != self.name:
                    for vm in decode_placed(message.value or b"[]"):
                        self._ingest.learn(vm)
            except BadInput as error:  # one bad record neither stops nor skips its neighbours
                log.warning("%s, offset %d: %s", topic, message.offset, error)

    def tell_of(self, part: int, partitions: int) -> None:
        """Apply what the inventory says of the hosts of a partition that has just been taken over."""
        partition = part - self._ingest.first_part

        def mine(hosts: Sequence[str]) -> npt.NDArray[np.bool_]:
            return np.array([partition_of(host.encode(), partitions) == partition for host in hosts], dtype=np.bool_)

        for record in self._inventory.of_hosts(mine):
            self._ingest.tell(part, record)

    def _record(self, message: Message, partitions: int) -> None:
        record = decode_record(message.key, message.value)
        if record is None:
            self._inventory.forget((message.key or b"").decode())
            return
        self._inventory.put(record)
        self._apply(record, partitions)

    def _apply(self, record: VmRecord, partitions: int) -> None:
        if not partitions:
            return  # not a member yet: the partitions that come are told of it
        part = self._ingest.first_part + partition_of(record.host.encode(), partitions)
        if part in self._ingest.parts:
            self._ingest.tell(part, record)
