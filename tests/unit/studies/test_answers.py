"""Answers of a judge as rows."""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from cmet.errors import ClipError
from cmet.studies.answers import answer_rows

CLASSES = ["happy", "sad"]
EDITS = pd.DataFrame(
    {
        "row_id": ["a", "b", "c", "d"],
        "method": "cmet",
        "speaker": "M101",
        "sentence": "001",
        "emotion": "sad",
        "intensity": 2,
        "video": ["cmet/a.mp4", "cmet/b.mp4", "cmet/c.mp4", None],
        "reason": [None, None, None, "no_face: lost"],
    }
)
SAID: Mapping[str, np.ndarray | ClipError] = {
    "cmet/a.mp4": np.array([0.1, 0.9]),
    "cmet/b.mp4": np.array([0.9, 0.1]),
    "cmet/c.mp4": ClipError("unreadable", "no frames"),
}


def test_the_highest_logit_names_the_emotion() -> None:
    rows = answer_rows(EDITS, SAID, CLASSES)
    assert rows["predicted"].tolist()[:2] == ["sad", "happy"]
    assert rows["correct"].tolist()[:2] == [True, False]
    assert rows["target"].eq("sad").all()


def test_a_clip_that_was_not_made_or_cannot_be_read_is_wrong_with_a_reason() -> None:
    rows = answer_rows(EDITS, SAID, CLASSES)
    assert rows["predicted"].tolist()[2:] == [None, None]
    assert rows["correct"].tolist()[2:] == [False, False]
    assert rows["reason"].tolist() == [None, None, "unreadable: no frames", "no_face: lost"]


def test_the_order_of_the_classes_is_the_judges() -> None:
    assert answer_rows(EDITS, SAID, ["sad", "happy"])["correct"].tolist() == [False, True, False, False]
