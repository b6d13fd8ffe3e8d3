"""One fold, an emotion that is left out of all that is fitted or trained, and one run of it, a seed of training.

<emotion>/                      or `seen`, where nothing is left out
    made_of.json                what the data of the fold was made of
    expression/ deltas/ shards/ the stages that depend on the emotion; the first only where a backbone is fitted
    seed-<n>/
        made_of.json            what each step was made of; a step is used again as long as that stays the same
        train/ edits/           the stages; the edits are those of the emotion, of all of them where nothing is out
        answers.parquet         what the judge says of every edit
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd

from cmet.edits.writing import lips_and_weights
from cmet.judge.card import CARD
from cmet.outputs import fresh_file
from cmet.params import Params, parse_params
from cmet.project import Project
from cmet.stages.registry import run_stage
from cmet.sweep.one_run import EDIT_CODE, TRAIN_CODE, code_digest, edit_pairs
from cmet.tracking.runs import Run, runs_below, tracked_run
from cmet.unseen.answers import judge_edits
from cmet.unseen.record import MadeOf, Record, digest_of
from cmet.unseen.refit import is_fitted, refit_expression

SEEN = "seen"
"""The fold in which nothing is left out."""

METHODS = ("reference", "cmet", "oracle")
"""What is edited; the clips as they are do not depend on the fold."""

ANSWERS = "answers.parquet"
DATA_CODE = ("backbones", "deltas.py", "shards.py", "speech/scaling.py", "unseen/refit.py")
ANSWER_CODE = ("unseen/answers.py",)
"""Parts of this package that data and answers are bound to; edits and training are as those of a sweep."""


@dataclass(frozen=True)
class Inputs:
    """What all folds share: digests by path in the project."""

    data: dict[str, str]
    judge: dict[str, str]

    @classmethod
    def of(cls, project: Project, backbone: str) -> "Inputs":
        """Look at what there is.

        Raises:
            UserError: Something is missing; the message says how to make it.
        """
        data = [
            project.places.written("clips", "clips.parquet"),
            project.places.written("speech", "embeddings.parquet", project.params.deltas.speech_encoder),
            project.places.written("expression", "tracks", backbone),
        ]
        if not is_fitted(backbone):
            data += [project.places.written("expression", name, backbone) for name in ("codes", "model")]
        return cls(project.places.digests(*data), project.places.digests(project.places.written("judge", CARD).parent))


@dataclass(frozen=True)
class Fold:
    """An emotion that is left out, or none."""

    project: Project
    """Clips, speech, tracks and judge are its own."""
    backbone: str
    emotion: str | None
    out: Path
    inputs: Inputs

    @property
    def name(self) -> str:
        """The emotion, or `SEEN`."""
        return self.emotion or SEEN

    @cached_property
    def data(self) -> Project:
        """The project with the stages between tracks and training in this fold.

        Raises:
            ParamsError: The experiment does not allow the emotion to be left out.
        """
        values = self.project.params.model_dump() | {"held_out_emotion": self.emotion}
        params = parse_params(values, f"the experiment without {self.emotion}")
        stages = ("expression", "deltas", "shards") if is_fitted(self.backbone) else ("deltas", "shards")
        fold = replace(self.project, params=params)
        return fold.with_stages_in(self.out, stages, self.backbone, f"unseen/{self.backbone}/{self.name}")

    @cached_property
    def made_of(self) -> MadeOf:
        """What the data depends on."""
        sections = {"seed", "held_out_emotion", "expression", "deltas", "shards"}
        return {
            "params": self.data.params.model_dump(mode="json", include=sections),
            "inputs": self.inputs.data,
            "code": code_digest(DATA_CODE),
        }

    def make_data(self) -> None:
        """Fit the backbone and pack the pairs without the emotion, unless that is there.

        Raises:
            UserError: What fitting, pairing or packing says.
        """
        record = Record(self.out)
        if record.has("data", self.made_of) and self.data.folder("shards", self.backbone).is_dir():
            return
        with record.making("data", self.made_of):
            if is_fitted(self.backbone):
                refit_expression(
                    self.project, self.emotion, self.backbone, self.data.folder("expression", self.backbone)
                )
            for stage in ("deltas", "shards"):
                run_stage(stage, self.data, self.backbone)


@dataclass(frozen=True)
class FoldRun:
    """A fold that is trained with one seed, and its edits judged.

    References are drawn, and speech is pooled, for the rows of the fold: where all test speakers have all emotions, the
    speech of a row is the same in every fold, but not its reference.
    """

    fold: Fold
    seed: int
    """Of the weights, dropout and samples of training; all else keeps the seed of the project."""

    @property
    def name(self) -> str:
        """How people tell it from others."""
        return f"{f'without {self.fold.emotion}' if self.fold.emotion else SEEN}, seed {self.seed}"

    @property
    def out(self) -> Path:
        """Its folder."""
        return self.fold.out / f"seed-{self.seed}"

    @cached_property
    def project(self) -> Project:
        """The project of the fold with the stages from training on in this run."""
        fold, name = self.fold.data, f"unseen/{self.fold.backbone}/{self.fold.name}/seed-{self.seed}"
        seeded = replace(fold, params=fold.params.model_copy(update={"seed": self.seed}))
        return seeded.with_stages_in(self.out, ("train", "edits"), self.fold.backbone, name)

    @property
    def is_finished(self) -> bool:
        """Whether the answers are there and made of what they would be made of now."""
        return self._record.has("answers", self._answers_made_of) and (self.out / ANSWERS).is_file()

    def answers(self) -> pd.DataFrame:
        """What the judge said, with the columns `fold` and `seed`."""
        rows = pd.read_parquet(self.out / ANSWERS)
        return rows.assign(fold=self.fold.name, seed=self.seed)

    def finish(self) -> None:
        """Do all steps that are not finished, as one MLflow run; after a kill the work goes on where it was.

        Raises:
            UserError: What fitting, training, editing or judging says.
        """
        self.fold.make_data()
        tags = {
            "cmet.fold": self.fold.name,
            "cmet.held_out_emotion": self.fold.emotion or "none",
            "cmet.seed": str(self.seed),
            "cmet.data_seed": str(self.fold.project.params.seed),
        }
        project, backbone = self.project, self.fold.backbone
        inputs, name = self.fold.inputs.data | self.fold.inputs.judge, f"{backbone} {self.name}"
        with tracked_run(name, "unseen", backbone, project.params, inputs, project.root, tags=tags) as run:
            with runs_below(run, tags):
                self._train()
            self._edit()
            self._judge()
            self._log(run)

    @property
    def _params(self) -> Params:
        return self.project.params

    @property
    def _record(self) -> Record:
        return Record(self.out)

    @cached_property
    def _train_made_of(self) -> MadeOf:
        return {
            "data": digest_of(self.fold.made_of),
            "params": self._params.model_dump(mode="json", include={"seed", "train"}),
            "code": code_digest(TRAIN_CODE),
        }

    @cached_property
    def _edits_made_of(self) -> MadeOf:
        return {
            "train": digest_of(self._train_made_of),
            "params": self._params.model_dump(mode="json", include={"edits", "inference"}),
            "crf": self._params.clips.crf,
            "seed": self.fold.project.params.seed,
            "methods": METHODS,
            "weights": lips_and_weights(self.fold.backbone, self._params.edits, self.project.places.weights)[1],
            "code": code_digest(EDIT_CODE),
        }

    @cached_property
    def _answers_made_of(self) -> MadeOf:
        return {
            "edits": digest_of(self._edits_made_of),
            "judge": self.fold.inputs.judge,
            "code": code_digest(ANSWER_CODE),
        }

    def _train(self) -> None:
        if self._record.has("train", self._train_made_of) and self._folder("train").is_dir():
            return
        with self._record.making("train", self._train_made_of):
            run_stage("train", self.project, self.fold.backbone)

    def _edit(self) -> None:
        if self._record.has("edits", self._edits_made_of) and self._folder("edits").is_dir():
            return
        backbone = self.fold.backbone
        pairs = self.project.pairs(backbone).table
        model, codes = self._folder("train"), self.project.places.folder("expression", backbone) / "codes"
        inputs = [model, codes, self.project.places.folder("clips") / "clips.parquet"]
        work = self.project.places.work("edits", self._params.edits, inputs, backbone)
        with self._record.making("edits", self._edits_made_of):
            edit_pairs(
                self.project,
                backbone,
                pairs[pairs["emotion"] == self.fold.emotion] if self.fold.emotion else pairs,
                model,
                self._folder("edits"),
                work,
                self.fold.project.params.seed,
                METHODS,
            )

    def _judge(self) -> None:
        with self._record.making("answers", self._answers_made_of):
            answers = judge_edits(self._folder("edits"), self.project.places.folder("judge"), self.fold.emotion)
            with fresh_file(self.out / ANSWERS) as unfinished:
                answers.to_parquet(unfinished, index=False)

    def _log(self, run: Run) -> None:
        answers = pd.read_parquet(self.out / ANSWERS)
        run.log_metrics(0, accuracies(answers, "acc_emo_held_out" if self.fold.emotion else "acc_emo"))
        run.log_table(answers[["row_id", "method", "target", "intensity", "predicted", "correct"]], "answers.json")

    def _folder(self, stage: str) -> Path:
        return self.project.places.folder(stage, self.fold.backbone)


def accuracies(answers: pd.DataFrame, name: str) -> dict[str, float]:
    """Accuracies under names that are the same for all folds; those of methods besides `cmet` begin with the method."""
    values: dict[str, Any] = {"n": answers["row_id"].nunique()}
    for method, rows in answers.groupby("method"):
        prefix = "" if method == "cmet" else f"{method}/"
        values[f"{prefix}{name}"] = rows["correct"].mean()
        if rows["target"].nunique() > 1:
            means = rows.groupby("target")["correct"].mean()
            values |= {f"{prefix}{name}/{emotion}": share for emotion, share in means.items()}
    return {key: float(value) for key, value in values.items()}


def emotions_of(pairs: pd.DataFrame, known: Sequence[str]) -> list[str]:
    """The emotions that training and test speakers have pairs of, in the order of `known`."""
    trained, tested = (set(pairs.loc[pairs["split"] == split, "emotion"]) for split in ("train", "test"))
    return [emotion for emotion in known if emotion in trained & tested]
