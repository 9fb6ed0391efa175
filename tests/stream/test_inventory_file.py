from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.errors import BadInput
from models.fleet import Policy, VmRecord
from stream.inventory import FIELDS, encode_record
from stream.inventory_file import read_inventory

NOON = 29_552_400  # 2026-03-10T12:00Z
FULL = VmRecord(
    vm_id="vm-1",
    host="h-1",
    from_minute=NOON,
    created_at=NOON - 60,
    vcpus=2.5,
    memory_mb=4096,
    cluster="c-1",
    policy=Policy("Asia/Shanghai", ("22:00-06:00", "mon-fri 08:00-18:00"), 70.0, opt_out=True),
)
OPEN = VmRecord("vm-2", "h-2", NOON + 1)
CSV = """\
vm_id,host,from,created_at,vcpus,memory_mb,cluster,timezone,blackout,max_load_pct,opt_out
vm-1,h-1,2026-03-10T12:00Z,29552340,2.5,4096,c-1,Asia/Shanghai,22:00-06:00; mon-fri 08:00-18:00,70,yes
vm-2,h-2,29552401,,,,,,,,
"""


Unit = Literal["s", "ms", "us", "ns"]


def written(folder: Path, name: str, text: str | bytes) -> Path:
    path = folder / name
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


def parquet(folder: Path, columns: dict[str, Any]) -> Path:
    pq.write_table(pa.table(columns), folder / "vms.parquet")
    return folder / "vms.parquet"


@pytest.mark.parametrize("text", [CSV, "\ufeff" + CSV, CSV.replace("\n", "\r\n"), CSV + "\n"])
def test_csv_says_all_of_a_record(tmp_path: Path, text: str) -> None:
    assert read_inventory(written(tmp_path, "vms.csv", text)) == [FULL, OPEN]


def test_json_lines_say_what_the_topic_says(tmp_path: Path) -> None:
    lines = b"\n".join([encode_record(OPEN)[1], b"", encode_record(FULL)[1]])
    assert read_inventory(written(tmp_path, "vms.jsonl", lines)) == [FULL, OPEN]


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
def test_parquet_says_all_of_a_record(tmp_path: Path, unit: Unit) -> None:
    noon = datetime(2026, 3, 10, 12, 0, tzinfo=UTC)
    columns = {
        "vm_id": ["vm-1", "vm-2"],
        "host": pa.array(["h-1", "h-2"]).dictionary_encode(),
        "from": pa.array([noon, noon.replace(minute=1)], pa.timestamp(unit, "UTC")),
        "created_at": pa.array([NOON - 60, None]),
        "vcpus": [2.5, float("nan")],
        "memory_mb": [4096.0, float("nan")],  # as pandas writes whole numbers where some are missing
        "cluster": ["c-1", None],
        "timezone": ["Asia/Shanghai", None],
        "blackout": [["22:00-06:00", "mon-fri 08:00-18:00"], None],
        "max_load_pct": [70, None],
        "opt_out": [True, None],
    }
    assert read_inventory(parquet(tmp_path, columns)) == [FULL, OPEN]
    columns["blackout"] = ["22:00-06:00;mon-fri 08:00-18:00", None]
    assert read_inventory(parquet(tmp_path, columns)) == [FULL, OPEN]


def test_the_newest_record_of_a_vm_comes_last(tmp_path: Path) -> None:
    """A compacted topic keeps the last one that was sent."""
    text = "vm_id,host,from\nvm-1,h-3,30\nvm-1,h-1,10\nvm-2,h-1,20\n"
    assert [r.host for r in read_inventory(written(tmp_path, "vms.csv", text))] == ["h-1", "h-1", "h-3"]


def test_the_format_may_be_said(tmp_path: Path) -> None:
    assert read_inventory(written(tmp_path, "vms.txt", CSV), "csv") == [FULL, OPEN]


HEAD = "vm_id,host,from\nvm-1,h-1,10\n"


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("vms.csv", HEAD + "vm-2,h-1\n", "line 3: expected 3 cells as in the header, got 2"),
        ("vms.csv", HEAD + "vm-2,,10\n", "line 3: inventory record of 'vm-2', value: expected a JSON object"),
        ("vms.csv", HEAD + ",h-1,10\n", "line 3: inventory record of '', key: expected a name"),
        ("vms.csv", HEAD + "vm-2,h-1,2026-03-10 12:00\n", "line 3: .* from: expected an ISO 8601 time with a zone"),
        ("vms.csv", HEAD + "vm-2,h-1,1700000000\n", "line 3: .* from: expected epoch minutes"),
        ("vms.csv", HEAD + "vm-1,h-2,10\n", "line 3: expected one record of 'vm-1' .* beside that of line 2"),
        ("vms.csv", "vm_id,host,from,vcpus\nvm-1,h-1,10,nan\n", "line 2: .*, value: expected a JSON object"),
        ("vms.csv", "vm_id,host,from,vcpus\nvm-1,h-1,10,0\n", "line 2: .* vcpus: expected more than 0"),
        ("vms.csv", "vm_id,host,from,opt_out\nvm-1,h-1,10,maybe\n", "line 2: expected opt_out true or false"),
        ("vms.csv", "vm_id,host,from,timezone\nvm-1,h-1,10,Mars\n", "line 2: .* timezone: expected an IANA name"),
        ("vms.csv", "vm_id,host,from,blackout\nvm-1,h-1,10,all day\n", "line 2: .* blackout"),
        ("vms.csv", "vm_id,host,from,cpus\nvm-1,h-1,10,2\n", "column 'cpus': expected a known one, .* is vcpus"),
        ("vms.csv", "vm_id,host,host\n", "column 'host': expected it once, got 2 of that name"),
        ("vms.csv", "vm_id;host;from\nvm-1;h-1;10\n", "column 'vm_id;host;from': expected a known one"),
        ("vms.csv", "vm_id,vcpus\nvm-1,2\n", "the columns: expected vm_id, host, from, got no host, no from"),
        ("vms.csv", "", "the columns: expected vm_id, host, from"),
        ("vms.csv", "vm_id,host,from\n", "expected at least one record, got none"),
        ("vms.csv", HEAD + 'vm-2,"h-1,10\n', "expected CSV, got unexpected end of data"),
        ("vms.csv", HEAD.encode() + b"vm-\xff,h-1,10\n", "expected UTF-8"),
        ("vms.jsonl", '{"vm_id": "a", "host": "h", "from": 1}\n{"vm_id": "b"', "line 2: expected a JSON object"),
        ("vms.jsonl", "[1]\n", "line 1: expected a JSON object, got list"),
        ("vms.jsonl", '{"vm_id": 7, "host": "h", "from": 1}\n', "line 1: inventory record of '', key: expected a name"),
        ("vms.jsonl", '{"vm_id": "a", "host": "h", "from": 1, "zone": 1}', "field 'zone': expected a known one"),
        ("vms.parquet", "no", "expected a whole Parquet file"),
        ("vms.txt", CSV, "expected a name that ends in .csv, .parquet or .jsonl, got 'vms.txt'"),
    ],
)
def test_the_first_wrong_line_is_named(tmp_path: Path, name: str, text: str | bytes, said: str) -> None:
    with pytest.raises(BadInput, match=said):
        read_inventory(written(tmp_path, name, text))


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        ({"from": [1, None]}, "row 2: .* value: expected a JSON object"),
        ({"from": [datetime(2026, 3, 10), datetime(2026, 3, 10)]}, "row 1: .* from: .* a zone"),
        ({"from": [1, 2], "vcpus": [2.0, float("inf")]}, "row 2: .* value: expected a JSON object"),
        ({"when": [1, 2]}, "column 'when': expected a known one"),
    ],
)
def test_the_first_wrong_row_is_named(tmp_path: Path, columns: dict[str, Any], said: str) -> None:
    with pytest.raises(BadInput, match=said):
        read_inventory(parquet(tmp_path, {"vm_id": ["a", "b"], "host": ["h", "h"], **columns}))


@pytest.mark.parametrize(("name", "said"), [("none.csv", "got no such file"), ("", "got a folder")])
def test_what_is_no_file_is_refused(tmp_path: Path, name: str, said: str) -> None:
    with pytest.raises(BadInput, match=said):
        read_inventory(tmp_path / name)


NAMES = st.text(st.characters(exclude_categories=("C", "Z")), min_size=1, max_size=20)
RECORDS = st.builds(
    VmRecord,
    vm_id=NAMES,
    host=NAMES,
    from_minute=st.integers(0, 90_000_000),
    created_at=st.none() | st.integers(0, 90_000_000),
    vcpus=st.none() | st.floats(0.01, 1000),
    memory_mb=st.none() | st.integers(1, 10**6),
    cluster=st.just("") | NAMES,
    policy=st.builds(Policy, st.sampled_from(["UTC", "Asia/Kathmandu"]), opt_out=st.booleans()),
)


@settings(max_examples=25)
@given(st.lists(RECORDS, min_size=1, max_size=5, unique_by=lambda r: (r.vm_id, r.from_minute)))
def test_what_is_written_as_json_lines_or_parquet_is_read_back(
    tmp_path_factory: pytest.TempPathFactory, records: list[VmRecord]
) -> None:
    folder, lines = tmp_path_factory.mktemp("vms"), [encode_record(record)[1] for record in records]
    by_minute = sorted(records, key=lambda record: record.from_minute)
    assert read_inventory(written(folder, "vms.jsonl", b"\n".join(lines))) == by_minute
    rows = [msgspec.json.decode(line) for line in lines]
    parquet(folder, {field: [row.get(field) for row in rows] for field in FIELDS})
    assert read_inventory(folder / "vms.parquet") == by_minute
