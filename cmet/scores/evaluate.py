"""Scoring the edits of a backbone: results of all methods and of the true clips, and the numbers made of them."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from cmet.clips.product import Clips
from cmet.edits.product import Edits
from cmet.outputs import fresh_folder, write_json
from cmet.params import EvaluateParams
from cmet.scores.measured import JudgedNumbers
from cmet.scores.metrics.registry import load_metrics
from cmet.scores.results import METRICS, RESULTS, ROW, write_results
from cmet.scores.scoring import paths_or_none, score_clips
from cmet.scores.tables import measure
from cmet.vocabulary import GROUND_TRUTH

if TYPE_CHECKING:
    from cmet.judge.classifier import Judge


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
    edits: Edits, clips: Clips, judge: "Judge", out: Path, params: EvaluateParams, seed: int, weights: Path
) -> EvaluationReport:
    """Judge and measure every edited clip, judge every true target clip, and write results and the numbers of them.

    Args:
        edits: The edited clips.
        clips: The prepared clips, for sources, sounds and true targets.
        judge: Names the emotions.
        out: Gets what `Scores` reads.
        params: The `evaluate` section of params.yaml.
        seed: Of the bootstrap.
        weights: Folder of published checkpoints.

    Raises:
        UserError: There are no edits, or methods edited different rows.
    """
    table = edits.table
    ready, absent = load_metrics(params.metrics, weights)
    for name, reason in absent.items():
        print(f"evaluate: {name} is not measured: {reason}")
    results = score_clips(_clips(edits, clips), judge, ready, "evaluate")
    metrics = JudgedNumbers(**vars(measure(results, params, seed)), judge=judge.card.as_scored(), absent=absent)
    with fresh_folder(out) as folder:
        write_results(results, folder / RESULTS)
        write_json(folder / METRICS, metrics)
    return EvaluationReport(
        num_rows=table["row_id"].nunique(),
        num_failed=sum(scores.num_failed for scores in [*metrics.methods.values(), *metrics.held_out_methods.values()]),
        acc_emo={name: scores.acc_emo for name, scores in metrics.methods.items()},
        held_out_acc_emo=metrics.held_out.acc_emo if metrics.held_out else None,
        num_absent=len(absent),
    )


def _clips(edits: Edits, clips: Clips) -> pd.DataFrame:
    """All clips that are judged, the true ones as a method of their own."""
    table = edits.table
    shown = table.assign(
        corpus=clips.table.corpus.iloc[0],
        video=paths_or_none(table.video, edits.video),
        truth=paths_or_none(table.target_clip, clips.video),
        source=paths_or_none(table.source_clip, clips.video),
        sound=paths_or_none(table.source_clip, clips.sound),
    )
    truths = shown.drop_duplicates("row_id").assign(method=GROUND_TRUTH, video=lambda rows: rows.truth)
    # a row that the corpus lacks has no true clip either; an edit that failed has one
    truths = truths.assign(reason=truths.reason.where(truths.video.isna(), None))
    columns = ["corpus", "backbone", "method", "protocol", "is_held_out", *ROW]
    return pd.concat([shown, truths], ignore_index=True)[[*columns, "video", "truth", "source", "sound", "reason"]]
