import pytest
from pydantic import ValidationError

from serving.settings import PluginSettings, Settings


def test_settings_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("THUMBWHEEL_SECRET", "long enough")
    monkeypatch.setenv("THUMBWHEEL_SERVING_PORT", "8123")
    settings = Settings()
    assert settings.serving_port == 8123
    assert "long enough" not in repr(settings)
    with pytest.raises(ValidationError, match="frozen"):
        settings.serving_port = 1  # type: ignore[misc]


@pytest.mark.parametrize("secret", [None, "short"])
def test_a_secret_is_needed(monkeypatch: pytest.MonkeyPatch, secret: str | None) -> None:
    monkeypatch.delenv("THUMBWHEEL_SECRET", raising=False)
    if secret:
        monkeypatch.setenv("THUMBWHEEL_SECRET", secret)
    with pytest.raises(ValidationError, match="secret"):
        Settings()


def test_the_plugin_needs_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("THUMBWHEEL_SECRET", raising=False)
    monkeypatch.delenv("THUMBWHEEL_ADAPTERS", raising=False)
    assert PluginSettings().adapters is None
