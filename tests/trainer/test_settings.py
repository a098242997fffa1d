"""Settings are read from the environment: that alone is changed here, nothing of ours."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from feedback.begin import settings_told
from trainer.settings import JudgeAt, Settings
from trainer.spare import Pace


def test_settings_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("THUMBWHEEL_MODEL", "/models/small")
    monkeypatch.setenv("THUMBWHEEL_TRAINER_MIN_EXAMPLES", "50")
    settings = Settings()
    assert settings.model == "/models/small"
    assert settings.trainer_min_examples == 50
    assert settings.adapters == Path(".thumbwheel/adapters")


def test_without_a_base_model_there_are_no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("THUMBWHEEL_MODEL", raising=False)
    with pytest.raises(ValidationError, match="model"):
        Settings()


def test_a_name_that_no_adapter_can_have_is_told_before_anything_is_learned(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("THUMBWHEEL_MODEL", "/models/small")
    monkeypatch.setenv("THUMBWHEEL_NAME", "my model")
    with pytest.raises(ValidationError, match="name"):
        Settings()


@pytest.fixture
def judged(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    monkeypatch.setenv("THUMBWHEEL_MODEL", "/models/small")
    monkeypatch.setenv("THUMBWHEEL_TRAINER_JUDGE_MODEL", "wise")
    return monkeypatch


def test_a_judge_is_an_address_a_model_and_a_key_that_no_log_shows(
    judged: pytest.MonkeyPatch,
) -> None:
    judged.setenv("THUMBWHEEL_TRAINER_JUDGE_URL", "http://127.0.0.1:8001/v1/")
    assert Settings().judge == JudgeAt("http://127.0.0.1:8001/v1", "wise", None)
    judged.setenv("THUMBWHEEL_TRAINER_JUDGE_URL", "https://[::1]:8001")
    judged.setenv("THUMBWHEEL_TRAINER_JUDGE_KEY", "s3cret")
    found = Settings().judge
    assert found and found.key and found.key.get_secret_value() == "s3cret"
    assert "s3cret" not in repr(found)


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("http://localhost:99999/v1", "'http://localhost:99999/v1' is no address: Port out of"),
        (None, "trainer_judge_url is None, trainer_judge_model is 'wise'; expected both or none"),
        ("localhost:8001", "'localhost:8001' is no address; expected one such as http://HOST:"),
        ("ftp://host/v1", "'ftp://host/v1' is no address"),
        ("http:///v1", "'http:///v1' is no address"),
        ("http://host/v1?key=s3cret", "an address has a query; expected one without, such as http"),
        ("http://host:port/v1", "is no address"),
        ("http://ann:s3cret@host/v1", "a user or a password in it; expected trainer_judge_key"),
    ],
)
def test_a_judge_without_a_place_is_refused_and_no_password_is_told(
    judged: pytest.MonkeyPatch, url: str | None, why: str, capsys: pytest.CaptureFixture[str]
) -> None:
    if url is not None:
        judged.setenv("THUMBWHEEL_TRAINER_JUDGE_URL", url)
    with pytest.raises(SystemExit), settings_told("trainer", Settings.model_fields):
        Settings()
    told = capsys.readouterr().err
    assert why in told
    assert "s3cret" not in told


def test_a_key_from_a_file_may_end_its_line(judged: pytest.MonkeyPatch) -> None:
    judged.setenv("THUMBWHEEL_TRAINER_JUDGE_URL", "http://127.0.0.1:8001/v1")
    judged.setenv("THUMBWHEEL_TRAINER_JUDGE_KEY", "s3cret\n")
    found = Settings().judge
    assert found and found.key and found.key.get_secret_value() == "s3cret"


@pytest.mark.parametrize("key", ["s3\ncret", "s3crét"])
@pytest.mark.parametrize("name", ["TRAINER_JUDGE_KEY", "ENGINE_KEY"])
def test_a_key_that_no_header_can_hold_is_refused_untold(
    monkeypatch: pytest.MonkeyPatch, name: str, key: str, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("THUMBWHEEL_MODEL", "/models/small")
    monkeypatch.setenv(f"THUMBWHEEL_{name}", key)
    with pytest.raises(SystemExit), settings_told("trainer", Settings.model_fields):
        Settings()
    told = f"settings: {name.lower()}: expected printable ASCII\n"
    assert capsys.readouterr().err == told


def test_engines_draw_only_where_they_are_asked_to(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("THUMBWHEEL_MODEL", "/models/small")
    monkeypatch.setenv("THUMBWHEEL_ENGINE_URL", "http://one:8001/,http://two:8001")
    monkeypatch.setenv("THUMBWHEEL_ENGINE_KEY", "s3cret")
    assert Settings().engines is None
    for name, value in {
        "BY": "engines",
        "AT_ONCE": "3",
        "PER_SECOND": "2.5",
        "BESIDE_USERS": "4",
        "QUIET_SECONDS": "0.5",
        "MET_SHARE": "0.1",
        "PATIENCE_SECONDS": "60",
    }.items():
        monkeypatch.setenv(f"THUMBWHEEL_TRAINER_DRAWS_{name}", value)
    found = Settings().engines
    assert found is not None
    assert found.urls == ("http://one:8001", "http://two:8001")
    assert found.pace == Pace(3, 2.5, 4, 0.5, 0.1, 60.0)
    assert "s3cret" not in repr(found)
