"""What Dagster loads: `dagster dev -w workspace.yaml`."""

from pathlib import Path

import dagster as dg

from assets.checks import stage_checks
from assets.dvc_project import DvcProject
from assets.ledger import sources_observed
from assets.stages import stage_assets
from pipelines.experiments import experiment_jobs
from pipelines.sensors import dvc_watch, params_changed
from pipelines.studies import study_job

project = DvcProject(root=str(Path(__file__).resolve().parents[1]))
stages = project.stages()

everything = dg.define_asset_job("everything", dg.AssetSelection.all(), description="All stages, as `dvc repro` does.")
groups = [
    dg.define_asset_job(
        name, dg.AssetSelection.groups(name), description="One group of stages, on what the others last wrote."
    )
    for name in dict.fromkeys(stage.group for stage in stages)
]

defs = dg.Definitions(
    assets=[*stage_assets(stages), sources_observed(stages)],
    asset_checks=stage_checks(stages),
    jobs=[everything, *groups, *experiment_jobs(project.path), study_job(project.path)],
    sensors=[dvc_watch(stages), params_changed],
    resources={"project": project},
    # a stage is a process of its own and most fill the machine; a second process per step would cost three seconds each
    executor=dg.in_process_executor,
)
