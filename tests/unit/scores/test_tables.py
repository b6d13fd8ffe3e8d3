"""Numbers and their uncertainty."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from cmet.params import EvaluateParams
from cmet.scores.intervals import ClusterBootstrap
from cmet.scores.measured import Floor, Gain, Value
from cmet.scores.results import answers
from cmet.scores.tables import confusion, constant_floor, evaluation_metrics, measure
from tests.unit.scores.making import SET_FACTS, results_of, scores_of, value_rows

PARAMS = EvaluateParams(metrics=[], num_bootstrap=500, confidence=0.95)
rows = results_of


SAID: list[tuple[str, str, str | None]] = [
    ("1", "happy", "happy"), ("1", "happy", "happy"), ("2", "happy", "sad"), ("2", "sad", "sad"), ("3", "sad", None),
]  # fmt: skip


def test_micro_and_macro_accuracy_differ_with_the_sizes_of_the_classes() -> None:
    metrics = measure(pd.concat([rows(SAID), rows(SAID, "ground_truth")]), PARAMS, 0).methods["cmet"]
    assert metrics.acc_emo == pytest.approx(3 / 5)
    assert metrics.acc_emo_macro == pytest.approx((2 / 3 + 1 / 2) / 2)
    assert metrics.per_emotion == {"happy": pytest.approx(2 / 3), "sad": 0.5}
    assert metrics.per_level == {"level_2": pytest.approx(3 / 5)}


def test_clips_of_no_stated_level_are_a_group_of_their_own() -> None:
    said = rows(SAID)
    levels = {"row1": None, "row2": None, "row3": None}
    said["intensity"] = pd.array([levels.get(row_id, 2) for row_id in said.row_id], dtype="Int64")
    metrics = measure(pd.concat([said, rows(SAID, "ground_truth")]), PARAMS, 0).methods["cmet"]
    assert metrics.per_level == {"level_2": 0.5, "unspecified": pytest.approx(2 / 3)}


def test_a_failed_clip_stays_in_the_denominator_as_wrong() -> None:
    metrics = measure(pd.concat([rows(SAID), rows(SAID, "ground_truth")]), PARAMS, 0).methods["cmet"]
    assert (metrics.n, metrics.num_correct, metrics.num_failed) == (5, 3, 1)
    assert metrics.coverage == pytest.approx(4 / 5)
    assert metrics.confusion["sad"] == {**dict.fromkeys(metrics.confusion["sad"], 0), "sad": 1, "failed": 1}


def test_the_held_out_emotion_is_counted_apart() -> None:
    held_out = rows([("1", "fear", "fear"), ("2", "fear", "sad")], is_held_out=True)
    held_out["row_id"] = "held" + held_out.row_id
    metrics = measure(pd.concat([rows(SAID), rows(SAID, "ground_truth"), held_out]), PARAMS, 0)
    assert metrics.methods["cmet"].n == 5
    assert metrics.held_out
    assert (metrics.held_out.emotion, metrics.held_out.acc_emo, metrics.held_out.n) == ("fear", 0.5, 2)
    assert list(metrics.held_out_methods) == ["cmet"]


def test_without_a_held_out_emotion_there_is_no_such_part() -> None:
    metrics = measure(rows(SAID, "ground_truth"), PARAMS, 0)
    assert (metrics.held_out, metrics.held_out_methods) == (None, {})


def test_methods_are_compared_on_the_same_rows() -> None:
    neutral = rows([(sentence, emotion, "sad") for sentence, emotion, _ in SAID], "neutral")
    comparison = measure(pd.concat([neutral, rows(SAID), rows(SAID, "ground_truth")]), PARAMS, 0).comparisons
    assert comparison["cmet-neutral"].difference == pytest.approx(3 / 5 - 2 / 5)
    assert comparison["cmet-ground_truth"] == Gain(0.0, (0.0, 0.0))


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_the_interval_of_a_constant_is_that_constant(value: float) -> None:
    assert ClusterBootstrap(PARAMS, 0).interval(answers(rows(SAID)), np.full(5, value)) == (value, value)


def test_clusters_make_an_interval_wider_than_independent_rows() -> None:
    correct = np.repeat([0.0, 1.0], 50)
    table = pd.DataFrame({"speaker": "S", "sentence": np.repeat(np.arange(10), 10).astype(str)})
    clustered = ClusterBootstrap(PARAMS, 0).interval(table, correct)
    independent = ClusterBootstrap(PARAMS, 0).interval(table.assign(sentence=np.arange(100).astype(str)), correct)
    assert np.ptp(clustered) > 2 * np.ptp(independent)
    assert clustered[0] < 0.5 < clustered[1]


def test_the_same_seed_gives_the_same_interval() -> None:
    said = answers(rows(SAID))
    values = said["correct"].to_numpy(float)
    first, second, other = (ClusterBootstrap(PARAMS, seed).interval(said, values) for seed in (1, 1, 2))
    assert first == second
    assert 0 <= other[0] <= other[1] <= 1


def test_the_floor_is_the_most_frequent_emotion() -> None:
    assert constant_floor(answers(rows(SAID))) == Floor(0.6, "happy")


def test_confusion_counts_every_row() -> None:
    table = confusion(answers(rows(SAID)))
    assert sum(sum(counts.values()) for counts in table.values()) == len(SAID)
    assert table["happy"]["sad"] == 1


def test_a_neutral_aware_judge_has_a_column_more_and_another_chance() -> None:
    results = rows([("1", "happy", "neutral"), ("2", "happy", "happy")], classes=("happy", "sad", "neutral"))
    metrics = measure(results, PARAMS, 0)
    assert metrics.methods["cmet"].confusion["happy"]["neutral"] == 1
    assert metrics.chance == pytest.approx(1 / 3)


def test_other_metrics_have_the_mean_of_the_clips_that_have_a_value() -> None:
    results = pd.concat([rows(SAID), value_rows(SAID, "sync_conf", [4.0, 6.0, 5.0, np.nan, 9.0])])
    found = measure(results, PARAMS, 0).methods["cmet"].metrics["sync_conf"]
    assert (found.value, found.n, found.num_failed) == (6.0, 4, 1)
    assert found.interval
    assert found.interval[0] <= 6.0 <= found.interval[1]


def test_a_value_of_the_whole_set_has_no_interval() -> None:
    of_set = pd.DataFrame([SET_FACTS | {"metric": "fid/distribution", "value": 12.5}])
    found = measure(pd.concat([rows(SAID), of_set]), PARAMS, 0).methods["cmet"].metrics["fid/distribution"]
    assert found == Value(12.5, None, None, 0)


def test_a_metric_that_no_clip_has_is_none_and_no_zero() -> None:
    results = pd.concat([rows(SAID), value_rows(SAID, "sync_conf", [np.nan] * 5)])
    found = measure(results, PARAMS, 0).methods["cmet"].metrics["sync_conf"]
    assert (found.value, found.n, found.num_failed) == (None, 0, 5)


def test_one_class_is_noticed() -> None:
    assert measure(rows([("1", "happy", "sad"), ("2", "happy", "happy")]), PARAMS, 0).is_one_class
    assert not measure(rows(SAID), PARAMS, 0).is_one_class


def test_metrics_have_names_that_do_not_depend_on_the_backbone() -> None:
    scores = replace(
        scores_of(0.5, n=8),
        acc_emo_macro=0.4,
        interval=(0.3, 0.7),
        per_emotion={"happy": 0.5},
        per_level={"level_2": 0.5},
        metrics={"fid/distribution": Value(9.0, None, None, 0), "sync_conf": Value(None, None, 0, 8)},
    )
    held_out = replace(scores_of(0.2), metrics={"lmd/face": Value(0.1, (0.1, 0.1), 10, 0)})
    assert evaluation_metrics(scores, held_out) == {
        "acc_emo": 0.5, "acc_emo_macro": 0.4, "acc_emo_low": 0.3, "acc_emo_high": 0.7, "coverage": 1.0, "n": 8,
        "acc_emo/happy": 0.5, "acc_emo/level_2": 0.5, "fid/distribution": 9.0,
        "acc_emo_held_out": 0.2, "lmd/face_held_out": 0.1,
    }  # fmt: skip
