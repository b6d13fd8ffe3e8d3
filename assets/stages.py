"""One asset per stage of dvc.yaml. The list is read from DVC, so the two graphs cannot drift apart."""

from collections.abc import Sequence

import dagster as dg

from assets.dvc_project import DvcProject, DvcStage, asset_key
from assets.ledger import made_tags, observe, source_key, state_key
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
        deps=[
            *(asset_key(name) for name in stage.upstream),
            *(source_key(source) for source in stage.sources),
            state_key(stage.name),
        ],
        description=f"{stage.description}\n\n`dvc repro {stage.name}` does the same.",
        group_name=stage.group,
        kinds=_kinds(stage),
        pool=stage.pool,
    )
    def reproduce(context: dg.AssetExecutionContext, project: DvcProject) -> dg.MaterializeResult:
        outcome = project.reproduce(stage.name, context.log, {"DAGSTER_RUN_ID": context.run.run_id})
        # what was edited since the sensor looked must not make a fresh asset look old
        observe(context.instance, outcome.look, [stage.name])
        return dg.MaterializeResult(
            tags=made_tags(outcome.look, stage.name),
            metadata={
                **preview(stage, project.path, context.instance),
                "cached": outcome.is_cached,
                "run_time_s": round(outcome.duration_s, 1),
            },
        )

    return reproduce


def _kinds(stage: DvcStage) -> set[str]:
    """What the stage writes, and the backbone or encoder it works for."""
    return {kind for kind in (KINDS.get(stage.kind), stage.variant) if kind}
