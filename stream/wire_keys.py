"""Who the samples of a partition are about: each (vm, host) gets a number when it is first seen.

A million keys are kept in two lists of shared texts and one nested table, without an object for each.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import overload

from models.fleet import MAX_ID_CHARS
from stream.samples import Key
from stream.wire_base import ID, Unreadable, shown


class Keys(Sequence[Key]):
    """The keys of one partition, numbered from 0; grows only at its end."""

    def __init__(self) -> None:
        self._vm_ids: list[str] = []
        self._hosts: list[str] = []
        self._tables: dict[str, dict[str, int]] = {}  # host -> vm -> key

    def key(self, vm_id: str, host: str) -> int:
        """The number of (vm_id, host). Unreadable where one of them is no id."""
        table = self._tables.get(host)
        if table is not None:
            number = table.get(vm_id)
            if number is not None:
                return number
        return self._add(vm_id, host)

    def _add(self, vm_id: str, host: str) -> int:
        check_id("vm", vm_id)
        table = self._tables.get(host)
        if table is None:
            check_id("host", host)
            table = self._tables[host] = {}
        else:
            host = self._hosts[next(iter(table.values()))]
        number = len(self._vm_ids)
        table[vm_id] = number
        self._vm_ids.append(vm_id)
        self._hosts.append(host)
        return number

    def __len__(self) -> int:
        return len(self._vm_ids)

    @overload
    def __getitem__(self, index: int) -> Key: ...
    @overload
    def __getitem__(self, index: slice) -> list[Key]: ...
    def __getitem__(self, index: int | slice) -> Key | list[Key]:
        if isinstance(index, slice):
            return [Key(*pair) for pair in zip(self._vm_ids[index], self._hosts[index], strict=True)]
        return Key(self._vm_ids[index], self._hosts[index])


def check_id(what: str, text: str) -> None:
    """Unreadable where `text` cannot be the id of a vm or a host: empty, too long, or of what UTF-8 cannot carry."""
    if not text or len(text) > MAX_ID_CHARS:
        raise Unreadable(ID, f"{what} {shown(text)} has {len(text)} characters, of 1 to {MAX_ID_CHARS}")
    try:
        text.encode()
    except UnicodeEncodeError:
        raise Unreadable(ID, f"{what} {shown(text)} cannot be written as UTF-8") from None
