from trainer.spare import Pace, Spare


def spare(*, users: int = 0, quiet: float = 1.0, met: float = 1.0) -> Spare:
    return Spare(Pace(8, None, users, quiet, met, 60.0))


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
    one.leave()
    assert [one.saw(0, 0, at) for at in (1.1, 2.0, 2.1)] == [False, False, True]


def test_after_one_user_met_it_others_must_come_and_go_before_it_begins_again() -> None:
    one, at = spare(quiet=1.0, met=0.25), 0.0
    assert [one.saw(0, 0, at) for at in (0.0, 1.0)] == [False, True]  # nobody met it yet
    assert not one.saw(9, 8, 1.1)  # the first, who meets it
    begun = []
    for user in range(4):
        at = 10.0 * (user + 1)
        one.saw(0, 0, at)
        begun.append(one.saw(0, 0, at + 2.0))
        one.saw(1, 0, at + 3.0)
    assert begun == [False, False, False, True]  # once four have come


def test_who_comes_while_nothing_of_ours_is_under_way_did_not_meet_it() -> None:
    one = spare(quiet=1.0, met=0.0)
    assert [one.saw(0, 0, at) for at in (0.0, 1.0)] == [False, True]
    assert not one.saw(1, 0, 1.1)
    assert [one.saw(0, 0, at) for at in (2.0, 3.0)] == [False, True]


def test_whom_nobody_asked_for_a_minute_may_draw_though_the_next_user_meets_it() -> None:
    one = spare(quiet=1.0, met=0.0)
    assert [one.saw(0, 0, at) for at in (0.0, 1.0)] == [False, True]
    assert not one.saw(9, 8, 1.1)
    assert [one.saw(0, 0, at) for at in (2.0, 61.9, 62.0)] == [False, False, True]
    assert one.saw(8, 8, 62.1)


def test_ten_minutes_after_one_met_it_it_begins_again_however_few_came() -> None:
    """A user every eight seconds: no minute is quiet, and a hundred take a quarter of an hour."""
    one = spare(quiet=1.0, met=0.01)
    assert [one.saw(0, 0, at) for at in (0.0, 1.0)] == [False, True]
    assert not one.saw(9, 8, 1.1)
    begun = []
    for at in range(8, 640, 8):
        one.saw(1, 0, at)
        one.saw(0, 0, at + 1)
        begun += [at] if one.saw(0, 0, at + 3) else []
    assert begun[0] == 600
    assert one.told == "1 of 79 met ours (trainer_draws_met_share: at most 1%)"
