from dataclasses import replace

from trainer.adapters import GateResult
from trainer.behaviour import Behaviour, behaviour_gates
from trainer.plan import Plan

SOUND = Behaviour(
    end_rate=1.0, length=30.0, repeated=0.02, degenerate=0.0, scripts={"LATIN": 1.0}, n=96
)
UNREAD = replace(SOUND, scripts=None)


def gate(
    name: str, candidate: Behaviour, parent: Behaviour, plan: Plan | None = None
) -> GateResult:
    found = {gate.name: gate for gate in behaviour_gates(candidate, parent, plan or Plan())}
    return found[name]


def test_a_parent_that_loops_and_mixes_scripts_may_be_matched() -> None:
    odd = replace(SOUND, repeated=0.5, degenerate=0.2, scripts={"LATIN": 0.5, "CJK": 0.5})
    assert all(gate.passed for gate in behaviour_gates(odd, odd, Plan()))


def test_fewer_loops_than_the_parents_pass() -> None:
    assert gate("repetition", SOUND, replace(SOUND, repeated=0.5)).passed


def test_letters_that_vanish_are_a_drift() -> None:
    assert not gate("language", replace(SOUND, scripts={}), SOUND).passed


def test_a_drift_within_the_plan_passes() -> None:
    moved = replace(SOUND, scripts={"LATIN": 0.8, "CJK": 0.2})
    assert not gate("language", moved, SOUND).passed
    found = gate("language", moved, SOUND, Plan(max_language_drift=0.25))
    assert found.passed
    assert found.reason == (
        "20.0% moved between scripts: 80.0% LATIN, 20.0% CJK; the parent's 100.0% LATIN, "
        "at most 25.0% is allowed"
    )


def test_without_a_tokenizer_the_language_was_not_measured_and_fails() -> None:
    found = gate("language", UNREAD, UNREAD)
    assert not found.passed
    assert found.reason.startswith("could not measure: no tokenizer")


def test_doing_without_the_language_gate_is_asked_for_and_said() -> None:
    found = gate("language", UNREAD, UNREAD, Plan(max_language_drift=1.0))
    assert (found.passed, found.reason) == (True, "not asked for: max_language_drift is 1")


def test_without_a_tokenizer_loops_and_emptiness_are_still_seen() -> None:
    assert gate("degenerate", UNREAD, UNREAD).passed
    found = gate("degenerate", replace(UNREAD, degenerate=0.5), UNREAD)
    assert not found.passed
    assert "whitespace was not looked for: no tokenizer" in found.reason


def test_no_answers_pass_nothing() -> None:
    none = replace(SOUND, n=0)
    assert not any(gate.passed for gate in behaviour_gates(none, SOUND, Plan()))
