"""What a worker hears of the fleet: what others have placed is learned, and what it told itself is no news."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from models.fleet import Life, Vm
from stream.due import Rules
from stream.ingest import Ingest
from stream.kafka import topics_of
from stream.placements import encode_placed
from stream.roster import Roster
from stream.stores.open import Stores
from tests.stream.fakes import LogSource, following
from tests.stream.stores.given import placement

TOPICS = topics_of("")


@pytest.fixture
def stores(tmp_path: Path) -> Iterator[Stores]:
    yield from following(tmp_path)


def test_what_others_have_placed_is_learned_and_ones_own_word_and_a_bad_one_are_not(stores: Stores) -> None:
    ingest = Ingest(LogSource([], [[]]), stores, Rules(), lambda: 0.0)
    roster, other = Roster(TOPICS, ingest), Roster(TOPICS, ingest)
    assert roster.name != other.name

    def placed(vm_id: str, key: bytes | None) -> tuple[str, SimpleNamespace]:
        (value,) = encode_placed([Vm(Life(vm_id, 40), (placement(vm_id, 0, created_at=40),))])
        return TOPICS.placements, SimpleNamespace(key=key, value=value, offset=0, timestamp=0)

    bad = TOPICS.placements, SimpleNamespace(key=other.name, value=b"{", offset=1, timestamp=0)
    roster.hear([placed("mine", roster.name), bad, placed("theirs", other.name), placed("older", None)], 1)
    assert [ingest.ids[number] for number in range(len(ingest.ids))] == ["theirs", "older"]
