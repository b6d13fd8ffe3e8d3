"""What MLflow gets of an evaluation: figures, tables and files are made here and handed to `cmet.tracking`."""

import hashlib
import tempfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pandas as pd

from cmet.clips.product import Clips
from cmet.connector.product import Model
from cmet.edits.product import Edits
from cmet.packs import file_digest, unpack_file
from cmet.project import Project
from cmet.scores.examples import Example, choose_examples, write_example_strip
from cmet.scores.figures import confusion_figure, emotion_figure, method_figure
from cmet.scores.measured import JudgedNumbers, Numbers
from cmet.scores.product import Scores
from cmet.scores.results import ACC_EMO, RESULTS, write_results
from cmet.scores.tables import evaluation_metrics
from cmet.tracking.models import CORPUS_TAG, JUDGE_TAG, PROTOCOL_TAG, ROWS_TAG
from cmet.tracking.runs import About, Run, tracked_run


def track_evaluation(project: Project, backbone: str, code: str) -> None:
    """Log a scored backbone: a parent run, and below it one run per method with the same metric names.

    The parent has the figures, side-by-side strips and all results, each method its own results, its confusion matrix
    and the clips of the strips.
    """
    places = project.places
    inputs = places.digests(
        *(places.folder(*names) for names in (("edits", backbone), ("judge",), ("train", backbone)))
    )
    about = About(f"evaluate {backbone}", "evaluate", backbone, project.params, inputs, code, project.root)
    log_evaluation(
        about,
        project.scores(backbone),
        project.edits(backbone),
        project.clips(),
        project.model(backbone),
    )


def log_evaluation(about: About, scores: Scores, edits: Edits, clips: Clips, model: Model) -> None:
    """Log a scored backbone, see `track_evaluation`.

    Args:
        about: What the parent run is of.
        scores: What was measured.
        edits: What it was measured on.
        clips: The prepared clips.
        model: The trained model, to which the scores of `cmet` are attached.
    """
    metrics, results, params = scores.metrics, scores.results, about.params
    examples = choose_examples(scores.answers, edits, clips, params.report.num_examples, params.seed)
    alike = comparability(scores, edits, clips)
    with tracked_run(about, tags=_headline_tags(metrics)) as parent:
        parent.log_file(scores.metrics_file)
        parent.log_file(scores.results_file)
        parent.log_figure(method_figure(metrics.methods), "figures/methods.png")
        parent.log_figure(emotion_figure(metrics.methods), "figures/emotions.png")
        _log_strips(parent, examples)
        parent.log_metrics(0, _headline_metrics(metrics) | _comparison_metrics(metrics))
        for method, measured in metrics.methods.items():
            values = evaluation_metrics(measured, metrics.held_out_methods.get(method))
            tags = {**_method_tags(metrics, method), **alike}
            with tracked_run(replace(about, name=f"{about.backbone} {method}"), parent, tags) as run:
                if method == "cmet":
                    # once for run and model: a metric of two steps is drawn as a curve
                    run.log_scores(model.folder, values, ("test rows", metrics.protocol))
                else:
                    run.log_metrics(0, values)
                said = scores.answers[scores.answers["method"] == method]
                run.log_table(said[ANSWER_COLUMNS], "predictions.json")
                _log_confusion(parent, run, measured.confusion, method)
                _log_results(run, results[results["method"] == method])
                with tempfile.TemporaryDirectory() as folder:
                    for example in examples:
                        if method in example.panels:
                            run.log_file(unpack_file(example.panels[method], Path(folder)), "clips")


HEADLINE = "cmet"
"""The method whose numbers stand for an evaluation."""


def comparability(scores: Scores, edits: Edits, clips: Clips) -> dict[str, str]:
    """Tags beside protocol and judge that evaluations share if their accuracies may be ranked (`COMPARABLE`).

    Rows are those that accuracy is a mean of, so without the emotion that was held out; the corpus is told by its name
    and by the prepared clips behind the rows.
    """
    results = scores.results
    counted = results[(results.metric == ACC_EMO) & ~results.is_held_out.astype(bool)]
    rows = sorted(set(counted.row_id))
    shown = edits.table[edits.table.row_id.isin(rows)]
    digest = hashlib.sha256()
    for clip_id in sorted({*shown.source_clip, *shown.target_clip.dropna()}):
        digest.update(f"{clip_id} {file_digest(clips.video(clip_id))}\n".encode())
    corpora = "+".join(sorted(results.corpus.dropna().unique()))
    return {
        ROWS_TAG: f"{len(rows)} {hashlib.sha256(' '.join(rows).encode()).hexdigest()[:12]}",
        CORPUS_TAG: f"{corpora} {digest.hexdigest()[:12]}",
    }


ANSWER_COLUMNS = ["row_id", "emotion", "intensity", "predicted", "correct"]
"""What the table of a run has of every clip."""


def _log_confusion(parent: Run, run: Run, confusion: Mapping[str, Mapping[str, int]], method: str) -> None:
    """Drawn once for both: drawing takes longer than keeping."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"confusion-{method}.png"
        confusion_figure(confusion, method).savefig(path)
        parent.log_file(path, "figures")
        run.log_file(path.rename(path.with_name("confusion.png")), "figures")


def _headline_tags(metrics: JudgedNumbers) -> dict[str, str]:
    """What the table of runs shows of an evaluation: the method that it is about."""
    return _method_tags(metrics, HEADLINE) if HEADLINE in metrics.methods else {PROTOCOL_TAG: metrics.protocol}


def _method_tags(metrics: JudgedNumbers, method: str) -> dict[str, str]:
    low, high = metrics.methods[method].interval
    return {
        "cmet.method": method,
        "cmet.interval": f"{low:.3f} - {high:.3f}",
        PROTOCOL_TAG: metrics.protocol,
        JUDGE_TAG: f"{metrics.judge.network} {metrics.judge.sha256[:8]}",
    }


def _headline_metrics(metrics: JudgedNumbers) -> dict[str, float]:
    """The numbers of `cmet` under the names that they have everywhere, then the accuracy of each other method.

    MLflow's page to compare draws the first one of all runs.
    """
    found: dict[str, float] = {}
    if HEADLINE in metrics.methods:
        found |= evaluation_metrics(metrics.methods[HEADLINE], metrics.held_out_methods.get(HEADLINE))
    found |= {f"{method}/acc_emo": scores.acc_emo for method, scores in metrics.methods.items() if method != HEADLINE}
    return found | ({} if metrics.judge.acc_val is None else {"judge/acc_val": metrics.judge.acc_val})


def _comparison_metrics(metrics: Numbers) -> dict[str, float]:
    found = {name: gain.difference for name, gain in metrics.comparisons.items()}
    found |= {"floor": metrics.floor.acc_emo} if metrics.floor else {}
    return found | ({} if metrics.chance is None else {"chance": metrics.chance})


def _log_strips(run: Run, examples: list[Example]) -> None:
    """Side-by-side clips, as they stand in the report."""
    with tempfile.TemporaryDirectory() as folder:
        for example in examples:
            path = Path(folder) / f"{example.row_id}.mp4"
            write_example_strip(example, path)
            run.log_file(path, "strips")


def _log_results(run: Run, results: pd.DataFrame) -> None:
    with tempfile.TemporaryDirectory() as folder:
        write_results(results, Path(folder) / RESULTS)
        run.log_file(Path(folder) / RESULTS)
