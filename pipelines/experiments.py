"""The job `experiment`: the whole line with other parameters, beside the workspace, as an experiment of DVC.

What DVC and git have to do for it belongs in `assets`.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, get_args

import dagster as dg

from assets.dvc_project import DvcProject
from assets.experiments import experiment_copy, experiment_metadata, run_experiment
from assets.snapshots import Snapshot, take_snapshot
from cmet.errors import UserError
from cmet.params import EmotionName, ParamsError, load_params
from pipelines.forms import parameter_fields

RUN_TAG = "cmet/experiment"
"""Tag of a run of Dagster: the name of the experiment."""

NAME_FIELD = dg.Field(
    dg.String,
    is_required=False,
    description="What `dvc exp show` calls it; made of the changed parameters where it is left out.",
)
HELD_OUT = dg.StaticPartitionsDefinition(list(get_args(EmotionName)))


def experiment_jobs(root: Path) -> list[dg.JobDefinition]:
    """One experiment, and one for each emotion that is left out; both have a form of all parameters.

    Args:
        root: The project.
    """
    fields = {"name": NAME_FIELD, **parameter_fields(_present(root))}

    @dg.op(config_schema=fields, out=dg.Out(Snapshot))
    def snapshot(context: dg.OpExecutionContext, project: DvcProject) -> Snapshot:
        """Check the parameters, and keep code and files of the workspace as they are now."""
        return _snapshot(context, project.path)

    @dg.graph
    def experiment() -> None:
        line(snapshot())

    return [
        experiment.to_job(
            name="experiment",
            description="The whole line with other parameters, beside the workspace, as an experiment of DVC.",
            # without it the form begins with the name of the step
            config=dg.ConfigMapping(_of_snapshot, config_schema=fields),
        ),
        experiment.to_job(
            name="held_out_emotions",
            description="An experiment for each emotion that is left out; a backfill runs those that are chosen.",
            config=dg.PartitionedConfig(HELD_OUT, run_config_for_partition_key_fn=_leaving_out),
        ),
    ]


def _present(root: Path) -> dict[str, Any]:
    """Values of params.yaml; none where it cannot be read at this moment, and the form then tells none."""
    try:
        return load_params(root / "params.yaml").model_dump()
    except ParamsError:
        return {}


def _of_snapshot(form: Mapping[str, Any]) -> dict[str, Any]:
    return {"ops": {"snapshot": {"config": dict(form)}}}


def _leaving_out(emotion: str) -> dict[str, Any]:
    # a name in any case: it may be the one that params.yaml leaves out
    return _of_snapshot({"name": f"held_out_emotion={emotion}", "held_out_emotion": emotion})


def _snapshot(context: dg.OpExecutionContext, root: Path) -> Snapshot:
    overrides = {key: value for key, value in context.op_config.items() if value != {}}
    name = overrides.pop("name", None)
    try:
        taken = take_snapshot(root, overrides, name)
    except UserError as error:
        raise dg.Failure(str(error), allow_retries=False) from error
    context.instance.add_run_tags(context.run_id, {RUN_TAG: taken.name})
    context.add_output_metadata({"experiment": taken.name, "commit": taken.baseline, **_shown(taken.changes)})
    return taken


def _shown(changes: Mapping[str, Any]) -> dict[str, str]:
    return {key: str(value) for key, value in changes.items()}


@dg.op(pool="heavy", out=dg.Out(dg.Nothing))
def line(context: dg.OpExecutionContext, project: DvcProject, taken: Snapshot) -> None:
    """Run what the changed parameters make out of date, in a copy of the project."""
    try:
        with experiment_copy(project.path, taken) as copy:
            run_experiment(project.path, copy, taken, context.log, {"DAGSTER_RUN_ID": context.run_id})
            context.add_output_metadata(experiment_metadata(project.path, copy, taken))
    except UserError as error:
        raise dg.Failure(str(error), allow_retries=False) from error
