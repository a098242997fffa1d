from trainer.spare import Pace, Spare


def spare(*, users: int = 0, quiet: float = 1.0) -> Spare:
    return Spare(Pace(8, None, users, quiet, 60.0))


def test_it_begins_once_it_has_been_seen_quiet() -> None:
    """Who was there before the first look, nobody knows."""
    one = spare()
    assert [one.saw(0, 0, at) for at in (5.0, 5.5, 5.99, 6.0)] == [False, False, False, True]
    assert one.saw(8, 8, 6.1)


def test_one_user_is_enough_to_leave_until_it_is_seen_quiet_again() -> None:
    one = spare()
    assert not one.saw(1, 0, 0.0)
    assert not one.saw(0, 0, 9.0)  # nobody looked in between
    assert not one.saw(1, 0, 9.5)
    assert [one.saw(0, 0, at) for at in (9.6, 10.5, 10.6)] == [False, False, True]


def test_so_many_users_may_be_there_as_are_allowed() -> None:
    one = spare(users=3, quiet=0.0)
    assert one.saw(11, 8, 0.0)
    assert not one.saw(12, 8, 0.1)


def test_where_less_is_counted_than_we_asked_nobody_is_there() -> None:
    """What we asked a moment ago has not arrived."""
    assert spare(quiet=0.0).saw(3, 8, 0.0)


def test_after_trouble_it_is_left_alone_as_after_users() -> None:
    one = spare()
    assert [one.saw(0, 0, at) for at in (0.0, 1.0)] == [False, True]
    one.troubled()
    assert [one.saw(0, 0, at) for at in (1.1, 2.0, 2.1)] == [False, False, True]
