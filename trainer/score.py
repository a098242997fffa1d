"""Live answers, scored under stable and base: `python -m trainer.score`, beside the trainer.

Wired here; scorer.py has the story. Torch is loaded only where something is to be scored.
"""

import logging
import os
import signal
import sys
import time
from contextlib import closing

from feedback.begin import no_arguments, settings_told
from feedback.log import Log, open_log
from trainer.endings import RoundFailed
from trainer.pacing import Rhythm, keep_on
from trainer.parent import SplitReader
from trainer.plan import Plan
from trainer.plan_file import read_plan
from trainer.record import Record
from trainer.settings import Settings

_log = logging.getLogger("trainer.score")


def main() -> None:
    no_arguments("python -m trainer.score", __doc__)
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s: %(message)s")
    logging.getLogger("kafka").setLevel(logging.WARNING)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: sys.exit(0))
    os.nice(19)  # nobody waits for a score
    with settings_told("trainer", Settings.model_fields):
        settings = Settings()
        plan = read_plan(settings.trainer_plan)
        log = open_log(settings.log)
    with closing(log):
        if settings.trainer_score_per_minute:
            _score(settings, plan, log)
        _log.info("trainer_score_per_minute is 0: nothing is scored")
        while True:
            signal.pause()


def _score(settings: Settings, plan: Plan, log: Log) -> None:
    # Here, because torch takes seconds and 700 MB.
    import torch

    from trainer.device import within_share
    from trainer.scales import Scales, on_gpu
    from trainer.scorer import LiveScorer

    torch.set_num_threads(1)
    record, gpu = Record(settings.trainer_state), on_gpu()
    spent = time.monotonic if gpu else time.process_time
    scales = Scales(settings.model, plan, spent)

    def yields() -> bool:
        """A round takes what it can get of a GPU; of cores each has its own share."""
        if not gpu or record.seen().under_way is None:
            return False
        scorer.put_down()
        return True

    split = SplitReader(log, settings.name)
    scorer = LiveScorer(log, split, settings.adapters, scales, plan.max_row_tokens)
    rhythm = Rhythm(
        settings.trainer_score_per_minute,
        settings.trainer_score_share,
        settings.trainer_retry_seconds,
    )
    try:
        with within_share(plan):
            keep_on(scorer.turn, rhythm, yields=yields, spent=lambda: spent() - scales.loading)
    except RoundFailed as error:  # of memory: it may be there again after a while
        sys.exit(str(error))


if __name__ == "__main__":
    main()
