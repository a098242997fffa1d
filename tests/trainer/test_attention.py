"""What attention is told of a row, worked by hand. Its sums: test_forward.py."""

import pytest
import torch

from trainer.attention import Layout, packed_attention
from trainer.batch import Text
from trainer.packing import Packed, follow, pack

CPU = torch.device("cpu")
# A prompt of 3 with answers of 2 and of 4, then a prompt of 1 with an answer of 1.
TEXTS = [Text((1, 2, 3), (4, 5)), Text((1, 2, 3), (4, 5, 6, 7)), Text((1,), (2,))]


def row() -> Packed:
    (only,) = pack(TEXTS, 100)
    return only


def test_each_segment_looks_at_its_prefix_and_itself() -> None:
    layout = Layout(row(), CPU)
    assert layout.lengths == [5, 4, 2]
    assert layout.pieces == ([3, 2, 4, 2], [[0, 1], [0, 2], [3]])
    assert layout.looked_at is not None
    assert layout.looked_at.tolist() == [0, 1, 2, 3, 4, 0, 1, 2, 5, 6, 7, 8, 9, 10]


def test_flash_attention_is_told_where_queries_and_keys_end() -> None:
    queries, keys, longest_query, longest_key = Layout(row(), CPU).ends
    assert queries.tolist() == [0, 5, 9, 11]
    assert keys.tolist() == [0, 5, 12, 14]
    assert (longest_query, longest_key) == (5, 7)
    assert queries.dtype == keys.dtype == torch.int32


def test_strangers_look_at_the_prompts_of_the_row_before() -> None:
    layout = Layout(follow(row(), [Text(text.prompt_ids, (8, 9)) for text in TEXTS]), CPU)
    assert layout.looked_at is not None
    # The row before has 11 tokens; the third prompt is its tenth.
    assert layout.looked_at.tolist() == [0, 1, 2, 11, 12, 0, 1, 2, 13, 14, 9, 15, 16]


def test_rows_of_lone_texts_are_their_own_keys() -> None:
    (lone,) = pack(TEXTS[1:], 100)
    assert Layout(lone, CPU).looked_at is None


def test_a_mask_ends_with_the_last_key_and_is_as_wide_as_the_window() -> None:
    mask = Layout(row(), CPU).mask(2, 4, 3)
    assert mask.int().tolist() == [[1, 1, 1, 0], [0, 1, 1, 1]]


def test_attention_that_knows_more_is_refused() -> None:
    query = torch.zeros(1, 1, 11, 8)
    with pytest.raises(ValueError, match="attention with softcap; expected none"):
        packed_attention(None, query, query, query, None, packed=Layout(row(), CPU), softcap=30.0)


def test_a_forward_pass_without_a_row_is_refused() -> None:
    query = torch.zeros(1, 1, 11, 8)
    with pytest.raises(ValueError, match="without a packed row"):
        packed_attention(None, query, query, query, None)
