"""Who takes the steps. Not in `__main__`, for new processes import no package's."""

import pickle
from pathlib import Path

import torch
from transformers.utils.logging import disable_progress_bar

from tests.bench.step.clock import Seen
from tests.bench.step.lessons import Lesson
from tests.bench.step.ours import OURS, OURS_ANEW, OURS_CHECKPOINTED, ours
from tests.bench.step.scale import ON_GPU
from tests.bench.step.theirs import BEST, ON_LABELS, SHIPPED, theirs

# On a GPU TRL's head is on label positions as it ships.
PEERS = (SHIPPED, *(() if ON_GPU else (ON_LABELS,)), BEST, OURS_ANEW, OURS_CHECKPOINTED, OURS)


def measure(peer: str, method: str, base: Path) -> dict[str, Seen]:
    torch.set_num_threads(1)
    disable_progress_bar()
    train = ours if peer in (OURS, OURS_ANEW, OURS_CHECKPOINTED) else theirs
    lessons: dict[str, list[Lesson]] = pickle.loads((base / method).read_bytes())
    return {
        lengths: train(peer, method, base, some)
        for lengths, some in lessons.items()
        if lengths != "curve" or peer in (SHIPPED, OURS)
    }
