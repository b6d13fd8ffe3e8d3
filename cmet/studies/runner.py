"""Going through the runs of a study: a seed of all variants, then the next."""

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Literal

from cmet.errors import UserError
from cmet.judge.product import JudgeFolder
from cmet.params import ClipForm, Params
from cmet.project import Project
from cmet.studies.steps import Step
from cmet.tracking.runs import About, runs_below, tracked_run


@dataclass(frozen=True)
class Study:
    """Variants of a project's experiment, each trained with several seeds."""

    command: Literal["sweep", "unseen"]
    """Names it on the command line, in MLflow and among unfinished work."""
    project: Project
    """What all runs share is its own."""
    backbone: str
    """One of the project's."""
    seeds: Sequence[int]
    """Of weights, dropout and samples of training; all else keeps the seed of the project."""
    out: Path
    """Gets a folder per backbone, with a folder per variant, with a folder per seed."""

    def __post_init__(self) -> None:
        """Refuse a seed that comes twice.

        Raises:
            UserError: One does.
        """
        if len(set(self.seeds)) < len(self.seeds):
            raise UserError(f"--seeds {' '.join(map(str, self.seeds))}: a seed is named twice; name it once")

    def alone(self) -> AbstractContextManager[None]:
        """A block in which no other process works at the same kind of study."""
        return self.project.places.only_run(self.command)

    @property
    def results(self) -> Path:
        """Where the tables lie, beside the folders of the variants."""
        return self.out / self.backbone

    def folder(self, variant: str, seed: int | None = None) -> Path:
        """The folder of a variant, or of its run with a seed."""
        return self.results / _below(variant, seed)

    def work_name(self, variant: str, seed: int | None = None) -> str:
        """Where unfinished work of a variant or a run waits (`Places.with_stages_in`)."""
        return f"{self.command}/{self.backbone}/{_below(variant, seed)}"

    def tags(self, seed: int) -> dict[str, str]:
        """What runs of MLflow are found by."""
        return {"cmet.seed": str(seed), "cmet.data_seed": str(self.project.params.seed)}


def _below(variant: str, seed: int | None) -> str:
    return variant if seed is None else f"{variant}/seed-{seed}"


@dataclass(frozen=True)
class StudyRun:
    """A variant trained with one seed."""

    study: Study
    name: str
    """How people tell it from others."""
    title: str
    """Its name in MLflow, after the backbone's."""
    params: Params
    """The variant's, with the seed of the run."""
    inputs: Mapping[str, str]
    """Digests of what all runs share, by path in the project."""
    tags: Mapping[str, str]
    steps: Sequence[Step]
    """In their order; each takes the result of the one before."""
    is_sampled: bool
    """Whether the use of the machine is sampled; where the training has an MLflow run of its own, that one does it."""

    @property
    def is_finished(self) -> bool:
        """Whether the last step is: it depends on all others."""
        return self.steps[-1].is_finished

    def finish(self) -> None:
        """Do all steps that are not finished, as one MLflow run; after a kill the work goes on where it was.

        Raises:
            UserError: What the stages say.
        """
        study = self.study
        code = sha256("".join(step.made_of.code for step in self.steps).encode()).hexdigest()
        title = f"{study.backbone} {self.title}"
        about = About(title, study.command, study.backbone, self.params, self.inputs, code, study.project.root)
        with (
            tracked_run(about, tags=self.tags, system_metrics=self.is_sampled) as run,
            runs_below(run, self.tags),
        ):
            for step in self.steps:
                step.finish(run)


def fitting_judge(project: Project) -> JudgeFolder:
    """Who names the emotions of all edits, looked at before anything is trained.

    Raises:
        UserError: There is no judge, another version of this program made it, or its clips are not like the project's.
    """
    judge = project.judge()
    judge.card.expect_made_of(ClipForm.of(project.params.clips), judge.folder)
    return judge


def finish_all(runs: Sequence[StudyRun], noun: str) -> None:
    """Finish the runs one after the other; `noun` names one in the lines that tell how far it has come."""
    for number, run in enumerate(runs, 1):
        is_finished = run.is_finished
        told = f"{run.study.command}: {noun} {number} of {len(runs)}: {run.name}"
        print(f"{told}, already done" if is_finished else told, flush=True)
        if not is_finished:
            run.finish()
