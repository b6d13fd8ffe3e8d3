"""Scores and their uncertainty."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from cmet.errors import UserError
from cmet.evaluation.scores import (
    ClusterBootstrap,
    confusion,
    constant_floor,
    measure,
    not_whole,
    read_edits,
    score_edits,
)
from cmet.params import EvaluateParams
from tests.unit.evaluation.conftest import Tiny

PARAMS = EvaluateParams(num_bootstrap=500, confidence=0.95)


def rows(said: list[tuple[str, str, str | None]], method: str = "cmet", is_held_out: bool = False) -> pd.DataFrame:
    """Predictions from (sentence, emotion, what the judge said)."""
    table = pd.DataFrame(said, columns=["sentence", "emotion", "predicted"])
    return table.assign(
        row_id=[f"row{number}" for number in range(len(table))],
        method=method,
        speaker="S",
        intensity=pd.array([2] * len(table), dtype="Int64"),
        is_held_out=is_held_out,
        correct=table["emotion"] == table["predicted"],
    )


SAID: list[tuple[str, str, str | None]] = [
    ("1", "happy", "happy"), ("1", "happy", "happy"), ("2", "happy", "sad"), ("2", "sad", "sad"), ("3", "sad", None),
]  # fmt: skip


def test_micro_and_macro_accuracy_differ_with_the_sizes_of_the_classes() -> None:
    metrics = measure(pd.concat([rows(SAID), rows(SAID, "ground_truth")]), PARAMS, 0)["methods"]["cmet"]
    assert metrics["acc_emo"] == pytest.approx(3 / 5)
    assert metrics["acc_emo_macro"] == pytest.approx((2 / 3 + 1 / 2) / 2)
    assert metrics["per_emotion"] == {"happy": pytest.approx(2 / 3), "sad": 0.5}
    assert metrics["per_level"] == {"level_2": pytest.approx(3 / 5)}


def test_clips_of_no_stated_level_are_a_group_of_their_own() -> None:
    said = rows(SAID).assign(intensity=pd.array([2, None, None, None, 2], dtype="Int64"))
    metrics = measure(pd.concat([said, rows(SAID, "ground_truth")]), PARAMS, 0)["methods"]["cmet"]
    assert metrics["per_level"] == {"level_2": 0.5, "unspecified": pytest.approx(2 / 3)}


def test_a_failed_clip_stays_in_the_denominator_as_wrong() -> None:
    metrics = measure(pd.concat([rows(SAID), rows(SAID, "ground_truth")]), PARAMS, 0)["methods"]["cmet"]
    assert (metrics["n"], metrics["num_correct"], metrics["num_failed"]) == (5, 3, 1)
    assert metrics["coverage"] == pytest.approx(4 / 5)
    assert metrics["confusion"]["sad"] == {**dict.fromkeys(metrics["confusion"]["sad"], 0), "sad": 1, "failed": 1}


def test_the_held_out_emotion_is_counted_apart() -> None:
    held_out = rows([("1", "fear", "fear"), ("2", "fear", "sad")], is_held_out=True)
    held_out["row_id"] = ["held0", "held1"]
    metrics = measure(pd.concat([rows(SAID), rows(SAID, "ground_truth"), held_out]), PARAMS, 0)
    assert metrics["methods"]["cmet"]["n"] == 5
    assert metrics["held_out"]["emotion"] == "fear"
    assert (metrics["held_out"]["acc_emo"], metrics["held_out"]["n"]) == (0.5, 2)


def test_without_a_held_out_emotion_there_is_no_such_part() -> None:
    assert measure(rows(SAID, "ground_truth"), PARAMS, 0)["held_out"] is None


def test_methods_are_compared_on_the_same_rows() -> None:
    neutral = rows([(sentence, emotion, "sad") for sentence, emotion, _ in SAID], "neutral")
    comparison = measure(pd.concat([neutral, rows(SAID), rows(SAID, "ground_truth")]), PARAMS, 0)["comparisons"]
    assert comparison["cmet-neutral"]["difference"] == pytest.approx(3 / 5 - 2 / 5)
    assert comparison["cmet-ground_truth"] == {"difference": 0.0, "interval": [0.0, 0.0]}


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_the_interval_of_a_constant_is_that_constant(value: float) -> None:
    assert ClusterBootstrap(PARAMS, 0).interval(rows(SAID), np.full(5, value)) == (value, value)


def test_clusters_make_an_interval_wider_than_independent_rows() -> None:
    correct = np.repeat([0.0, 1.0], 50)
    table = pd.DataFrame({"speaker": "S", "sentence": np.repeat(np.arange(10), 10).astype(str)})
    clustered = ClusterBootstrap(PARAMS, 0).interval(table, correct)
    independent = ClusterBootstrap(PARAMS, 0).interval(table.assign(sentence=np.arange(100).astype(str)), correct)
    assert np.ptp(clustered) > 2 * np.ptp(independent)
    assert clustered[0] < 0.5 < clustered[1]


def test_the_same_seed_gives_the_same_interval() -> None:
    values = rows(SAID)["correct"].to_numpy(float)
    first, second, other = (ClusterBootstrap(PARAMS, seed).interval(rows(SAID), values) for seed in (1, 1, 2))
    assert first == second
    assert 0 <= other[0] <= other[1] <= 1


def test_the_floor_is_the_most_frequent_emotion() -> None:
    assert constant_floor(rows(SAID)) == {"acc_emo": 0.6, "answer": "happy"}


def test_confusion_counts_every_row() -> None:
    table = confusion(rows(SAID))
    assert sum(sum(counts.values()) for counts in table.values()) == len(SAID)
    assert table["happy"]["sad"] == 1


@pytest.mark.parametrize(
    ("percentages", "num_rows", "suspect"),
    [([55.91, 41.99], 1143, []), ([36.82], 1143, [36.82]), ([50.0], 3, [50.0]), ([33.33], 3, [])],
)
def test_a_percentage_must_be_a_whole_number_of_rows(
    percentages: list[float], num_rows: int, suspect: list[float]
) -> None:
    assert not_whole(percentages, num_rows) == suspect


def test_edits_are_scored_against_their_targets(tiny: Tiny, tmp_path: Path) -> None:
    report = score_edits(tiny.edits, tiny.clips, tiny.judge, tmp_path / "scores", PARAMS, 0)
    metrics = json.loads((tmp_path / "scores" / "metrics.json").read_text(encoding="utf-8"))
    predictions = pd.read_parquet(tmp_path / "scores" / "predictions.parquet")

    assert (report.num_rows, report.num_failed) == (14, 1)
    assert list(metrics["methods"]) == ["cmet", "ground_truth", "neutral"]  # JSON keys are sorted
    assert set(predictions.groupby("method").size()) == {14}
    # the edits are copies of the true clips, but for the failed one
    right = metrics["methods"]["ground_truth"]["num_correct"] - metrics["methods"]["cmet"]["num_correct"]
    assert right in (0, 1)
    failed = predictions[predictions["reason"].notna()]
    assert failed["reason"].tolist() == ["no_face: lost"]
    assert failed["predicted"].isna().all()


def test_scoring_twice_gives_the_same_bytes(tiny: Tiny, tmp_path: Path) -> None:
    for name in ("first", "second"):
        score_edits(tiny.edits, tiny.clips, tiny.judge, tmp_path / name, PARAMS, 0)
    for name in ("metrics.json", "predictions.parquet"):
        assert (tmp_path / "first" / name).read_bytes() == (tmp_path / "second" / name).read_bytes()


def test_methods_that_edited_different_rows_are_refused(tiny: Tiny, tmp_path: Path) -> None:
    pd.read_parquet(tiny.edits / "edits.parquet").iloc[1:].to_parquet(tmp_path / "edits.parquet")
    with pytest.raises(UserError, match="every method must edit the same rows once, found cmet 13, neutral 14"):
        read_edits(tmp_path)


def test_missing_edits_name_the_next_step(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="run 'cmet edits'"):
        read_edits(tmp_path)
