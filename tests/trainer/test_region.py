import pytest
import torch

from trainer.region import region


def cloud(count: int, size: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(count, size, generator=torch.Generator().manual_seed(seed))


def test_where_much_is_known_it_is_mahalanobis_distance() -> None:
    wide = torch.tensor([1.0, 10.0])
    found = region(cloud(20_000, 2) * wide)
    asked = torch.tensor([[3.0, 0.0], [0.0, 3.0], [0.0, 30.0]])
    assert found.distances(asked.double()).tolist() == pytest.approx([3.0, 0.3, 3.0], rel=0.05)
    assert found.reach == pytest.approx(2.45, rel=0.05)  # 95% of a circle's: the root of chi-square


def test_of_fewer_answers_than_dimensions_one_in_twenty_is_beyond_its_reach() -> None:
    few, new = cloud(100, 256), cloud(2_000, 256, seed=1)
    beyond = (region(few).trust(new.double()) < 1).double().mean()
    assert 0.01 < beyond < 0.15


def test_trust_is_whole_near_the_rated_and_falls_with_the_distance() -> None:
    found = region(cloud(200, 8))
    near, far, farther = found.trust(torch.stack([torch.full((8,), x) for x in (0.0, 5.0, 50.0)]))
    assert near == 1
    assert 1 > far > farther > 0
    assert far / farther == pytest.approx(10, rel=0.2)


def test_answers_that_are_all_the_same_trust_nothing_else() -> None:
    found = region(torch.ones(10, 4))
    same, other = found.trust(torch.tensor([[1.0] * 4, [1.0, 1.0, 1.0, 2.0]]).double()).tolist()
    assert (same, other) == (1.0, pytest.approx(0.0, abs=1e-6))


def test_the_better_and_the_worse_of_pairs_are_one_region() -> None:
    """They stand in turn, and far apart."""
    pairs = cloud(400, 4)
    pairs[::2, 0] += 6
    assert region(pairs).reach == pytest.approx(3.1, abs=0.5)  # the root of chi-square again


def test_of_three_answers_nothing_is_known() -> None:
    with pytest.raises(ValueError, match="3 rated answers; expected at least 4"):
        region(cloud(3, 2))
