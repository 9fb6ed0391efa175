"""What every implementation of `protocols.Control` promises."""

from __future__ import annotations

import os
import signal

import pytest

from stream.stores.open import Stores, open_stores
from stream.stores.protocols import Versioned
from tests.stream.stores.given import hear, say, start_process

# Opens the store, says so, waits for a line, then tries to create the record.
CLAIMANT = """
import sys
from stream.stores.open import open_stores
url = sys.argv[1]
stores = open_stores(url, url, url)
print("ready", flush=True)
for line in sys.stdin:
    print(stores.control.apply([(line.strip(), 0, sys.argv[2])]), flush=True)
"""

# Adds 1 to a counter sys.argv[2] times by compare-and-set, then says how often it was beaten.
COUNTER = """
import sys
from stream.stores.open import open_stores
url = sys.argv[1]
control = open_stores(url, url, url).control
print("ready", flush=True)
sys.stdin.readline()
beaten = 0
for _ in range(int(sys.argv[2])):
    while True:
        stored = control.get("n")
        version, value = (0, 0) if stored is None else (stored.version, int(stored.value))
        if control.apply([("n", version, str(value + 1))]):
            break
        beaten += 1
print(beaten, flush=True)
"""

# Moves 1 from one record to the other for ever, saying how often it did.
MOVER = """
import sys
from stream.stores.open import open_stores
url = sys.argv[1]
control = open_stores(url, url, url).control
n = 1
while True:
    a, b = control.get("a"), control.get("b")
    control.apply([("a", a.version, str(int(a.value) - 1)), ("b", b.version, str(int(b.value) + 1))])
    print(n, flush=True)
    n += 1
"""


def test_a_record_has_version_1_when_created_and_one_more_at_each_change(stores: Stores) -> None:
    control = stores.control
    assert control.get("k") is None
    assert control.apply([("k", 0, "a")])
    assert control.get("k") == Versioned(1, "a")
    assert control.apply([("k", 1, "b")])
    assert control.apply([("k", 2, "b")])
    assert control.get("k") == Versioned(3, "b")


@pytest.mark.parametrize("expected", [0, 1, 3, -1])
def test_a_change_of_another_version_is_refused(stores: Stores, expected: int) -> None:
    stores.control.apply([("k", 0, "a")])
    stores.control.apply([("k", 1, "b")])
    for value in ("c", None):
        assert not stores.control.apply([("k", expected, value)])
        assert stores.control.get("k") == Versioned(2, "b")


def test_none_deletes_and_the_record_may_be_created_again(stores: Stores) -> None:
    control = stores.control
    control.apply([("k", 0, "a")])
    assert control.apply([("k", 1, None)])
    assert control.get("k") is None
    assert not control.apply([("k", 1, "b")])
    assert control.apply([("k", 0, None)])  # absent it was to be, and absent it stays
    assert control.apply([("k", 0, "b")])
    assert control.get("k") == Versioned(1, "b")


def test_all_changes_are_made_or_none(stores: Stores) -> None:
    control = stores.control
    control.apply([("a", 0, "1"), ("b", 0, "1")])
    assert not control.apply([("a", 1, "2"), ("b", 9, "2"), ("c", 0, "2")])
    assert control.list("") == {"a": Versioned(1, "1"), "b": Versioned(1, "1")}
    assert control.apply([("a", 1, "2"), ("b", 1, None), ("c", 0, "2")])
    assert control.list("") == {"a": Versioned(2, "2"), "c": Versioned(1, "2")}


def test_a_key_that_comes_twice_is_refused(stores: Stores) -> None:
    with pytest.raises(ValueError, match="each key once"):
        stores.control.apply([("k", 0, "a"), ("k", 1, "b")])
    assert stores.control.get("k") is None


def test_no_change_at_all_holds(stores: Stores) -> None:
    assert stores.control.apply([])


def test_list_gives_the_keys_with_the_prefix_by_key(stores: Stores) -> None:
    keys = ["b/2", "b/10", "b", "b%", "b_", "b/é", "b/😀", "a", "B/1", "c"]
    stores.control.apply([(key, 0, key + "!") for key in keys])
    for prefix in ("", "b", "b/", "b%", "b_", "b/😀", "zz"):
        expected = sorted(key for key in keys if key.startswith(prefix))
        found = stores.control.list(prefix)
        assert list(found) == expected
        assert all(found[key] == Versioned(1, key + "!") for key in expected)


def test_values_are_kept_letter_by_letter(stores: Stores) -> None:
    for n, value in enumerate(["", "0", "{}", "é😀\n\0'\"", "x" * 100_000]):
        stores.control.apply([(str(n), 0, value)])
        assert stores.control.get(str(n)) == Versioned(1, value)


def test_of_two_processes_that_claim_one_key_only_one_wins(url: str) -> None:
    with start_process(CLAIMANT, url, "one") as one, start_process(CLAIMANT, url, "two") as two:
        assert hear(one) == hear(two) == "ready"
        for n in range(20):
            say(one, f"claim/{n}")
            say(two, f"claim/{n}")
            answers = {"one": hear(one), "two": hear(two)}
            assert sorted(answers.values()) == ["False", "True"]
            stores = open_stores(url, url, url)
            claimed = stores.control.get(f"claim/{n}")
            stores.close()
            assert claimed is not None
            assert answers[claimed.value] == "True"


def test_two_processes_that_count_by_compare_and_set_lose_no_step(url: str, stores: Stores) -> None:
    steps = 100
    with start_process(COUNTER, url, str(steps)) as one, start_process(COUNTER, url, str(steps)) as two:
        assert hear(one) == hear(two) == "ready"
        say(one, "go")
        say(two, "go")
        assert hear(one).isdigit()
        assert hear(two).isdigit()
    assert stores.control.get("n") == Versioned(2 * steps, str(2 * steps))


def test_a_killed_process_leaves_all_its_changes_or_none(url: str, stores: Stores) -> None:
    stores.control.apply([("a", 0, "0"), ("b", 0, "0")])
    with start_process(MOVER, url) as process:
        assert process.stdout is not None
        said = [hear(process) for _ in range(20)]
        os.kill(process.pid, signal.SIGKILL)
        said += process.stdout.read().split()
    a, b = stores.control.get("a"), stores.control.get("b")
    assert a is not None
    assert b is not None
    assert int(a.value) + int(b.value) == 0
    assert int(b.value) in (int(said[-1]), int(said[-1]) + 1)
