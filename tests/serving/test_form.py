from typing import Any

import pytest

from serving.errors import BadVerdict
from serving.form import read_form


@pytest.mark.parametrize(
    ("said", "field", "complaint"),
    [
        ({"thumb": "yes"}, "thumb", 'thumb is \'yes\'; expected "up" or "down"'),
        ({"thumb": True}, "thumb", 'thumb is True; expected "up" or "down"'),
        ({"thumbs": "up"}, "thumbs", "thumbs is not a field of a verdict; expected token"),
        ({}, None, "the verdict has none of thumb, correction, outcome, comparison, retract;"),
        ({"thumb": "up", "correction": "x"}, None, "has thumb and correction of"),
        ({"completion_id": ""}, "completion_id", "completion_id is ''; expected the id"),
        ({"correction": ""}, "correction", "correction is ''; expected the text"),
        ({"correction": "x", "comment": "y"}, "comment", "expected only with a thumb"),
        ({"outcome": 1}, "outcome", "outcome is 1; expected an object with a name and a value"),
        ({"outcome": {"name": "x"}}, "outcome.value", "outcome.value is missing; expected a num"),
        (
            {"outcome": {"name": "x", "value": "1"}},
            "outcome.value",
            "outcome.value is '1'; expected a number",
        ),
        (
            {"outcome": {"name": "x", "value": True}},
            "outcome.value",
            "outcome.value is True; expected a number",
        ),
        (
            {"comparison": {"other_id": "x", "winner": "c"}},
            "comparison.winner",
            'comparison.winner is \'c\'; expected "a", "b", "tie" or "both_bad"',
        ),
        ({"retract": "outcome"}, "retract", "retract is 'outcome'; expected \"thumb\""),
        ({"thumb": "up", "user": 7}, "user", "user is 7; expected a string of 1 to 200"),
        ({"thumb": "up", "key": "k" * 201}, "key", "expected a string of 1 to 200"),
    ],
)
def test_a_form_that_is_not_understood_is_refused_by_its_field(
    said: dict[str, Any], field: str | None, complaint: str
) -> None:
    with pytest.raises(BadVerdict) as caught:
        read_form({"completion_id": "chatcmpl-1"} | said)
    assert complaint in str(caught.value)
    assert caught.value.param == field


def test_a_form_says_one_thing() -> None:
    form = read_form({"completion_id": "c", "thumb": "up", "comment": "nice", "retract": None})
    assert (form.thumb, form.comment, form.retract) == ("up", "nice", None)
