from __future__ import annotations

import json
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from models.errors import BadInput, SetError
from models.manifest import Facts, Golden
from models.objects import FileObjects, Keys
from models.registry import champion, champions, load_set, promote, save_set, set_numbers

FACTS = Facts(("floor_pct", "lead_h"), 22_953_600, 22_996_800, 22_997_000, {"regret": 1.25, "mase": 0.1}, 3)
GOLDEN = Golden(
    np.array([[0.1, np.nan], [0.0, 47.0]], np.float32), np.array([[1 / 3, 0.0, 2.5], [1.5, 1.25, 99.9]], np.float32)
)
FILES = {"median.ubj": b"\x00\x01trees", "p90.ubj": bytes(range(256))}


class Flaky:
    """Objects over files whose put of a key that ends with `ending` fails once, before or after it is stored."""

    def __init__(self, objects: FileObjects, ending: str, *, stored: bool) -> None:
        self.objects, self.ending, self.stored, self.failed = objects, ending, stored, False

    def put_once(self, key: str, data: bytes) -> bool:
        if key.endswith(self.ending) and not self.failed:
            self.failed = True
            if self.stored:
                self.objects.put_once(key, data)
            raise ConnectionError(key)
        return self.objects.put_once(key, data)

    def get(self, key: str) -> bytes:
        return self.objects.get(key)

    def list(self, prefix: str) -> Keys:
        return self.objects.list(prefix)

    def delete(self, key: str) -> None:
        self.objects.delete(key)


@pytest.fixture
def objects(tmp_path: Path) -> FileObjects:
    return FileObjects(tmp_path)


def test_a_set_comes_back_as_it_was_saved(objects: FileObjects) -> None:
    assert save_set(objects, FILES, FACTS, GOLDEN) == 1
    stored = load_set(objects, 1)
    assert (stored.number, stored.files, stored.facts) == (1, FILES, FACTS)
    assert stored.golden.rows.dtype == stored.golden.expected.dtype == np.float32
    np.testing.assert_array_equal(stored.golden.rows, GOLDEN.rows)  # NaN equals NaN here
    np.testing.assert_array_equal(stored.golden.expected, GOLDEN.expected)


def test_the_keys_of_a_set(objects: FileObjects) -> None:
    save_set(objects, FILES, FACTS, GOLDEN)
    names = ("claim", "manifest.json", "median.ubj", "p90.ubj")
    assert objects.list("") == [f"sets/00000001/{name}" for name in names]


@pytest.mark.parametrize("names", [[], ["claim"], ["manifest.json"], ["a/b"], ["../a"], [".a"], [""]])
def test_names_that_cannot_be_files_are_bad_input_and_claim_nothing(objects: FileObjects, names: list[str]) -> None:
    with pytest.raises(BadInput, match="files of a model set"):
        save_set(objects, dict.fromkeys(names, b""), FACTS, GOLDEN)
    assert objects.list("") == []


def test_trainers_that_save_at_once_get_a_number_each(objects: FileObjects) -> None:
    barrier = threading.Barrier(6)

    def train(k: int) -> int:
        barrier.wait()
        return save_set(objects, {"median.ubj": bytes([k])}, FACTS, GOLDEN)

    with ThreadPoolExecutor(6) as pool:
        numbers = list(pool.map(train, range(6)))
    assert sorted(numbers) == set_numbers(objects) == [1, 2, 3, 4, 5, 6]
    for k, number in enumerate(numbers):
        assert load_set(objects, number).files == {"median.ubj": bytes([k])}


@pytest.mark.parametrize("ending", ["p90.ubj", "manifest.json"])
def test_an_upload_that_broke_off_is_never_seen_and_its_number_is_spent(objects: FileObjects, ending: str) -> None:
    with pytest.raises(ConnectionError):
        save_set(Flaky(objects, ending, stored=False), FILES, FACTS, GOLDEN)
    assert objects.list("sets/") != []
    assert set_numbers(objects) == []
    with pytest.raises(SetError, match=r"model set 1: expected its manifest\.json, got none"):
        load_set(objects, 1)
    with pytest.raises(SetError, match=r"manifest\.json"):
        promote(objects, 1, "n", "first", 0)
    assert champion(objects) is None
    assert save_set(objects, FILES, FACTS, GOLDEN) == 2
    assert set_numbers(objects) == [2]


def test_one_changed_byte_is_found(objects: FileObjects) -> None:
    save_set(objects, FILES, FACTS, GOLDEN)
    path = objects.root / "sets/00000001/p90.ubj"
    data = bytearray(path.read_bytes())
    data[100] ^= 1
    path.write_bytes(data)
    with pytest.raises(SetError, match=r"model set 1: expected p90\.ubj with .*sha256"):
        load_set(objects, 1)


def test_a_missing_file_is_named(objects: FileObjects) -> None:
    save_set(objects, FILES, FACTS, GOLDEN)
    objects.delete("sets/00000001/median.ubj")
    with pytest.raises(SetError, match=r"model set 1: expected its median\.ubj, got none"):
        load_set(objects, 1)


@pytest.mark.parametrize("data", [b"", b"\xff\xfe", b"{", b"[]", b"null", b"{}"])
def test_a_manifest_that_is_none_is_a_set_error(objects: FileObjects, data: bytes) -> None:
    save_set(objects, FILES, FACTS, GOLDEN)
    (objects.root / "sets/00000001/manifest.json").write_bytes(data)
    with pytest.raises(SetError, match="manifest of model set 1: expected JSON"):
        load_set(objects, 1)


def test_a_manifest_cannot_name_a_file_outside_its_set(objects: FileObjects) -> None:
    save_set(objects, FILES, FACTS, GOLDEN)
    path = objects.root / "sets/00000001/manifest.json"
    fields = json.loads(path.read_bytes())
    fields["files"]["../00000002/median.ubj"] = fields["files"]["median.ubj"]
    path.write_text(json.dumps(fields))
    with pytest.raises(SetError, match="manifest of model set 1"):
        load_set(objects, 1)


def test_the_champion_is_the_last_promoted_and_the_list_says_what_served_when(objects: FileObjects) -> None:
    assert champion(objects) is None
    assert champions(objects) == []
    for _ in range(2):
        save_set(objects, FILES, FACTS, GOLDEN)
    first = promote(objects, 2, "a", "first", 100)
    second = promote(objects, 1, "b", "rollback", 200)
    assert (first.number, first.set_number, first.nonce, first.reason, first.at) == (1, 2, "a", "first", 100)
    assert (second.number, second.set_number) == (2, 1)
    assert champion(objects) == second
    assert champions(objects) == [first, second]


def test_a_retry_with_its_own_nonce_has_won_and_adds_no_record(objects: FileObjects) -> None:
    save_set(objects, FILES, FACTS, GOLDEN)
    with pytest.raises(ConnectionError):
        promote(Flaky(objects, "00000001.json", stored=True), 1, "mine", "first", 100)
    record = promote(objects, 1, "mine", "first", 105)
    assert (record.number, record.at) == (1, 100)
    promote(objects, 1, "other", "again", 110)
    assert promote(objects, 1, "mine", "first", 120) == record
    assert [r.nonce for r in champions(objects)] == ["mine", "other"]


def test_a_nonce_serves_one_set_only(objects: FileObjects) -> None:
    for _ in range(2):
        save_set(objects, FILES, FACTS, GOLDEN)
    promote(objects, 1, "mine", "first", 100)
    with pytest.raises(BadInput, match="which promoted set 1"):
        promote(objects, 2, "mine", "second", 101)


def test_promoters_that_race_all_get_a_record_of_their_own(objects: FileObjects) -> None:
    for _ in range(4):
        save_set(objects, FILES, FACTS, GOLDEN)
    barrier = threading.Barrier(4)

    def release(k: int) -> int:
        barrier.wait()
        record = promote(objects, k, f"nonce {k}", "race", k)
        assert (record.set_number, record.nonce, record.at) == (k, f"nonce {k}", k)
        return record.number

    with ThreadPoolExecutor(4) as pool:
        numbers = list(pool.map(release, (1, 2, 3, 4)))
    assert sorted(numbers) == [1, 2, 3, 4]
    assert {r.number: r.set_number for r in champions(objects)} == dict(zip(numbers, (1, 2, 3, 4), strict=True))


def test_a_champion_record_that_is_broken_is_a_set_error(objects: FileObjects) -> None:
    objects.put_once("champion/00000001.json", b'{"number": 1}')
    with pytest.raises(SetError, match="champion/00000001"):
        champion(objects)
