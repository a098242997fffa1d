"""Where rated answers lie among a model's features, and how far another is from there. Pure.

Mahalanobis' distance, by a covariance that is drawn towards a ball (Ledoit and Wolf 2004):
there may be fewer answers than dimensions.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

_INSIDE = 0.95  # the share of rated answers that count as near
LEAST = 4  # of each half two


@dataclass(frozen=True)
class Region:
    centre: Tensor  # (H,)
    axes: Tensor  # (R, H) of the directions in which rated answers differ
    spreads: Tensor  # (R,) the variance along each
    elsewhere: float  # the variance in any other direction
    reach: float  # so far lie all but few of the rated answers

    def distances(self, features: Tensor) -> Tensor:
        """(N,) of (N, H)."""
        apart = features - self.centre
        along = apart @ self.axes.T  # (N, R)
        rest = (apart.square().sum(1) - along.square().sum(1)).clamp(min=0)
        return ((along.square() / self.spreads).sum(1) + rest / self.elsewhere).sqrt()

    def trust(self, features: Tensor) -> Tensor:
        """(N,) 1 within reach; beyond it, less the farther."""
        far = self.distances(features)
        return torch.where(far <= self.reach, 1.0, self.reach / far)


def region(features: Tensor) -> Region:
    """Of (N, H) rated answers. Its reach is of those that its shape does not know of."""
    if len(features) < LEAST:
        raise ValueError(f"{len(features)} rated answers; expected at least {LEAST}")
    # Mixed: neighbours may be the better and the worse of a pair.
    mixed = torch.randperm(len(features), generator=torch.Generator().manual_seed(0))
    features = features[mixed.to(features.device)].double()
    shape, far = features[::2], features[1::2]
    centre = shape.mean(0)
    _, lengths, axes = torch.linalg.svd(shape - centre, full_matrices=False)
    known = lengths > lengths[0] * 1e-6
    variances, axes = (lengths.square() / len(shape))[known], axes[known]
    mean = float(variances.sum()) / shape.shape[1]  # of all directions
    shrunk = _shrinkage(shape - centre, variances, mean)
    found = Region(
        centre=centre,
        axes=axes,
        spreads=(1 - shrunk) * variances + shrunk * mean,
        elsewhere=max(shrunk * mean, torch.finfo(torch.double).tiny),
        reach=0.0,
    )
    reach = float(found.distances(far).quantile(_INSIDE))
    return Region(found.centre, found.axes, found.spreads, found.elsewhere, reach)


def _shrinkage(apart: Tensor, variances: Tensor, mean: float) -> float:
    """Ledoit and Wolf's: how much of the ball, by how much the covariance is a matter of chance."""
    count, size = apart.shape
    whole = variances.square().sum()
    off = (whole - size * mean**2) / size
    chance = (apart.square().sum(1).square().sum() / count - whole) / (count * size)
    return float((chance / off).clamp(0, 1)) if off > 0 else 1.0
