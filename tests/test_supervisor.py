"""Processes that run together: their words in one place, their end together, a death with its name."""

from __future__ import annotations

import io
import json
import time
from collections.abc import Callable

import pytest

from deploy.supervisor import ProcessDied, Together, readable

PATIENT = "trap 'echo asked to end; exit 0' TERM; echo ready; while :; do sleep 0.05; done"


def shell(script: str) -> list[str]:
    return ["sh", "-c", script]


def wait_for(condition: Callable[[], bool], limit_s: float = 20.0) -> None:
    deadline = time.monotonic() + limit_s
    while not condition():
        assert time.monotonic() < deadline, "it did not come"
        time.sleep(0.01)


def test_each_line_bears_the_name_of_its_process_and_all_are_stopped_last_started_first() -> None:
    out = io.StringIO()
    with Together(out=out) as together:
        for name in ("ingest", "feed"):
            together.start(name, shell(PATIENT))
        wait_for(lambda: out.getvalue().count("ready") == 2)
    lines = out.getvalue().splitlines()
    assert sorted(lines[:2]) == ["    feed | ready", "  ingest | ready"]
    assert lines[2:] == ["    feed | asked to end", "  ingest | asked to end"]


def test_one_that_dies_is_named_with_its_last_words_and_the_others_are_stopped() -> None:
    out = io.StringIO()
    with Together(out=out) as together:
        together.start("ingest", shell(PATIENT))
        wait_for(lambda: "ready" in out.getvalue())
        together.start("serve", shell("echo port is taken >&2; exit 3"))
        with pytest.raises(ProcessDied, match=r"(?s)serve ended: .*exit code 3.*port is taken"):
            together.watch()
    assert "ingest | asked to end" in out.getvalue()


def test_one_that_is_killed_is_named_with_the_signal() -> None:
    with Together(out=io.StringIO()) as together:
        together.start("ingest", shell("kill -9 $$"))
        with pytest.raises(ProcessDied, match="ended by SIGKILL"):
            together.watch()


def test_one_that_ends_without_an_error_has_died_all_the_same() -> None:
    with Together(out=io.StringIO()) as together:
        together.start("feed", ["true"])
        with pytest.raises(ProcessDied, match="expected a process that runs until Ctrl-C"):
            together.watch()


def test_a_step_is_waited_for_and_may_end() -> None:
    out = io.StringIO()
    with Together(out=out) as together:
        together.run("topics", shell("echo made"))
        assert "topics | made" in out.getvalue()
        together.watch(limit_s=0.05)


def test_a_step_that_fails_is_an_error() -> None:
    with Together(out=io.StringIO()) as together:
        together.start("ingest", shell(PATIENT))
        with pytest.raises(ProcessDied, match=r"(?s)topics ended: expected exit code 0, got exit code 2.*no broker"):
            together.run("topics", shell("echo no broker; exit 2"))


def test_a_step_that_may_fail_says_whether_it_did() -> None:
    with Together(out=io.StringIO()) as together:
        assert not together.run("train", ["false"], may_fail=True)
        assert together.run("train", ["true"], may_fail=True)


def test_a_death_during_a_step_is_seen_at_once() -> None:
    with Together(out=io.StringIO()) as together:
        together.start("ingest", ["false"])
        with pytest.raises(ProcessDied, match="ingest ended"):
            together.run("feed", ["sleep", "60"])


def test_one_that_does_not_end_when_asked_is_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("deploy.supervisor.STOP_LIMIT_S", 0.1)
    out = io.StringIO()
    with Together(out=out) as together:
        together.start("deaf", shell("trap '' TERM; echo ready; while :; do sleep 0.05; done"))
        wait_for(lambda: "ready" in out.getvalue())
    assert "deaf | did not end within 0 s and is killed" in out.getvalue()


def test_the_environment_is_handed_on() -> None:
    out = io.StringIO()
    with Together({"ZHUGE_SERVE__PORT": "9"}, out) as together:
        together.run("env", shell("echo $ZHUGE_SERVE__PORT $PYTHONUNBUFFERED"))
    assert "env | 9 1" in out.getvalue()


def test_a_workers_json_line_is_made_readable() -> None:
    record = {"time": "2026-03-10T12:00:01.250Z", "level": "error", "logger": "stream.worker", "message": "no broker"}
    more = {"fields": {"part": 3}, "traceback": "Traceback:\n  OSError"}
    assert readable(json.dumps(record)) == "12:00:01 error stream.worker: no broker"
    assert (
        readable(json.dumps(record | more)) == "12:00:01 error stream.worker: no broker  part=3\nTraceback:\n  OSError"
    )


@pytest.mark.parametrize("line", ["", "vms: 200", "{", "[1]", '{"time": 5}', "0.0", '{"vms": 200}'])
def test_any_other_line_stays_as_it_is(line: str) -> None:
    assert readable(line) == line
