"""The steps of a run: each is done once for all that it is made of."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from pathlib import Path
from typing import Any

from cmet.environment import work_digest
from cmet.params import Params, Section, declared
from cmet.places import LIMITS, Places
from cmet.stages.registry import STAGES, stage_digest
from cmet.studies import edits
from cmet.studies.record import MadeOf, RunRecord
from cmet.tracking.runs import Run


def nothing_to_tell(run: Run) -> None:
    """Leave MLflow's run as it is."""


@dataclass(frozen=True)
class Step:
    """A part of a run that is made of what its `MadeOf` names, and of nothing else."""

    name: str
    made_of: MadeOf
    output: Path
    """File or folder; without it the step is not finished."""
    record: RunRecord
    """Where finished steps are noted."""
    make: Callable[[Run], None]
    """Makes the output, and tells MLflow of it."""
    recall: Callable[[Run], None] = nothing_to_tell
    """Tells MLflow of an output that was there already: its run may be another one than then."""

    @property
    def is_finished(self) -> bool:
        """Whether the output is there and made of what it would be made of now."""
        return self.output.exists() and self.record.has(self.name, self.made_of)

    def finish(self, run: Run) -> None:
        """Make the output, unless that is finished."""
        if self.is_finished:
            self.recall(run)
            return
        with self.record.making(self.name, self.made_of):
            self.make(run)


@dataclass(frozen=True)
class Site:
    """Where the steps of a run work."""

    places: Places
    """The project's, with some stages elsewhere."""
    backbone: str
    record: RunRecord

    def folder(self, stage: str) -> Path:
        """Output of a stage."""
        return self.places.folder(stage, self.backbone)


def made_of_stage(
    stage: str, params: Params, backbone: str, inputs: Mapping[str, str], before: Step | None = None
) -> MadeOf:
    """What the output of a stage is made of: the parameters that it declares, and all the code that it reaches.

    Args:
        stage: Its name.
        params: The whole experiment.
        backbone: The backbone it works for.
        inputs: Digests of files by their path in the project.
        before: The step whose output it takes.
    """
    return MadeOf(
        params=watched(params, STAGES[stage].params),
        inputs=inputs,
        code=stage_digest(stage, backbone),
        before=None if before is None else before.made_of.digest,
    )


def edits_step(
    site: Site, params: Params, emotion: str | None, methods: Sequence[str], inputs: Mapping[str, str], before: Step
) -> Step:
    """The edits of a trained model.

    Args:
        site: Where the model lies, and where the edits go.
        params: The whole experiment; its seed draws the references.
        emotion: The rows that want it; all rows when None.
        methods: Those of the stage `edits` that are wanted.
        inputs: Digests of files by their path in the project.
        before: The training.

    Raises:
        UserError: A file of published weights is missing.
    """
    names, backbone = STAGES["edits"].params, site.backbone
    weights = edits.recipe_of(params).used_weights(backbone, site.places.weights)
    made_of = MadeOf(
        params=watched(params, names),
        inputs=inputs,
        code=work_digest(edits.__name__, (backbone,)),
        facts={"emotion": emotion, "methods": list(methods), "weights": weights},
        before=before.made_of.digest,
    )

    def make(run: Run) -> None:
        edits.edit_rows(site.places, declared(params, names), backbone, emotion, methods, made_of.digest)

    return Step("edits", made_of, site.folder("edits"), site.record, make)


def watched(params: Params, names: Sequence[str]) -> dict[str, Any]:
    """The values of sections or of single parameters (`train`, `clips.crf`) but `LIMITS`, which change no result."""
    return {name: _plain(reduce(getattr, name.split("."), params)) for name in names}


def _plain(value: Any) -> Any:
    return value.model_dump(mode="json", exclude=set(LIMITS)) if isinstance(value, Section) else value
