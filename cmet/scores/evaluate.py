"""Scoring the edits of a backbone: results of all methods and of the true clips, and the numbers made of them."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from cmet.edits.product import EDITS
from cmet.errors import UserError
from cmet.outputs import fresh_folder, write_json
from cmet.params import EvaluateParams
from cmet.scores.metrics.registry import load_metrics
from cmet.scores.results import METRICS, RESULTS, ROW, write_results
from cmet.scores.scoring import paths_or_none, score_clips
from cmet.scores.tables import measure
from cmet.vocabulary import GROUND_TRUTH, METHODS


@dataclass(frozen=True)
class EvaluationReport:
    """What came out of scoring one backbone."""

    num_rows: int
    """Rows per method, the held-out emotion included."""
    num_failed: int
    """Clips over all methods that could not be made or read; they count as wrong."""
    acc_emo: dict[str, float]
    """Accuracy per method over the emotions that were trained on."""
    held_out_acc_emo: float | None
    """Accuracy of `cmet` on the held-out emotion."""
    num_absent: int
    """Metrics that were asked for and could not be measured here."""


def score_edits(
    edits_folder: Path,
    clips_folder: Path,
    judge_folder: Path,
    out: Path,
    params: EvaluateParams,
    seed: int,
    weights: Path,
) -> EvaluationReport:
    """Judge and measure every edited clip, judge every true target clip, and write results and the numbers of them.

    Args:
        edits_folder: Holds `edits.parquet` and the videos it names.
        clips_folder: The prepared clips with `clips.parquet`, for sources, sounds and true targets.
        judge_folder: What `train_judge` wrote.
        out: Gets `results.parquet` (one row per clip and metric) and `metrics.json`.
        params: The `evaluate` section of params.yaml.
        seed: Of the bootstrap.
        weights: Folder of published checkpoints.

    Raises:
        UserError: There is no judge or there are no edits, or methods edited different rows.
    """
    # imported here: reading scores must not wait for torch
    from cmet.judge.classifier import Judge

    edits = read_edits(edits_folder)
    judge = Judge.load(judge_folder)
    ready, absent = load_metrics(params.metrics, weights)
    for name, reason in absent.items():
        print(f"evaluate: {name} is not measured: {reason}")
    results = score_clips(_clips(edits, edits_folder, clips_folder), judge, ready, "evaluate")
    metrics = measure(results, params, seed) | {"judge": judge.card.model_dump(), "absent": absent}
    with fresh_folder(out) as folder:
        write_results(results, folder / RESULTS)
        write_json(folder / METRICS, metrics)
    return EvaluationReport(
        num_rows=edits["row_id"].nunique(),
        num_failed=sum(_num_failed(part) for part in (metrics, metrics["held_out"] or {"methods": {}})),
        acc_emo={name: scores["acc_emo"] for name, scores in metrics["methods"].items()},
        held_out_acc_emo=metrics["held_out"]["acc_emo"] if metrics["held_out"] else None,
        num_absent=len(absent),
    )


def read_edits(folder: Path) -> pd.DataFrame:
    """The table of edited clips, methods in the order of `METHODS`.

    Raises:
        UserError: There is no table, it is empty, or the methods did not edit the same rows.
    """
    if not (folder / EDITS).is_file():
        raise UserError(f"{folder}: no edits.parquet; run 'cmet edits'")
    try:
        edits = pd.read_parquet(folder / EDITS)
    except (OSError, ValueError) as error:
        raise UserError(
            f"{folder / EDITS}: not readable as a Parquet table: {error}; run 'cmet edits' again"
        ) from error
    if edits.empty:
        raise UserError(
            f"{folder}: edits.parquet has no rows, so there is nothing to score; see the counts of 'cmet edits'"
        )
    rows = {str(method): frozenset(part["row_id"]) for method, part in edits.groupby("method")}
    if len(set(rows.values())) > 1 or edits.duplicated(["row_id", "method"]).any():
        counts = ", ".join(f"{method} {len(ids)}" for method, ids in sorted(rows.items()))
        raise UserError(f"{folder}: every method must edit the same rows once, found {counts}; run 'cmet edits' again")
    rank = edits["method"].map({method: place for place, method in enumerate(METHODS)}).fillna(len(METHODS))
    return edits.assign(rank=rank).sort_values(["rank", "method", "row_id"]).drop(columns="rank").reset_index(drop=True)


def _clips(edits: pd.DataFrame, edits_folder: Path, clips_folder: Path) -> pd.DataFrame:
    """All clips that are judged, the true ones as a method of their own."""
    corpus = pd.read_parquet(clips_folder / "clips.parquet", columns=["clip_id", "corpus"])
    edits = edits.assign(
        corpus=corpus.corpus.iloc[0],
        video=paths_or_none(edits.video, edits_folder),
        truth=paths_or_none(edits.target_clip + ".mp4", clips_folder / "video"),
        source=paths_or_none(edits.source_clip + ".mp4", clips_folder / "video"),
        sound=paths_or_none(edits.source_clip + ".wav", clips_folder / "audio"),
    )
    truths = edits.drop_duplicates("row_id").assign(method=GROUND_TRUTH, video=lambda rows: rows.truth)
    # a row that the corpus lacks has no true clip either; an edit that failed has one
    truths = truths.assign(reason=truths.reason.where(truths.video.isna(), None))
    columns = ["corpus", "backbone", "method", "protocol", "is_held_out", *ROW]
    return pd.concat([edits, truths], ignore_index=True)[[*columns, "video", "truth", "source", "sound", "reason"]]


def _num_failed(part: dict[str, Any]) -> int:
    return sum(scores["num_failed"] for scores in part["methods"].values())
