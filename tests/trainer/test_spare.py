from trainer.spare import Pace, Spare


def spare(*, users: int = 0, quiet: float = 1.0) -> Spare:
    return Spare(Pace(8, None, users, quiet, 60.0))


def test_there_is_room_where_nobody_but_us_is_at_work() -> None:
    assert spare().saw(8, 8, 0.0)


def test_one_user_is_enough_to_leave_until_it_has_been_quiet() -> None:
    one = spare()
    assert not one.saw(9, 8, 0.0)
    assert not one.saw(0, 0, 0.9)
    assert not one.saw(1, 0, 0.95)
    assert not one.saw(0, 0, 1.9)
    assert one.saw(0, 0, 1.95)


def test_so_many_users_may_be_there_as_are_allowed() -> None:
    one = spare(users=3)
    assert one.saw(11, 8, 0.0)
    assert not one.saw(12, 8, 0.1)


def test_where_less_is_counted_than_we_asked_nobody_is_there() -> None:
    """What we asked a moment ago has not arrived."""
    assert spare().saw(3, 8, 0.0)
