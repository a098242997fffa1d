from feedback.events import BASE
from tests.trainer.tiny import PLAN, example, settle
from trainer.course import Places, digest_of, read_course


def letters(text: str) -> list[int]:
    return [*map(ord, text), 1]


def test_it_can_be_read_again_as_it_was_after_more_has_settled(places: Places) -> None:
    settle(places.examples, [example(n) for n in range(40)], start=0, end=40)
    first = read_course(places, BASE, PLAN, letters)
    settle(places.examples, [example(n, up=False) for n in range(60)], start=40, end=60)
    assert read_course(places, BASE, PLAN, letters, first.watermark) == first
    assert read_course(places, BASE, PLAN, letters).items.digest != first.items.digest


def test_any_number_of_a_plan_is_in_its_digest() -> None:
    assert digest_of(PLAN) == digest_of(PLAN.model_copy())
    assert digest_of(PLAN) != digest_of(PLAN.model_copy(update={"seed": 1}))
