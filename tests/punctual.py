"""A clock that does not wait for a processor."""

import os
from contextlib import suppress


def be_punctual() -> None:
    """This thread, for good, where the system allows it.

    Two of vLLM's processes look for work without a pause. On two cores who asks it is woken 0.1 s
    late then, time and again for tens of seconds, and what was said at once is seen late.
    """
    with suppress(PermissionError, AttributeError):  # macOS has none
        os.sched_setscheduler(0, os.SCHED_RR | os.SCHED_RESET_ON_FORK, os.sched_param(1))
