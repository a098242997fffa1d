"""Per adapter, the log's own numbers."""

from dataclasses import replace
from random import Random

from ops.demo.findings import Record, judged, lines
from ops.evidence import Thumbs
from tests.ops.demo.made import completion, example, manifest, told


def test_an_adapter_is_told_by_its_own_answers_and_thumbs() -> None:
    random = Random(0)
    answers = [completion(f"c{i}", "base", random=random) for i in range(40)]
    rated = [example(answer, up=i < 3) for i, answer in enumerate(answers[:10])]
    other = completion("v1", "model-v1", random=random)
    (base, *_) = lines(Record(completions=[*answers, other], examples=rated))
    assert (base.adapter, base.fate, base.kl) == ("base", "the start", None)
    assert base.thumbs == Thumbs(3, 10)
    assert base.liked == Thumbs(sum(j.facts.liked for j in judged(answers)), 40)
    assert base.right == Thumbs(40, 40)
    assert 24 <= base.tokens <= 44


def test_a_slip_of_the_users_does_not_change_the_true_rate() -> None:
    answer = completion("c1", "base", random=Random(0))
    for up in (True, False):
        (base,) = lines(Record(completions=[answer], examples=[example(answer, up)]))
        assert base.liked == Thumbs(int(judged([answer])[0].facts.liked), 1)


def test_what_broke_off_is_no_answer() -> None:
    answer = completion("c1", "base", random=Random(0))
    broken = answer.model_copy(update={"id": "c2", "error": "client closed"})
    endless = answer.model_copy(update={"id": "c3", "finish_reason": None})
    assert len(judged([answer, broken, endless])) == 1


def test_an_answer_that_is_on_the_log_twice_counts_once() -> None:
    answer = completion("c1", "base", random=Random(0))
    assert len(judged([answer, answer])) == 1


def test_an_answer_cut_at_its_token_limit_has_not_ended() -> None:
    answer = completion("c1", "base", random=Random(0))
    (found,) = judged([answer.model_copy(update={"finish_reason": "length"})])
    assert not found.facts.ended


def test_each_adapter_has_its_fate_and_a_blank_has_no_line() -> None:
    record = told()
    blank = manifest("model-v0").model_copy(update={"gates": ()})
    found = lines(replace(record, manifests=[blank, *record.manifests]))
    assert {line.adapter: line.fate for line in found} == {
        "base": "the start",
        "model-v1": "stable",
        "model-v2": "rolled back",
        "model-v3": "withdrawn (sabotaged)",
    }
