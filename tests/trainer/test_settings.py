from pathlib import Path

import pytest
from pydantic import ValidationError

from trainer.settings import Settings


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
