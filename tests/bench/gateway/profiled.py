"""The gateway with its first thread under cProfile, from SIGUSR1 on until its end.

`python -m tests.bench.gateway.profiled FILE`. Its other threads only write the log.
"""

import cProfile
import signal
import sys

from serving.__main__ import main as serve


def main() -> None:
    # Not a clock of the processor's time: each look at it costs ten times as much.
    profile = cProfile.Profile()
    signal.signal(signal.SIGUSR1, lambda *_: profile.enable())
    try:
        serve()
    finally:
        profile.disable()
        profile.dump_stats(sys.argv[1])


if __name__ == "__main__":
    main()
