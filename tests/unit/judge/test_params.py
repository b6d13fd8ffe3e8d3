"""The section `judge` of params.yaml."""

from typing import Any

import pytest
from pydantic import ValidationError

from tests.unit.judge.conftest import PAPER_ORDER, RELEASED, RESNET, params


def test_a_released_judge_is_described_by_its_order_and_training_set() -> None:
    section = params(**RESNET, **RELEASED, checkpoint="judge.pth")
    assert section.label_order == PAPER_ORDER


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"checkpoint": "judge.pth"}, "set judge.network: resnet18"),
        ({"begin_from": "emotion-fan-ferplus"}, "set judge.network: resnet18"),
        (RESNET | {"checkpoint": "judge.pth", "trained_on": "MEAD"}, "set judge.label_order"),
        (RESNET | {"checkpoint": "judge.pth", "label_order": PAPER_ORDER}, "set judge.trained_on"),
        (RESNET | RELEASED | {"checkpoint": "judge.pth", "trained_on": ""}, "set judge.trained_on"),
        (RESNET | RELEASED | {"checkpoint": "a.pth", "begin_from": "b.pth"}, "set judge.begin_from to null"),
        (RESNET | RELEASED | {"checkpoint": "a.pth", "has_neutral": True}, "judge.has_neutral is True"),
        (RELEASED, "judge.label_order and judge.trained_on describe a checkpoint, but judge.checkpoint is null"),
        ({"label_order": ["happy", "anger"]}, "judge.label_order has 'anger', not among"),
        ({"label_order": ["happy", "happy"]}, "judge.label_order has happy more than once"),
        ({"network": "resnet50"}, "network"),
    ],
)
def test_keys_that_contradict_each_other_are_named(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError) as error:
        params(**changes)
    assert said in str(error.value)
