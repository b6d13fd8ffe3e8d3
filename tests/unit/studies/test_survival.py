"""Intervals on hand-made answers."""

import numpy as np
import pandas as pd
import pytest

from cmet.params import EvaluateParams
from cmet.scores.intervals import ClusterBootstrap
from cmet.studies.survival import paired_answers, survival
from tests.unit.studies.hand_made import answers, evaluate_params

PARAMS = evaluate_params()


def pairs(seen: list[int], left_out: list[int], speakers: str = "abcdefgh", target: str = "sad") -> pd.DataFrame:
    """One row per speaker."""
    return pd.DataFrame(
        {"speaker": list(speakers), "sentence": "001", "target": target, "correct_seen": seen, "correct": left_out}
    )


def test_the_share_is_the_ratio_of_the_two_accuracies() -> None:
    found = survival(pairs([1, 1, 1, 1, 1, 1, 0, 0], [1, 1, 1, 0, 0, 0, 0, 0]), PARAMS, 7)
    assert (found.seen.value, found.left_out.value, found.share.value) == (0.75, 0.375, 0.5)
    assert (found.num_rows, found.num_clusters) == (8, 8)


def test_intervals_of_accuracies_are_those_of_the_report() -> None:
    rows = pairs([1, 1, 1, 1, 1, 1, 0, 0], [1, 1, 1, 0, 0, 0, 0, 0])
    found = survival(rows, PARAMS, 7)
    draw = ClusterBootstrap(PARAMS, 7)
    for estimate, column in ((found.seen, "correct_seen"), (found.left_out, "correct")):
        assert (estimate.low, estimate.high) == pytest.approx(draw.interval(rows, rows[column].to_numpy(float)))


def test_both_sides_of_the_ratio_are_drawn_together() -> None:
    # always half of what was right: the accuracies vary from resample to resample, the share does not
    clusters = [(speaker, right) for speaker, right in zip("abcdefgh", [4, 2, 4, 2, 4, 2, 4, 2], strict=True)]
    rows = pd.concat(
        [
            pairs([1] * right + [0] * (4 - right), [1] * (right // 2) + [0] * (4 - right // 2), speaker * 4)
            for speaker, right in clusters
        ],
        ignore_index=True,
    )
    found = survival(rows, PARAMS, 7)
    assert found.seen.low < found.seen.high
    assert (found.share.value, found.share.low, found.share.high) == (0.5, 0.5, 0.5)


def test_rows_of_one_speaker_and_sentence_are_drawn_as_one() -> None:
    once = survival(pairs([1, 1, 1, 1, 0, 0, 0, 0], [1, 1, 0, 0, 0, 0, 0, 0]), PARAMS, 7)
    rows = pairs([1, 1, 1, 1, 0, 0, 0, 0], [1, 1, 0, 0, 0, 0, 0, 0])
    thrice = survival(pd.concat([rows] * 3, ignore_index=True), PARAMS, 7)
    assert thrice.num_rows == 24
    assert (thrice.left_out, thrice.share) == (once.left_out, once.share)


def test_a_share_of_nothing_is_absent_and_not_infinite() -> None:
    found = survival(pairs([0] * 8, [1] * 8), PARAMS, 7)
    assert (found.seen.value, found.left_out.value) == (0, 1)
    assert np.isnan([found.share.value, found.share.low, found.share.high]).all()


def test_a_share_that_many_resamples_do_not_have_has_no_interval() -> None:
    # right in one cluster of eight: a third of the resamples are without it
    found = survival(pairs([1, 0, 0, 0, 0, 0, 0, 0], [1, 0, 0, 0, 0, 0, 0, 0]), PARAMS, 7)
    assert found.share.value == 1
    assert np.isnan([found.share.low, found.share.high]).all()
    # right in half of them: one in 256 is
    found = survival(pairs([1, 1, 1, 1, 0, 0, 0, 0], [1, 1, 0, 0, 0, 0, 0, 0]), PARAMS, 7)
    assert 0 <= found.share.low < 0.5 < found.share.high <= 1


def test_emotions_count_the_same_however_many_rows_they_have() -> None:
    many = pairs([1] * 8, [1] * 8, target="happy")
    few = pairs([1, 1], [0, 0], "ab", target="sad")
    found = survival(pd.concat([many, few], ignore_index=True), PARAMS, 7)
    assert found.left_out.value == 0.5
    # a resample may hold no row of the second; it is then an average over the first
    assert found.left_out.high == 1


def test_the_same_seed_gives_the_same_interval() -> None:
    rows = pairs([1, 1, 1, 1, 1, 1, 0, 0], [1, 1, 1, 0, 0, 0, 0, 0])
    assert survival(rows, PARAMS, 7) == survival(rows, PARAMS, 7)
    assert survival(rows, PARAMS, 7).share != survival(rows, EvaluateParams(**PARAMS.model_dump()), 8).share


def test_an_answer_is_compared_with_the_one_of_the_same_row_seed_and_method() -> None:
    table = paired_answers(answers(seeds=(1, 2)), "seen")
    assert len(table) == 2 * 2 * 2 * 4
    row = table.set_index(["seed", "method", "row_id"]).loc[1, "cmet", "b-sad"]
    assert (row["fold"], row["correct"], row["correct_seen"]) == ("sad", False, True)


def test_rows_that_were_not_edited_with_all_emotions_are_an_error() -> None:
    table = answers()
    lost = table[(table["fold"] != "seen") | (table["row_id"] != "a-sad")]
    with pytest.raises(AssertionError, match="2 rows were edited without their emotion only"):
        paired_answers(lost, "seen")
