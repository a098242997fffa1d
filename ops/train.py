"""`thumbwheel train`: one round on a loop's home, by the trainer's own process."""

import os
from collections.abc import Mapping
from typing import NoReturn

from ops.kept import read_kept
from ops.programs import Ports, Up, room, settings
from ops.settings import UpSettings


def train(asked: UpSettings, inherited: Mapping[str, str], *, if_due: bool) -> NoReturn:
    """Becomes the trainer: its lines, its bars and its exit code are this command's."""
    env = environment(asked, inherited)
    how = "--if-due" if if_due else "--once"
    argv = room("trainer", how)
    os.execve(argv[0], argv, env)


def environment(asked: UpSettings, inherited: Mapping[str, str]) -> dict[str, str]:
    """The loop's own engine draws, unless it is told that others do."""
    own = settings(options(asked))
    if "engine_url" in asked.model_fields_set:
        own.pop("THUMBWHEEL_ENGINE_URL")
    env = {**inherited, **own, **asked.elsewhere}
    env.pop("THUMBWHEEL_SECRET", None)  # for serving alone
    return env


def options(asked: UpSettings) -> Up:
    """What was asked for; else what the loop was started with."""
    home, kept = asked.home.resolve(), read_kept(asked.home)
    model = asked.model or (kept and kept.model)
    if not model:
        raise ValueError(
            f"{home} does not say which model it is for; expected --model with a folder or a name"
        )
    named = "name" in asked.model_fields_set or kept is None
    plan = asked.trainer_plan or (kept and kept.plan)
    return Up(
        model=model,
        name=asked.name if named or kept is None else kept.name,
        home=home,
        ports=Ports(engine=asked.engine_port),
        plan=plan.resolve() if plan else None,
    )
