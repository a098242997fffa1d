from pathlib import Path

import pytest

from ops.demo.stage import Stage, set_up


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    return set_up(tmp_path / "run", tmp_path / "no-model")
