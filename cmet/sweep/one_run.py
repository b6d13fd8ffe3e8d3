"""One run of a sweep: a variant trained with one seed, and the test clips edited and scored.

A finished run is a folder that appears whole:

made_of.json    what it was made of; the run is used again as long as that stays the same
metrics.json    the metrics, by the names they have in MLflow; `val/` are those of the weights that were kept
model/          the trained model, without the state of its optimizer
evaluate/       what the judge said and its scores, unless only training was asked for
"""

import hashlib
import json
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from functools import cache, cached_property
from pathlib import Path
from shutil import copytree, ignore_patterns, rmtree
from typing import Any

import pandas as pd

from cmet.connector.beginning import LAST, beginning_path
from cmet.connector.bundle import CONFIG, BundleConfig, load_bundle
from cmet.connector.processes import training_processes
from cmet.connector.training import HISTORY, train
from cmet.edits.writing import lips_and_weights, write_edits
from cmet.judge.card import CARD
from cmet.outputs import content_digest, content_digest_of_source, fresh_folder, work_folder, write_json
from cmet.params import Params, Section
from cmet.project import Project
from cmet.scores.evaluate import score_edits
from cmet.scores.results import METRICS, answers, read_results
from cmet.speech.embeddings import read_embeddings
from cmet.sweep.variants import Variant
from cmet.tracking.runs import Run, evaluation_metrics, tracked_run

MADE_OF = "made_of.json"
METHOD = "cmet"
"""The only method that a variant changes."""

PACKAGE = Path(__file__).parents[1]
TRAIN_CODE = ("connector", "corpora/mead.py", "shards.py", "weights")
EDIT_CODE = (
    "backbones",
    "evaluation/edits.py",
    "evaluation/evaluate.py",
    "evaluation/intervals.py",
    "evaluation/judge",
    "evaluation/metrics",
    "evaluation/pools.py",
    "evaluation/rendering.py",
    "evaluation/results.py",
    "evaluation/rows.py",
    "evaluation/scoring.py",
    "evaluation/tables.py",
    "media/video.py",
)
"""Parts of this package that a finished run is bound to: those that dvc.yaml names for the same work, and more."""


class MadeOf(Section):
    """All that the result of a run depends on."""

    train: dict[str, Any]
    edits: dict[str, Any] | None
    """None where only training is asked for."""

    def is_part_of(self, finished: "MadeOf | None") -> bool:
        """Whether a finished run has all of this."""
        return finished is not None and self.train == finished.train and self.edits in (None, finished.edits)


@dataclass(frozen=True)
class Inputs:
    """What the runs of a sweep share: digests by path in the project."""

    train: dict[str, str]
    edits: dict[str, str]
    """Empty where only training is asked for."""

    @classmethod
    def of(cls, project: Project, backbone: str, has_edits: bool) -> "Inputs":
        """Look at what there is.

        Raises:
            UserError: Something is missing; the message says how to make it.
        """
        train = [project.places.written("shards", "shards.json", backbone).parent, _fitted(project, backbone)]
        if not has_edits:
            return cls(project.places.digests(*train), {})
        edits = [
            project.places.written("clips", "clips.parquet"),
            project.places.written("deltas", "pairs.parquet", backbone),
            project.places.written("speech", "embeddings.parquet", project.params.deltas.speech_encoder),
            project.places.written("expression", "codes", backbone),
            project.places.written("judge", CARD),
        ]
        return cls(project.places.digests(*train), project.places.digests(*edits))


@dataclass(frozen=True)
class SweepRun:
    """A variant with a seed."""

    project: Project
    backbone: str
    variant: Variant
    seed: int
    """Of the weights, dropout and samples of training; all else keeps the seed of the project."""
    out: Path
    """Folder of the finished run."""
    inputs: Inputs
    has_edits: bool
    """Whether test clips are edited and scored after training."""

    @property
    def name(self) -> str:
        """How people tell it from others."""
        return f"{self.variant.name}, seed {self.seed}"

    @property
    def params(self) -> Params:
        """The variant's parameters with this run's seed."""
        return self.variant.params.model_copy(update={"seed": self.seed})

    @property
    def is_finished(self) -> bool:
        """Whether all that is asked for is there."""
        return self.made_of.is_part_of(self._kept())

    @cached_property
    def made_of(self) -> MadeOf:
        """What the result depends on."""
        params = self.params
        train = {
            "params": params.model_dump(mode="json", include={"seed", "held_out_emotion", "deltas", "train"}),
            "inputs": self.inputs.train,
            "beginning": None if self._beginning is None else content_digest(self._beginning),
            "code": code_digest(TRAIN_CODE),
        }
        if not self.has_edits:
            return MadeOf(train=train, edits=None)
        edits = {
            "params": params.model_dump(mode="json", include={"edits", "inference", "evaluate"}),
            "crf": params.clips.crf,
            "seed": self.project.params.seed,
            "inputs": self.inputs.edits,
            "weights": lips_and_weights(self.backbone, params.edits, self.project.places.weights)[1],
            "code": code_digest(EDIT_CODE),
        }
        return MadeOf(train=train, edits=edits)

    def metrics(self) -> dict[str, float]:
        """Metrics of the finished run; those of training alone where no more was asked for."""
        metrics = json.loads((self.out / METRICS).read_text(encoding="utf-8"))
        return {name: value for name, value in metrics.items() if self.has_edits or name.startswith(("train/", "val/"))}

    def finish(self) -> None:
        """Do the run, as one MLflow run; after a kill the work goes on where it was.

        Raises:
            UserError: What training, editing or scoring says.
        """
        place = f"sweep/{self.backbone}/{self.variant.name}/seed-{self.seed}"
        work = work_folder(self.project.root / ".work", place, self.made_of, [])
        with self._tracked() as run:
            model = self._trained(run, work)
            metrics = _model_metrics(model)
            run.log_metrics(*_kept_metrics(model))
            if self.has_edits:
                metrics |= self._scored(run, model, work)
            with fresh_folder(self.out) as folder:
                copytree(model, folder / "model", ignore=ignore_patterns(LAST))
                if self.has_edits:
                    copytree(work / "evaluate", folder / "evaluate")
                write_json(folder / METRICS, metrics)
                write_json(folder / MADE_OF, self.made_of.model_dump())
                # an older run is deleted file by file: what is left of it by a kill must not pass for the whole
                (self.out / MADE_OF).unlink(missing_ok=True)
        rmtree(work)

    @property
    def _beginning(self) -> Path | None:
        named = self.params.train.begin_from
        return beginning_path(named, self.project.root, self.project.places.weights) if named else None

    def _kept(self) -> MadeOf | None:
        path = self.out / MADE_OF
        return MadeOf.model_validate_json(path.read_text(encoding="utf-8")) if path.is_file() else None

    def _tracked(self) -> AbstractContextManager[Run]:
        return tracked_run(
            f"{self.backbone} {self.variant.name} seed {self.seed}",
            "sweep",
            self.backbone,
            self.params,
            self.inputs.train | self.inputs.edits,
            self.project.root,
            tags={
                "cmet.ablation": self.variant.name,
                "cmet.seed": str(self.seed),
                "cmet.data_seed": str(self.project.params.seed),
            },
            system_metrics=True,
        )

    def _trained(self, run: Run, work: Path) -> Path:
        """Folder of the model: trained now, before a kill, or for a finished run that had other edits."""
        model, params, kept = work / "model", self.params, self._kept()
        if not model.is_dir() and kept is not None and kept.train == self.made_of.train:
            model = self.out / "model"
        if model.is_dir():
            for row in pd.read_parquet(model / HISTORY).to_dict("records"):
                run.log_metrics(row["step"], {row["metric"]: row["value"]})
            return model
        with training_processes() as processes:
            train(
                self.project.places.folder("shards", self.backbone),
                model,
                params.train,
                self.seed,
                work,
                run,
                processes,
                backbone=self.backbone,
                speech_encoder=params.deltas.speech_encoder,
                held_out_emotion=params.held_out_emotion,
                backbone_model=_fitted(self.project, self.backbone),
                beginning=self._beginning,
            )
        return model

    def _scored(self, run: Run, model: Path, work: Path) -> dict[str, float]:
        """Accuracies by name, after editing and scoring what a kill has left."""
        project, params = self.project, self.params
        edits, scores = work / "edits", work / "evaluate"
        if not edits.is_dir():
            edit_pairs(
                replace(project, params=params),
                self.backbone,
                project.pairs(self.backbone).table,
                model,
                edits,
                work / "unfinished-edits",
                project.params.seed,
                (METHOD,),
            )
        score_edits(
            edits,
            project.places.folder("clips"),
            project.places.folder("judge"),
            scores,
            params.evaluate,
            project.params.seed,
            project.places.weights,
        )
        metrics = json.loads((scores / METRICS).read_text(encoding="utf-8"))
        held_out = (metrics["held_out"] or {"methods": {}})["methods"].get(METHOD)
        values = evaluation_metrics(metrics["methods"][METHOD], held_out)
        values |= {"n_held_out": held_out["n"]} if held_out else {}
        run.log_metrics(0, values)
        run.log_file(scores / METRICS)
        rows = answers(read_results(scores)).query("method == @METHOD")
        run.log_table(rows[["row_id", "emotion", "intensity", "predicted", "correct"]], "predictions.json")
        return values


def edit_pairs(
    project: Project,
    backbone: str,
    pairs: pd.DataFrame,
    model: Path,
    out: Path,
    work: Path,
    seed: int,
    methods: Sequence[str],
) -> None:
    """Edit the neutral clips of some pairs by some methods, as the edits stage does.

    Args:
        project: Clips, codes and speech embeddings are its own; the edits are made by its parameters.
        backbone: One of the project's.
        pairs: Rows of `pairs.parquet`.
        model: The trained bundle.
        out: Gets the edits.
        work: Keeps finished clips over an interruption.
        seed: Draws the references.
        methods: Those that are wanted.

    Raises:
        UserError: What `write_edits` says.
    """
    params = project.params
    write_edits(
        pairs,
        project.clips().table,
        project.places.folder("clips"),
        project.places.folder("expression", backbone),
        read_embeddings(project.places.folder("speech", params.deltas.speech_encoder)),
        load_bundle(model),
        out,
        work,
        params.edits,
        seed,
        params.clips.crf,
        project.places.weights,
        params.inference,
        params.held_out_emotion,
        methods=methods,
    )


def _fitted(project: Project, backbone: str) -> Path:
    """What the backbone was fitted to."""
    return project.places.written("expression", "model", backbone)


def _model_metrics(model: Path) -> dict[str, float]:
    """Losses of the last step, validation metrics of the step whose weights were kept."""
    history = pd.read_parquet(model / HISTORY)
    is_kept = (history["step"] == _kept_step(model)) & history["metric"].str.startswith("val/")
    is_last = (history["step"] == history["step"].max()) & history["metric"].str.startswith("train/")
    rows = history[is_kept | is_last]
    return {name: float(value) for name, value in zip(rows["metric"], rows["value"], strict=True)}


def _kept_metrics(model: Path) -> tuple[int, dict[str, float]]:
    """Step of the kept weights, and its headline metrics under names of their own: `val/` goes on to the last step."""
    metrics, step = _model_metrics(model), _kept_step(model)
    kept = {
        f"kept/{name}": metrics[f"val/{name}"] for name in ("delta_mse", "delta_cosine") if f"val/{name}" in metrics
    }
    return step, kept | {"kept/step": step}


def _kept_step(model: Path) -> int:
    return BundleConfig.model_validate_json((model / CONFIG).read_text(encoding="utf-8")).step


@cache
def code_digest(parts: tuple[str, ...]) -> str:
    """SHA-256 over parts of this package."""
    digest = hashlib.sha256()
    for part in parts:
        path = PACKAGE / part
        digest.update((content_digest_of_source(path) if path.is_dir() else content_digest(path)).encode())
    return digest.hexdigest()
