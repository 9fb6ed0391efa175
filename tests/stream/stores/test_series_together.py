"""What `protocols.Series` promises where several write and read at once, or one is killed."""

from __future__ import annotations

import os
import signal
from concurrent.futures import ThreadPoolExecutor
from threading import Event

import numpy as np

from models.fleet import SLOTS
from models.minutes import Span
from stream.stores.open import Stores, open_stores
from stream.stores.protocols import METRIC_CPU
from tests.stream.stores.given import block_row, full_row, hear, start_process

BLOCKS = range(8)

# Puts hours from sys.argv[2] on, each a row of every block, and prints an hour once it is put.
WRITER = """
import sys
from itertools import count
from stream.stores.open import open_stores
from tests.stream.stores.given import full_row, profile_row
url = sys.argv[1]
stores = open_stores(url, url, url)
for hour in count(int(sys.argv[2])):
    rows = [full_row(hour % 100 + 1, block=block, start=hour * 60) for block in range(8)]
    profiles = [profile_row(1, hour_of_day=hour % 24, through=hour * 60 + 60)]
    stores.series.put("cpu", rows, profiles)
    print(hour, flush=True)
"""


def killed_while_writing(url: str, first_hour: int, hours: int) -> int:
    """Kill a writer some time after it acknowledged `hours` hours; the last one that it acknowledged."""
    process = start_process(WRITER, url, str(first_hour))
    assert process.stdout is not None
    heard = [hear(process) for _ in range(hours)]
    os.kill(process.pid, signal.SIGKILL)
    heard += process.stdout.read().split()  # what it said between our last look and its death
    process.wait()
    process.stdout.close()
    if process.stdin is not None:
        process.stdin.close()
    assert process.returncode == -signal.SIGKILL
    return int(heard[-1])


def test_a_killed_writer_loses_nothing_acknowledged_and_leaves_nothing_half_written(url: str) -> None:
    first = 0
    for hours in (1, 4, 9):
        last = killed_while_writing(url, first, hours)
        stores = open_stores(url, url, url)
        cells = stores.series.read(METRIC_CPU, 60, BLOCKS, Span(0, (last + 2) * 60))
        known = {(p.hour_of_day, p.through) for p in stores.series.profiles(METRIC_CPU, [0])}
        stores.close()
        expected = np.arange(last + 1) % 100 + 1
        np.testing.assert_array_equal(cells.mean[: last + 1], np.repeat(expected[:, None], 8 * SLOTS, axis=1))
        next_hour = cells.count[last + 1]  # put but not acknowledged: there as a whole or not at all
        assert next_hour.min() == next_hour.max()
        assert ((last + 1) % 24, (last + 2) * 60) in known or next_hour.max() == 0
        assert (last % 24, (last + 1) * 60) in known
        first = last + 1


def test_readers_see_each_put_whole_while_it_is_written(stores: Stores) -> None:
    done = Event()

    def read() -> int:
        looks = 0
        while not done.is_set():
            cells = stores.series.read(METRIC_CPU, 60, BLOCKS, Span(0, 60))
            assert cells.count.min() == cells.count.max()
            newer = stores.series.changed(METRIC_CPU, 60, cells.rev)
            assert len(newer) % len(BLOCKS) == 0
            looks += 1
        return looks

    with ThreadPoolExecutor(3) as pool:
        readers = [pool.submit(read) for _ in range(3)]
        try:
            for number in range(1, 31):
                stores.series.put(
                    METRIC_CPU, [block_row(dict.fromkeys(range(SLOTS), (1.0, number)), block=b) for b in BLOCKS]
                )
        finally:
            done.set()
        assert all(reader.result() > 0 for reader in readers)


def test_writers_in_several_threads_lose_nothing_and_no_rev_comes_twice(stores: Stores) -> None:
    def write(block: int) -> list[int]:
        return [stores.series.put(METRIC_CPU, [full_row(block, block=block, start=h * 60)]) for h in range(20)]

    with ThreadPoolExecutor(4) as pool:
        given_out = list(pool.map(write, range(4)))
    assert all(mine == sorted(mine) for mine in given_out)
    assert sorted(rev for mine in given_out for rev in mine) == [
        change.rev for change in stores.series.changed(METRIC_CPU, 60, 0)
    ]
    cells = stores.series.read(METRIC_CPU, 60, range(4), Span(0, 1200))
    np.testing.assert_array_equal(cells.mean, np.tile(np.repeat(np.arange(4.0), SLOTS), (20, 1)))
