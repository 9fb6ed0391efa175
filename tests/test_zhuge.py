"""The front door: every command is there, and none waits for the libraries of the others."""

from __future__ import annotations

import subprocess
import sys

import click
import pytest

from zhuge import COMMANDS, cli

HEAVY = ("xgboost", "fastapi", "matplotlib", "faust", "aiokafka", "kafka")


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_is_loaded_by_its_name_and_says_what_it_does(name: str) -> None:
    command = cli.get_command(click.Context(cli), name)
    assert command is not None
    assert command.name == name
    assert command.get_short_help_str()


def test_another_name_is_no_command() -> None:
    assert cli.get_command(click.Context(cli), "commands") is None


@pytest.mark.parametrize(("name", "needs"), [("feed", {"kafka"}), ("topics", {"kafka"}), ("worker", set())])
def test_a_command_loads_no_library_that_it_does_not_need(name: str, needs: set[str]) -> None:
    code = f"import sys, zhuge; zhuge.cli.main([{name!r}, '--help'], standalone_mode=False); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert set(done.stdout.split()) & set(HEAVY) == needs
