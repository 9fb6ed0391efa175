"""The SQLite file itself: whose it is, how it is born and closed, and what a person sees in it."""

from __future__ import annotations

import sqlite3
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest

from models.errors import StoreError
from models.fleet import SLOTS, Life
from stream.stores.open import Stores, open_stores
from stream.stores.protocols import METRIC_CPU
from stream.stores.sqlite import Database
from tests.stream.stores.given import block_row, full_row, hear, placement, say, start_process

# Opens the store whose URL it hears, and puts a record of its own into it; again and again.
OPENER = """
import sys
from stream.stores.open import open_stores
print("ready", flush=True)
for url in map(str.strip, sys.stdin):
    stores = open_stores(url, url, url)
    print(stores.control.apply([(sys.argv[1], 0, "")]), flush=True)
    stores.close()
"""


def open_at(path: Path) -> Stores:
    return open_stores(*[f"sqlite:{path}"] * 3)


def files_in(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def hours_stored(stores: Stores) -> int:
    return len(stores.series.changed(METRIC_CPU, 60, 0))


def test_missing_parent_folders_are_made(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b c" / "store.db"
    open_at(path).close()
    assert path.is_file()


def test_the_file_is_marked_as_ours_from_its_first_bytes_and_synced_at_every_commit(tmp_path: Path) -> None:
    database = Database(tmp_path / "store.db")
    with database.read() as connection:
        pragmas = {
            name: connection.execute(f"PRAGMA {name}").fetchone()[0]
            for name in ("journal_mode", "synchronous", "page_size", "user_version", "foreign_keys")
        }
    assert pragmas == {"journal_mode": "wal", "synchronous": 2, "page_size": 8192, "user_version": 2, "foreign_keys": 1}
    assert (tmp_path / "store.db").read_bytes()[68:72] == b"Zhug"
    database.close()


def test_an_empty_file_as_a_kill_at_birth_leaves_it_becomes_a_store(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    path.touch()
    stores = open_at(path)
    assert stores.control.apply([("k", 0, "v")])
    stores.close()


def test_a_store_is_there_again_when_it_is_opened_again(tmp_path: Path) -> None:
    stores = open_at(tmp_path / "store.db")
    stores.series.put(METRIC_CPU, [full_row(1, block=0, start=0)])
    stores.close()
    assert [path.name for path in tmp_path.iterdir()] == ["store.db"]
    again = open_at(tmp_path / "store.db")
    assert hours_stored(again) == 1
    again.close()


def refused(path: Path, message: str) -> None:
    before = files_in(path.parent)
    with pytest.raises(StoreError, match=message) as caught:
        open_at(path)
    assert str(path) in str(caught.value)
    assert caught.value.remedy
    assert files_in(path.parent) == before


def test_a_sqlite_file_of_another_program_is_refused_and_left_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "theirs.db"
    theirs = sqlite3.connect(path)
    theirs.execute("PRAGMA journal_mode = WAL")
    theirs.execute("CREATE TABLE life (x)")
    theirs.commit()
    refused(
        path, "expected a SQLite file of Xiao Zhuge, got a SQLite file of another program"
    )  # its log lies beside it
    theirs.close()
    refused(path, "another program")


@pytest.mark.parametrize("content", [b"x", b"vm,ts,cpu\n" * 100, b"SQLite format 3\0", b"\0" * 8192])
def test_a_file_of_another_kind_is_refused_and_left_as_it_is(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "trace.csv"
    path.write_bytes(content)
    refused(path, "expected a SQLite file, got a file of another kind")


def test_a_store_of_another_version_is_refused_and_left_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    open_at(path).close()
    future = sqlite3.connect(path)
    future.execute("PRAGMA user_version = 3")
    future.close()
    refused(path, "expected tables of version 2, got version 3")


def test_a_damaged_store_is_told_of(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    stores = open_at(path)
    stores.series.put(METRIC_CPU, [full_row(1, block=b, start=0) for b in range(20)])
    stores.close()
    with path.open("r+b") as file:
        file.seek(8192)
        file.write(b"\xee" * (path.stat().st_size - 8192))
    with closing(open_at(path)) as damaged, pytest.raises(StoreError, match="an undamaged SQLite file") as caught:
        hours_stored(damaged)
    assert "copy" in caught.value.remedy


def test_a_folder_or_a_path_through_a_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="directory"):
        open_at(tmp_path)
    (tmp_path / "file").touch()
    with pytest.raises(StoreError, match="file that can be read and written"):
        open_at(tmp_path / "file" / "store.db")


def test_a_closed_store_says_so(tmp_path: Path) -> None:
    stores = open_at(tmp_path / "store.db")
    stores.close()
    stores.close()
    with pytest.raises(StoreError, match="got a closed one"):
        stores.control.get("k")


def test_a_store_that_is_closed_in_the_middle_of_a_read_ends_the_read_and_then_the_file(tmp_path: Path) -> None:
    database = Database(tmp_path / "store.db")
    with database.read() as connection:
        database.close()
        assert connection.execute("SELECT 1").fetchone() == (1,)
    assert [path.name for path in tmp_path.iterdir()] == ["store.db"]  # the last connection takes the log with it


def test_many_threads_use_one_store(tmp_path: Path) -> None:
    stores = open_at(tmp_path / "store.db")

    def step(n: int) -> int:
        stores.control.apply([(f"{n}", 0, "v")])
        return len(stores.control.list("")) > 0

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(step, range(100)))
    assert len(stores.control.list("")) == 100
    stores.close()


def test_processes_that_open_a_new_store_at_the_same_time_all_get_it(tmp_path: Path) -> None:
    processes = [start_process(OPENER, name) for name in ("one", "two", "three")]
    assert [hear(process) for process in processes] == ["ready"] * 3
    for n in range(20):
        for process in processes:
            say(process, f"sqlite:{tmp_path / str(n) / 'store.db'}")
        assert [hear(process) for process in processes] == ["True"] * 3
    for process in processes:
        with process:  # closes its input, which ends it
            pass


def test_a_mistake_in_sql_is_not_dressed_up(tmp_path: Path) -> None:
    database = Database(tmp_path / "store.db")
    with pytest.raises(sqlite3.OperationalError, match="no such table"), database.read() as connection:
        connection.execute("SELECT 1 FROM nowhere")
    database.close()


def tall_rows(path: Path, view: str) -> list[tuple[object, ...]]:
    reader = sqlite3.connect(path)
    found = reader.execute(f"SELECT vm_id, time, mean, count FROM {view} ORDER BY vm_id, time, mean").fetchall()  # noqa: S608
    reader.close()
    return found


def test_a_person_with_sql_reads_tall_rows_by_vm(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    stores = open_at(path)
    moved = [placement("moved", 0), placement("moved", SLOTS - 1, block=1, from_minute=90)]
    resized = [placement("resized", 7), placement("resized", 7, from_minute=70, vcpus=4.0)]
    late = [placement("late", 1, from_minute=150)]
    stores.catalogue.put([Life("moved", 0), Life("resized", 0), Life("late", 0)], moved + resized + late)
    values: dict[int, dict[int, tuple[float, int]]] = {
        0: {0: (0.0, 60), 7: (655.34, 17)},
        60: {0: (2.56, 30), 7: (1, 60)},
        120: {1: (9, 30), 7: (2, 60)},
    }
    stores.series.put(METRIC_CPU, [block_row(v, start=start) for start, v in values.items()])
    stores.series.put(METRIC_CPU, [block_row({SLOTS - 1: (3, 30)}, block=1, start=60)])
    stores.series.put(METRIC_CPU, [block_row({7: (0.01, 5)}, step_min=5, start=65)])
    assert tall_rows(path, "cpu_1h_readable") == [
        ("late", "1970-01-01 02:00:00", 9.0, 30),
        ("moved", "1970-01-01 00:00:00", 0.0, 60),
        ("moved", "1970-01-01 01:00:00", 2.56, 30),
        ("moved", "1970-01-01 01:00:00", 3.0, 30),
        ("resized", "1970-01-01 00:00:00", 655.34, 17),
        ("resized", "1970-01-01 01:00:00", 1.0, 60),
        ("resized", "1970-01-01 02:00:00", 2.0, 60),
    ]
    assert tall_rows(path, "cpu_5m_readable") == [("resized", "1970-01-01 01:05:00", 0.01, 5)]
    stores.close()
