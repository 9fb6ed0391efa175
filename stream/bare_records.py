"""Messages as aiokafka's reader in C makes them, without the ConsumerRecord that it wraps each of them in.

That wrapper costs about as much as all else that aiokafka does with a message, and no setting leaves it out. So its
class of fetched records is replaced by one that leaves it out for those consumers alone that are told `BARE`.
"""

from __future__ import annotations

from aiokafka.consumer import fetcher

from stream.wire_base import Message


def _as_it_is(key: bytes | None) -> bytes | None:
    return key


BARE = _as_it_is  # as a consumer's key_deserializer: its messages are bare, with offset, timestamp, key and value


class _Records(fetcher.PartitionRecords):  # type: ignore[misc]  # aiokafka has no types
    def _consumer_record(self, tp: object, record: Message) -> Message:
        made: Message = record if self._key_deserializer is BARE else super()._consumer_record(tp, record)
        return made


fetcher.PartitionRecords = _Records
