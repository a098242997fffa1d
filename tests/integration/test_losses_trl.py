"""Our losses and their gradients against TRL's own code, on one model and stored token ids.

TRL has neither RRHF nor Nemotron's RPO: for those the numbers by hand in tests/trainer/test_losses
stand alone. Its DPO knows cDPO's noise only in `aot_unpaired`, which sorts the batch before it
pairs: of one pair, that is cDPO.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from random import Random
from typing import Any

import pytest
import torch
from datasets import Dataset
from torch import Tensor, tensor
from transformers import AutoModelForCausalLM, AutoTokenizer

from tests.trainer.tiny import make_model
from trainer.answers import Answers, Pairs
from trainer.batch import Text
from trainer.losses import Dials, dpo, ipo, kto, kto_baseline, orpo, sft, simpo

pytestmark = [
    pytest.mark.integration,
    pytest.mark.filterwarnings("ignore:You are importing from 'trl.experimental'"),
]

CLOSE = 1e-4
PAIRS = 6
Rows = list[dict[str, Any]]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_model(tmp_path_factory.mktemp("model"))


class Bench:
    """A model, and pairs of answers of all lengths to prompts of all lengths."""

    def __init__(self, folder: Path, pairs: int = PAIRS) -> None:
        self.folder, self._random = folder, Random(pairs)
        self.model = AutoModelForCausalLM.from_pretrained(folder).eval()
        prompts = [self._ids(2, 9) for _ in range(pairs)]
        self.chosen = [Text(prompt, self._ids(1, 12)) for prompt in prompts]
        self.rejected = [Text(prompt, self._ids(1, 12)) for prompt in prompts]

    def _ids(self, least: int, most: int) -> tuple[int, ...]:
        return tuple(self._random.choices(range(3, 250), k=self._random.randint(least, most)))

    def logprobs(self, texts: Sequence[Text]) -> Tensor:
        return torch.stack([self._logprob(*text) for text in texts])

    def _logprob(self, prompt: tuple[int, ...], answer: tuple[int, ...]) -> Tensor:
        logits = self.model(input_ids=tensor([prompt + answer])).logits[0]  # (T, V)
        said = logits[len(prompt) - 1 : -1].log_softmax(-1)  # (A, V)
        found: Tensor = said.gather(1, tensor(answer)[:, None]).sum()
        return found

    @torch.no_grad()
    def parent(self, texts: Sequence[Text], shift: float = 0.0) -> Tensor:
        """(B,) of a parent that thinks otherwise of each."""
        noise = tensor([self._random.gauss(shift, 4) for _ in texts])
        return self.logprobs(texts) + noise

    def pairs(self, chosen: Tensor | None = None, rejected: Tensor | None = None) -> Pairs:
        sides = (self.chosen, chosen), (self.rejected, rejected)
        both = [Answers(self.logprobs(t), lengths(t), parent) for t, parent in sides]
        return Pairs(both[0], both[1], torch.ones(len(self.chosen)))

    def differences(self, loss: Tensor, trainer: Any) -> dict[str, float]:
        """Of our loss and gradient to those of TRL on the whole of its data, at the worst."""
        (batch,) = trainer.get_train_dataloader()
        theirs = trainer.compute_loss(trainer.model, batch)
        slope = gradient(self.model, loss)
        assert slope.abs().max() > 1e-3  # else there is nothing to be equal
        return {
            "loss": abs(loss.item() - theirs.item()),
            "gradient": (slope - gradient(trainer.model, theirs)).abs().max().item(),
        }

    def trainer(self, name: str, rows: Rows, batch: int, **plan: Any) -> Any:
        """TRL's own, which is handed token ids where it would make them of text."""
        import trl  # takes seconds, and the other tests do without
        from trl.experimental import cpo, orpo

        home = {"CPO": cpo, "ORPO": orpo}.get(name, trl)

        class Fed(getattr(home, f"{name}Trainer")):  # type: ignore[misc]
            def _prepare_dataset(self, dataset: Dataset, *_: Any) -> Dataset:
                return dataset

            def _precompute_ref_logps(self, dataset: Dataset, *_: Any) -> Dataset:
                return dataset

            def tokenize_row(self, row: dict[str, Any]) -> dict[str, Any]:
                return row

        plain = {"report_to": "none", "use_cpu": True, "bf16": False, "max_length": 64}
        config = getattr(home, f"{name}Config")(
            str(self.folder / "trl"),
            per_device_train_batch_size=batch,
            gradient_checkpointing=False,
            **plain | plan,
        )
        made = Fed(
            AutoModelForCausalLM.from_pretrained(self.folder),
            args=config,
            train_dataset=Dataset.from_list(rows),
            processing_class=AutoTokenizer.from_pretrained(self.folder),
        )
        made.model.eval()
        return made


def lengths(texts: Sequence[Text]) -> Tensor:
    return tensor([len(text.answer_ids) for text in texts])


def gradient(model: Any, loss: Tensor) -> Tensor:
    found = torch.autograd.grad(loss, list(model.parameters()))
    return torch.cat([part.flatten() for part in found])


def assert_close(differences: Mapping[str, float]) -> None:
    assert max(differences.values()) < CLOSE, differences


@pytest.mark.parametrize("weights", [(1.0, 1.0), (2.0, 0.5)])
@pytest.mark.parametrize("shift", [-9.0, 9.0])  # the baseline is above 0, or held at 0
def test_kto_is_that_of_trl(folder: Path, shift: float, weights: tuple[float, float]) -> None:
    bench = Bench(folder)
    texts, liked = bench.chosen + bench.rejected, [True] * PAIRS + [False] * PAIRS
    strangers = [
        Text(text.prompt_ids, other.answer_ids)
        for text, other in zip(texts, texts[-1:] + texts[:-1], strict=True)
    ]
    parent, parent_strangers = bench.parent(texts), bench.parent(strangers, shift)
    baseline = kto_baseline(bench.logprobs(strangers) - parent_strangers)
    assert (baseline > 0) == (shift < 0)
    loss = kto(
        bench.logprobs(texts) - parent,
        tensor(liked),
        weights=torch.where(tensor(liked), *weights),
        baseline=baseline,
        beta=0.1,
    )
    rows = [
        {
            "prompt_ids": text.prompt_ids,
            "completion_ids": text.answer_ids,
            "KL_completion_ids": stranger.answer_ids,
            "label": label,
            "ref_logps": known.item(),
            "ref_KL_logps": known_stranger.item(),
        }
        for text, stranger, label, known, known_stranger in zip(
            texts, strangers, liked, parent, parent_strangers, strict=True
        )
    ]
    trainer = bench.trainer(
        "KTO",
        rows,
        len(rows),
        beta=0.1,
        desirable_weight=weights[0],
        undesirable_weight=weights[1],
        precompute_ref_log_probs=True,
    )
    assert_close(bench.differences(loss, trainer))


def dpo_trainer(bench: Bench, chosen: Tensor, rejected: Tensor, **plan: Any) -> Any:
    rows = [
        {
            "prompt_ids": won.prompt_ids,
            "chosen_ids": won.answer_ids,
            "rejected_ids": lost.answer_ids,
            "ref_chosen_logps": won_before.item(),
            "ref_rejected_logps": lost_before.item(),
        }
        for won, lost, won_before, lost_before in zip(
            bench.chosen, bench.rejected, chosen, rejected, strict=True
        )
    ]
    return bench.trainer("DPO", rows, len(rows), precompute_ref_log_probs=True, **plan)


@pytest.mark.parametrize(
    ("ours", "theirs", "noise", "pairs"),
    [
        (dpo, "sigmoid", 0.0, PAIRS),
        (ipo, "ipo", 0.0, PAIRS),
        (dpo, "aot_unpaired", 0.1, 1),
        (dpo, "aot_unpaired", 0.5, 1),
    ],
)
def test_losses_that_read_the_parent_are_those_of_trl(
    folder: Path, ours: Any, theirs: str, noise: float, pairs: int
) -> None:
    bench = Bench(folder, pairs)
    before = bench.parent(bench.chosen), bench.parent(bench.rejected)
    loss = ours(bench.pairs(*before), Dials(beta=0.2, label_noise=noise))
    trainer = dpo_trainer(bench, *before, loss_type=[theirs], label_smoothing=noise, beta=0.2)
    assert_close(bench.differences(loss, trainer))


def test_dpo_with_sft_beside_it_is_that_of_trl(folder: Path) -> None:
    bench = Bench(folder)
    before = bench.parent(bench.chosen), bench.parent(bench.rejected)
    pairs = bench.pairs(*before)
    imitation = sft(pairs.chosen.logprobs, pairs.chosen.lengths, pairs.weights)
    loss = dpo(pairs, Dials(beta=0.1)) + 0.2 * imitation
    trainer = dpo_trainer(
        bench, *before, loss_type=["sigmoid", "sft"], loss_weights=[1.0, 0.2], beta=0.1
    )
    assert_close(bench.differences(loss, trainer))


def preference_rows(bench: Bench) -> Rows:
    rows: Rows = []
    for pair in zip(bench.chosen, bench.rejected, strict=True):
        row: dict[str, Any] = {}
        for side, (prompt, answer) in zip(("chosen", "rejected"), pair, strict=True):
            row |= {
                f"{side}_input_ids": prompt + answer,
                f"{side}_attention_mask": [1] * len(prompt + answer),
                f"{side}_labels": [-100] * len(prompt) + list(answer),
            }
        rows.append(row)
    return rows


@pytest.mark.parametrize(("margin", "sft_weight"), [(0.0, 0.0), (1.4, 0.0), (1.4, 0.3)])
def test_simpo_is_that_of_trl(folder: Path, margin: float, sft_weight: float) -> None:
    bench = Bench(folder)
    pairs = bench.pairs()
    imitation = sft(pairs.chosen.logprobs, pairs.chosen.lengths, pairs.weights)
    loss = simpo(pairs, Dials(beta=2.5, margin=margin)) + sft_weight * imitation
    plan = {"loss_type": "simpo", "beta": 2.5, "simpo_gamma": margin, "cpo_alpha": sft_weight}
    trainer = bench.trainer("CPO", preference_rows(bench), PAIRS, **plan)
    assert_close(bench.differences(loss, trainer))


def test_label_noise_is_that_of_trl_where_the_parent_gives_all_answers_the_same(
    folder: Path,
) -> None:
    bench = Bench(folder)
    even = torch.zeros(PAIRS)
    loss = dpo(bench.pairs(even, even), Dials(beta=0.1, label_noise=0.2))
    plan = {"loss_type": "sigmoid", "beta": 0.1, "label_smoothing": 0.2, "cpo_alpha": 0.0}
    trainer = bench.trainer("CPO", preference_rows(bench), PAIRS, **plan)
    assert_close(bench.differences(loss, trainer))


def test_orpo_with_sft_beside_it_is_that_of_trl(folder: Path) -> None:
    bench = Bench(folder)
    # TRL's imitates the prompt too, all but its first token.
    whole = [Text(t.prompt_ids[:1], t.prompt_ids[1:] + t.answer_ids) for t in bench.chosen]
    imitation = sft(bench.logprobs(whole), lengths(whole), torch.ones(PAIRS))
    loss = orpo(bench.pairs(), Dials(beta=0.4)) + imitation
    trainer = bench.trainer("ORPO", preference_rows(bench), PAIRS, beta=0.4)
    assert_close(bench.differences(loss, trainer))
