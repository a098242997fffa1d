"""A judge that is a real model behind real vLLM, with a key."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest
from pydantic import SecretStr

from tests.integration.engine import running_engine
from tests.integration.judge_model import RUBRIC, better, case, make_judge
from trainer.endings import RoundFailed
from trainer.panel import panel
from trainer.rubric import Ruling
from trainer.settings import JudgeAt

pytestmark = [pytest.mark.integration, pytest.mark.alone]

RULINGS: dict[str, Ruling] = {"A": "first", "B": "second", "tie": "tie"}
KEY = SecretStr("a key of its own")


@pytest.fixture(scope="module")
def at(tmp_path_factory: pytest.TempPathFactory) -> Iterator[JudgeAt]:
    folder = tmp_path_factory.mktemp("judge")
    model, more = make_judge(folder / "model"), ("--api-key", KEY.get_secret_value())
    with running_engine(model, folder, folder / "vllm.log", name="wise", more=more) as engine:
        yield JudgeAt(f"{engine.url}/v1", "wise", KEY)


def test_a_model_judges_by_the_rubric_in_both_orders(at: JudgeAt, tmp_path: Path) -> None:
    random = Random(1)
    cases = [case(random) for _ in range(60)]
    with panel(at, tmp_path, RUBRIC) as ask:
        told = ask(cases)
    right = Counter(RULINGS[better(one)] == said for one, said in zip(cases, told, strict=True))
    assert right[True] >= 54, Counter(told)
    assert {"first", "second", "tie"} <= {*told}


def test_without_its_key_it_judges_nothing(at: JudgeAt, tmp_path: Path) -> None:
    stranger = at._replace(key=SecretStr("another"))
    with panel(stranger, tmp_path, RUBRIC) as ask, pytest.raises(RoundFailed, match="401"):
        ask([case(Random(1))])


def test_a_question_that_is_too_long_for_it_is_declined(at: JudgeAt, tmp_path: Path) -> None:
    short = case(Random(1))
    with panel(at, tmp_path, RUBRIC) as ask:
        assert ask([short._replace(first="eggs " * 600)]) == ["declined"]
