"""Scoring the edits of a backbone."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from cmet.errors import UserError
from cmet.params import EvaluateParams
from cmet.scores.evaluate import read_edits, score_edits
from cmet.scores.results import answers, read_results
from tests.unit.conftest import Tiny

PARAMS = EvaluateParams(metrics=["sync"], num_bootstrap=500, confidence=0.95)


def test_edits_are_scored_against_their_targets(tiny: Tiny, tmp_path: Path) -> None:
    report = score_edits(tiny.edits, tiny.clips, tiny.judge, tmp_path / "scores", PARAMS, 0, tmp_path)
    metrics = json.loads((tmp_path / "scores" / "metrics.json").read_text(encoding="utf-8"))
    predictions = answers(read_results(tmp_path / "scores"))

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
        score_edits(tiny.edits, tiny.clips, tiny.judge, tmp_path / name, PARAMS, 0, tmp_path)
    for name in ("metrics.json", "results.parquet"):
        assert (tmp_path / "first" / name).read_bytes() == (tmp_path / "second" / name).read_bytes()


def test_methods_that_edited_different_rows_are_refused(tiny: Tiny, tmp_path: Path) -> None:
    pd.read_parquet(tiny.edits / "edits.parquet").iloc[1:].to_parquet(tmp_path / "edits.parquet")
    with pytest.raises(UserError, match="every method must edit the same rows once, found cmet 13, neutral 14"):
        read_edits(tmp_path)


def test_missing_edits_name_the_next_step(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="run 'cmet edits'"):
        read_edits(tmp_path)


def test_a_metric_without_its_weights_is_absent_with_the_reason(tiny: Tiny, tmp_path: Path) -> None:
    report = score_edits(tiny.edits, tiny.clips, tiny.judge, tmp_path / "scores", PARAMS, 0, tmp_path)
    metrics = json.loads((tmp_path / "scores" / "metrics.json").read_text(encoding="utf-8"))
    assert report.num_absent == 1
    assert "syncnet" in metrics["absent"]["sync"]
    assert metrics["methods"]["cmet"]["metrics"] == {}


def test_every_sample_is_named_by_protocol_row_and_method(tiny: Tiny, tmp_path: Path) -> None:
    score_edits(tiny.edits, tiny.clips, tiny.judge, tmp_path / "scores", PARAMS, 0, tmp_path)
    results = read_results(tmp_path / "scores")
    first = results.iloc[0]
    assert first.sample_id == f"{first.protocol}.{first.row_id}.{first.method}"
    logits = results[results.metric.str.startswith("logit/")]
    # one clip failed, the others have a logit per class
    assert len(logits) == 7 * (3 * 14 - 1)
    assert np.isfinite(logits.value).all()
