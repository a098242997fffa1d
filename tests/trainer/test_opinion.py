"""A second judge, on verdicts whose reason is known."""

import pytest
import torch
from torch import Tensor

from trainer.batch import Text
from trainer.discernment import Discernment
from trainer.opinion import Opinion, opinion
from trainer.pairs import Pair
from trainer.rows import Row
from trainer.sides import Side


def states(count: int, seed: int = 0, size: int = 24) -> Tensor:
    return torch.randn(count, size, generator=torch.Generator().manual_seed(seed))


def rows(seen: Tensor) -> list[Row]:
    """What is liked has a first feature above nothing."""
    liked = (seen[:, 0] > 0).tolist()
    return [Row(f"c{n}", f"u{n}", Text((5,), (n,)), up, 1.0, None) for n, up in enumerate(liked)]


def pairs(count: int) -> list[Pair]:
    def side(name: int) -> Side:
        return Side(f"c{name}", "u", Text((5,), (name,)), None)

    return [Pair(side(2 * n), side(2 * n + 1), 1.0, "comparison") for n in range(count)]


def ordered(seen: Tensor) -> Tensor:
    """Each pair's better one first."""
    both = seen.view(-1, 2, seen.shape[1])
    better = both[..., 0].argmax(1)
    return torch.stack(
        [torch.stack((one[at], one[1 - at])) for one, at in zip(both, better, strict=True)]
    ).view(-1, seen.shape[1])


def test_it_hears_thumbs() -> None:
    seen, new = states(200), states(100, seed=1)
    told = opinion(seen, rows(seen)).worth(new).tolist()
    right = Discernment(told, [row.liked for row in rows(new)], []).auroc()
    assert right is not None and right.share > 0.9


def test_it_hears_pairs() -> None:
    seen, new = ordered(states(200)), ordered(states(200, seed=1))
    worth = opinion(seen, pairs(100)).worth(new)
    assert (worth[::2] > worth[1::2]).double().mean() > 0.8


def test_of_verdicts_by_chance_it_has_hardly_an_opinion() -> None:
    """Its dimensions are as many as the verdicts: without its pull it would know them by heart."""
    seen = states(100, size=100)
    by_chance = rows(states(100, seed=7))
    found = opinion(seen, by_chance).worth(states(500, seed=8, size=100))
    assert found.std() < 1.0  # with a hundredth of the pull it is 6


def test_what_does_not_count_is_not_heard() -> None:
    seen = states(100)
    twice = torch.cat([seen, seen])
    sound = rows(seen)
    wrong = [Row(f"w{n}", "u", row.text, not row.liked, 0.0, None) for n, row in enumerate(sound)]
    one, two = opinion(seen, sound), opinion(twice, [*sound, *wrong])
    assert weights(two) == pytest.approx(weights(one), abs=0.02)


def weights(found: Opinion) -> list[float]:
    return found.weight.tolist()
