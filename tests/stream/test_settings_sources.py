"""The tables [sources.NAME] of the settings: keys, names and values that are refused, the environment, passwords."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from models.errors import BadInput
from stream.settings import EMBEDDED, Loaded, SourceSettings, describe, load_settings

CLUSTER = EMBEDDED.with_name("cluster.toml")
SECRET = "hunter2"  # noqa: S105 (the word that must not come out)
HOSTS = "[sources.hosts]\ntopic = 'cpu'\nformat = 'host-json'\nunit = 'percent'\n"


def load(folder: Path, text: str, **where: object) -> Loaded:
    path = folder / "zhuge.toml"
    path.write_text(text, "utf-8")
    arguments: dict[str, object] = {"env": {}} | where
    return load_settings(path, **arguments)  # type: ignore[arg-type]


def refused(folder: Path, text: str, **where: object) -> BadInput:
    with pytest.raises(BadInput) as caught:
        load(folder, text, **where)
    return caught.value


def test_a_source_has_its_keys_and_the_defaults_of_the_rest(tmp_path: Path) -> None:
    loaded = load(tmp_path, HOSTS + "fields = { vm = 'uuid' }\n[sources.means]\n" + HOSTS.partition("\n")[2])
    source = loaded.settings.sources["hosts"]
    assert list(loaded.settings.sources) == ["hosts", "means"]
    assert source == SourceSettings(topic="cpu", format="host-json", unit="percent", fields={"vm": "uuid"})
    assert (source.interval_min, source.timezone, source.ts_unit, source.brokers) == (1, "UTC", "s", "")
    assert loaded.origins["sources.hosts.topic"] == str(tmp_path / "zhuge.toml")
    assert loaded.origins["sources.hosts.interval_min"] == "default"


def test_the_environment_and_the_command_line_go_over_a_source_of_the_file(tmp_path: Path) -> None:
    env = {"ZHUGE_SOURCES__HOST_REPORTS__INTERVAL_MIN": "5", "ZHUGE_SOURCES__HOST_REPORTS__TOPIC": "a"}
    text = HOSTS.replace("hosts", "host-reports")
    loaded = load(tmp_path, text, env=env, overrides={"sources.host-reports.topic": "b"})
    source = loaded.settings.sources["host-reports"]
    assert (source.interval_min, source.topic) == (5, "b")
    assert loaded.origins["sources.host-reports.interval_min"].endswith("ZHUGE_SOURCES__HOST_REPORTS__INTERVAL_MIN")
    error = refused(tmp_path, "", env=env)
    assert error.what == "setting ZHUGE_SOURCES__HOST_REPORTS__INTERVAL_MIN in the environment"


@pytest.mark.parametrize(
    ("text", "name", "nearest"),
    [
        (HOSTS + "topik = 'x'\n", "sources.hosts.topik", "sources.hosts.topic"),
        ("sources = 5\n" + "[kafka]\n", "sources", ""),
        ("[sources]\nhosts = 5\n", "sources.hosts", ""),
        (HOSTS.replace("sources", "source"), "source.hosts", ""),
        ("[kafka]\nbroker = 'x'\n", "kafka.broker", "kafka.brokers"),
    ],
)
def test_an_unknown_key_is_refused_with_the_nearest(tmp_path: Path, text: str, name: str, nearest: str) -> None:
    error = refused(tmp_path, text)
    assert error.what == f"setting {name} in {tmp_path / 'zhuge.toml'}"
    assert f"the nearest is {nearest}" in error.expected


@pytest.mark.parametrize("name", ["'a.b'", "'a b'", "''", "'é'", "'" + "x" * 64 + "'"])
def test_a_name_that_no_group_or_variable_can_carry_is_refused(tmp_path: Path, name: str) -> None:
    error = refused(tmp_path, HOSTS.replace("hosts", name))
    assert "a name of 1 to 63 letters, digits, - and _" in error.expected
    assert error.got == name


def test_two_names_that_share_a_variable_are_refused(tmp_path: Path) -> None:
    error = refused(tmp_path, HOSTS.replace("hosts", "a-b") + HOSTS.replace("hosts", "A_b"))
    assert error.got == "'a-b' and 'A_b'"


@pytest.mark.parametrize("key", ["topic", "format", "unit"])
def test_what_has_no_default_must_be_there(tmp_path: Path, key: str) -> None:
    text = "".join(line for line in HOSTS.splitlines(keepends=True) if not line.startswith(key))
    error = refused(tmp_path, text)
    assert error.what == f"setting sources.hosts.{key} in {tmp_path / 'zhuge.toml'}"
    assert (error.expected, error.got) == ("a value, as it has no default", "none")


@pytest.mark.parametrize(
    ("line", "key", "expected"),
    [
        ("interval_min = 0", "interval_min", "greater than or equal to 1"),
        ("interval_min = 61", "interval_min", "less than or equal to 60"),
        ("interval_min = '5'", "interval_min", "a valid integer"),
        ("ts_unit = 'h'", "ts_unit", "'s', 'ms', 'us', 'ns' or 'iso'"),
        ("security = 'TLS'", "security", "'SASL_SSL'"),
        ("fields = 5", "fields", "a valid dictionary"),
        ("fields = { memory = 'm' }", "fields", "'vm', 'host', 'ts' or 'cpu'"),
        ("fields = { vm = 5 }", "fields", "a valid string"),
    ],
)
def test_a_wrong_value_is_refused_with_where_it_came_from(tmp_path: Path, line: str, key: str, expected: str) -> None:
    error = refused(tmp_path, f"{HOSTS}{line}\n")
    assert error.what == f"setting sources.hosts.{key} from {tmp_path / 'zhuge.toml'}"
    assert expected in error.expected
    assert "Its default is" in error.remedy


def test_a_wrong_required_value_says_that_there_is_no_default(tmp_path: Path) -> None:
    error = refused(tmp_path, HOSTS.replace("host-json", "xml"))
    assert (error.what.split()[1], error.got) == ("sources.hosts.format", "'xml'")
    assert error.remedy.endswith("It has no default.")


def test_a_password_is_shown_nowhere_but_handed_down(tmp_path: Path) -> None:
    env = {"ZHUGE_KAFKA__PASSWORD": SECRET, "ZHUGE_SOURCES__HOSTS__PASSWORD": SECRET}
    loaded = load(tmp_path, HOSTS + "username = 'me'\n", env=env)
    assert (loaded.settings.kafka.password, loaded.settings.sources["hosts"].password) == (SECRET, SECRET)
    lines = {line.key: line.value for line in describe(loaded)}
    assert (lines["kafka.password"], lines["sources.hosts.password"], lines["kafka.username"]) == ("***", "***", "")
    assert SECRET not in f"{loaded} {loaded.settings!r} {loaded.settings.kafka} {describe(loaded)}"


@pytest.mark.parametrize("text", ["[kafka]\npassword = ['hunter2']\n", HOSTS + "password = ['hunter2']\nunit2 = 1\n"])
def test_a_refused_password_is_not_shown_either(tmp_path: Path, text: str) -> None:
    assert SECRET not in str(refused(tmp_path, text))
    missing = text.replace("topic", "prefix") if "topic" in text else text
    assert SECRET not in str(refused(tmp_path, missing.replace("unit2 = 1\n", "")))


def test_describe_shows_the_sections_and_then_each_source(tmp_path: Path) -> None:
    lines = describe(load(tmp_path, HOSTS))
    shown = [line for line in lines if line.key.startswith("sources.")]
    assert lines[-len(shown) :] == shown
    assert [line.key.rpartition(".")[2] for line in shown] == list(SourceSettings.model_fields)
    assert shown[0] == ("sources.hosts.topic", "cpu", str(tmp_path / "zhuge.toml"), shown[0].description)
    assert all(line.description.endswith(".") for line in shown)


def test_the_example_of_a_cluster_is_read_also_with_every_commented_line_in_force(tmp_path: Path) -> None:
    text = CLUSTER.read_text("utf-8")
    assert list(load_settings(CLUSTER, env={}).settings.sources) == ["hosts"]
    loaded = load(tmp_path, re.sub(r"^# (?=\[|[a-z_]+ = )", "", text, flags=re.MULTILINE))
    sources = loaded.settings.sources
    assert list(sources) == ["hosts", "singles", "bulk", "telegraf", "sls", "means"]
    assert {source.format for source in sources.values()} == {"host-json", "json", "arrow", "telegraf"}
    assert (sources["means"].interval_min, sources["sls"].security) == (5, "SASL_SSL")
    assert sources["hosts"].fields == {"vm": "uuid", "host": "node", "ts": "at", "cpu": "load"}
    assert loaded.settings.receive.source == "hosts"
