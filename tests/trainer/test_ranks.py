"""A group of one process, as gloo makes it."""

from datetime import timedelta
from pathlib import Path

import torch
from torch import distributed

from trainer.ranks import PATIENCE, joined
from trainer.settings import Place


def patience(group: distributed.ProcessGroup) -> timedelta:
    found: timedelta = group._get_backend(torch.device("cpu")).options._timeout
    return found


def test_no_process_waits_longer_for_words_than_for_numbers(tmp_path: Path) -> None:
    with joined(Place(0, 1, 0, 1, f"file://{tmp_path}/meet")) as ranks:
        assert distributed.group.WORLD
        assert patience(distributed.group.WORLD) == PATIENCE
        assert patience(ranks._words) == PATIENCE
