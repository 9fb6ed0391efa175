"""Who feeds a store, and by which numbers."""

from __future__ import annotations

from pathlib import Path

import pytest

from models.errors import BadInput
from stream.assignment import PARTS_A_SOURCE, blocks_of, claim_source
from stream.samples import Unit
from tests.stream.fakes import stores_in


def test_topics_of_a_broker_share_a_store_and_keep_their_numbers(tmp_path: Path) -> None:
    control = stores_in(tmp_path).control
    firsts = [claim_source(control, name) for name in ("kafka:x", "kafka:y", "kafka:x")]
    assert firsts == [0, PARTS_A_SOURCE, 0]
    with pytest.raises(BadInput, match="one fed by kafka:x"):
        claim_source(control, "replay:trace")


def test_a_replay_shares_its_store_with_nobody(tmp_path: Path) -> None:
    control = stores_in(tmp_path).control
    assert claim_source(control, "replay:trace") == 0
    assert claim_source(control, "replay:trace") == 0
    with pytest.raises(BadInput, match="one fed by replay:trace"):
        claim_source(control, "kafka:x")


def test_a_partition_owns_the_blocks_that_it_claimed(tmp_path: Path) -> None:
    control = stores_in(tmp_path).control
    assert control.apply([("block/10", 0, "1"), ("block/9", 0, "1"), ("block/2", 0, "1000")])
    assert blocks_of(control, 1) == [9, 10]


def test_every_unit_has_a_name_that_the_settings_know() -> None:
    assert {unit.value for unit in Unit} == {"percent", "fraction", "core_percent", "core_seconds"}
