"""What a row says of itself, and how far it can be set beside the paper's."""

from typing import Any

import pandas as pd
import pytest

from cmet.params import load_params
from cmet.report.labels import REQUIRED, compare_to_paper, numbering, training_set
from tests.unit.conftest import ROOT

PROTOCOL = {"rows": "official", "pools": "pool-by-intensity", "num_speech_clips": 10}
JUDGE = {"source": "released checkpoint", "trained_on": "MEAD", "train_speakers": []}
LABELS = dict.fromkeys(REQUIRED, "said") | {
    "corpus": "mead", "backbone": "edtalk", "coverage": 1.0, "numbering": "author-renumbered", "synthetic": False,
    "train_speakers_in_rows": 0, "strength": 1.0,
}  # fmt: skip


def test_everything_as_published_is_the_papers_protocol() -> None:
    assert compare_to_paper(LABELS, PROTOCOL, JUDGE) == ("paper-protocol", [])


@pytest.mark.parametrize(
    ("labels", "protocol", "judge", "expected", "reason"),
    [
        ({"seed": None}, {}, {}, "uncomparable", "no label seed"),
        ({}, {"rows": "test-pairs"}, {}, "own-protocol", "the rows are our own"),
        ({"corpus": "ravdess"}, {}, {}, "own-protocol", "the rows are our own"),
        ({}, {}, {"source": "trained here"}, "approximation", "the judge is not a released one"),
        ({}, {"pools": "static-folder"}, {}, "approximation", "static-folder is not the pool"),
        ({}, {"num_speech_clips": 5}, {}, "approximation", "5 speech clips, not 10"),
        ({"backbone": "facemesh"}, {}, {}, "approximation", "backbone facemesh is not in the paper"),
        ({"synthetic": True}, {}, {}, "approximation", "a stand-in took part"),
        ({"strength": 3.0}, {}, {}, "approximation", "strength 3, not 1"),
        ({"train_speakers_in_rows": 73}, {}, {}, "approximation", "73 speakers of the rows were trained on"),
        ({"coverage": 0.97}, {}, {}, "paper-protocol-subset", "coverage 0.9700"),
        ({"numbering": "release-filename-subset"}, {}, {}, "paper-protocol-subset", "numbering release"),
    ],
)
def test_each_departure_has_its_word_and_its_reason(
    labels: dict[str, Any], protocol: dict[str, Any], judge: dict[str, Any], expected: str, reason: str
) -> None:
    word, reasons = compare_to_paper(LABELS | labels, PROTOCOL | protocol, JUDGE | judge)
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
    assert training_set(here) == "mead, 9 unedited clips of 2 training speakers (A, B)"
