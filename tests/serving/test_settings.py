import pytest
from pydantic import ValidationError

from feedback.begin import BAD_SETTINGS, settings_told
from serving.settings import PluginSettings, Settings
from serving.wiring import token_keys


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


@pytest.fixture
def secret(monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("THUMBWHEEL_SECRET", "long enough")
    return "long enough"


@pytest.mark.usefixtures("secret")
def test_several_addresses_are_told_with_commas_between(monkeypatch: pytest.MonkeyPatch) -> None:
    assert Settings().engine_url == ("http://127.0.0.1:8001",)
    assert Settings().serving_origins == ()
    monkeypatch.setenv("THUMBWHEEL_ENGINE_URL", "http://a:1/, http://b:2 ,")
    monkeypatch.setenv("THUMBWHEEL_SERVING_ORIGINS", "https://app.example.com")
    assert Settings().engine_url == ("http://a:1", "http://b:2")
    assert Settings().serving_origins == ("https://app.example.com",)


WRONG = [
    ("ENGINE_URL", "a:1", "engine_url: 'a:1' is no address; expected http://HOST:PORT"),
    ("ENGINE_URL", ",", "engine_url: Value should have at least 1 item"),
    ("ENGINE_URL", "http://ann:fiddle@a", "engine_url: an address has a user or a password in"),
    ("ENGINE_URL", "http://:8001", "engine_url: 'http://:8001' is no address"),
    ("ENGINE_URL", "http://a:0", "engine_url: 'http://a:0' is no address"),
    ("ENGINE_URL", "http://a:99999", "engine_url: 'http://a:99999' is no address: Port out of"),
    ("ENGINE_URL", "http://a/\u65e5", "engine_url: 'http://a/\u65e5' is no address"),
    (
        "ENGINE_URL",
        "http://a:1/v1",
        "engine_url: 'http://a:1/v1' ends in /v1, which",
    ),
    ("ENGINE_URL", "http://a:1,http://a:1", "engine_url: http://a:1, http://a:1 names one twice"),
    ("SERVING_ORIGINS", "*", "serving_origins: '*' is no address"),
    ("SERVING_ORIGINS", "https://a b", "serving_origins: 'https://a b' is no address"),
    ("SERVING_MAX_IN_FLIGHT", "0", "serving_max_in_flight: Input should be greater than 0"),
    ("SERVING_ENGINE_CONNECTIONS", "0", "serving_engine_connections: Input should be greater"),
    ("SERVING_MAX_PROMPT_CHARS", "0", "serving_max_prompt_chars: Input should be greater than 0"),
    ("SERVING_ANSWER_SECONDS", "0", "serving_answer_seconds: Input should be greater than 0"),
    ("SERVING_REQUEST_SECONDS", "0", "serving_request_seconds: Input should be greater than 0"),
    ("SERVING_SILENCE_SECONDS", "0", "serving_silence_seconds: Input should be greater than 0"),
    ("SECRET", "fiddle", "secret: Value should have at least 8 characters"),
    ("SERVING_DRAIN_SECONDS", "-1", "serving_drain_seconds: Input should be greater than or"),
    ("SERVING_TOKEN_DAYS", "0", "serving_token_days: Input should be greater than 0"),
    ("SERVING_TOKEN_DAYS", "9999", "serving_token_days: Input should be less than or equal to 3"),
]


@pytest.mark.usefixtures("secret")
@pytest.mark.parametrize(("name", "value", "complaint"), WRONG)
def test_a_setting_that_cannot_be_ends_the_process_in_one_line(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    name: str,
    value: str,
    complaint: str,
) -> None:
    monkeypatch.setenv(f"THUMBWHEEL_{name}", value)
    with pytest.raises(SystemExit) as ended, settings_told("serving", Settings.model_fields):
        Settings()
    assert ended.value.code == BAD_SETTINGS
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"settings: {complaint}")
    assert "fiddle" not in line


def test_what_is_not_set_is_told_by_the_name_to_set(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("THUMBWHEEL_SECRET", raising=False)
    with pytest.raises(SystemExit), settings_told("serving", Settings.model_fields):
        Settings()
    assert capsys.readouterr().err == (
        "settings: secret: not set; expected THUMBWHEEL_SECRET in the environment\n"
    )


def of(secret: str = "long enough", keys: str | None = None) -> dict[str, bytes]:
    return token_keys(Settings.model_validate({"secret": secret, "serving_token_keys": keys}))


def test_without_keys_for_tokens_one_follows_from_the_secret() -> None:
    (key,) = of().values()
    assert of() == {"0": key} and len(key) == 64
    assert b"long enough" not in key
    assert of("another one") != of()


def test_keys_for_tokens_are_read_in_their_order() -> None:
    found = of(keys="new:sixteen letters!, old:with:a colon in it")
    assert list(found.items()) == [("new", b"sixteen letters!"), ("old", b"with:a colon in it")]


@pytest.mark.parametrize("said", ["", "a secret of 16 letters", "0:short secret", ":" + "k" * 16])
def test_a_bad_key_for_tokens_is_told_and_not_shown(said: str) -> None:
    with pytest.raises(ValueError, match="serving_token_keys: expected ID:KEY,ID:KEY") as caught:
        of(keys=said)
    assert "secret" not in str(caught.value)


def test_two_keys_for_tokens_have_two_names() -> None:
    with pytest.raises(ValueError, match="serving_token_keys"):
        of(keys=f"0:{'a' * 16},0:{'b' * 16}")


def test_no_secret_is_shown() -> None:
    keys = f"0:{'a secret ' * 3}"
    said = {"secret": "long enough", "serving_token_keys": keys, "engine_key": "vLLM's secret"}
    shown = repr(Settings.model_validate(said))
    assert "long enough" not in shown and "a secret" not in shown and "vLLM's" not in shown
