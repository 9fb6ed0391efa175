"""The workers' logs: whatever is in a record, it is one line, and a person or a machine can read it back."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
import unicodedata
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream.logs import LONGEST_CHARS, JsonLines, Sparing, Text

ROOT = Path(__file__).parents[2]
NASTY = 'a\nb\r\n{"level":"critical"}\x1b[2J\x00\u2028\x85\u202e"\\'


def record(
    message: str, *args: object, name: str = "stream.session", created_s: float = 0.0, **extra: object
) -> logging.LogRecord:
    made = logging.makeLogRecord({"name": name, "levelname": "WARNING", "levelno": 30, "msg": message, "args": args})
    made.created = created_s
    made.__dict__.update(extra)
    return made


def failed(message: str) -> object:
    try:
        raise ValueError(message)
    except ValueError:
        return sys.exc_info()


def test_a_record_is_one_json_object() -> None:
    line = JsonLines().format(record("took %d of %s", 3, "x", created_s=1764078944.6645, part=7, lag=None, share=0.5))
    assert json.loads(line) == {
        "time": "2025-11-25T13:55:44.664Z",
        "level": "warning",
        "logger": "stream.session",
        "message": "took 3 of x",
        "fields": {"part": 7, "lag": None, "share": 0.5},
    }


@given(st.text())
def test_no_text_makes_a_second_line_or_is_lost_in_json(text: str) -> None:
    line = JsonLines().format(record("%s", text, vm=text, name=text, exc_info=failed(text)))
    assert line.isascii()
    assert line.isprintable()
    back = json.loads(line)
    assert (back["message"], back["fields"]["vm"], back["logger"]) == (text, text, text)


@given(st.text(st.characters()))
def test_no_text_makes_a_line_of_its_own_or_moves_the_cursor_of_a_terminal(text: str) -> None:
    first, *others = Text().format(record("%s", text, vm=text, name=text, exc_info=failed(text))).split("\n")
    assert all(line.startswith("    | ") for line in others)
    assert all(unicodedata.category(c) not in ("Cc", "Cf", "Cs", "Zl", "Zp") for c in "".join([first, *others]))


@pytest.mark.parametrize(
    ("format_", "shown"), [(JsonLines().format, json.dumps(NASTY)[1:-1]), (Text().format, "\\x1b[2J")]
)
def test_a_payload_is_shown_escaped(format_: Callable[[logging.LogRecord], str], shown: str) -> None:
    assert shown in format_(record("refused %s", NASTY))


def test_text_for_a_person() -> None:
    line = Text().format(record("slow", created_s=1764078944.6, part=7, exc_info=failed("one\ntwo")))
    head, *behind_bars = line.split("\n")
    assert head == "13:55:44 warning stream.session: slow  part=7"
    assert behind_bars[0] == "    | Traceback (most recent call last):"
    assert behind_bars[-2:] == ["    | ValueError: one", "    | two"]


def test_a_traceback_is_a_field_and_a_missing_one_is_not() -> None:
    assert "ValueError: x" in json.loads(JsonLines().format(record("m", exc_info=failed("x"))))["traceback"]
    assert "traceback" not in json.loads(JsonLines().format(record("m", exc_info=(None, None, None))))


@pytest.mark.parametrize("value", [float("nan"), float("inf"), b"\xff\n", object, {1: {2}}])
def test_a_field_of_any_kind_is_json(value: object) -> None:
    assert json.loads(JsonLines().format(record("m", field=value)))["fields"] == {"field": str(value)}


def test_a_log_call_with_a_mistake_in_it_is_still_told() -> None:
    assert "'took %d' % ('many',)" in json.loads(JsonLines().format(record("took %d", "many")))["message"]


def test_what_is_endless_is_cut() -> None:
    line = json.loads(JsonLines().format(record("x" * (LONGEST_CHARS + 1_234), field="y" * 10**6)))
    assert line["message"].endswith("x… (1,234 more)")
    assert len(line["fields"]["field"]) < LONGEST_CHARS + 100


def test_a_librarys_warning_is_told_once_in_a_while_with_how_many_were_left_out() -> None:
    sparing = Sparing()
    away = [record("away from %s", i, name="aiokafka.client", created_s=1000 + i / 10) for i in range(301)]
    told = [one for one in away if sparing.filter(one)]
    assert [one.created for one in told] == [1000, 1010, 1020, 1030]
    assert [getattr(one, "left_out", 0) for one in told] == [0, 99, 99, 99]
    assert sparing.filter(record("something else", name="aiokafka.client", created_s=1000.5))


def test_our_own_records_and_tracebacks_are_all_told() -> None:
    sparing = Sparing()
    assert all(sparing.filter(record("m")) for _ in range(3))
    assert all(sparing.filter(record("m", name="faust.app", exc_info=failed("x"))) for _ in range(3))


def test_the_memory_of_what_was_told_is_bounded() -> None:
    sparing = Sparing()
    for number in range(5_000):
        sparing.filter(record(f"message {number}", name="mode.x"))
    assert len(sparing._last_s) <= 1_000


SCRIPT = """
import logging, threading, urllib.request, warnings
from stream.logs import set_up
import contextlib
from stream.serve import serving
set_up()
logging.getLogger("stream.x").info("ours %s", "\\n", extra={"vm": "a\\nb"})
logging.getLogger("aiokafka").info("chatter")
async def broken(scope, receive, send):
    raise OSError("of the web server")
with serving(broken) as url, contextlib.suppress(OSError):
    urllib.request.urlopen(url)
warnings.warn("of a library")
thread = threading.Thread(target=lambda: 1 / 0)
thread.start()
thread.join()
raise SystemError("the end")
"""


def test_everything_that_a_process_says_is_a_json_line() -> None:
    done = subprocess.run([sys.executable, "-c", SCRIPT], cwd=ROOT, capture_output=True, text=True, check=False)
    lines = [json.loads(line) for line in done.stderr.splitlines()]
    assert done.returncode == 1
    assert [line["message"].strip().split(": ")[-1].split("\n")[0] for line in lines] == [
        "ours",
        "Exception in ASGI application",
        "of a library",
        "nobody caught ZeroDivisionError",
        "nobody caught SystemError",
    ]
    assert lines[0]["fields"] == {"vm": "a\nb"}
    assert "ZeroDivisionError: division by zero" in lines[3]["traceback"]


def test_a_terminal_gets_text() -> None:
    script = "import io; out = type('T', (io.StringIO,), {'isatty': lambda self: True})(); " + (
        "from stream.logs import set_up; set_up(out); import logging; logging.warning('w'); print(out.getvalue())"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.split(" ", 1)[1].strip() == "warning root: w"
