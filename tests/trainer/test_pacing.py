from collections.abc import Callable

import pytest

from feedback.log import LogAway
from trainer.pacing import Rhythm, keep_on


@pytest.mark.parametrize(
    ("took", "scored", "pause"),
    [
        (1.0, 4, 9.0),  # a tenth of the time
        (0.1, 4, 7.9),  # four in eight seconds are thirty a minute
        (0.1, 0, 0.9),
        (0.0, 0, 0.0),
    ],
)
def test_a_pause_keeps_both_the_share_and_the_rate(took: float, scored: int, pause: float) -> None:
    assert Rhythm(per_minute=30, share=0.1).pause(took, scored) == pytest.approx(pause)


class Done(Exception):
    """A test has seen enough."""


class Hours:
    """A clock that moves as somebody works or sleeps, and ends at last."""

    def __init__(self, seconds: float = 3600) -> None:
        self.now, self.worked, self._end = 0.0, 0.0, seconds
        self.turns = list[float]()  # when they began

    def work(self, seconds: float, *, waiting_seconds: float = 0) -> None:
        self.turns.append(self.now)
        self.now += seconds + waiting_seconds
        self.worked += seconds

    def sleep(self, seconds: float) -> None:
        self.now += seconds
        if self.now >= self._end:
            raise Done

    def keep_on(
        self, turn: Callable[[], int], rhythm: Rhythm, yields: Callable[[], bool] = lambda: False
    ) -> None:
        with pytest.raises(Done):
            keep_on(
                turn,
                rhythm,
                yields=yields,
                spent=lambda: self.worked,
                clock=lambda: self.now,
                sleep=self.sleep,
            )


@pytest.mark.parametrize("batch_seconds", [0.01, 0.5, 7.0, 60.0])
@pytest.mark.parametrize("share", [0.01, 0.1, 1.0])
def test_it_takes_its_share_and_does_so_many_a_minute(batch_seconds: float, share: float) -> None:
    hours = Hours()

    def turn() -> int:
        hours.work(batch_seconds)
        return 4

    hours.keep_on(turn, Rhythm(per_minute=30, share=share))
    done, most = 4 * len(hours.turns), 30 * hours.now / 60
    assert hours.worked <= share * hours.now + batch_seconds  # the last pause may be cut off
    assert done <= most + 4
    assert hours.worked >= share * hours.now / 2 or done >= most / 2  # and no less than it may


def test_time_in_which_others_have_the_core_is_not_its_own() -> None:
    hours = Hours()

    def turn() -> int:
        hours.work(0.1, waiting_seconds=10)
        return 4

    hours.keep_on(turn, Rhythm(per_minute=30, share=0.1))
    assert hours.turns[1] - hours.turns[0] == pytest.approx(10.1 + 7.9, abs=0.5)


def test_while_it_yields_it_does_nothing_and_then_goes_on() -> None:
    hours, a_round = Hours(), range(100, 200)

    def turn() -> int:
        hours.work(0)
        return 0

    rhythm = Rhythm(per_minute=30, share=0.1)
    hours.keep_on(turn, rhythm, yields=lambda: int(hours.now) in a_round)
    assert not [at for at in hours.turns if int(at) in a_round]
    assert 99 in hours.turns and 200 in hours.turns


def test_a_log_that_is_away_is_asked_again_after_a_while(caplog: pytest.LogCaptureFixture) -> None:
    hours = Hours(seconds=100)

    def turn() -> int:
        hours.work(0)
        raise LogAway("nobody answers")

    hours.keep_on(turn, Rhythm(per_minute=30, share=0.1, retry_seconds=30))
    assert hours.turns == [0, 30, 60, 90]
    assert "not now: nobody answers" in caplog.text
