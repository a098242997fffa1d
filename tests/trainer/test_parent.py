from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from feedback.events import BASE, encode
from feedback.log import SPLIT, Log, open_log
from serving.split import SPLIT_KEY, Split, newest
from tests.trainer.live import split
from trainer.parent import AnotherName, SplitReader


@pytest.fixture
def log(tmp_path: Path) -> Iterator[Log]:
    with closing(open_log(f"sqlite:///{tmp_path}/log.db")) as opened:
        yield opened


def write(log: Log, one: Split) -> None:
    log.append(SPLIT.name, SPLIT_KEY, encode(one))


def test_without_a_split_the_base_model_serves(log: Log) -> None:
    assert SplitReader(log, "tiny").serving().stable == BASE


def test_a_new_revision_is_seen_at_the_next_look(log: Log) -> None:
    reader = SplitReader(log, "tiny")
    write(log, split(1, "tiny-v1"))
    assert reader.serving().stable == "tiny-v1"
    write(log, split(2, "tiny-v1", canary="tiny-v2"))
    assert reader.serving().canary == "tiny-v2"


def test_a_record_that_cannot_be_read_is_left_out(
    log: Log, caplog: pytest.LogCaptureFixture
) -> None:
    write(log, split(1, "tiny-v1"))
    log.append(SPLIT.name, SPLIT_KEY, b'{"revision": 0, "stable": "tiny-v9"}')
    log.append(SPLIT.name, SPLIT_KEY, b"not JSON")
    assert SplitReader(log, "tiny").serving().stable == "tiny-v1"
    assert caplog.text.count("left out") == 2


@pytest.mark.parametrize("v", [b"true", b"1.0", b"2"])
def test_a_split_of_another_version_is_left_out(log: Log, v: bytes) -> None:
    write(log, split(1, "tiny-v1"))
    newer = encode(split(2, "tiny-v2")).replace(b'"v":1', b'"v":' + v)
    log.append(SPLIT.name, SPLIT_KEY, newer)
    assert SplitReader(log, "tiny").serving().stable == "tiny-v1"


@pytest.mark.parametrize("stable", ["other-v1", "tiny-v1x", "tiny-2-v1"])
def test_nothing_builds_on_another_names_adapter(log: Log, stable: str) -> None:
    write(log, split(1, stable))
    with pytest.raises(AnotherName, match=f"is '{stable}'; expected 'base' or tiny-vNUMBER"):
        SplitReader(log, "tiny").serving()


names = st.sampled_from(["base", "tiny-v1", "tiny-v2"])
splits = st.builds(split, st.integers(1, 4), names, st.none() | st.just("tiny-v3"))


@settings(max_examples=20, deadline=None)  # each example is a database
@given(st.lists(splits, min_size=1, max_size=8))
def test_it_agrees_with_the_gateway(history: list[Split]) -> None:
    with TemporaryDirectory() as folder, closing(open_log(f"sqlite:///{folder}/l.db")) as log:
        for one in history:
            write(log, one)
        serving, expected = SplitReader(log, "tiny").serving(), newest(history)
    assert expected is not None
    fields = {"revision", "stable", "canary"}
    assert serving.model_dump(include=fields) == expected.model_dump(include=fields)
