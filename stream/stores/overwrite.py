"""A control record that is set whatever it says now, by compare-and-set as all of them are."""

from __future__ import annotations

from stream.stores.protocols import Control


def overwrite(control: Control, key: str, value: str) -> None:
    """Let `key` say `value`, whatever it said before and whoever changes it meanwhile."""
    while True:
        record = control.get(key)
        if control.apply([(key, 0 if record is None else record.version, value)]):
            return
