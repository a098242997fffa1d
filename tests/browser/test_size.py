"""What every visitor of an app's page downloads."""

from tests.browser.reader import SCRIPT


def test_the_script_has_at_most_2048_bytes() -> None:
    assert 0 < SCRIPT.stat().st_size <= 2048
