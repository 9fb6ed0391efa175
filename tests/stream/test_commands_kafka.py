from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from models.errors import BadInput, StoreError
from stream.kafka_tools import ensure_topics, own_topics, producer, read_topic
from tests.services import Kafka
from tests.stream.kafka_given import Asked

VMS = """\
vm_id,host,from,created_at,vcpus,memory_mb,cluster,timezone,blackout,max_load_pct,opt_out
vm-1,h-1,2026-03-10T12:00Z,29552340,2.5,4096,c-1,Asia/Shanghai,22:00-06:00;sat-sun 00:00-24:00,70,yes
vm-2,h-2,29552401,,,,,,,,
vm-1,h-3,29552500,,4,,,,,,
"""
VM_1 = "vm-1  on h-3 from 2026-03-10T13:40Z  vcpus 4  timezone UTC"
VM_2 = "vm-2  on h-2 from 2026-03-10T12:01Z  timezone UTC"


@pytest.fixture
def asked(tmp_path: Path, kafka: Kafka, prefix: str) -> Asked:
    return Asked(tmp_path, kafka, prefix)


@pytest.fixture
def pushed(asked: Asked) -> Asked:
    (asked.folder / "vms.csv").write_text(VMS)
    assert asked.ask("inventory", "push", str(asked.folder / "vms.csv")) == "records: 3\n"
    return asked


def test_topics_says_what_was_made_and_what_was_there(asked: Asked) -> None:
    first = asked.ask("topics").splitlines()
    assert f"{asked.prefix}vms: 1 partition, made" in first
    assert f"{asked.prefix}samples.dead: 4 partitions, made" in first
    assert len(first) == 8
    second = asked.ask("topics", "--samples-partitions", "3").splitlines()
    assert f"{asked.prefix}vms: 1 partition, there" in second
    assert second[8:] == [f"{asked.samples}: 3 partitions, made"]
    assert asked.ask("topics", "--samples-partitions", "5").splitlines()[8:] == [
        f"{asked.samples}: 5 partitions, grown from 3"
    ]


def test_topics_refuses_one_that_would_lose_what_it_keeps(asked: Asked) -> None:
    ensure_topics(asked.own, [own_topics(asked.topics)[0]._replace(compacted=False)])
    with pytest.raises(BadInput, match=f"topic {asked.prefix}vms: expected cleanup.policy compact, got delete"):
        asked.ask("topics")


def test_a_pushed_inventory_is_listed(pushed: Asked) -> None:
    assert pushed.ask("inventory", "list").splitlines() == [VM_1, VM_2]
    assert pushed.ask("inventory", "list", "vm-2").splitlines() == [VM_2]


def test_the_listed_inventory_can_be_pushed_again(pushed: Asked) -> None:
    before = pushed.ask("inventory", "list", "--json")
    (pushed.folder / "vms.jsonl").write_text(before)
    assert pushed.ask("inventory", "push", str(pushed.folder / "vms.jsonl")) == "records: 2\n"
    assert pushed.ask("inventory", "list", "--json") == before


def test_a_dry_run_checks_and_sends_nothing(asked: Asked) -> None:
    (asked.folder / "vms.csv").write_text(VMS)
    assert asked.ask("inventory", "push", "--dry-run", str(asked.folder / "vms.csv")) == "records: 3\n"
    with pytest.raises(StoreError, match=r"topic .*vms: expected one that the brokers know"):
        asked.ask("inventory", "list")


def test_one_wrong_row_and_nothing_is_sent(pushed: Asked) -> None:
    (pushed.folder / "wrong.csv").write_text("vm_id,host,from\nvm-3,h-1,10\nvm-4,h-1,noon\n")
    with pytest.raises(BadInput, match=r"wrong.csv, line 3: .* from: .* got 'noon'. Correct that line; nothing was"):
        pushed.ask("inventory", "push", str(pushed.folder / "wrong.csv"))
    assert pushed.ask("inventory", "list").splitlines() == [VM_1, VM_2]


def test_a_forgotten_vm_is_gone_and_comes_back_when_it_is_pushed_again(pushed: Asked) -> None:
    assert pushed.ask("inventory", "forget", "vm-1") == "forgotten: 1\n"
    assert pushed.ask("inventory", "list").splitlines() == [VM_2]
    assert list(read_topic(pushed.own, pushed.topics.inventory))[-1][2:4] == (b"vm-1", None)
    pushed.ask("inventory", "push", str(pushed.folder / "vms.csv"))
    assert pushed.ask("inventory", "list").splitlines() == [VM_1, VM_2]


@pytest.mark.parametrize("command", ["list", "forget"])
def test_an_unknown_vm_is_refused_with_the_nearest(pushed: Asked, command: str) -> None:
    with pytest.raises(BadInput, match=r"expected one that the inventory holds, got 'vm-22'. The nearest is vm-2"):
        pushed.ask("inventory", command, "vm-22")


def test_what_another_program_wrote_hides_nothing(pushed: Asked, capsys: pytest.CaptureFixture[str]) -> None:
    with producer(pushed.own) as sender:
        sender.send(pushed.topics.inventory, b"vm-2", b"{")
        sender.send(pushed.topics.inventory, b"vm-\x1b[2J", b'{"vm_id": "vm-\\u001b[2J", "host": "h", "from": 1}')
    lines = pushed.ask("inventory", "list").splitlines()
    assert lines == [r"vm-\x1b[2J  on h from 1970-01-01T00:01Z  timezone UTC", VM_1, VM_2]


BROKEN: list[tuple[Callable[[Asked], object], str]] = [
    (lambda asked: asked.ask("inventory", "push", "none.csv"), "none.csv: expected a file of VM records"),
    (lambda asked: asked.ask("inventory", "list"), "expected one that the brokers know"),
    (lambda asked: asked.ask("dead", "list"), "expected one that the brokers know"),
]


@pytest.mark.parametrize(("do", "said"), BROKEN)
def test_what_is_not_there_is_named(asked: Asked, do: Callable[[Asked], object], said: str) -> None:
    with pytest.raises((BadInput, StoreError), match=said):
        do(asked)
