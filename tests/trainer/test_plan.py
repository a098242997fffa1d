from pathlib import Path

import pytest
from pydantic import ValidationError

from trainer.plan import Plan, read_plan


def test_a_file_changes_only_the_fields_it_names(tmp_path: Path) -> None:
    path = tmp_path / "plan.json"
    path.write_text('{"beta": 1, "learning_rate": 1e-3}')
    assert read_plan(path) == Plan(beta=1.0, learning_rate=1e-3)
    assert read_plan(None) == Plan()


@pytest.mark.parametrize(
    "text", ['{"beta": 0}', '{"batch_size": 1}', '{"rank": 0}', '{"bata": 1}', '{"epochs": "2"}']
)
def test_a_plan_out_of_bounds_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "plan.json"
    path.write_text(text)
    with pytest.raises(ValidationError):
        read_plan(path)


def test_a_plan_survives_the_manifest() -> None:
    assert Plan.model_validate(Plan(seed=3).model_dump(mode="json")) == Plan(seed=3)
