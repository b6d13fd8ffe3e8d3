"""`cmet score`: the judge's answers for clips that any method made."""

from collections.abc import Container, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cmet.commands import completing
from cmet.commands.answer import Answer, answering
from cmet.commands.edit import ManyValues
from cmet.errors import UserError

if TYPE_CHECKING:
    from cmet.scores.measured import ManifestNumbers

NUM_BOOTSTRAP, CONFIDENCE, SEED = 2000, 0.95, 7
FEW_CLUSTERS = 6


class ManyLabels(ManyValues):
    """A command whose list options take several words."""

    LISTS = frozenset({"--label-order", "--metrics"})


@answering
def score(
    videos: Annotated[list[Path] | None, typer.Argument(help="Videos to judge one by one, without a manifest.")] = None,
    judge: Annotated[
        Path, typer.Option("--judge", help="Folder of the stage `judge`, or a released checkpoint (.pth).")
    ] = Path("data/judge"),
    label_order: Annotated[
        list[str] | None,
        typer.Option(
            help="Emotions in the order of a checkpoint's outputs, which the file does not state.",
            autocompletion=completing.judged_emotions,
        ),
    ] = None,
    manifest: Annotated[
        Path | None,
        typer.Option(help="CSV in the format of the official extended manifests, with generated_path."),
    ] = None,
    root: Annotated[
        Path | None, typer.Option(help="Folder that its relative paths start from; default that of the manifest.")
    ] = None,
    method: Annotated[
        str | None, typer.Option(help="Name of the method, if the manifest has no column method.")
    ] = None,
    metrics: Annotated[
        list[str] | None,
        typer.Option(
            help="landmarks, fid, fvd, sync, identity, descriptor, fer, faceapi; default landmarks.",
            autocompletion=completing.metrics,
        ),
    ] = None,
    beside: Annotated[
        Path | None,
        typer.Option(help="Other results of the same rows to show in the table, such as data/evaluate/facemesh."),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Folder for the results; what lies in scores/ is in the report, too.")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the intervals.")] = SEED,
) -> Answer:
    """Judge clips that any method made: single videos, or a manifest of rows for the table."""
    from cmet.judge.released import open_judge
    from cmet.scores.metrics.registry import METRICS
    from cmet.scores.other_methods import answer_table, unlike_training, video_answers
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
            raise UserError(f"score: {', '.join(given)} needs --manifest, which says what each clip should show")
        answers, remarks = video_answers(videos or [], opened), unlike_training(videos or [], opened)
        said = [answer_table(answers), "", f"Judge: {_told_judge(opened)}", *(f"note: {remark}" for remark in remarks)]
        rows = [vars(answer) | {"predicted": answer.predicted} for answer in answers]
        is_whole = all(answer.reason is None for answer in answers)
        return Answer(
            {"judge": opened.card.as_scored(), "videos": rows, "remarks": remarks},
            "\n".join(said),
            exit_code=0 if is_whole else 1,
        )
    return _score_manifest(manifest, root, method, opened, chosen, beside, out, seed)


def _score_manifest(
    manifest: Path,
    root: Path | None,
    method: str | None,
    judge: Any,
    metrics: list[str],
    beside: Path | None,
    out: Path | None,
    seed: int,
) -> Answer:
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
    said = [
        scored_table(parts),
        "",
        f"Intervals: {CONFIDENCE:.0%}, bootstrap over {scored.metrics.num_clusters} (speaker, sentence) clusters, "
        f"seed {seed}. A clip that is missing or unreadable counts as wrong.",
        f"Judge: {_told_judge(judge)}",
        *(f"note: {note}" for note in _notes(scored.metrics)),
        "",
        f"Results: {out}",
    ]
    return Answer({**vars(scored.metrics), "beside": dict(parts[1:]), "out": out}, "\n".join(said))


def _notes(metrics: "ManifestNumbers") -> list[str]:
    """What a person should know of the numbers."""
    found = []
    if metrics.num_clusters < FEW_CLUSTERS:
        found.append(f"with {metrics.num_clusters} cluster(s) the intervals say next to nothing")
    if metrics.is_one_class:
        found.append("all rows want the same emotion, so a constant answer is always right; this accuracy says nothing")
    return [
        *found,
        *metrics.remarks,
        *(f"{name} is not measured: {reason}" for name, reason in metrics.absent.items()),
    ]


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
