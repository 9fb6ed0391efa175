from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from models.errors import BadInput, SetError, StoreError
from models.objects import Objects, open_objects

ROOT = Path(__file__).parents[2]
RACER = """
import sys
from models.objects import open_objects
objects, letter = open_objects(sys.argv[1]), sys.argv[2].encode()
print("ready", flush=True)
sys.stdin.readline()
print("".join("1" if objects.put_once(f"race/{k:02}", letter * 100_000) else "0" for k in range(40)))
"""


@pytest.fixture(params=["file"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """One URL for each implementation: all of them pass every test that asks for it."""
    return {"file": f"file:{tmp_path / 'registry'}"}[request.param]


@pytest.fixture
def objects(url: str) -> Objects:
    return open_objects(url)


@pytest.mark.parametrize("data", [b"", b"\x00\xff\r\n", bytes(range(256)) * 5000])
def test_what_was_put_comes_back_byte_for_byte(objects: Objects, data: bytes) -> None:
    assert objects.put_once("sets/1/median.ubj", data)
    assert objects.get("sets/1/median.ubj") == data


def test_a_second_put_is_refused_and_changes_nothing(objects: Objects) -> None:
    assert objects.put_once("a", b"first")
    assert not objects.put_once("a", b"second")
    assert objects.get("a") == b"first"


def test_a_missing_key_is_a_set_error_that_names_it(objects: Objects) -> None:
    with pytest.raises(SetError, match="sets/1/claim"):
        objects.get("sets/1/claim")
    objects.put_once("sets/1", b"")
    with pytest.raises(SetError, match="sets/1/claim"):
        objects.get("sets/1/claim")


def test_list_gives_the_keys_that_begin_with_the_prefix_sorted(objects: Objects) -> None:
    assert objects.list("") == []
    for key in ("sets/2/a", "sets/10/a", "sets/1/b", "sets/1/a", "champion/1.json", "setsquare"):
        objects.put_once(key, b"x")
    assert objects.list("sets/") == ["sets/1/a", "sets/1/b", "sets/10/a", "sets/2/a"]
    assert objects.list("sets/1") == ["sets/1/a", "sets/1/b", "sets/10/a"]
    assert objects.list("sets/1/a") == ["sets/1/a"]
    assert objects.list("sets/3/") == []
    assert objects.list("setsquare/") == []
    assert len(objects.list("")) == 6


def test_a_deleted_key_is_gone_and_can_be_put_again(objects: Objects) -> None:
    objects.put_once("a/b", b"first")
    objects.delete("a/b")
    objects.delete("a/b")
    assert objects.list("") == []
    assert objects.put_once("a/b", b"second")
    assert objects.get("a/b") == b"second"


@pytest.mark.parametrize("key", ["", "/", "/etc/passwd", "a//b", "a/", "..", "../a", "a/../b", "./a", "a/.b", "a\0"])
def test_a_key_that_leaves_the_store_or_names_nothing_is_bad_input(objects: Objects, key: str) -> None:
    for call in (objects.get, objects.delete, lambda key: objects.put_once(key, b"")):
        with pytest.raises(BadInput, match="key of an object"):
            call(key)


def test_a_prefix_cannot_leave_the_store(objects: Objects) -> None:
    with pytest.raises(BadInput, match="key of an object"):
        objects.list("../")


def test_of_two_processes_that_race_for_a_key_exactly_one_wins_and_its_content_is_whole(url: str) -> None:
    racers = [
        subprocess.Popen(
            [sys.executable, "-c", RACER, url, letter],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for letter in "AB"
    ]
    for racer in racers:
        assert racer.stdout is not None
        assert racer.stdout.readline() == "ready\n"
    for racer in racers:
        assert racer.stdin is not None
        racer.stdin.write("go\n")
        racer.stdin.flush()
    won_a, won_b = (racer.communicate()[0].strip() for racer in racers)
    assert [racer.returncode for racer in racers] == [0, 0]
    objects = open_objects(url)
    assert len(objects.list("")) == 40
    for k, (a, b) in enumerate(zip(won_a, won_b, strict=True)):
        assert (a, b) in (("1", "0"), ("0", "1"))
        assert objects.get(f"race/{k:02}") == (b"A" if a == "1" else b"B") * 100_000


@pytest.mark.parametrize("url", ["", "file:", "file:///tmp/x", "ftp:x", "data/registry"])
def test_a_url_that_names_no_store_is_bad_input(url: str) -> None:
    with pytest.raises(BadInput, match="URL of an object store"):
        open_objects(url)


def test_a_put_that_broke_off_is_not_listed_and_none_is_left_after_a_put(tmp_path: Path) -> None:
    objects = open_objects(f"file:{tmp_path}")
    assert objects.put_once("a", b"x")
    assert not objects.put_once("a", b"x")
    assert [path.name for path in tmp_path.iterdir()] == ["a"]
    (tmp_path / ".0123").write_bytes(b"half")
    assert objects.list("") == ["a"]


def test_a_folder_that_cannot_be_made_is_a_store_error_with_the_path(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    objects = open_objects(f"file:{tmp_path / 'file'}")
    with pytest.raises(StoreError, match=str(tmp_path)):
        objects.put_once("a", b"x")
