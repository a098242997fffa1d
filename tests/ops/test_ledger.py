"""What nothing is counted twice by, against plain dictionaries."""

from collections import defaultdict

import pytest
from hypothesis import given
from hypothesis import strategies as st

from feedback.log import LogAway
from ops.ledger import Ledger, Sums, Word

words = st.builds(
    Word, st.integers(0, 2), st.sampled_from(["ann", "ben"]), st.sampled_from([0.0, 1.0, 2.5])
)
said = st.lists(st.tuples(st.sampled_from(["c1", "c2", "c3"]), st.none() | words), max_size=30)


def test_what_was_asked_before_is_not_new() -> None:
    ledger = Ledger()
    assert [ledger.is_new("completion", one) for one in ("c1", "c2", "c1")] == [True, True, False]
    assert ledger.is_new("user", "c1")  # of another kind
    assert ledger.is_new("completionc", "1")  # where the one ends tells them apart
    ledger.close()


def test_what_was_counted_before_the_log_went_away_is_counted() -> None:
    ledger = Ledger()
    with pytest.raises(LogAway), ledger.open():
        ledger.is_new("completion", "c1")
        raise LogAway("no broker answers")
    with ledger.open():
        assert not ledger.is_new("completion", "c1")
    ledger.close()


@given(said)
def test_the_changes_add_up_to_what_stands(said: list[tuple[str, Word | None]]) -> None:
    ledger, users = Ledger(), defaultdict[tuple[int, Sums], int](int)
    stands = dict[str, Word]()
    for identity, word in said:
        stands.pop(identity, None)
        if word:
            stands[identity] = word
        for change in ledger.say((identity, "thumb"), word):
            users[change.place, change.before] -= 1
            users[change.place, change.after] += 1
    ledger.close()
    expected = defaultdict[tuple[int, str], Sums](Sums)
    for one in stands.values():
        expected[one.place, one.rater] = expected[one.place, one.rater].plus(one.value, 1)
    found = sorted(key for key, count in users.items() for _ in range(count) if key[1].n)
    assert found == sorted((place, sums) for (place, _), sums in expected.items())
