"""Declared orders of emotions."""

import pytest

from cmet.judge.card import trained_classes
from cmet.vocabulary import TARGET_EMOTIONS, order_problem


@pytest.mark.parametrize(
    ("order", "problem"),
    [
        (["happy", "sad"], None),
        ([*TARGET_EMOTIONS, "neutral"], None),
        (["happy", "anger"], "has 'anger', not among angry, contempt, disgusted, fear, happy, neutral, sad, surprised"),
        (["happy", "sad", "happy"], "has happy more than once"),
        (["happy"], "has 1 emotion(s), and a judge chooses between two or more"),
        ([], "has 0 emotion(s), and a judge chooses between two or more"),
    ],
)
def test_an_order_names_emotions_once(order: list[str], problem: str | None) -> None:
    assert order_problem(order) == problem


def test_neutral_comes_after_the_classes_of_the_paper() -> None:
    assert trained_classes(has_neutral=False) == TARGET_EMOTIONS
    assert trained_classes(has_neutral=True) == (*TARGET_EMOTIONS, "neutral")
