"""What a row says of itself, and how far it can be set beside the paper's."""

from dataclasses import replace
from typing import Any

import pandas as pd
import pytest

from cmet.params import load_params
from cmet.report.labels import compare_to_paper, numbering, training_set
from tests.judge_card import CARD
from tests.unit.conftest import PROTOCOL, ROOT
from tests.unit.report.making import LABELS

OFFICIAL = replace(PROTOCOL, rows="official")
JUDGE = CARD.model_copy(update={"source": "released checkpoint", "trained_on": "MEAD", "train_speakers": []})


def test_everything_as_published_is_the_papers_protocol() -> None:
    assert compare_to_paper(LABELS, OFFICIAL, JUDGE) == ("paper-protocol", [])


@pytest.mark.parametrize(
    ("labels", "protocol", "judge", "expected", "reason"),
    [
        ({}, {"rows": "test-pairs"}, {}, "own-protocol", "the rows are our own"),
        ({"corpus": "ravdess"}, {}, {}, "own-protocol", "the rows are our own"),
        ({}, {}, {"source": "trained here"}, "approximation", "the judge is not a released one"),
        ({}, {"pools": "static-folder"}, {}, "approximation", "the pool is static-folder, not"),
        ({}, {"num_speech_clips": 5}, {}, "approximation", "5 speech clips, not 10"),
        ({"backbone": "facemesh"}, {}, {}, "approximation", "backbone facemesh is not in the paper"),
        ({"synthetic": True}, {}, {}, "approximation", "a stand-in took part"),
        ({"strength": 3.0}, {}, {}, "approximation", "strength 3, not 1"),
        ({"train_speakers_in_rows": 73}, {}, {}, "approximation", "73 speakers of the rows were in training"),
        ({"coverage": 0.97}, {}, {}, "paper-protocol-subset", "coverage 0.9700"),
        ({"numbering": "release-filename-subset"}, {}, {}, "paper-protocol-subset", "numbering release"),
    ],
)
def test_each_departure_has_its_word_and_its_reason(
    labels: dict[str, Any], protocol: dict[str, Any], judge: dict[str, Any], expected: str, reason: str
) -> None:
    word, reasons = compare_to_paper(
        replace(LABELS, **labels), replace(OFFICIAL, **protocol), JUDGE.model_copy(update=judge)
    )
    assert word == expected
    assert reasons[0].startswith(reason)


@pytest.mark.parametrize(
    ("kinds", "expected"),
    [
        (["author", "author"], "author-renumbered"),
        (["transcript-aligned"], "transcript-aligned"),
        (["release"], "release-filename-subset"),
        (["release", "author"], "mixed: author, release"),
    ],
)
def test_the_numbering_of_mead_is_that_of_its_clips(kinds: list[str], expected: str) -> None:
    params = load_params(ROOT / "params.yaml")
    mead = params.model_copy(update={"manifest": params.manifest.model_copy(update={"corpus": "mead"})})
    assert numbering(pd.DataFrame({"numbering": kinds}), mead) == expected
    assert numbering(pd.DataFrame({"numbering": kinds}), params) == "the corpus's own file names"


def test_a_judge_says_what_it_was_trained_on() -> None:
    assert training_set(JUDGE) == "MEAD"
    here = {"source": "trained here", "corpus": "mead", "num_train_clips": 9, "train_speakers": ["A", "B"]}
    assert training_set(JUDGE.model_copy(update=here)) == "mead, 9 unedited clips of 2 training speakers (A, B)"
