"""What the operator wrote for an AI that gives feedback: a judge's rubric, a constitution."""

from pathlib import Path
from typing import NamedTuple

from trainer.plan import Plan
from trainer.plan_file import BadPlan, sought_in
from trainer.settings import JudgeAt

_RUBRIC = """\
The better answer does what the prompt asks, and is right about it. It is honest about what it
does not know, harms nobody, and is no longer than it needs to be. Length, polish and a sure tone
are no merits of their own."""


class BadGuide(BadPlan):
    """No AI can be asked by it; the message names the file and what was expected."""


class Guide(NamedTuple):
    rubric: str
    principles: tuple[str, ...]  # of the constitution; none where there is none


def read_guide(plan: Plan) -> Guide:
    return Guide(_rubric(plan.judge_rubric), _principles(plan.constitution))


def require_judge(plan: Plan, at: JudgeAt | None) -> None:
    if plan.judged_pairs and at is None:
        raise BadGuide(
            f"judged_pairs is {plan.judged_pairs} and there is no judge; "
            "expected trainer_judge_url and trainer_judge_model"
        )


def _rubric(path: str | None) -> str:
    if path is None:
        return _RUBRIC
    if not (rubric := _text("the plan's judge_rubric", path).strip()):
        raise BadGuide(
            f"the plan's judge_rubric {path!r} is empty; expected what makes an answer better"
        )
    return rubric


def _principles(path: str | None) -> tuple[str, ...]:
    """One a line; lines that begin with # are comments."""
    if path is None:
        return ()
    lines = (line.strip() for line in _text("the plan's constitution", path).splitlines())
    if not (found := tuple(line for line in lines if line and not line.startswith("#"))):
        raise BadGuide(f"the plan's constitution {path!r} has no principle; expected one a line")
    return found


def _text(name: str, path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        told = f"{name} is {path!r}; expected a text file{sought_in(path)}: {error}"
        raise BadGuide(told) from error
