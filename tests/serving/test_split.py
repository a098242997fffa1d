import json
import subprocess
import sys
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from feedback.events import BadEvent, encode
from serving.split import Split, choose, decode_split, newest
from tests.serving.gateway import split

users = st.text(min_size=1, max_size=30)
shares = st.floats(0, 100)


def trial(share: float, salt: str = "") -> Split:
    return split(canary="model-v2", share_percent=share, salt=salt)


@given(users, shares, st.text(max_size=8))
def test_a_user_gets_the_same_adapter_each_time(user: str, share: float, salt: str) -> None:
    assert choose(trial(share, salt), user) == choose(trial(share, salt), user)


@given(users, shares, shares)
def test_a_growing_share_takes_no_user_off_the_canary(user: str, one: float, other: float) -> None:
    small, large = sorted((one, other))
    if choose(trial(small), user).adapter == "model-v2":
        assert choose(trial(large), user).adapter == "model-v2"


@pytest.mark.parametrize("share", [1, 10, 50, 99])
def test_the_canary_gets_its_share_of_the_users(share: int) -> None:
    chosen = [choose(trial(share), f"user{number}").adapter for number in range(5_000)]
    got = 100 * chosen.count("model-v2") / len(chosen)
    assert abs(got - share) < 4 * (share * (100 - share) / len(chosen)) ** 0.5


def test_another_salt_draws_other_users() -> None:
    def drawn(salt: str) -> set[int]:
        chosen = ((n, choose(trial(10, salt), f"user{n}")) for n in range(5_000))
        return {number for number, choice in chosen if choice.adapter == "model-v2"}

    one, other = drawn("a"), drawn("b")
    assert len(one & other) < 0.2 * len(one)


@given(users)
def test_nobody_is_on_a_canary_without_a_share(user: str) -> None:
    assert choose(trial(0), user).adapter == "model-v1"
    assert choose(trial(100), user).adapter == "model-v2"


@pytest.mark.integration
def test_replicas_agree_whatever_their_hash_seed() -> None:
    # The numbers are written down: a replica of another version must agree as well.
    expected = ["model-v2", "model-v2", "model-v2", "model-v1", "model-v2", "model-v2"]
    code = (
        "from tests.serving.test_split import trial; from serving.split import choose;"
        "print([choose(trial(40, 's'), f'user{n}').adapter for n in range(6)])"
    )
    for seed in ("1", "2"):
        said = subprocess.run(
            [sys.executable, "-c", code],
            env={"PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        )
        assert said.stdout.strip() == str(expected)


@given(st.lists(st.integers(1, 9), min_size=1))
def test_the_highest_revision_is_in_force_and_of_equals_the_first(revisions: list[int]) -> None:
    splits = [split(revision, salt=str(place)) for place, revision in enumerate(revisions)]
    found = newest(splits)
    assert found is not None
    assert found.revision == max(revisions)
    assert found.salt == str(revisions.index(max(revisions)))


@given(st.lists(st.integers(1, 9), max_size=8), st.integers(0, 8))
def test_a_split_read_in_two_goes_is_the_same(revisions: list[int], cut: int) -> None:
    splits = [split(revision, salt=str(place)) for place, revision in enumerate(revisions)]
    assert newest(splits[cut:], newest(splits[:cut])) is newest(splits)


def test_a_split_comes_back_from_the_log_as_it_was() -> None:
    decided = trial(12.5, "salt").model_copy(update={"pinned": True})
    assert decode_split(encode(decided)) == decided


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"share_percent": 120}, "split: share_percent: .* (got 120)"),
        ({"share_percent": "10"}, "split: share_percent: .* valid number (got '10')"),
        ({"canary": None}, "share_percent is 10.0; expected 0 without a canary"),
        ({"canary": "model-v1"}, "canary is 'model-v1', the same as stable"),
        ({"revision": 0}, "split: revision: .* (got 0)"),
        ({"stable": ""}, "split: stable: "),
        ({"reason": ""}, "split: reason: "),
        ({"colour": "red"}, "split: colour: Extra inputs are not permitted"),
        ({"at": "2026-01-01T00:00:00"}, "split: at: "),
        ({"v": 2}, "v is 2; this version reads v 1"),
        ({"kind": "thumb"}, "kind is 'thumb'; expected one of split"),
    ],
)
def test_a_split_that_is_not_understood_is_refused(
    change: dict[str, object], complaint: str
) -> None:
    record = json.loads(encode(trial(10))) | change
    pattern = complaint.replace("(", r"\(").replace(")", r"\)")
    with pytest.raises(BadEvent, match=pattern):
        decode_split(json.dumps(record).encode())


def test_a_split_carries_its_time_with_a_zone() -> None:
    assert trial(1).at <= datetime.now(UTC)
