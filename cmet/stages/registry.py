"""All stages, and the one way to run one: the command line, DVC, Dagster and studies call nothing else."""

import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from cmet.closure import PACKAGE, changed_code
from cmet.environment import work_digest
from cmet.errors import UserError
from cmet.launching import is_first_process, is_restartable
from cmet.outputs import published_after, write_json
from cmet.params import EVERYTHING, ClipForm, Params, SpeechForm, declared
from cmet.places import LOCK_WAIT_S, Places
from cmet.project import Project
from cmet.stages.clips import clips
from cmet.stages.deltas import deltas
from cmet.stages.directions import directions
from cmet.stages.edits import edits
from cmet.stages.evaluate import evaluate
from cmet.stages.expression import expression
from cmet.stages.judge import judge
from cmet.stages.manifest import manifest
from cmet.stages.report import report
from cmet.stages.sample import sample
from cmet.stages.shards import shards
from cmet.stages.speech import speech
from cmet.stages.started_with import StartedWith, words_of
from cmet.stages.timing import timing
from cmet.stages.train import train
from cmet.weights.registry import FOLDER_VARIABLE

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

StageReport: TypeAlias = "DataclassInstance"
"""A frozen dataclass of counts and metrics."""


LEASE_S = 120.0
"""How long the first process, started again elsewhere, waits for its lock: servers of shared disks keep the locks of a
lost machine for a while, 90 s with Linux."""

VARIANT = "<variant>"
"""Stands for the name of the backbone or encoder."""


@dataclass(frozen=True)
class Stage:
    """A stage, over what it is repeated, and which parameters it reads."""

    function: Callable[..., StageReport]
    per: Literal["project", "encoder", "backbone"]
    params: tuple[str, ...]
    """Sections or values with dots; a test holds dvc.yaml to them."""
    weights: tuple[str, ...] = ()
    """Folders among the weights that it reads, `VARIANT` for the backbone's; a test holds dvc.yaml to them."""
    num_shares: Callable[[Params], int] = lambda params: 1
    """Equal parts that it can be cut into; of several processes, the first one writes, tracks and reports."""

    @property
    def summary(self) -> str:
        """First line of the docstring."""
        return (self.function.__doc__ or "").splitlines()[0]

    def weights_of(self, variant: str | None) -> list[str]:
        """Folders among the weights that it reads for one backbone or encoder."""
        return [variant if home == VARIANT and variant is not None else home for home in self.weights]

    @property
    def module(self) -> str:
        """Where its code begins."""
        return self.function.__module__


def run_stage(
    name: str, project: Project, variant: str | None = None, started: StartedWith | None = None
) -> dict[str, Any]:
    """Run one stage and keep its report as a metrics file, which the first of several processes does for all.

    Args:
        name: The stage.
        project: Where it works.
        variant: The backbone or encoder it works for.
        started: The parameter file that the project was read from, where DVC will read it again afterwards: nothing is
            published once parameters or code of the stage are others.

    Returns:
        The report as plain values.

    Raises:
        UserError: Another process is running the stage, its parameters or code were changed meanwhile, or what the
            stage itself says.
    """
    stage, is_first = STAGES[name], is_first_process()
    places = replace(project.places, code=stage_digest(name, variant))
    variants = [] if variant is None else [variant]
    with ExitStack() as stack:
        tracking: dict[str, Any] = {}
        if is_first:
            patience_s = LEASE_S if is_restartable() else LOCK_WAIT_S
            stack.enter_context(places.only_run(name, variant, patience_s))
            _tell_of_unread_weights(places, stage.weights_of(variant))
            tracking = stack.enter_context(_tracked(name, project, variant))

            def look() -> None:
                if started is not None:
                    _refuse_changed(started, name, variant, places)
                # old counts never stand beside a new output, whenever a kill comes
                places.metrics_file(name, variant).unlink(missing_ok=True)

            stack.enter_context(published_after(look, places.folder(name, variant)))
        report = asdict(stage.function(places, declared(project.params, stage.params), *variants, **tracking))
        if is_first:
            write_json(places.metrics_file(name, variant), report)
    return report


def stage_digest(name: str, variant: str | None = None) -> str:
    """Digest of all code that a stage reaches for one backbone or encoder, and of its libraries' versions."""
    return work_digest(STAGES[name].module, () if variant is None else (variant,))


def _refuse_changed(started: StartedWith, name: str, variant: str | None, places: Places) -> None:
    step = f"{name}@{variant}" if variant else name
    changes = started.changes(step, STAGES[name].params)
    code = changed_code(STAGES[name].module, () if variant is None else (variant,))
    changes += [f"{file.relative_to(PACKAGE.parent)} was edited" for file in code]
    if not changes:
        return
    back = (
        "what is done is kept, so set it back to have it at once" if places.has_work(name, variant) else "set it back"
    )
    raise UserError(
        f"{step}: not published, since what it ran with has changed meanwhile ({words_of(changes)}); {back}, or leave "
        "it, and run the stage again"
    )


def _tell_of_unread_weights(places: Places, homes: Sequence[str]) -> None:
    """Say so if the variable names weights that the stage would read, were they where params.yaml says."""
    named = os.environ.get(FOLDER_VARIABLE)
    if not named or os.path.realpath(named) == os.path.realpath(places.weights):
        return
    unread = [
        f"{home}/{path.name}" for home in homes for path in Path(named, home).glob("[!.]*") if path.name != "README.md"
    ]
    if unread:
        print(
            f"{FOLDER_VARIABLE} names {named}, which holds {', '.join(sorted(unread))}, but stages read "
            f"{places.weights}, which DVC watches; to use those files, set weights: {named} in params.yaml",
            file=sys.stderr,
        )


@contextmanager
def _tracked(name: str, project: Project, variant: str | None) -> Iterator[dict[str, Any]]:
    """A block in which a stage that is tracked gets what it needs for that, and whose result is tracked at its end."""
    if name == "train":
        from cmet.stages.tracked_training import tracked_training

        assert variant is not None
        with tracked_training(project, variant, stage_digest(name, variant)) as run:
            yield {"tracker": run}
    else:
        if name in ("timing", "evaluate"):
            from cmet.tracking.store import open_store

            # a store that is not there is told before the work, not after it
            open_store(project.root)
        yield {}
        if name == "evaluate":
            from cmet.stages.tracked import track_evaluation

            assert variant is not None
            track_evaluation(project, variant, stage_digest(name, variant))
        elif name == "timing":
            from cmet.stages.tracked_timing import track_timing

            assert variant is not None
            track_timing(project, variant, stage_digest(name, variant))


FORM = tuple(f"clips.{name}" for name in ClipForm.model_fields)
"""What a model and a judge say of the clips that they were trained on."""

HEARD = ("deltas.speech_encoder", *(f"speech.{name}" for name in SpeechForm.model_fields))
"""What a model says of the speech that it was trained on."""

STAGES: dict[str, Stage] = {
    "sample": Stage(sample, "project", ("seed", "sample")),
    "manifest": Stage(manifest, "project", ("manifest",)),
    "clips": Stage(clips, "project", ("clips",)),
    "speech": Stage(speech, "encoder", ("speech",), weights=("speech",)),
    "directions": Stage(directions, "project", ("speech_encoders",)),
    "expression": Stage(expression, "backbone", ("expression", "held_out_emotion", "inference"), weights=(VARIANT,)),
    "deltas": Stage(deltas, "backbone", ("deltas", "held_out_emotion")),
    "shards": Stage(shards, "backbone", ("deltas.speech_encoder", "seed", "shards")),
    "train": Stage(
        train,
        "backbone",
        (*FORM, *HEARD, "held_out_emotion", "seed", "train"),
        weights=("connector",),
        num_shares=lambda params: params.train.batch_size,
    ),
    "judge": Stage(judge, "project", (*FORM, "judge", "seed"), weights=("judge",)),
    "edits": Stage(
        edits,
        "backbone",
        ("clips.crf", *FORM, *HEARD, "edits", "held_out_emotion", "inference", "seed"),
        weights=(VARIANT,),
    ),
    "timing": Stage(
        timing,
        "backbone",
        ("clips.crf", *FORM, *HEARD, "edits", "held_out_emotion", "inference", "seed", "timing"),
        weights=(VARIANT, "speech"),
    ),
    "evaluate": Stage(evaluate, "backbone", (*FORM, "evaluate", "seed"), weights=("metrics",)),
    # the page shows all of them
    "report": Stage(report, "project", (EVERYTHING,)),
}
"""In the order in which data moves."""
