"""Scoring the edits of a backbone."""

from pathlib import Path

import numpy as np
import pytest

from cmet.judge.classifier import Judge
from cmet.params import EvaluateParams
from cmet.scores.evaluate import EvaluationReport, score_edits
from cmet.scores.product import Scores
from tests.unit.conftest import Tiny

PARAMS = EvaluateParams(metrics=["sync"], num_bootstrap=500, confidence=0.95)


def scored(tiny: Tiny, out: Path) -> EvaluationReport:
    # no weights are there
    return score_edits(tiny.edits, tiny.clips, Judge.load(tiny.judge.folder), out, PARAMS, 0, out.parent)


@pytest.fixture(scope="module")
def report_and_scores(tiny: Tiny, tmp_path_factory: pytest.TempPathFactory) -> tuple[EvaluationReport, Scores]:
    folder = tmp_path_factory.mktemp("evaluate") / "scores"
    return scored(tiny, folder), Scores(folder)


def test_edits_are_scored_against_their_targets(report_and_scores: tuple[EvaluationReport, Scores]) -> None:
    report, scores = report_and_scores
    metrics, predictions = scores.metrics, scores.answers
    assert (report.num_rows, report.num_failed) == (14, 1)
    assert list(metrics.methods) == list(metrics.held_out_methods) == ["neutral", "cmet", "ground_truth"]
    assert set(predictions.groupby("method").size()) == {14}
    # the edits are copies of the true clips, but for the failed one
    right = metrics.methods["ground_truth"].num_correct - metrics.methods["cmet"].num_correct
    assert right in (0, 1)
    failed = predictions[predictions["reason"].notna()]
    assert failed["reason"].tolist() == ["no_face: lost"]
    assert failed["predicted"].isna().all()


def test_scoring_twice_gives_the_same_bytes(tiny: Tiny, tmp_path: Path) -> None:
    for name in ("first", "second"):
        scored(tiny, tmp_path / name)
    for name in ("metrics.json", "results.parquet"):
        assert (tmp_path / "first" / name).read_bytes() == (tmp_path / "second" / name).read_bytes()


def test_a_metric_without_its_weights_is_absent_with_the_reason(
    report_and_scores: tuple[EvaluationReport, Scores],
) -> None:
    report, metrics = report_and_scores[0], report_and_scores[1].metrics
    assert report.num_absent == 1
    assert "syncnet" in metrics.absent["sync"]
    assert metrics.methods["cmet"].metrics == {}


def test_every_sample_is_named_by_protocol_row_and_method(report_and_scores: tuple[EvaluationReport, Scores]) -> None:
    results = report_and_scores[1].results
    first = results.iloc[0]
    assert first.sample_id == f"{first.protocol}.{first.row_id}.{first.method}"
    logits = results[results.metric.str.startswith("logit/")]
    # one clip failed, the others have a logit per class
    assert len(logits) == 7 * (3 * 14 - 1)
    assert np.isfinite(logits.value).all()
