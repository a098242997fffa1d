from hypothesis import given
from hypothesis import strategies as st

from trainer.batch import Text
from trainer.deal import deal

TEXTS = st.builds(
    lambda prompt, size, answer: Text((prompt,) * size, (1,) * answer),
    st.integers(0, 5),
    st.integers(1, 30),
    st.integers(1, 30),
)


@given(st.lists(TEXTS, max_size=20), st.integers(1, 5))
def test_each_text_is_dealt_once(texts: list[Text], hands: int) -> None:
    dealt = deal(texts, hands)
    assert len(dealt) == hands
    assert sorted(at for hand in dealt for at in hand) == list(range(len(texts)))


@given(st.lists(TEXTS, min_size=1, max_size=20), st.integers(1, 5))
def test_no_hand_has_more_than_its_share_and_one_group(texts: list[Text], hands: int) -> None:
    sizes = [len(text.prompt_ids) + len(text.answer_ids) for text in texts]
    fair = sum(sizes) / hands
    for hand in deal(texts, hands):
        assert sum(sizes[at] for at in hand) <= fair + max(fair, max(sizes))


def test_the_answers_to_one_prompt_stay_together() -> None:
    texts = [Text((prompt,), (answer,)) for answer in range(2) for prompt in range(4)]
    for hand in deal(texts, 2):
        prompts = [texts[at].prompt_ids for at in hand]
        assert len(set(prompts)) * 2 == len(prompts)


def test_many_answers_to_one_prompt_are_shared_out() -> None:
    assert deal([Text((1, 2), (3,))] * 4, 2) == [[0, 2], [1, 3]]
