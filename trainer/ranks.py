"""Several processes that learn as one: the only file that talks to other processes of a round.

Each computes its share of the texts; what it finds goes to all, so all see the whole batch and
take the same step. A process that stands alone has everything, and sends nothing.
"""

import pickle
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, TypeVar

import torch
from torch import Tensor, distributed

from trainer.settings import Place

T = TypeVar("T")
# The longest that one process may wait for another: the first reads all examples meanwhile.
PATIENCE = timedelta(minutes=10)


class Ranks:
    def __init__(self, rank: int = 0, world: int = 1, words: Any = None) -> None:
        """`words`: the group in which what is no tensor is told."""
        self.rank, self.world, self._words = rank, world, words
        self.first = rank == 0

    def everywhere(self, mine: Tensor, at: Sequence[int], size: int) -> Tensor:
        """(size, …) of all: mine go to these places, and my gradient comes from them alone."""
        whole: Tensor = _Whole.apply(mine, list(at), size)  # type: ignore[no-untyped-call]
        return whole

    def every(self, mine: T) -> list[T]:
        """Everybody's, by rank."""
        if self.world == 1:
            return [mine]
        found: list[Any] = [None] * self.world
        distributed.all_gather_object(found, mine, group=self._words)
        return found

    def from_first(self, make: Callable[[], T]) -> T:
        """What the first makes; where it fails, all fail alike."""
        if self.world == 1:
            return make()
        told: list[Any] = [_tried(make) if self.first else None]
        distributed.broadcast_object_list(told, src=0, group=self._words)
        made, error = told[0]
        if error is not None:
            raise error
        return made  # type: ignore[no-any-return]

    def only_first(self, do: Callable[..., None]) -> Callable[..., None]:
        return do if self.first else lambda *_: None

    def sum_gradients(self, parameters: Iterable[Tensor]) -> None:
        """Each has the gradient of its own texts; the batch's is the sum."""
        if self.world == 1:
            return
        for parameter in (learned := list(parameters)):
            if parameter.grad is None:
                parameter.grad = torch.zeros_like(parameter)
        slopes = [parameter.grad for parameter in learned if parameter.grad is not None]
        whole = torch.cat([slope.flatten() for slope in slopes])  # one message, not hundreds
        distributed.all_reduce(whole)
        parts = torch.split(whole, [slope.numel() for slope in slopes])
        for slope, part in zip(slopes, parts, strict=True):
            slope.copy_(part.view_as(slope))


ALONE = Ranks()


@contextmanager
def joined(place: Place) -> Iterator[Ranks]:
    """One of the round's processes, until the round has ended."""
    gpus = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if gpus:
        torch.cuda.set_device(place.local_rank % gpus)
    # NCCL refuses two processes on one GPU.
    backend = "cpu:gloo,cuda:nccl" if gpus >= place.local_world else "gloo"
    distributed.init_process_group(
        backend, init_method=place.meet, rank=place.rank, world_size=place.world, timeout=PATIENCE
    )
    words = distributed.new_group(backend="gloo", timeout=PATIENCE)  # it takes none from the above
    yield Ranks(place.rank, place.world, words)
    # After a failure nobody says goodbye: the others may never answer. The process ends instead.
    distributed.destroy_process_group()


def portable(error: Exception) -> Exception:
    """As it is, where it can be sent."""
    try:
        pickle.loads(pickle.dumps(error))
    except Exception:
        return RuntimeError(f"{type(error).__name__}: {error}")
    return error


class _Whole(torch.autograd.Function):
    """A sum with zeros, not a gathering: it is what gloo can do on GPUs too."""

    @staticmethod
    def forward(ctx: Any, mine: Tensor, at: list[int], size: int) -> Tensor:
        ctx.at = at
        whole = mine.new_zeros(size, *mine.shape[1:])
        whole[at] = mine
        distributed.all_reduce(whole)
        return whole

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None]:
        return grad[ctx.at], None, None


def _tried(make: Callable[[], Any]) -> tuple[Any, Exception | None]:
    try:
        made = make()
        return made, None
    except Exception as error:
        return None, portable(error)
