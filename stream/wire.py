"""The wire formats of samples: `open_decoder` gives the decoder of a declared source, one for each partition."""

from __future__ import annotations

from models.errors import BadInput
from stream.wire_arrow import ArrowDecoder
from stream.wire_base import Bad, Decoded, Decoder, Message, Unreadable, Wire
from stream.wire_json import HostDecoder, SingleDecoder
from stream.wire_keys import Keys
from stream.wire_telegraf import TelegrafDecoder

__all__ = ["Bad", "Decoded", "Decoder", "Keys", "Message", "Unreadable", "Wire", "open_decoder"]

NAMES = ("vm", "host", "ts", "cpu")


def open_decoder(wire: Wire, keys: Keys) -> Decoder:
    """The decoder of one partition, which adds to `keys` whom it sees. BadInput where the source cannot be so."""
    unknown = sorted(set(wire.fields) - set(NAMES))
    if unknown:
        raise BadInput(
            "fields of the source",
            expected=f"names of {', '.join(NAMES)}",
            got=", ".join(map(repr, unknown)),
            remedy="Correct the table `fields` of the source.",
        )
    match wire.format:
        case "json":
            return SingleDecoder(wire, keys)
        case "host-json" | "host-msgpack":
            return HostDecoder(wire, keys)
        case "arrow":
            return ArrowDecoder(wire, keys)
        case "telegraf":
            return TelegrafDecoder(wire, keys)
    raise BadInput(
        "format of the source",
        expected="json, host-json, host-msgpack, arrow or telegraf",
        got=repr(wire.format),
        remedy="Declare the format of the topic's messages.",
    )
