"""`cmet score`: the judge's answers for clips that any method made."""

from collections.abc import Container, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from cmet.commands.edit import ManyValues
from cmet.errors import UserError

NUM_BOOTSTRAP, CONFIDENCE, SEED = 2000, 0.95, 7
FEW_CLUSTERS = 6


class ManyLabels(ManyValues):
    """A command whose list options take several words."""

    LISTS = frozenset({"--label-order", "--metrics"})


def score(
    videos: Annotated[
        list[Path] | None, typer.Argument(help="Videos, without a manifest: what is each of them?")
    ] = None,
    judge: Annotated[
        Path, typer.Option("--judge", help="Folder of the stage `judge`, or a released checkpoint (.pth).")
    ] = Path("data/judge"),
    label_order: Annotated[
        list[str] | None,
        typer.Option(help="Emotions in the order of a checkpoint's outputs; nobody can read it off the file."),
    ] = None,
    manifest: Annotated[
        Path | None,
        typer.Option(help="CSV in the format of the official extended manifests, with generated_path."),
    ] = None,
    root: Annotated[
        Path | None, typer.Option(help="Where its relative paths count from; default the folder of the file.")
    ] = None,
    method: Annotated[str | None, typer.Option(help="Name of the method, where the file has no such column.")] = None,
    metrics: Annotated[
        list[str] | None, typer.Option(help="landmarks, fid, fvd, sync, identity; default landmarks.")
    ] = None,
    beside: Annotated[
        Path | None, typer.Option(help="Other results of the same rows, for the same table: data/evaluate/facemesh.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Folder for the results; in scores/ they stand in the report, too.")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of the intervals.")] = SEED,
) -> None:
    """Judge clips that any method made: single videos, or a manifest of rows for the table."""
    from cmet.judge.released import open_judge
    from cmet.scores.metrics.registry import METRICS
    from cmet.scores.other_methods import answer_table, unlike_training
    from cmet.vocabulary import EMOTIONS

    _refuse_paths("--label-order", label_order, EMOTIONS)
    _refuse_paths("--metrics", metrics, METRICS)
    for video in videos or []:
        if video.is_dir():
            raise UserError(f"{video}: is a folder; name the files in it, for example {video / '*.mp4'}")
    if bool(videos) == (manifest is not None):
        raise UserError("score: give videos, or --manifest FILE.csv, and not both")
    chosen = _checked_metrics(metrics)
    opened = open_judge(judge, label_order)
    if manifest is None:
        unused = {"--out": out, "--beside": beside, "--metrics": metrics, "--method": method, "--root": root}
        given = [name for name, value in unused.items() if value]
        if given:
            raise UserError(f"score: {', '.join(given)} needs --manifest, which says what is wanted of each clip")
        table, num_failed = answer_table(videos or [], opened)
        print(f"{table}\n\nJudge: {_told_judge(opened)}")
        for remark in unlike_training(videos or [], opened):
            print(f"note: {remark}")
        raise typer.Exit(1 if num_failed else 0)
    _score_manifest(manifest, root, method, opened, chosen, beside, out, seed)


def _score_manifest(
    manifest: Path,
    root: Path | None,
    method: str | None,
    judge: Any,
    metrics: list[str],
    beside: Path | None,
    out: Path | None,
    seed: int,
) -> None:
    from cmet.params import EvaluateParams
    from cmet.scores.manifest import read_manifest
    from cmet.scores.measured import Numbers
    from cmet.scores.other_methods import check_method, same_rows, score_manifest, scored_table
    from cmet.scores.results import read_results
    from cmet.scores.tables import measure
    from cmet.weights.registry import weights_folder

    if method is not None:
        check_method(method)
    # before scoring, which takes minutes
    others = (
        None if beside is None else same_rows(read_manifest(manifest, root), judge.card.sha256, read_results(beside))
    )
    out = Path("scores") / (method or manifest.stem) if out is None else out.resolve()
    params = EvaluateParams.model_validate(
        {"metrics": metrics, "num_bootstrap": NUM_BOOTSTRAP, "confidence": CONFIDENCE}
    )
    scored = score_manifest(manifest, root, method, judge, weights_folder(), params, seed, out)
    parts: list[tuple[str, Numbers]] = [(manifest.stem, scored.metrics)]
    if others is not None:
        parts.append((str(beside), measure(others, params, seed)))
    print(scored_table(parts))
    print(
        f"\nIntervals: {CONFIDENCE:.0%}, bootstrap over {scored.metrics.num_clusters} (speaker, sentence) clusters, "
        f"seed {seed}. A clip that is missing or unreadable counts as wrong."
    )
    print(f"Judge: {_told_judge(judge)}")
    if scored.metrics.num_clusters < FEW_CLUSTERS:
        print(f"note: with {scored.metrics.num_clusters} cluster(s) the intervals say next to nothing")
    if scored.metrics.is_one_class:
        print("note: all rows want the same emotion, so a constant answer is always right; this accuracy says nothing")
    for remark in scored.metrics.remarks:
        print(f"note: {remark}")
    for name, reason in scored.metrics.absent.items():
        print(f"note: {name} is not measured: {reason}")
    print(f"\nResults: {out}")


def _refuse_paths(option: str, words: Sequence[str] | None, known: Container[str]) -> None:
    """Refuse videos that a list option has taken for values of its own.

    Raises:
        UserError: There is one.
    """
    for word in words or ():
        if word not in known and (Path(word).suffix or Path(word).exists()):
            raise UserError(
                f"{option} {word}: was taken for a value of this option; name videos before the options, or after --"
            )


def _checked_metrics(names: list[str] | None) -> list[str]:
    from cmet.scores.metrics.registry import METRICS

    names = ["landmarks"] if names is None else names
    unknown = [name for name in names if name not in METRICS]
    if unknown:
        raise UserError(f"--metrics {' '.join(unknown)}: known are {', '.join(METRICS)}")
    return names


def _told_judge(judge: Any) -> str:
    from cmet.judge.card import judge_name
    from cmet.report.labels import training_set

    return f"{judge_name(judge.card)}, trained on {training_set(judge.card)}"
