"""What another process's lock, a full disk and a forbidden folder do to a SQLite store."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest

from models.errors import StoreError
from models.minutes import Span
from stream.stores import sqlite
from stream.stores.open import Stores, open_stores
from stream.stores.protocols import METRIC_CPU
from stream.stores.sqlite import Database
from stream.stores.sqlite_series import SqliteSeries
from tests.stream.stores.given import full_row, hear, say, start_process

# Holds the lock of a file from the start until it hears a line.
HOLDER = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("BEGIN EXCLUSIVE")
print("holding", flush=True)
sys.stdin.readline()
connection.execute("ROLLBACK")
print("free", flush=True)
"""


def open_at(path: Path) -> Stores:
    return open_stores(*[f"sqlite:{path}"] * 3)


def hours_stored(stores: Stores) -> int:
    return len(stores.series.changed(METRIC_CPU, 60, 0))


@pytest.fixture
def short_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite, "BUSY_TIMEOUT_S", 0.2)


@pytest.mark.usefixtures("short_patience")
def test_a_file_that_another_process_holds_is_told_of_and_served_again_afterwards(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    stores = open_at(path)
    stores.series.put(METRIC_CPU, [full_row(1, block=0, start=0)])
    with start_process(HOLDER, str(path)) as holder:
        assert hear(holder) == "holding"
        with pytest.raises(StoreError, match=r"lock within 0\.2 s, got database is locked") as caught:
            stores.series.put(METRIC_CPU, [full_row(2, block=0, start=60)])
        assert "Another process holds the file" in caught.value.remedy
        assert hours_stored(stores) == 1  # a reader is not kept waiting
        other = open_at(path)  # nor is one who opens the store
        assert hours_stored(other) == 1
        other.close()
        say(holder, "let go")
        assert hear(holder) == "free"
    stores.series.put(METRIC_CPU, [full_row(2, block=0, start=60)])
    assert hours_stored(stores) == 2
    stores.close()


@pytest.mark.usefixtures("short_patience")
def test_a_new_file_that_another_process_holds_is_told_of(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    with start_process(HOLDER, str(path)) as holder:
        assert hear(holder) == "holding"
        with pytest.raises(StoreError, match="database is locked"):
            open_at(path)
        say(holder, "let go")


def test_a_writer_waits_for_one_who_is_done_in_time(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    stores = open_at(path)
    with start_process(HOLDER, str(path)) as holder, ThreadPoolExecutor(1) as pool:
        assert hear(holder) == "holding"
        put = pool.submit(stores.series.put, METRIC_CPU, [full_row(1, block=0, start=0)])
        say(holder, "let go")
        assert put.result() > 0
    stores.close()


def test_a_full_disk_leaves_nothing_half_written_and_what_was_there_stays(tmp_path: Path) -> None:
    database = Database(tmp_path / "store.db")
    series = SqliteSeries(database)
    series.put(METRIC_CPU, [full_row(1, block=0, start=0)])
    with database.read() as connection:  # the one idle connection, which the next put takes
        pages = connection.execute("PRAGMA page_count").fetchone()[0]
        connection.execute(f"PRAGMA max_page_count = {pages + 10}")
    with pytest.raises(StoreError, match="expected room on the disk, got database or disk is full") as caught:
        series.put(METRIC_CPU, [full_row(2, block=b, start=60) for b in range(30)])
    assert "Free some space" in caught.value.remedy
    assert len(series.changed(METRIC_CPU, 60, 0)) == 1
    with database.read() as connection:
        connection.execute("PRAGMA max_page_count = 100000")
    series.put(METRIC_CPU, [full_row(2, block=b, start=60) for b in range(30)])
    assert len(series.changed(METRIC_CPU, 60, 0)) == 31
    database.close()


@pytest.fixture
def tiny_disk(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "tiny"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=2m", "none", str(folder)], capture_output=True, text=True, check=False
    )
    if mounted.returncode != 0:
        pytest.skip(f"a disk of 2 MB cannot be mounted here: {mounted.stderr.strip()}")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_a_disk_that_fills_up_loses_nothing_and_serves_again_when_there_is_room(tiny_disk: Path) -> None:
    ballast = tiny_disk / "ballast"
    ballast.write_bytes(bytes(700_000))
    stores = open_at(tiny_disk / "store.db")
    acknowledged: list[int] = []

    def fill() -> None:
        for hour in range(1000):
            stores.series.put(METRIC_CPU, [full_row(hour % 90, block=b, start=hour * 60) for b in range(3)])
            acknowledged.append(hour)

    with pytest.raises(StoreError, match="disk"):
        fill()
    put = len(acknowledged)
    assert put > 0
    assert hours_stored(stores) == 3 * put
    stores.close()
    ballast.unlink()
    stores = open_at(tiny_disk / "store.db")
    cells = stores.series.read(METRIC_CPU, 60, range(3), Span(0, (put + 1) * 60))
    np.testing.assert_array_equal(cells.mean[:put, 0], np.arange(put) % 90)
    assert cells.count[put].max() == 0
    stores.series.put(METRIC_CPU, [full_row(5, block=0, start=put * 60)])
    stores.close()


def test_a_disk_that_is_full_from_the_start_is_told_of(tiny_disk: Path) -> None:
    (tiny_disk / "ballast").write_bytes(bytes(2 * 1024 * 1024 - 4096))
    with pytest.raises(StoreError, match="disk"):
        open_at(tiny_disk / "store.db")
    (tiny_disk / "ballast").unlink()
    open_at(tiny_disk / "store.db").close()


@contextmanager
def read_only(folder: Path) -> Iterator[None]:
    """Nobody may write the folder or its files; nor may root, who is somebody else meanwhile."""
    for path in folder.iterdir():
        path.chmod(0o444)
    folder.chmod(0o555)
    if os.getuid() == 0:
        os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(os.getuid())
        folder.chmod(0o755)


def test_a_folder_that_may_not_be_written_is_told_of() -> None:
    with TemporaryDirectory() as name:  # not tmp_path: only its owner may look into that one's parents
        folder = Path(name)
        with read_only(folder):
            for path in (folder / "store.db", folder / "new" / "store.db"):
                with pytest.raises(StoreError, match="file that can be read and written") as caught:
                    open_at(path)
                assert "permissions" in caught.value.remedy
        assert list(folder.iterdir()) == []


def test_a_store_that_may_only_be_read_is_told_of() -> None:
    with TemporaryDirectory() as name:
        path = Path(name) / "store.db"
        open_at(path).close()
        before = path.read_bytes()
        with read_only(path.parent), pytest.raises(StoreError, match="file that can be read and written"):
            open_at(path)
        assert path.read_bytes() == before
