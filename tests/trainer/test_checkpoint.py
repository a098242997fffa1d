from pathlib import Path
from random import Random

import pytest
import torch

from trainer.checkpoint import Checkpoint, Mark
from trainer.learner import State

MARK = Mark("base", "tiny-v1", "p", {"completions/0": 7, "verdicts/0": 3}, "d")


def state(epochs: int = 1) -> State:
    weight = torch.nn.Parameter(torch.ones(2))
    optimizer = torch.optim.AdamW([weight])
    weight.sum().backward()  # type: ignore[no-untyped-call]
    optimizer.step()
    return State(
        epochs=epochs,
        curves={"loss": [0.1, 1 / 3]},
        weights={"a": weight.detach()},
        optimizer=optimizer.state_dict(),
        warm_up={"last_epoch": 3},
        kl_weight=0.5,
        order=Random(3).getstate(),
        torch_random=torch.get_rng_state(),
        beside=[weight.detach() * 2],
    )


def test_what_was_saved_is_read_as_it_was(tmp_path: Path) -> None:
    Checkpoint(tmp_path).save(MARK, state())
    saved = Checkpoint(tmp_path).read()
    assert saved is not None and saved.mark == MARK
    assert saved.state.curves == {"loss": [0.1, 1 / 3]}
    assert torch.equal(saved.state.weights["a"], state().weights["a"])
    moments, expected = saved.state.optimizer["state"][0], state().optimizer["state"][0]
    assert all(torch.equal(moments[name], expected[name]) for name in expected)
    random = Random()
    random.setstate(saved.state.order)
    assert random.random() == Random(3).random()


def test_the_newest_state_holds_and_cleared_there_is_none(tmp_path: Path) -> None:
    checkpoint = Checkpoint(tmp_path)
    assert checkpoint.read() is None
    for epochs in (1, 2):
        checkpoint.save(MARK, state(epochs))
    saved = checkpoint.read()
    assert saved is not None and saved.state.epochs == 2
    checkpoint.clear()
    assert checkpoint.read() is None
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("kept", [0, 1, 40, 400, -1])
def test_a_file_cut_short_is_left_out_and_told(
    tmp_path: Path, kept: int, caplog: pytest.LogCaptureFixture
) -> None:
    Checkpoint(tmp_path).save(MARK, state())
    path = tmp_path / "round.pt"
    path.write_bytes(path.read_bytes()[:kept])
    assert Checkpoint(tmp_path).read() is None
    assert f"{path} is damaged or of another version" in caplog.text


def test_a_file_of_another_version_is_left_out(tmp_path: Path) -> None:
    Checkpoint(tmp_path).save(MARK, state())
    path = tmp_path / "round.pt"
    path.write_bytes(path.read_bytes().replace(b'"v": 2', b'"v": 3', 1))
    assert Checkpoint(tmp_path).read() is None


def test_a_draft_that_a_death_left_is_no_state(tmp_path: Path) -> None:
    (tmp_path / "round.pt.tmp").write_bytes(b"half")
    assert Checkpoint(tmp_path).read() is None
    Checkpoint(tmp_path).save(MARK, state())
    assert Checkpoint(tmp_path).read() is not None
