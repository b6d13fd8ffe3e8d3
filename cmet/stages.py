"""The stages of the pipeline as plain functions of a project; the command line, DVC and Dagster call nothing else.

Each reads what stages to its left have written, writes its own output folder whole or not at all, shows progress,
can be killed and run again, and returns a report of counts and metrics.
"""

from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path
from shutil import rmtree
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from cmet.launching import is_first_process
from cmet.outputs import write_json
from cmet.params import Params
from cmet.project import Project

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

# The work is imported inside the functions: `cmet manifest` must not wait for torch.

KEPT_METRICS = ("delta_mse", "delta_cosine")
"""Validation metrics of the kept weights that stand beside the curves, whose last step may be of others."""

Report: TypeAlias = "DataclassInstance"
"""A frozen dataclass of counts and metrics."""


@dataclass(frozen=True)
class Stage:
    """A stage and over what it is repeated."""

    function: Callable[..., Report]
    per: Literal["project", "encoder", "backbone"]
    num_processes: Callable[[Params], int] = lambda params: 1
    """How many processes torchrun starts for it; the first one writes, tracks and reports."""

    @property
    def summary(self) -> str:
        """First line of the docstring."""
        return (self.function.__doc__ or "").splitlines()[0]


def run_stage(name: str, project: Project, variant: str | None = None) -> dict[str, Any]:
    """Run one stage and keep its report as a metrics file, which the first of several processes does for all.

    Returns:
        The report as plain values.

    Raises:
        UserError: Another process is running the stage, or what the stage itself says.
    """
    stage = STAGES[name]
    is_first = is_first_process()
    with project.only_run(name, variant) if is_first else nullcontext():
        report = asdict(stage.function(project, variant) if variant else stage.function(project))
        if is_first:
            write_json(project.metrics_file(name, variant), report)
    return report


def sample(project: Project) -> Report:
    """Make the sample corpus: rendered actors who speak with espeak-ng."""
    from cmet.corpora.sample.corpus import make_sample

    params = project.params
    return make_sample(params.sample, params.seed, project.folder("sample"), project.work("sample", params.sample, []))


def manifest(project: Project) -> Report:
    """Scan the raw corpus into one row per clip."""
    from cmet.corpora.registry import CORPORA
    from cmet.corpora.scan import write_manifest

    corpus = CORPORA[project.params.manifest.corpus]
    return write_manifest(corpus, project.corpus_root(), project.folder("manifest"))


def clips(project: Project) -> Report:
    """Prepare every clip: face crop, constant frame rate, mono sound over the same span."""
    from cmet.clips.preparation import prepare_clips

    params = project.params.clips
    rows = project.table("manifest", "manifest.parquet")
    work = project.work("clips", params, [project.folder("manifest")])
    return prepare_clips(rows, project.corpus_folder(), project.folder("clips"), work, params)


def speech(project: Project, encoder: str) -> Report:
    """Embed the sound of every clip."""
    from cmet.speech.embeddings import write_embeddings

    params = project.params.speech
    rows = project.table("clips", "clips.parquet")
    folder = project.folder("clips")
    work = project.work("speech", params, [folder / "audio", folder / "clips.parquet"], encoder)
    return write_embeddings(
        rows, folder, project.corpus_folder(), encoder, project.folder("speech", encoder), work, params
    )


def directions(project: Project) -> Report:
    """Measure how often a speech delta of an unheard speaker points to its own emotion."""
    from cmet.speech.directions import write_directions

    folders: dict[str, Path] = {
        encoder: project.written("speech", "embeddings.parquet", encoder).parent
        for encoder in project.params.speech_encoders
    }
    return write_directions(project.table("clips", "clips.parquet"), folders, project.folder("directions"))


def expression(project: Project, backbone: str) -> Report:
    """Encode the expression of every frame, after fitting the backbone where it is one that is fitted."""
    from cmet.expression.encoding import write_expression

    params, inference = project.params.expression, project.params.inference
    rows = project.table("clips", "clips.parquet")
    folder = project.folder("clips")
    work = project.work("expression", params, [folder / "video", folder / "clips.parquet"], backbone)
    held_out, out = project.params.held_out_emotion, project.folder("expression", backbone)
    return write_expression(rows, folder, backbone, held_out, out, work, params, project.weights(), inference)


def deltas(project: Project, backbone: str) -> Report:
    """Pair neutral and emotional clips and take their differences in voice and face."""
    from cmet.pairs.deltas import write_deltas

    params = project.params.deltas
    return write_deltas(
        project.folder("clips") / "clips.parquet",
        project.folder("speech", params.speech_encoder) / "embeddings.parquet",
        project.folder("expression", backbone) / "codes",
        params,
        project.params.held_out_emotion,
        project.folder("deltas", backbone),
    )


def shards(project: Project, backbone: str) -> Report:
    """Pack the pairs into WebDataset tars."""
    from cmet.shards import write_shards

    return write_shards(
        project.folder("deltas", backbone),
        project.folder("speech", project.params.deltas.speech_encoder) / "embeddings.parquet",
        project.folder("expression", backbone) / "codes",
        project.params.shards,
        project.params.seed,
        project.folder("shards", backbone),
    )


def train(project: Project, backbone: str) -> Report:
    """Train C-MET on the shards."""
    from cmet.connector.beginning import LAST, beginning_path
    from cmet.connector.processes import training_processes
    from cmet.connector.training import Untracked
    from cmet.connector.training import train as train_connector
    from cmet.tracking.runs import tracked_run

    params, shards_folder, out = project.params, project.folder("shards", backbone), project.folder("train", backbone)
    model = project.folder("expression", backbone) / "model"
    named = params.train.begin_from
    beginning = beginning_path(named, project.root, project.weights()) if named else None
    inputs = [shards_folder / "shards.json", model, *([beginning] if beginning else [])]
    with training_processes() as processes:
        facts = (params.seed, params.held_out_emotion, params.deltas.speech_encoder)
        work = processes.from_first(lambda: project.work("train", params.train, inputs, backbone, *facts))
        digests = project.digests(shards_folder, model)
        name = f"train {backbone}"
        tracking = tracked_run(name, "train", backbone, params, digests, project.root, system_metrics=True)
        with tracking if processes.is_first else nullcontext() as run:
            report = train_connector(
                shards_folder,
                out,
                params.train,
                params.seed,
                work,
                run or Untracked(),
                processes,
                backbone=backbone,
                speech_encoder=params.deltas.speech_encoder,
                held_out_emotion=params.held_out_emotion,
                backbone_model=model,
                beginning=beginning,
            )
            if run is not None:
                kept = {name: value for name, value in report.validation.items() if name in KEPT_METRICS}
                values = {"step": float(report.kept_step)} | kept
                run.log_metrics(report.kept_step, {f"kept/{name}": value for name, value in values.items()})
                for path in sorted(out.iterdir()):
                    if path.name != LAST:
                        run.log_file(path, "model")
        if processes.is_first:
            # only now: until all is tracked, a failure may ask for the checkpoint
            rmtree(work)
    return report


def judge(project: Project) -> Report:
    """Train the frame classifier that measures emotion, or take over a released one."""
    from cmet.judge.checkpoints import find_checkpoint
    from cmet.judge.released import adopt_judge
    from cmet.judge.training import train_judge

    params, clips_folder, out = project.params.judge, project.folder("clips"), project.folder("judge")
    rows = project.table("clips", "clips.parquet")
    if params.checkpoint is not None:
        checkpoint = find_checkpoint(params.checkpoint, "judge.checkpoint", project.root, project.weights())
        return adopt_judge(rows, clips_folder, out, params, checkpoint)
    beginning = None
    if params.begin_from is not None:
        beginning = find_checkpoint(params.begin_from, "judge.begin_from", project.root, project.weights())
    return train_judge(rows, clips_folder, out, params, project.params.seed, beginning)


def edits(project: Project, backbone: str) -> Report:
    """Edit the neutral clips of the test speakers by every method."""
    from cmet.connector.bundle import load_bundle
    from cmet.edits.writing import write_edits
    from cmet.speech.embeddings import read_embeddings

    params = project.params
    bundle = load_bundle(project.folder("train", backbone))
    bundle.expect(backbone=backbone, speech_encoder=params.deltas.speech_encoder)
    clips_folder, expression_folder = project.folder("clips"), project.folder("expression", backbone)
    inputs = [project.folder("train", backbone), clips_folder / "clips.parquet", expression_folder / "codes"]
    return write_edits(
        project.table("deltas", "pairs.parquet", backbone),
        project.table("clips", "clips.parquet"),
        clips_folder,
        expression_folder,
        read_embeddings(project.folder("speech", params.deltas.speech_encoder)),
        bundle,
        project.folder("edits", backbone),
        project.work("edits", params.edits, inputs, backbone),
        params.edits,
        params.seed,
        params.clips.crf,
        project.weights(),
        params.inference,
        params.held_out_emotion,
    )


def timing(project: Project, backbone: str) -> Report:
    """Time the edits of a few test rows, clip by clip."""
    from cmet.connector.bundle import load_bundle
    from cmet.edits.rows import planned_rows
    from cmet.edits.timing import time_edits
    from cmet.speech.embeddings import read_embeddings

    params = project.params
    bundle = load_bundle(project.folder("train", backbone))
    bundle.expect(backbone=backbone, speech_encoder=params.deltas.speech_encoder)
    clips_folder, expression_folder = project.folder("clips"), project.folder("expression", backbone)
    rows = project.table("clips", "clips.parquet")
    pairs = project.table("deltas", "pairs.parquet", backbone)
    return time_edits(
        planned_rows(pairs, rows, params.edits, params.held_out_emotion),
        rows,
        clips_folder,
        project.corpus_folder(),
        expression_folder,
        read_embeddings(project.folder("speech", params.deltas.speech_encoder)).index,
        bundle,
        project.folder("timing", backbone),
        params.timing,
        params.edits,
        params.inference,
        project.weights(),
        params.seed,
    )


def evaluate(project: Project, backbone: str) -> Report:
    """Judge the edited clips and measure them by every metric whose weights are here."""
    from cmet.scores.evaluate import score_edits
    from cmet.tracking.runs import Evaluated, log_evaluation

    params, out = project.params, project.folder("evaluate", backbone)
    folders = Evaluated(
        results=out,
        edits=project.folder("edits", backbone),
        clips=project.folder("clips"),
        model=project.folder("train", backbone),
        timing=project.folder("timing", backbone),
    )
    weights = project.weights()
    report = score_edits(
        folders.edits, folders.clips, project.folder("judge"), out, params.evaluate, params.seed, weights
    )
    inputs = project.digests(folders.edits, project.folder("judge"), folders.model)
    log_evaluation(backbone, params, inputs, folders, project.root)
    return report


def report(project: Project) -> Report:
    """Write the HTML page and the machine-readable summary."""
    from cmet.report.page import Scored, write_report

    params = project.params
    scored: dict[str, Scored] = {
        backbone: Scored(*(project.folder(stage, backbone) for stage in ("evaluate", "edits", "train", "timing")))
        for backbone in params.backbones
    }
    return write_report(
        scored,
        project.folder("clips"),
        project.folder("judge"),
        project.folder("directions") / "directions.json",
        project.root / "scores",
        params,
        project.folder("report"),
    )


STAGES: dict[str, Stage] = {
    "sample": Stage(sample, "project"),
    "manifest": Stage(manifest, "project"),
    "clips": Stage(clips, "project"),
    "speech": Stage(speech, "encoder"),
    "directions": Stage(directions, "project"),
    "expression": Stage(expression, "backbone"),
    "deltas": Stage(deltas, "backbone"),
    "shards": Stage(shards, "backbone"),
    "train": Stage(train, "backbone", lambda params: params.train.num_processes),
    "judge": Stage(judge, "project"),
    "edits": Stage(edits, "backbone"),
    "timing": Stage(timing, "backbone"),
    "evaluate": Stage(evaluate, "backbone"),
    "report": Stage(report, "project"),
}
"""In the order in which data moves."""
