"""Settings: precedence, origins, names and values that are refused, and passwords that are never shown."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from models.errors import BadInput
from stream.settings import EMBEDDED, FIELDS, Settings, describe, load_settings, masked

SECRET = "hunter2"  # noqa: S105 (the word that must not come out)


def write(folder: Path, text: str) -> Path:
    path = folder / "zhuge.toml"
    path.write_text(text, "utf-8")
    return path


def refused(**where: object) -> BadInput:
    arguments: dict[str, object] = {"env": {}} | where
    with pytest.raises(BadInput) as caught:
        load_settings(**arguments)  # type: ignore[arg-type]
    return caught.value


def test_the_shipped_file_names_every_key_with_its_default() -> None:
    tables = tomllib.loads(EMBEDDED.read_text("utf-8"))
    assert tables == Settings().model_dump()
    assert tables.pop("sources") == {}  # it declares none, and says where one is shown
    assert list(FIELDS) == [f"{section}.{key}" for section, table in tables.items() for key in table]
    assert load_settings(env={}).settings == Settings()
    assert set(load_settings(env={}).origins.values()) == {str(EMBEDDED)}


def test_the_process_environment_is_read_where_none_is_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ZHUGE_SERVE__PORT", "9001")
    assert load_settings().settings.serve.port == 9001
    assert Settings().serve.port == 8080


def test_command_line_over_environment_over_file_over_default(tmp_path: Path) -> None:
    path = write(tmp_path, "[serve]\nport = 1\nhost = '::1'\n[windows]\nmax_load_pct = 60\n")
    env = {"ZHUGE_SERVE__PORT": "2", "ZHUGE_WINDOWS__MAX_LOAD_PCT": "70", "PATH": "/bin"}
    settings, origins = load_settings(path, {"serve.port": 3, "demo.speed": None}, env)
    assert (settings.serve.port, origins["serve.port"]) == (3, "the command line")
    assert (settings.windows.max_load_pct, origins["windows.max_load_pct"]) == (
        70.0,
        "the environment, ZHUGE_WINDOWS__MAX_LOAD_PCT",
    )
    assert (settings.serve.host, origins["serve.host"]) == ("::1", str(path))
    assert (settings.demo.speed, origins["demo.speed"]) == (60.0, "default")


def test_a_zero_is_a_value_and_goes_over_the_file(tmp_path: Path) -> None:
    path = write(tmp_path, "[ingest]\nreopen_for_min = 30\nclose_delay_min = 3\n")
    settings = load_settings(path, {"ingest.reopen_for_min": 0}, {"ZHUGE_INGEST__CLOSE_DELAY_MIN": "0"}).settings
    assert (settings.ingest.reopen_for_min, settings.ingest.close_delay_min) == (0, 0)


def test_the_file_is_the_one_asked_for_else_the_environments_else_the_shipped_one(tmp_path: Path) -> None:
    asked, named = write(tmp_path, "[serve]\nport = 1\n"), tmp_path / "named.toml"
    named.write_text("[serve]\nport = 2\n", "utf-8")
    env = {"ZHUGE_CONFIG": str(named)}
    assert load_settings(asked, env=env).settings.serve.port == 1
    assert load_settings(env=env).settings.serve.port == 2
    assert load_settings(env={"ZHUGE_CONFIG": ""}).settings.serve.port == 8080


def test_an_empty_file_leaves_the_defaults(tmp_path: Path) -> None:
    loaded = load_settings(write(tmp_path, ""), env={})
    assert loaded.settings == Settings()
    assert set(loaded.origins.values()) == {"default"}


@pytest.mark.parametrize(
    ("text", "name", "nearest"),
    [
        ("[serve]\nprot = 1\n", "serve.prot", "serve.port"),
        ("[severe]\nport = 1\n", "severe.port", "serve.port"),
        ("[windows]\nmax_load = 1\n", "windows.max_load", "windows.max_load_pct"),
        ("port = 1\n", "port", "serve.port"),
        ("[serve.tls]\nkey = 'x'\n", "serve.tls", "serve.port"),
    ],
)
def test_an_unknown_key_in_the_file_is_refused_with_the_nearest(
    tmp_path: Path, text: str, name: str, nearest: str
) -> None:
    path = write(tmp_path, text)
    assert str(refused(path=path)) == (
        f"setting {name} in {path}: expected a known one, the nearest is {nearest}, got {name!r}. "
        "Correct or remove it; `zhuge config` lists them all."
    )


def test_an_unknown_name_in_the_environment_or_on_the_command_line_is_refused_with_the_nearest() -> None:
    error = str(refused(env={"ZHUGE_INGEST__CLOSE_DELAY": "1"}))
    assert "ZHUGE_INGEST__CLOSE_DELAY in the environment" in error
    assert "the nearest is ZHUGE_INGEST__CLOSE_DELAY_MIN," in error
    error = str(refused(overrides={"demo.sped": 1.0}))
    assert "demo.sped in the command line" in error
    assert "the nearest is demo.speed," in error


def test_the_variables_of_the_tests_are_no_settings() -> None:
    assert load_settings(env={"ZHUGE_TRACES": "/tmp/traces", "ZHUGELIANG": "1"}).settings == Settings()  # noqa: S108


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        ("serve.port", "eighty", "a valid integer"),
        ("serve.port", "80.5", "a valid integer"),
        ("serve.port", True, "a valid integer"),
        ("serve.port", "65536", "less than or equal to 65535"),
        ("serve.host", "", "at least 1 character"),
        ("ingest.close_delay_min", "-1", "greater than or equal to 0"),
        ("ingest.close_delay_min", 11, "less than or equal to 10"),
        ("ingest.reopen_for_min", 61, "less than or equal to 60"),
        ("ingest.profile_alpha", "0", "greater than 0"),
        ("windows.min_confidence", 1.5, "less than or equal to 1"),
        ("windows.max_load_pct", "nan", "a finite number"),
        ("windows.default_minutes", "", "a valid integer"),
        ("forecast.device", "tpu", "'cpu' or 'cuda'"),
        ("demo.speed", "inf", "a finite number"),
        ("stores.cstore", 5, "a valid string"),
        ("kafka.security", "TLS", "'PLAINTEXT', 'SSL', 'SASL_PLAINTEXT' or 'SASL_SSL'"),
        ("kafka.brokers", "", "at least 1 character"),
        ("receive.port", 65_536, "less than or equal to 65535"),
    ],
)
def test_a_wrong_value_is_refused_with_key_source_expected_got_and_remedy(
    key: str, value: object, expected: str
) -> None:
    error = refused(overrides={key: value})
    assert error.what == f"setting {key} from the command line"
    assert error.expected == expected
    assert error.remedy.startswith(FIELDS[key].description or "?")
    assert error.remedy.endswith(f"Its default is {FIELDS[key].default!r}.")


def test_a_wrong_value_names_its_variable_or_file(tmp_path: Path) -> None:
    error = refused(env={"ZHUGE_SERVE__PORT": "eighty"})
    assert (error.what, error.got) == ("setting serve.port from the environment, ZHUGE_SERVE__PORT", "'eighty'")
    path = write(tmp_path, "[serve]\nport = '8080'\n")  # a text is no number in a file, which has both
    error = refused(path=path)
    assert (error.what, error.got) == (f"setting serve.port from {path}", "'8080'")


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    assert refused(path=tmp_path / "none.toml").got == "No such file or directory"
    assert refused(path=tmp_path).got == "Is a directory"
    assert "line 1" in refused(path=write(tmp_path, "port == 1")).got
    latin = tmp_path / "latin.toml"
    latin.write_bytes(b"[serve]\nhost = '\xe9'\n")
    error = refused(env={"ZHUGE_CONFIG": str(latin)})
    assert (error.what, error.expected) == (f"config {latin}", "TOML in UTF-8")
    assert str(EMBEDDED) in error.remedy


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("mysql://user:hunter2@host:3306/db", "mysql://user:***@host:3306/db"),
        ("redis://:hunter2@host", "redis://:***@host"),
        ("mysql://user:p@ss/hunter2@host", "mysql://user:***@host"),
        ("mysql://host/db?user=a&password=hunter2&x=1", "mysql://host/db?user=a&password=***&x=1"),
        ("oss://bucket?access_key=hunter2", "oss://bucket?access_key=***"),
        ("mysql://user@host/db", "mysql://user@host/db"),
        ("sqlite:data/zhuge.sqlite", "sqlite:data/zhuge.sqlite"),
    ],
)
def test_a_password_is_shown_nowhere_but_handed_down(url: str, shown: str) -> None:
    loaded = load_settings(env={"ZHUGE_STORES__CSTORE": url})
    assert loaded.settings.stores.cstore == url
    assert describe(loaded)[0].value == shown
    assert SECRET not in f"{loaded} {loaded.settings} {loaded.settings.stores!r} {describe(loaded)}"
    assert masked(f"cannot open {url!r}") == f"cannot open {shown!r}"


def test_a_refused_value_shows_no_password_either(tmp_path: Path) -> None:
    error = refused(env={"ZHUGE_FORECAST__DEVICE": f"tcp://user:{SECRET}@gpu"})
    assert error.got == "'tcp://user:***@gpu'"
    assert SECRET not in str(refused(path=write(tmp_path, f"[stores]\ncstore = ['redis://:{SECRET}@host']\n")))


@given(st.text(alphabet=st.characters(codec="utf-8", exclude_characters="\n\r"), min_size=1).map(lambda t: f"<{t}>"))
def test_any_password_is_masked_whole(password: str) -> None:
    assert masked(f"mysql://user:{password}@host/db") == "mysql://user:***@host/db"


def test_describe_gives_every_key_in_order_with_value_origin_and_meaning() -> None:
    lines = describe(load_settings(overrides={"demo.speed": "600"}, env={}))
    assert [line.key for line in lines] == list(FIELDS)
    assert lines[-1] == ("demo.speed", "600.0", "the command line", FIELDS["demo.speed"].description)
    assert all(re.fullmatch(r".{10,80}\.", line.description) for line in lines)


def test_settings_are_frozen_and_closed() -> None:
    settings = Settings()
    with pytest.raises(ValidationError, match="frozen"):
        settings.serve.port = 1
    with pytest.raises(ValidationError, match="frozen"):
        settings.serve = settings.serve
