"""Keys: numbered as they come, whole texts only, shared texts, no object for each."""

from __future__ import annotations

import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.fleet import MAX_ID_CHARS
from stream.samples import Key
from stream.wire import Keys, Unreadable


def test_keys_are_numbered_as_they_come_and_stay() -> None:
    keys = Keys()
    assert [keys.key("a", "h"), keys.key("b", "h"), keys.key("a", "g"), keys.key("a", "h")] == [0, 1, 2, 0]
    assert list(keys) == [Key("a", "h"), Key("b", "h"), Key("a", "g")]
    assert (len(keys), keys[-1], keys[1:]) == (3, Key("a", "g"), [Key("b", "h"), Key("a", "g")])
    with pytest.raises(IndexError):
        keys[3]


@pytest.mark.parametrize("text", ["", "x" * (MAX_ID_CHARS + 1), "\ud800"])
@pytest.mark.parametrize("place", [0, 1])
def test_what_cannot_be_an_id_is_refused_and_leaves_nothing(text: str, place: int) -> None:
    keys = Keys()
    pair = ["vm", "host"]
    pair[place] = text
    with pytest.raises(Unreadable) as caught:
        keys.key(*pair)
    assert caught.value.reason == "bad_id"
    assert caught.value.detail.isascii()
    assert len(keys) == 0
    assert keys.key("x" * MAX_ID_CHARS, "h") == 0


@given(st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from("gh")), max_size=20))
def test_a_key_is_the_place_of_its_first_coming(pairs: list[tuple[str, str]]) -> None:
    keys, first = Keys(), list(dict.fromkeys(pairs))
    assert [keys.key(*pair) for pair in pairs] == [first.index(pair) for pair in pairs]
    assert list(keys) == first


def test_a_million_keys_would_fit_into_160_megabytes() -> None:
    made = 25_000
    tracemalloc.start()
    keys = Keys()
    for number in range(made):
        keys.key(f"vm-{number:06d}", f"host-{number // 25:05d}")
    grown, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(keys) == made
    assert grown / made < 160  # bytes a key, its text among them
