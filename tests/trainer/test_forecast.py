from trainer.forecast import Forecast, Left


def test_without_a_round_before_it_knows_what_it_has_seen() -> None:
    forecast = Forecast()
    assert forecast.left(0) == Left(0, whole=False)
    forecast.told("model", 0, 1, 0)
    forecast.told("model", 1, 1, 10)
    forecast.told("epoch 1 of 3", 0, 4, 10)
    forecast.told("epoch 1 of 3", 1, 4, 20)
    # One of four steps took 10 s: 30 s of this epoch, and two more of 40 s.
    assert forecast.left(20) == Left(110, whole=False)
    assert str(forecast.left(20)) == "more than 2 min left"


def test_between_two_steps_of_a_kind_the_others_take_as_long() -> None:
    forecast = Forecast()
    forecast.told("epoch 1 of 2", 0, 1, 0)
    forecast.told("epoch 1 of 2", 1, 1, 50)
    forecast.told("drift after epoch 1 of 2", 0, 1, 50)
    forecast.told("drift after epoch 1 of 2", 1, 1, 60)
    assert forecast.left(60).seconds == 50 + 10


def test_what_the_last_round_took_stands_for_what_has_not_begun() -> None:
    forecast = Forecast({"model": 5, "epoch": 100, "gates": 30})
    assert forecast.left(0) == Left(135, whole=True)
    forecast.told("model", 0, 1, 0)
    assert forecast.left(2).seconds == 3 + 100 + 30
    assert forecast.left(20).seconds == 100 + 30  # late, but never in debt
    forecast.told("model", 1, 1, 20)
    forecast.told("epoch 1 of 2", 0, 10, 20)
    forecast.told("epoch 1 of 2", 5, 10, 40)
    assert forecast.left(40).seconds == 20 + 40 + 30
    assert str(forecast.left(40)) == "about 2 min left"


def test_a_round_that_has_ended_has_nothing_left_and_says_what_it_took() -> None:
    forecast = Forecast({"gates": 30})
    for name, began, ended in (("epoch 1 of 2", 0, 5), ("epoch 2 of 2", 5, 9), ("gates", 9, 10)):
        forecast.told(name, 0, 1, began)
        forecast.told(name, 1, 1, ended)
    assert forecast.left(10) == Left(0, whole=True)
    assert forecast.took == {"epoch": 9, "gates": 1}


def test_another_thread_may_look_just_as_a_step_ends() -> None:
    forecast = Forecast({"gates": 30})
    seen: list[Left] = []

    class Moment(float):
        def __sub__(self, began: float) -> float:
            seen.append(forecast.left(10))
            return float(self) - began

    forecast.told("gates", 0, 1, 0)
    forecast.told("gates", 1, 1, Moment(10))
    assert seen == [Left(0, whole=True)]
    assert forecast.took == {"gates": 10}


def test_a_round_that_goes_on_after_its_second_epoch_does_not_count_the_first() -> None:
    forecast = Forecast()
    forecast.told("epoch 3 of 4", 0, 2, 0)
    forecast.told("epoch 3 of 4", 1, 2, 10)
    assert forecast.left(10).seconds == 10 + 20
