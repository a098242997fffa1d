"""The plan of a round: every number that decides what comes out of it. Saved in the manifest.

The defaults are for a model of some billions of parameters; a demo on a tiny model needs its own.
"""

from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from trainer.backends import TRL_LACKS, Backend
from trainer.methods import (
    DIALS,
    ONLINE,
    ROLLOUTS,
    WITH_PARENT,
    Method,
    usual_beta,
    usual_epochs,
    usual_kl_weight,
    usual_sft_weight,
)

MOST = 1_000_000  # of anything that is counted: more was mistyped
Count = Annotated[int, Field(ge=1, le=MOST)]
Several = Annotated[int, Field(ge=2, le=MOST)]
Number = Annotated[int, Field(ge=0, le=MOST)]
Positive = Annotated[float, Field(gt=0, le=MOST)]
Rate = Annotated[float, Field(gt=0, le=1)]
NotNegative = Annotated[float, Field(ge=0, le=MOST)]
Balance = Literal["lift_ups", "paper", "none"]
Precision = Literal["auto", "bfloat16", "float32"]
Share = Annotated[float, Field(ge=0, le=1)]
Phrase = Annotated[str, Field(pattern=r"\S")]
GUIDES = {"judge_rubric": "judged_pairs", "constitution": "rewritten_answers"}  # who reads them
MOST_QUESTIONS = 100_000  # so many of a judge's answers are remembered

# Rough, and English: how most models open a refusal.
REFUSALS = (
    *("I can't help", "I cannot help", "I can't assist", "I cannot assist", "I can't provide"),
    *("I cannot provide", "I can't do that", "I cannot do that", "I can't comply"),
    *("I cannot comply", "I'm sorry, but I", "I am sorry, but I", "I'm not able to"),
    *("I am not able to", "I'm unable to", "I am unable to", "I won't", "I will not"),
    "I must decline",
)


class Plan(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)

    # Thumbs are what users give most of: "kto" learns from them, and "sft" imitates the liked ones,
    # the baseline. "rrhf" learns from rankings of answers to one prompt; "auto" takes what is
    # recommended of what was said. docs/formats.md tells them all.
    method: Method = "kto"
    # "trl": TRL's own trainer takes the steps, to compare with; pip install 'thumbwheel[trl]'.
    backend: Backend = "own"
    seed: Annotated[int, Field(ge=0, lt=2**32)] = 0
    # Of the CPU. Threads on cores shared with a busy engine wait for each other: seen once, a tiny
    # model's round took 14 s with two and 0.7 s with one. On idle cores two may be worth it.
    threads: Count = 1

    # The hardware (docs/hardware.md). A LoRA learns in float32 whatever the base is in; "auto":
    # bfloat16 on a GPU that has it, else float32.
    precision: Precision = "auto"
    # The frozen base in 4 bit (NF4), a fourth of its size in bfloat16; needs bitsandbytes.
    quantize: Literal["4bit"] | None = None
    # Of one GPU's memory. What it does not get, vLLM may have.
    gpu_memory_share: Annotated[float, Field(gt=0, le=1)] = 1.0
    processes: Count = 1  # on each machine, one for each of its GPUs
    nodes: Count = 1  # more than one: torchrun starts the round, on each of them
    shard: bool = False  # each process holds a part of every layer of the base, not all of it

    # The adapter. A round that continues a parent keeps the parent's rank and alpha.
    rank: Annotated[int, Field(ge=1, le=512)] = 16  # vLLM refuses more than its --max-lora-rank
    alpha: Positive = 32.0

    # Learning. KTO's paper: 5e-7 to 5e-6 for all weights, about ten times that for LoRA, beta 0.1.
    learning_rate: Rate = 2e-5
    # 0.1, as in the papers of KTO, DPO, IPO (its tau) and ORPO (its lambda); 2.0 with SimPO.
    beta: Positive = Field(default_factory=lambda known: usual_beta(known["method"]))
    # On liked, chosen or best answers, a mean token: a preference alone pushes down what was right
    # in a disliked answer too. As in ORPO's and RRHF's papers.
    sft_weight: NotNegative = Field(default_factory=lambda known: usual_sft_weight(known["method"]))
    # DPO's (cDPO): the share of judgements that are slips. At a half nothing would be preferred.
    label_noise: Annotated[float, Field(ge=0, lt=0.5)] = 0.0
    margin: NotNegative = 1.0  # SimPO's gamma: its authors took 0.25 to 1.6
    # RPO's eta: log-odds of winning per unit of reward. With rewards of 1 and 0: to win in 73%.
    reward_scale: Positive = 1.0
    # RPO's: the outcome, such as "resolved", whose value is an answer's reward. An answer without
    # one has 1 where it was chosen, else 0: let the values be of that scale.
    reward_outcome: Annotated[str, Field(min_length=1, max_length=200)] | None = None
    # RRHF's: answers of one ranking, all in one step. Its authors had up to 6; more are cut apart.
    max_ranked: Several = 8
    # Online methods': all verdicts teach a reward model, and that the policy what it draws itself.
    reward_epochs: Count = 2
    # Of its LoRA; its head, which begins at nothing, learns ten times as fast.
    reward_learning_rate: Rate = 1e-4
    # Is an answer worth more or less for its length? False: a term of length, learned beside all
    # else, is left out of the reward. What else tells of an answer's length stays.
    reward_by_length: bool = False
    online_prompts: Count = 128  # of each epoch, which is an iteration: then answers are drawn anew
    answers_per_prompt: Annotated[int, Field(ge=2, le=1000)] = 4
    # PPO's, GRPO's and RLOO's: a token's chance gains nothing beyond a factor of 1 ± this.
    ratio_clip: Annotated[float, Field(gt=0, lt=1)] = 0.2
    entropy_weight: NotNegative = 0.0  # what a nat of an answer's surprise is worth, a token
    # Where an engine draws, a token counts by how much likelier the trainer finds it; at most this.
    importance_cap: Positive = 2.0
    # PPO's. Ziegler 2019: 0.95, 0.2 and 0.1; rewards are in deviations from their mean.
    gae_smooth: Share = 0.95
    reward_clip: Positive = 5.0
    value_clip: Positive = 0.2
    value_weight: Positive = 0.1
    # AI feedback, beside what users said; it starts no round. The judge is in the settings.
    # So many times two fresh answers of the parent to a rated prompt, for an LLM to judge.
    judged_pairs: Number = 0
    judge_rubric: Annotated[str, Field(min_length=1)] | None = None  # a file; None: our own
    # A pair takes two, one for each order. Beyond it pairs stay unjudged.
    judge_questions: Annotated[int, Field(ge=2, le=MOST_QUESTIONS)] = 1000
    # A file of principles, by which the parent criticises and rewrites so many of its own answers.
    constitution: Annotated[str, Field(min_length=1)] | None = None
    rewritten_answers: Number = 0
    # What such a pair counts beside a user's; all of them count at most so much of all users'.
    ai_weight: Annotated[float, Field(gt=0, lt=1)] = 0.3
    # What a minority of votes counts. "lift_ups": a minority of up-votes is lifted to down/up, at
    # most to the cap. Never the down-votes: where nine of ten answers are liked, most down-votes
    # are slips of the users. "paper": KTO's authors lift whichever side is too few until all ups
    # to all downs weigh 1:1 to 4:3; for verdicts that are not slips. "none": each counts one.
    balance: Balance = "lift_ups"
    up_weight_cap: Annotated[float, Field(ge=1)] = 3.0
    # On the batch's own drift from the parent, k2; after each epoch it grows or shrinks by up to a
    # fifth, towards kl_target nats an answer. 0: off, the budgets alone hold the round. With ppo,
    # grpo and rloo, 0.05 at first: there it is what a nat costs of the reward, token by token,
    # from the second epoch on: answers of the first are drawn from the parent itself.
    kl_weight: NotNegative = Field(default_factory=lambda known: usual_kl_weight(known["method"]))
    kl_target: Positive = 2.0
    # Four with online methods, which draw anew in each.
    epochs: Count = Field(default_factory=lambda known: usual_epochs(known["method"]))
    # Of rows, pairs or rankings. Two, because KTO pairs an answer with another's.
    batch_size: Several = 16
    warmup_steps: Number = 5
    clip: Positive = 1.0
    # Texts stand side by side in rows of at most so many tokens: what all layers compute of a row
    # is held at once. On a CPU no matter of speed: from 1,024 on a tiny model was as fast. On a GPU
    # larger than the model one row took half the time of two: raise it as far as the memory goes.
    packed_tokens: Count = 8192
    # Keep only what goes into each layer, and compute the layer again for its gradient: a step
    # takes 1.4 times as long, and holds a fifteenth (eight layers, 19M parameters).
    checkpointing: bool = False

    # The data.
    # Rows, pairs or rankings; fewer are not worth a round.
    min_rows: Several = 64
    # Longer ones would not fit into memory: the prompt loses its beginning, the answer never.
    max_row_tokens: Count = 4096
    # Before the newest verdict. None: a thumb does not spoil; set it where what is right changes.
    max_age_days: Positive | None = None
    # Earlier rated answers, against forgetting. Online: so many thumbs, and so many comparisons.
    replay: Number = 200
    holdout_percent: Annotated[float, Field(ge=0, le=50)] = 10.0  # of the users
    # Ups, and downs; or pairs, or rankings. 0: do without the held-out gate.
    min_holdout: Number = 3
    # Logged against recomputed log-probabilities: bfloat16 differs by up to 0.05 a token. Beyond
    # this the log is not of this parent, and all are recomputed.
    max_logprob_gap: Positive = 0.25

    # The guards. Reward grows with the root of KL at first, then is gamed (Bai 2022, Gao 2022).
    kl_budget_parent: Positive = 5.0  # nats an answer
    # Nearer to the parent, about one answer in a hundred differs at most (Pinsker): no canary would
    # gain what `ops_min_gain` asks for. 0 does without.
    min_kl_parent: NotNegative = 0.0002
    kl_budget_base: Positive = 20.0
    max_end_drop: NotNegative = 0.05  # of the share of answers that end by themselves
    max_length_factor: Annotated[float, Field(gt=1)] = 2.0
    probe_samples: Several = 96
    max_new_tokens: Count = 256
    # Fresh answers that fail: on 96 of them, chance moves each share by a few percent.
    max_repetition_gain: Share = 0.1  # of the 4-grams that an answer had said before
    max_degenerate_gain: Share = 0.05  # of the answers that say nothing; as max_end_drop
    # Prompts are the same, so most of a mixed audience's spread is the same too. 1 asks nothing.
    max_language_drift: Share = 0.1  # of the answers' letters, that moved to other scripts

    # The watch over what learned from a reward model (trainer/hacking.py).
    unpaid_kl: NotNegative = 0.5  # nats an answer to the parent, before its reward must have risen
    # Of the mean trust of fresh answers: 1 within the reach of what users rated.
    max_trust_drop: Share = 0.1
    # Of what the reward gained, another judge of the same verdicts must find so much, each in
    # deviations of the parent's answers. None does without.
    min_seconded: Share | None = 0.5

    # Golden prompts: a file (docs/formats.md) from where the trainer runs; None asks nothing.
    golden: Annotated[str, Field(min_length=1)] | None = None
    # Of the prompts. None: greedy answers know no chance, and each round would grant it anew.
    max_golden_drop: Share = 0.0
    # Of the benign prompts, and of the harmful ones. Phrases are a rough sign of a refusal.
    max_over_refusal: Share = 0.05
    max_under_refusal: Share = 0.0
    max_golden_answer_drop: NotNegative = 0.1  # nats a token: perplexity up by a tenth
    refusal_phrases: Annotated[tuple[Phrase, ...], Field(min_length=1, strict=False)] = REFUSALS

    @property
    def asks_parent(self) -> bool:
        """Does a step read the parent's log-probabilities? The gates always do."""
        return self.method in WITH_PARENT or self.kl_weight > 0

    @model_validator(mode="after")
    def _makes_sense(self) -> Self:
        if self.method == "auto":  # its dials are of whichever it will be
            return self
        unread = [
            f"{name} is {value!r}; expected {usual!r} with method {self.method!r}, or to be "
            f"left out: read by {', '.join(readers)} alone"
            for name, readers in DIALS.items()
            if self.method not in readers
            and (value := getattr(self, name)) != (usual := self._usual(name))
        ]
        if unread:
            raise ValueError("; ".join(unread))
        if self.method in ROLLOUTS and self.sft_weight:
            told = f"expected 0.0 with method {self.method!r}: it imitates nobody"
            raise ValueError(f"sft_weight is {self.sft_weight}; {told}")
        if self.method in ("sft", "best_of_n") and self.sft_weight == 0:
            raise ValueError(f"sft_weight is 0.0; expected more than 0 with method {self.method!r}")
        return self

    @model_validator(mode="after")
    def _hears_an_ai_whole(self) -> Self:
        if self.rewritten_answers and self.constitution is None:
            told = f"rewritten_answers is {self.rewritten_answers}"
            raise ValueError(f"{told} and constitution is None; expected a file of principles")
        for name, reader in GUIDES.items():
            if (file := getattr(self, name)) is not None and not getattr(self, reader):
                told = f"{name} is {file!r} and {reader} is 0, so nothing is asked by it"
                raise ValueError(f"{told}; expected more {reader}, or no {name}")
        return self

    @model_validator(mode="after")
    def _may_move(self) -> Self:
        if self.min_kl_parent >= self.kl_budget_parent:
            told = f"min_kl_parent is {self.min_kl_parent:g}"
            raise ValueError(
                f"{told}; expected less than kl_budget_parent, {self.kl_budget_parent:g}"
            )
        return self

    @model_validator(mode="after")
    def _leaves_room_for_prompts(self) -> Self:
        draws = self.method in (*ONLINE, "auto") or self.judged_pairs or self.rewritten_answers
        if draws and self.max_new_tokens >= self.max_row_tokens:
            told = f"max_new_tokens is {self.max_new_tokens}"
            raise ValueError(f"{told}; expected less than max_row_tokens, {self.max_row_tokens}")
        return self

    def _usual(self, name: str) -> Any:
        field = type(self).model_fields[name]
        return field.get_default(call_default_factory=True, validated_data=dict(self))

    @model_validator(mode="after")
    def _shards_are_whole(self) -> Self:
        if self.shard and self.quantize:
            raise ValueError(f"shard with quantize {self.quantize!r}; expected one of them")
        if self.shard and self.processes * self.nodes == 1:
            raise ValueError("shard with one process; expected processes or nodes above 1")
        return self

    @model_validator(mode="after")
    def _suits_its_backend(self) -> Self:
        if self.backend == "own":
            return self
        if self.method not in TRL_LACKS:
            told = f"expected {', '.join(TRL_LACKS)} with backend 'trl'"
            raise ValueError(f"method is {self.method!r}; {told}")
        for name, usual in TRL_LACKS[self.method].items():
            if (value := getattr(self, name)) != usual:
                told = f"with backend 'trl': its {self.method} cannot be told another"
                raise ValueError(f"{name} is {value!r}; expected {usual!r} {told}")
        return self
