"""A fold, an emotion that is left out of all that is fitted or trained, and one run of it, a seed of training.

<emotion>/                      or `seen`, where nothing is left out
    made_of.json                what each of these was made of; it is used again as long as that stays the same
    expression/ deltas/ shards/ the stages that depend on the emotion; the first only where a backbone is fitted
    seed-<n>/
        made_of.json            likewise
        train/ edits/           the stages; the edits are those of the emotion, of all of them where nothing is out
        answers.parquet         what the judge says of every edit
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import pandas as pd

from cmet.edits.product import Edits
from cmet.environment import work_digest
from cmet.outputs import fresh_file
from cmet.params import declared
from cmet.project import Project
from cmet.stages.registry import STAGES, run_stage
from cmet.studies import answers, refit
from cmet.studies.record import MadeOf, RunRecord
from cmet.studies.runner import Study, StudyRun, fitting_judge
from cmet.studies.steps import Site, Step, edits_step, made_of_stage, watched
from cmet.studies.variants import SEEN, Variant
from cmet.tracking.runs import Run

EDITED_METHODS = ("reference", "cmet", "oracle")
"""What is edited; the clips as they are do not depend on the fold."""

ANSWERS = "answers.parquet"


@dataclass(frozen=True)
class FoldInputs:
    """What all folds share: digests by path in the project."""

    data: Mapping[str, str]
    judge: Mapping[str, str]

    @classmethod
    def of(cls, project: Project, backbone: str) -> "FoldInputs":
        """Look at what there is.

        Raises:
            UserError: Something is missing; the message says how to make it.
        """
        digests, faces = project.places.digests, project.faces(backbone)
        data = [project.clips().path, project.voices().path, faces.all_tracks]
        if not refit.is_fitted(backbone):
            data += [faces.all_codes, faces.model]
        return cls(digests(*data), digests(fitting_judge(project).folder))


@dataclass(frozen=True)
class Fold:
    """An emotion that is left out, or none."""

    study: Study
    variant: Variant
    inputs: FoldInputs

    @property
    def emotion(self) -> str | None:
        """What is left out."""
        return self.variant.params.held_out_emotion

    @cached_property
    def data(self) -> Project:
        """The project with the stages between tracks and training in this fold."""
        study, name = self.study, self.variant.name
        stages = ("expression", "deltas", "shards") if refit.is_fitted(study.backbone) else ("deltas", "shards")
        fold = replace(study.project, params=self.variant.params)
        return fold.with_stages_in(study.folder(name), stages, study.backbone, study.work_name(name))

    @cached_property
    def steps(self) -> list[Step]:
        """The data of the fold, which all its seeds share."""
        backbone, params, inputs = self.study.backbone, self.variant.params, self.inputs.data
        site = Site(self.data.places, backbone, RunRecord(self.study.folder(self.variant.name)))
        steps: list[Step] = []
        if refit.is_fitted(backbone):
            made_of = MadeOf(
                params=watched(params, STAGES["expression"].params),
                inputs=inputs,
                code=work_digest(refit.__name__, (backbone,)),
            )
            steps.append(Step("expression", made_of, site.folder("expression"), site.record, self._refit))
        for stage in ("deltas", "shards"):
            made_of = made_of_stage(stage, params, backbone, inputs, steps[-1] if steps else None)
            steps.append(Step(stage, made_of, site.folder(stage), site.record, self._made_by(stage)))
        return steps

    def _refit(self, run: Run) -> None:
        project, backbone = self.study.project, self.study.backbone
        params = declared(self.variant.params, STAGES["expression"].params)
        out = self.data.places.folder("expression", backbone)
        refit.refit_faces(project.clips(), project.faces(backbone), params, backbone, project.places.weights, out)

    def _made_by(self, stage: str) -> Callable[[Run], None]:
        def make(run: Run) -> None:
            run_stage(stage, self.data, self.study.backbone)

        return make


@dataclass(frozen=True)
class FoldRun:
    """A fold that is trained with one seed, and its edits judged.

    References are drawn, and speech is pooled, for the rows of the fold: where all test speakers have all emotions, the
    speech of a row is the same in every fold, but not its reference.
    """

    fold: Fold
    seed: int

    @property
    def out(self) -> Path:
        """Its folder."""
        return self.fold.study.folder(self.fold.variant.name, self.seed)

    @cached_property
    def project(self) -> Project:
        """The project of the fold with the stages from training on in this run."""
        fold, study = self.fold.data, self.fold.study
        seeded = replace(fold, params=fold.params.model_copy(update={"seed": self.seed}))
        name = study.work_name(self.fold.variant.name, self.seed)
        return seeded.with_stages_in(self.out, ("train", "edits"), study.backbone, name)

    @cached_property
    def run(self) -> StudyRun:
        """What there is to do."""
        fold = self.fold
        name = f"{f'without {fold.emotion}' if fold.emotion else SEEN}, seed {self.seed}"
        tags = {"cmet.fold": fold.variant.name, "cmet.held_out_emotion": fold.emotion or "none"}
        return StudyRun(
            fold.study,
            name=name,
            title=name,
            params=self.project.params,
            inputs={**fold.inputs.data, **fold.inputs.judge},
            tags=tags | fold.study.tags(self.seed),
            steps=[*fold.steps, *self._steps()],
            is_sampled=False,
        )

    def answers(self) -> pd.DataFrame:
        """What the judge said, with the columns `fold` and `seed`."""
        rows = pd.read_parquet(self.out / ANSWERS)
        return rows.assign(fold=self.fold.variant.name, seed=self.seed)

    @property
    def _site(self) -> Site:
        return Site(self.project.places, self.fold.study.backbone, RunRecord(self.out))

    def _steps(self) -> list[Step]:
        site, fold = self._site, self.fold
        made_of = made_of_stage("train", self.project.params, site.backbone, {}, fold.steps[-1])
        trained = Step("train", made_of, site.folder("train"), site.record, self._train)
        # all it takes is watched with the data, but for the seed: that of the project, for the references
        edited = edits_step(site, fold.variant.params, fold.emotion, EDITED_METHODS, {}, trained)
        made_of = MadeOf(
            {}, fold.inputs.judge, work_digest(answers.__name__, (site.backbone,)), {}, edited.made_of.digest
        )
        return [trained, edited, Step("answers", made_of, self.out / ANSWERS, site.record, self._judge)]

    def _train(self, run: Run) -> None:
        run_stage("train", self.project, self.fold.study.backbone)

    def _judge(self, run: Run) -> None:
        edits, emotion = Edits(self._site.folder("edits")), self.fold.emotion
        rows = answers.judge_edits(edits, self.project.judge(), emotion)
        with fresh_file(self.out / ANSWERS) as unfinished:
            rows.to_parquet(unfinished, index=False)
        run.log_metrics(0, accuracies(rows, "acc_emo_held_out" if emotion else "acc_emo"))
        run.log_table(rows[["row_id", "method", "target", "intensity", "predicted", "correct"]], "answers.json")


def accuracies(answers: pd.DataFrame, name: str) -> dict[str, float]:
    """Accuracies under names that are the same for all folds; those of methods besides `cmet` begin with the method."""
    values = {"n": float(answers["row_id"].nunique())}
    for method, rows in answers.groupby("method"):
        prefix = "" if method == "cmet" else f"{method}/"
        values[f"{prefix}{name}"] = float(rows["correct"].mean())
        if rows["target"].nunique() > 1:
            means = rows.groupby("target")["correct"].mean()
            values |= {f"{prefix}{name}/{emotion}": float(share) for emotion, share in means.items()}
    return values


def emotions_of(pairs: pd.DataFrame, known: Sequence[str]) -> list[str]:
    """The emotions that training and test speakers have pairs of, in the order of `known`."""
    trained, tested = (set(pairs.loc[pairs["split"] == split, "emotion"]) for split in ("train", "test"))
    return [emotion for emotion in known if emotion in trained & tested]
