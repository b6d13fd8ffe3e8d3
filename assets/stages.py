"""One asset per stage of dvc.yaml. The list is read from DVC, so the two graphs cannot drift apart."""

from collections.abc import Sequence

import dagster as dg

from assets.dvc_project import DvcProject, DvcStage, asset_key
from assets.previews import preview

KINDS = {
    "sample": "video",
    "manifest": "parquet",
    "clips": "video",
    "speech": "parquet",
    "directions": "json",
    "expression": "numpy",
    "deltas": "parquet",
    "shards": "webdataset",
    "train": "pytorch",
    "judge": "pytorch",
    "edits": "video",
    "evaluate": "json",
    "report": "html",
}
"""What the stage writes; a label on the box of its asset."""


def stage_assets(stages: Sequence[DvcStage]) -> list[dg.AssetsDefinition]:
    """One asset per stage."""
    return [stage_asset(stage) for stage in stages]


def stage_asset(stage: DvcStage) -> dg.AssetsDefinition:
    """One asset that reproduces one DVC stage and shows what came out."""

    @dg.asset(
        key=stage.key,
        deps=[asset_key(name) for name in stage.upstream],
        description=f"{stage.description}\n\n`dvc repro {stage.name}` does the same.",
        group_name=stage.group,
        kinds=_kinds(stage),
        pool=stage.pool,
        code_version=stage.code_version,
    )
    def reproduce(context: dg.AssetExecutionContext, project: DvcProject) -> dg.MaterializeResult:
        outcome = project.reproduce(stage.name, context.log, {"DAGSTER_RUN_ID": context.run.run_id})
        return dg.MaterializeResult(
            data_version=dg.DataVersion(outcome.version),
            metadata={
                **preview(stage, project.path),
                "cached": outcome.is_cached,
                "run_time_s": round(outcome.duration_s, 1),
            },
        )

    return reproduce


def _kinds(stage: DvcStage) -> set[str]:
    """What the stage writes; for a variant its name too, since the graph shows only the last part of a key."""
    kinds = {KINDS[stage.kind]} if stage.kind in KINDS else set()
    return kinds | {stage.kind} if stage.variant else kinds
