"""A forward pass whose texts are shared out among the processes of a round."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager

from torch import Tensor
from torch.nn.functional import pad

from trainer.batch import Text
from trainer.deal import deal
from trainer.forward import Forward
from trainer.packing import pack
from trainer.plan import Plan
from trainer.ranks import Ranks


class SharedForward:
    """Says what `Forward` says, to every process the same; each must ask the same."""

    def __init__(self, forward: Forward, ranks: Ranks, plan: Plan) -> None:
        self._forward, self._ranks, self._plan = forward, ranks, plan

    def token_logprobs(self, texts: Sequence[Text]) -> Tensor:
        """(B, A), zero after an answer's end. In float32."""
        (found,) = self._shared((texts,), lambda own: (self._forward.token_logprobs(own),))
        return found

    def with_values(self, texts: Sequence[Text], head: Tensor) -> tuple[Tensor, Tensor]:
        """(B, A) each. Of the head each process has the gradient of its own texts."""

        def score(own: Sequence[Text], _: Sequence[Text]) -> Sequence[Tensor]:
            return self._forward.with_values(own, head)

        found, values = self._shared((texts, texts), score)
        return found, values

    def last_states(self, texts: Sequence[Text]) -> Tensor:
        """(B, H)"""
        (found,) = self._shared((texts,), lambda own: (self._forward.last_states(own),), wide=False)
        return found

    def with_strangers(
        self, texts: Sequence[Text], strangers: Sequence[Text]
    ) -> tuple[Tensor, Tensor]:
        """(B, A) of each; the second without gradient."""
        found, other = self._shared((texts, strangers), self._forward.with_strangers)
        return found, other.detach()

    def unpacked(self) -> AbstractContextManager[None]:
        return self._forward.unpacked()

    def _shared(
        self,
        asked: Sequence[Sequence[Text]],
        score: Callable[..., Sequence[Tensor]],
        *,
        wide: bool = True,
    ) -> list[Tensor]:
        """`asked`: the texts, and what goes with each. `wide`: what is found is of each token."""
        hands = deal(asked[0], self._ranks.world)
        own = hands[self._ranks.rank]
        found = list(score(*([texts[at] for at in own] for texts in asked)))
        for _ in range(self._spare_rows(asked[0], hands)):
            at = min(range(len(asked[0])), key=lambda at: len(asked[0][at].prompt_ids))
            spare = score(*([texts[at]] for texts in asked))
            found = [one + 0 * more.sum() for one, more in zip(found, spare, strict=True)]
        if wide:
            found = [_widened(one, texts) for one, texts in zip(found, asked, strict=True)]
        return [self._ranks.everywhere(one, own, len(asked[0])) for one in found]

    def _spare_rows(self, texts: Sequence[Text], hands: list[list[int]]) -> int:
        """Computed for nothing: who has no text has a gradient too, of zero. And where layers are
        sharded, all go through each of them equally often, for each has a part of it.
        """
        rows = [len(pack([texts[at] for at in hand], self._plan.packed_tokens)) for hand in hands]
        wanted = max(rows) if self._plan.shard else min(1, len(texts))
        return max(wanted - rows[self._ranks.rank], 0)


def _widened(found: Tensor, texts: Sequence[Text]) -> Tensor:
    """As wide as the longest answer of all processes."""
    longest = max((len(text.answer_ids) for text in texts), default=0)
    return pad(found, (0, longest - found.shape[1]))
