"""Settings: every source, every refusal, and what is shown of them."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import pytest
from pydantic import Field, SecretStr, field_validator, model_validator

from bartizan.foundation.settings import (
    BaseSettings,
    InvalidSettings,
    ModuleSection,
    Problem,
    Section,
    UnsafeInProduction,
    banner,
    check_production,
    describe,
    load,
    rules,
    secret_keys,
    toggles,
)

GOOD_KEY = "k9-abcdefghijklmnopqrstuvwxyz0123456789"


class Smtp(Section):
    host: str = Field(default="localhost", description="Where the mail server is.")
    password: SecretStr | None = Field(default=None, description="Its password.")
    port: int = Field(default=25, ge=1, le=65_535, description="Its port.")


class Webhooks(ModuleSection):
    timeout: float = Field(default=15, gt=0, description="Seconds.")
    allow: tuple[str, ...] = Field(default=(), description="Networks.")
    paths: Sequence[str] = Field(default=(), description="Paths.")
    limits: Annotated[Mapping[str, int] | None, Field(description="Limits.")] = None
    headers: dict[str, str] = Field(default={}, description="Sent along.")
    token: str = Field(default="", description="Signs.", json_schema_extra=rules(secret=True))
    smtp: Smtp = Field(default=Smtp(), description="Nested.")
    mode: Literal["strict", "lax"] = Field(
        default="strict",
        description="How.",
        json_schema_extra=rules(production_refuses=["lax"], cure="Be strict."),
    )

    @field_validator("token")
    @classmethod
    def _long(cls, value: str) -> str:
        if value and len(value) < 5:
            message = f"{value} is too short"
            raise ValueError(message)
        return value

    def unsafe(self) -> Sequence[Problem]:
        return [Problem("timeout", "It is too long.", "Shorten it.")] if self.timeout > 100 else []


class Storage(Section):
    bucket: str = Field(description="Which bucket.")
    region: Annotated[str | None, Field(description="Where.")] = None

    @model_validator(mode="after")
    def _there(self) -> Self:
        if self.region == "moon":
            message = "not there"
            raise ValueError(message)
        return self


class Settings(BaseSettings):
    webhooks: Webhooks = Field(default=Webhooks(), description="Webhooks.")
    storage: Storage | None = Field(default=None, description="Storage.")
    weights: frozenset[int] = Field(default=frozenset({2, 1}), description="Weights.")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path


def loaded(folder: Path, environ: dict[str, str] | None = None, **overrides: Any) -> Settings:
    return load(Settings, environ=environ or {}, directory=folder, overrides=overrides).settings


def refusal(folder: Path, environ: dict[str, str] | None = None, **overrides: Any) -> str:
    with pytest.raises(InvalidSettings) as caught:
        loaded(folder, environ, **overrides)
    return str(caught.value)


@pytest.mark.feature("CORE-13")
def test_code_beats_the_environment_beats_env_beats_toml_beats_the_default(folder: Path) -> None:
    (folder / "bartizan.toml").write_text('mount = "/toml"\n[webhooks]\ntimeout = 1\nmode = "lax"\n')
    (folder / ".env").write_text("BARTIZAN_WEBHOOKS__TIMEOUT=2\nBARTIZAN_REDIS=redis://env\nOTHER=1\n")
    environ = {"BARTIZAN_WEBHOOKS__TIMEOUT": "3", "BARTIZAN_WEBHOOKS__SMTP__PORT": "26"}
    found = load(
        Settings, environ=environ, directory=folder, overrides={"webhooks": {"smtp": {"host": "code"}}}
    )
    assert found.settings.webhooks == Webhooks(timeout=3, mode="lax", smtp=Smtp(port=26, host="code"))
    assert found.settings.redis == "redis://env"
    assert found.sources == {
        "mount": "bartizan.toml",
        "redis": ".env line 2",
        "webhooks.timeout": "environment",
        "webhooks.mode": "bartizan.toml",
        "webhooks.smtp.port": "environment",
        "webhooks.smtp.host": "code",
    }


@pytest.mark.feature("CORE-13")
def test_names_are_read_in_any_case_and_lists_by_commas_or_json(folder: Path) -> None:
    settings = loaded(
        folder,
        {
            "bartizan_webhooks__allow": "10.0.0.0/8, 192.168.0.0/16",
            "BARTIZAN_WEIGHTS": "[3, 4]",
            "BARTIZAN_WEBHOOKS__PATHS": "/ping,/static/*",
            "BARTIZAN_WEBHOOKS__LIMITS": '{"a": 1}',
            "BARTIZAN_WEBHOOKS__HEADERS": '{"X-A": "1"}',
            "BARTIZAN_REDIS": "",
            "BARTIZAN_MOUNT": "",
        },
    )
    assert settings.webhooks.allow == ("10.0.0.0/8", "192.168.0.0/16")
    assert settings.weights == {3, 4}
    assert settings.webhooks.paths == ["/ping", "/static/*"]
    assert settings.webhooks.limits == {"a": 1}
    assert settings.webhooks.headers == {"X-A": "1"}
    assert settings.redis is None
    assert settings.mount == ""


def test_a_section_given_in_code_counts_only_what_it_sets(folder: Path) -> None:
    environ = {"BARTIZAN_WEBHOOKS__TIMEOUT": "3"}
    settings = loaded(folder, environ, webhooks=Webhooks(mode="lax"), webhooks__smtp__port=2525)
    assert settings.webhooks == Webhooks(timeout=3, mode="lax", smtp=Smtp(port=2525))


def test_an_optional_section_appears_when_one_of_its_values_is_set(folder: Path) -> None:
    assert loaded(folder).storage is None
    assert loaded(folder, storage=None).storage is None
    assert loaded(folder, {"BARTIZAN_STORAGE__BUCKET": "b"}).storage == Storage(bucket="b")


@pytest.mark.feature("CORE-13")
def test_a_value_can_be_read_from_a_file(folder: Path) -> None:
    (folder / "key").write_text(f"{GOOD_KEY},{GOOD_KEY[::-1]}\n")
    found = load(Settings, environ={"BARTIZAN_SECRET_KEY_FILE": str(folder / "key")}, directory=folder)
    assert secret_keys(found.settings) == [GOOD_KEY, GOOD_KEY[::-1]]
    assert found.sources == {"secret_key": f"file {folder / 'key'}"}


def test_a_secret_file_that_cannot_be_read_is_named(folder: Path) -> None:
    (folder / "binary").write_bytes(b"\xff\xfe")
    (folder / "large").write_bytes(b"x" * 70_000)
    for name, why in (("gone", "No such file"), ("binary", "not UTF-8"), ("large", "larger than 65536")):
        text = refusal(folder, {"BARTIZAN_SECRET_KEY_FILE": str(folder / name)})
        assert "BARTIZAN_SECRET_KEY_FILE" in text
        assert why in text


@pytest.mark.feature("CORE-13")
def test_an_unknown_name_is_refused_with_the_one_that_was_meant(folder: Path) -> None:
    text = refusal(folder, {"BARTIZAN_WEBHOOKS__TIMEOT": "1", "BARTIZAN_ZZZZZZZZZZZZ": "1"})
    assert (
        "BARTIZAN_WEBHOOKS__TIMEOT: There is no such setting. Did you mean BARTIZAN_WEBHOOKS__TIMEOUT?"
        in text
    )
    assert "BARTIZAN_ZZZZZZZZZZZZ: There is no such setting. See `bartizan settings show`" in text
    assert "webhooks.timeot (code)" in refusal(folder, webhooks={"timeot": 1})
    assert "Did you mean BARTIZAN_DATABASE?" in refusal(folder, databse="sqlite://")
    (folder / "bartizan.toml").write_text("[webhook]\ntimeout = 1\n")
    assert "webhook.timeout (bartizan.toml)" in refusal(folder)


def test_variables_of_others_are_left_alone(folder: Path) -> None:
    assert (
        loaded(
            folder,
            {
                "PATH": "/bin",
                "BARTIZAN_TEST_POSTGRESQL": "postgresql://",
                "BARTIZAN_SERVICE_HOST": "10.0.0.1",
                "BARTIZAN_SERVICE_PORT_HTTP": "80",
                "BARTIZAN_PORT": "tcp://10.0.0.1:80",
                "BARTIZAN_WEB_PORT_80_TCP_ADDR": "10.0.0.1",
            },
        )
        == Settings()
    )
    assert "BARTIZAN_PORT" in refusal(folder, {"BARTIZAN_PORT": "80"})


def test_one_setting_given_twice_in_one_place_is_refused(folder: Path) -> None:
    text = refusal(folder, {"BARTIZAN_MOUNT": "/a", "bartizan_mount": "/b"})
    assert "BARTIZAN_MOUNT sets the same" in text
    assert "sets the same" in refusal(folder, {"BARTIZAN_MOUNT": "/a", "BARTIZAN_MOUNT_FILE": "/b"})


@pytest.mark.feature("CORE-13")
def test_a_refusal_names_variable_value_reason_and_cure(folder: Path) -> None:
    text = refusal(folder, {"BARTIZAN_WEBHOOKS__SMTP__PORT": "99999", "BARTIZAN_WEIGHTS": "[1"})
    assert "BARTIZAN_WEIGHTS: This is not JSON." in text
    text = refusal(folder, {"BARTIZAN_WEBHOOKS__SMTP__PORT": "99999", "BARTIZAN_WEIGHTS": "1,x"})
    assert "BARTIZAN_WEBHOOKS__SMTP__PORT: Input should be less than or equal to 65535 (99999, from" in text
    assert "BARTIZAN_WEIGHTS" in text
    assert "Its port." in text
    assert "BARTIZAN_STORAGE__BUCKET: It has no default and must be set. Which bucket." in refusal(
        folder, storage={"region": "eu"}
    )
    assert "BARTIZAN_STORAGE: Not there." in refusal(folder, storage={"region": "moon", "bucket": "b"})
    with pytest.raises(InvalidSettings) as caught:
        loaded(folder, {"BARTIZAN_MOUNT": "x", "BARTIZAN_BASE_URL": "ftp://x"})
    problems = {p["name"]: p["reason"] for p in caught.value.facts["problems"]}
    assert problems["BARTIZAN_MOUNT"] == "A path begins with a slash (x, from environment)."
    assert "http://" in problems["BARTIZAN_BASE_URL"]


def test_a_refusal_never_shows_a_secret(folder: Path) -> None:
    text = refusal(folder, {"BARTIZAN_WEBHOOKS__TOKEN": "qqqq"})
    assert "qqqq" not in text
    assert "*** is too short (***, from environment)" in text


def test_files_that_make_no_sense_are_refused(folder: Path) -> None:
    (folder / "bartizan.toml").write_text("mount = = 1")
    (folder / ".env").write_text('# note\n\nexport BARTIZAN_MOUNT="open\nOTHER LINE\n')
    text = refusal(folder)
    assert "bartizan.toml: It is not TOML" in text
    assert ".env line 3: Not NAME=value." in text
    (folder / ".env").write_bytes(b"\xff")
    (folder / "bartizan.toml").write_bytes(b"\xff")
    text = refusal(folder)
    assert text.count("cannot be read") == 2


@pytest.mark.parametrize(
    ("line", "value"),
    [
        ("BARTIZAN_WEBHOOKS__TOKEN=plain value # why", "plain value"),
        ("BARTIZAN_WEBHOOKS__TOKEN=a#bcde", "a#bcde"),
        ("BARTIZAN_WEBHOOKS__TOKEN='a # $b\\n'  # why", "a # $b\\n"),
        ('export BARTIZAN_WEBHOOKS__TOKEN="a\\n\\"b\\" #"', 'a\n"b" #'),
        ("BARTIZAN_WEBHOOKS__TOKEN=", ""),
        ("BARTIZAN_WEBHOOKS__TOKEN=first\nBARTIZAN_WEBHOOKS__TOKEN=second", "second"),
    ],
)
def test_an_env_file_is_read_as_a_shell_would(folder: Path, line: str, value: str) -> None:
    (folder / ".env").write_text(line + "\n")
    assert loaded(folder).webhooks.token == value


@pytest.mark.feature("CORE-14")
def test_modules_can_be_switched_off_and_their_settings_are_then_not_asked(folder: Path) -> None:
    settings = loaded(folder, {"BARTIZAN_WEBHOOKS__ENABLED": "false", "ENABLE_MULTI_TENANCY": "0"})
    assert toggles(settings) == {
        "auth": True,
        "multi_tenancy": False,
        "audit_logging": True,
        "webhooks": False,
    }
    production = settings.model_copy(
        update={
            "environment": "production",
            "webhooks": Webhooks(enabled=False, mode="lax", timeout=200),
        }
    )
    with pytest.raises(UnsafeInProduction) as caught:
        check_production(production)
    assert "WEBHOOKS" not in str(caught.value)


@pytest.mark.feature("CORE-13")
def test_settings_are_shown_with_their_sources_and_without_secrets(folder: Path) -> None:
    found = load(
        Settings,
        environ={
            "BARTIZAN_SECRET_KEY": GOOD_KEY,
            "BARTIZAN_DATABASE": "postgresql+asyncpg://me:pa@ss@db/x?password=hunter2&ssl=1",
            "BARTIZAN_WEBHOOKS__TOKEN": "tokentoken",
            "BARTIZAN_WEBHOOKS__SMTP__PASSWORD": "smtpsecret",
            "BARTIZAN_WEBHOOKS__ALLOW": "a,b",
        },
        directory=folder,
        overrides={"redis": "redis://:pw@cache/0"},
    )
    rows = {row.name: row for row in describe(found.settings, found.sources)}
    assert rows["BARTIZAN_DATABASE"].value == "postgresql+asyncpg://me:***@db/x?password=***&ssl=1"
    assert rows["BARTIZAN_REDIS"].value == "redis://:***@cache/0"
    assert rows["BARTIZAN_REDIS"].source == "code"
    assert rows["BARTIZAN_SECRET_KEY"].value == "***"
    assert rows["BARTIZAN_SECRET_KEY"].default == ""
    assert rows["BARTIZAN_SECRET_KEY"].secret
    assert rows["BARTIZAN_WEBHOOKS__TOKEN"].value == "***"
    assert rows["BARTIZAN_WEBHOOKS__SMTP__PASSWORD"].value == "***"
    assert rows["BARTIZAN_WEBHOOKS__ALLOW"].value == "a,b"
    assert rows["BARTIZAN_WEIGHTS"].default == "1,2"
    assert rows["BARTIZAN_WEIGHTS"].source == "default"
    assert rows["BARTIZAN_STORAGE__BUCKET"].value == ""
    assert rows["BARTIZAN_WEBHOOKS__ENABLED"].value == "true"
    assert rows["BARTIZAN_WEBHOOKS__TIMEOUT"].description == "Seconds."
    shown = str(rows.values())
    for secret in ("pa@ss", "hunter2", "tokentoken", "smtpsecret", GOOD_KEY, ":pw@"):
        assert secret not in shown
    assert next(iter(describe(Settings()))).source == "default"


@pytest.mark.feature("OPS-06")
def test_the_banner_tells_what_starts_and_no_secret() -> None:
    facts = banner(
        Settings(database="postgresql://me:secretpw@db/x", enable_audit_logging=False, mount="/m/")
    )
    assert facts == {
        "environment": "development",
        "database": "postgresql://me:***@db/x",
        "redis": "none",
        "off": "audit_logging",
        "console": "http://127.0.0.1:8000/m/console",
        "docs": "http://127.0.0.1:8000/m/docs",
    }
    assert banner(Settings(redis="redis://c"))["off"] == "nothing"


def test_the_process_environment_and_folder_are_read_by_default(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)
    monkeypatch.setenv("BARTIZAN_MOUNT", "/here/")
    assert load(Settings).settings.mount == "/here"


def test_settings_do_not_change() -> None:
    with pytest.raises(ValueError, match="frozen"):
        Settings().mount = "/x"
