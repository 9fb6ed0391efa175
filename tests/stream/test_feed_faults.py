"""The faults of a feed: each with its share, the same whatever the number of producers, and poison that is poison."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.errors import BadInput
from stream.feed_encode import open_encoder
from stream.feed_faults import DUPLICATE_WITHIN_S, Faults, draw, poisoned, skews_s
from stream.samples import Key
from stream.wire import Keys, open_decoder
from stream.wire_base import Wire

FORMATS = ("json", "host-json", "host-msgpack", "arrow")
KEYS = [Key(f"vm-{i}", "h-1") for i in range(5)]


class Sent(NamedTuple):
    offset: int
    key: bytes | None
    value: bytes | None
    timestamp: int = 0


@given(st.sampled_from(FORMATS), st.integers(0, 2**32), st.lists(st.floats(0, 100), min_size=1, max_size=5))
def test_what_is_poisoned_is_never_taken(format_: str, seed: int, value: list[float]) -> None:
    wire = Wire(format_)
    encoder = open_encoder(wire, KEYS)
    count = 1 if format_ == "json" else len(value)
    key, ts_s = np.arange(count, dtype=np.int32), np.full(count, 1_000_000)
    body = poisoned(lambda v: encoder.encode(key, ts_s, v), np.array(value[:count]), encoder.listed, (seed, 1, 2))
    found = open_decoder(wire, Keys()).decode([Sent(0, b"h", body)])
    assert found.bad or np.all((found.value < 0) | (found.value > 655)), body


def test_every_kind_of_poison_comes() -> None:
    encoder = open_encoder(Wire("host-json"), KEYS)
    key, ts_s, value = np.arange(5, dtype=np.int32), np.full(5, 60), np.arange(5.0)
    bodies = [poisoned(lambda v: encoder.encode(key, ts_s, v), value, True, (seed, 0)) for seed in range(60)]
    good = encoder.encode(key, ts_s, value)
    assert b"" in bodies
    assert encoder.encode(key, ts_s, value[1:]) in bodies
    assert any(body and good.startswith(body) for body in bodies)
    assert any(b"-1.0" in body for body in bodies)
    assert any(b"soon" in body for body in bodies)
    assert any(not body.isascii() for body in bodies)
    assert good not in bodies


ONES = np.arange(20_000, dtype=np.float64)


@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
def test_each_fault_has_its_share(share: float) -> None:
    drawn = draw(Faults(drop=share), 5, ONES)
    assert 1 - drawn.kept.mean() == pytest.approx(share, abs=0.02)
    late = draw(Faults(late=share, late_min=7), 5, ONES)
    assert np.count_nonzero(late.at_s == ONES + 420) / 20_000 == pytest.approx(share, abs=0.02)
    twice = draw(Faults(duplicate=share), 5, ONES)
    assert len(twice.copies) / 20_000 == pytest.approx(share, abs=0.02)
    behind = twice.copy_at_s - ONES[twice.copies]
    assert np.all((behind >= 0) & (behind <= DUPLICATE_WITHIN_S))


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.9])
def test_poison_is_a_share_of_all_messages(share: float) -> None:
    bad = draw(Faults(poison=share), 5, ONES).poison.sum()
    assert bad / (bad + 20_000) == pytest.approx(share, abs=0.02)


def test_what_is_dropped_is_neither_late_nor_doubled() -> None:
    drawn = draw(Faults(drop=0.5, late=1.0, duplicate=1.0), 5, ONES)
    assert np.array_equal(drawn.late, drawn.kept)
    assert np.array_equal(drawn.copies, np.flatnonzero(drawn.kept))


def test_shuffling_only_holds_back_and_changes_the_order() -> None:
    drawn = draw(Faults(shuffle_s=30), 5, ONES)
    assert np.all((drawn.at_s >= ONES) & (drawn.at_s <= ONES + 30))
    assert np.any(np.diff(drawn.at_s) < 0)


def test_clocks_are_wrong_either_way_and_stay_so() -> None:
    skew_s = skews_s(Faults(skew_s=90), 1_000)
    assert np.array_equal(skew_s, skews_s(Faults(skew_s=90), 1_000))
    assert -90 <= skew_s.min() < -80
    assert 80 < skew_s.max() <= 90
    assert not skews_s(Faults(), 10).any()


@given(st.integers(-(2**31), 2**31), st.integers(0, 2**32))
def test_the_same_seed_draws_the_same_and_each_minute_its_own(minute: int, seed: int) -> None:
    faults = Faults(drop=0.5, shuffle_s=10, seed=seed)
    one, again, next_ = (draw(faults, m, ONES[:100]) for m in (minute, minute, minute + 1))
    assert np.array_equal(one.at_s, again.at_s)
    assert minute == -1 or not np.array_equal(one.at_s, next_.at_s)


@pytest.mark.parametrize(
    ("faults", "said"),
    [
        (Faults(drop=1.5), "fault drop: expected a share of the messages from 0 to 1, got 1.5"),
        (Faults(poison=0.95), "fault poison: .* from 0 to 0.9"),
        (Faults(late_min=-1), "fault late_min: expected a length of time"),
        (Faults(skew_s=float("nan")), "fault skew_s: .* got nan"),
    ],
)
def test_a_fault_that_cannot_be_is_refused(faults: Faults, said: str) -> None:
    with pytest.raises(BadInput, match=said):
        faults.check()
