from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from trainer.adapters import DRAFTS, claim, is_draft, published, verify
from trainer.course import Places
from trainer.drafts import clear_drafts, put_draft
from trainer.lora_files import CONFIG, WEIGHTS
from trainer.policy import Policy

SAME = b"weights"


def places(folder: Path) -> Places:
    return Places("base", "tiny", folder / "examples", folder, folder / "state")


def writing(weights: bytes) -> Callable[[Path], None]:
    def save(into: Path) -> None:
        (into / WEIGHTS).write_bytes(weights)
        (into / CONFIG).write_text("{}")

    return save


def written(weights: bytes, folder: Path) -> str:
    return put_draft(places(folder), writing(weights))


def test_a_draft_is_named_by_what_it_is(tmp_path: Path) -> None:
    first, again, other = (written(said, tmp_path) for said in (SAME, SAME, b"others"))
    assert first == again != other
    assert is_draft(first)
    assert verify(tmp_path / DRAFTS, first).files.keys() == {WEIGHTS, CONFIG}
    assert not verify(tmp_path / DRAFTS, first).passed


def test_drafts_are_no_adapters_of_the_store(tmp_path: Path) -> None:
    """They take no number, and nothing tries them."""
    written(SAME, tmp_path)
    assert published(tmp_path) == []
    assert claim(tmp_path, "tiny").name == "tiny-v1"
    assert not is_draft("tiny-v1") and not is_draft("my-draft-v1")


def test_the_two_newest_are_kept(tmp_path: Path) -> None:
    names = [written(bytes([number]), tmp_path) for number in range(4)]
    assert {path.name for path in (tmp_path / DRAFTS).iterdir()} == {*names[-2:]}
    written(bytes([2]), tmp_path)  # again: now it is the newest
    written(bytes([9]), tmp_path)
    assert names[2] in {path.name for path in (tmp_path / DRAFTS).iterdir()}


def test_what_a_crash_left_without_a_manifest_is_written_anew(tmp_path: Path) -> None:
    name = written(SAME, tmp_path)
    (tmp_path / DRAFTS / name / "manifest.json").unlink()
    (tmp_path / DRAFTS / name / WEIGHTS).write_bytes(b"half")
    (tmp_path / DRAFTS / ".tiny").mkdir()
    assert written(SAME, tmp_path) == name
    verify(tmp_path / DRAFTS, name)


def test_a_policy_that_learned_is_another_draft(policy: Policy, tmp_path: Path) -> None:
    before = put_draft(places(tmp_path), policy.save)
    weights = {name: tensor + 0.01 for name, tensor in policy.weights().items()}
    with policy.wearing(weights):
        assert put_draft(places(tmp_path), policy.save) != before
    assert put_draft(places(tmp_path), policy.save) == before


def test_each_series_has_drafts_of_its_own(tmp_path: Path) -> None:
    """Two trainers may share a store."""
    mine, theirs = (replace(places(tmp_path), series=name) for name in ("a", "b"))
    for number in range(3):
        put_draft(mine, writing(bytes([number])))
    kept = put_draft(theirs, writing(SAME))
    put_draft(mine, writing(b"more"))
    assert (tmp_path / DRAFTS / kept).is_dir()
    clear_drafts(mine)
    assert [path.name for path in (tmp_path / DRAFTS).iterdir()] == [kept]
