"""What one ingest worker tells the others: VMs that it has placed, some hundreds a message, as JSON."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import msgspec

from models.errors import BadInput
from models.fleet import Life, Placement, Vm
from models.minutes import Minute

VMS_A_MESSAGE = 500


class _Placed(msgspec.Struct, array_like=True):
    from_minute: Minute
    host: str
    vcpus: float | None
    block: int
    slot: int


class _Told(msgspec.Struct, array_like=True):
    life: Life
    placements: list[_Placed]


_ENCODE, _DECODE = msgspec.json.Encoder(), msgspec.json.Decoder(list[_Told])


def encode_placed(vms: Sequence[Vm]) -> Iterator[bytes]:
    """The messages that say where these lives are."""
    for start in range(0, len(vms), VMS_A_MESSAGE):
        yield _ENCODE.encode(
            [
                _Told(vm.life, [_Placed(p.from_minute, p.host, p.vcpus, p.block, p.slot) for p in vm.placements])
                for vm in vms[start : start + VMS_A_MESSAGE]
            ]
        )


def decode_placed(value: bytes) -> list[Vm]:
    """The lives of one message. BadInput where it is not one of ours."""
    try:
        return [_vm(told) for told in _DECODE.decode(value)]
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise BadInput(
            "message of the topic of placements",
            expected="placed VMs as JSON",
            got=str(error),
            remedy="Another program writes to that topic: give each fleet a prefix of its own in [kafka].",
        ) from None


def _vm(told: _Told) -> Vm:
    who = told.life.vm_id, told.life.created_at
    return Vm(
        told.life, tuple(Placement(*who, p.from_minute, p.host, p.vcpus, p.block, p.slot) for p in told.placements)
    )
