"""What keeps Dagster equal to DVC, and what starts the pipeline when its description changes."""

import hashlib
import json
import os
import time
from collections.abc import Iterator, Sequence
from itertools import chain, islice
from pathlib import Path

import dagster as dg

from assets.checks import check_evaluations
from assets.dvc_project import DvcProject, DvcStage, asset_key
from assets.dvc_state import PARAMS
from assets.ledger import is_told, made_tags, observe
from assets.previews import preview
from cmet.errors import UserError

WATCHED = ("params.yaml", "dvc.yaml")
LEDGERS = (*WATCHED, "dvc.lock", "versions.yaml")
FILES_WATCHED = 1000
"""Of a folder no stage writes, such as that of a corpus; beyond them only a full look sees what has changed."""

INTERVAL_S = 15
REST = 20
"""A look takes a twentieth of a core at most: after it, that many times what it has cost passes before the next."""

MAX_REST_S = 30.0
"""No longer, where a file was edited: an edit is to be seen within a minute."""

BUDGET_S = 20.0
"""Dagster ends a tick after a minute, unless it is told to wait longer as `make dev` does; what is left after this time
is told at the next tick. One stage is told at each tick, however long it takes."""

UNFINISHED = (
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
)


def dvc_watch(stages: Sequence[DvcStage]) -> dg.SensorDefinition:
    """The sensor that keeps Dagster equal to DVC."""

    @dg.sensor(name="dvc_watch", minimum_interval_seconds=INTERVAL_S, default_status=dg.DefaultSensorStatus.RUNNING)
    def watch(context: dg.SensorEvaluationContext, project: DvcProject) -> dg.SkipReason:
        """Show what DVC has, whoever made it, and what is out of date; it starts nothing."""
        before = json.loads(context.cursor or "{}")
        files = _fingerprint(project.path, stages)
        age_s, rest_s = time.time() - before.get("looked_s", 0.0), REST * before.get("cost_s", 0.0)
        is_edited = files != before.get("files")
        if before and age_s < (min(rest_s, MAX_REST_S) if is_edited else max(rest_s, MAX_REST_S)):
            return dg.SkipReason("nothing has been edited" if not is_edited else "an edit waits for the next look")
        cpu_s = time.process_time()
        try:
            said, is_whole = _tell(context.instance, project, stages)
        except UserError as error:
            # files may be edited in the middle of this, and are whole again soon
            said, is_whole = f"DVC could not be asked: {error}", True
        cost_s = time.process_time() - cpu_s
        context.update_cursor(
            json.dumps(
                {"files": files if is_whole else None, "looked_s": time.time(), "cost_s": cost_s if is_whole else 0}
            )
        )
        return dg.SkipReason(said)

    return watch


def _tell(instance: dg.DagsterInstance, project: DvcProject, stages: Sequence[DvcStage]) -> tuple[str, bool]:
    """Tell Dagster what it does not know of the project yet: what was done in words, and whether that was all."""
    # asked before, too: what a run reports in the meantime is newer than this look
    planned = _planned(instance)
    look = project.look()
    known = [stage for stage in stages if stage.name in look.states]
    observed = observe(instance, look, [stage.name for stage in known])
    planned |= _planned(instance)
    untold = [
        stage for stage in known if asset_key(stage.name) not in planned and not is_told(instance, look, stage.name)
    ]
    done: list[DvcStage] = []
    errors: list[str] = []
    end_s = time.monotonic() + BUDGET_S
    for stage in untold:
        if done and time.monotonic() > end_s:
            break
        try:
            metadata, evaluations = preview(stage, project.path, instance), check_evaluations(stage, project.path)
        except UserError as error:
            errors.append(f"{stage.name} cannot be shown: {error}")
            continue
        instance.report_runless_asset_event(
            dg.AssetMaterialization(stage.key, metadata=metadata, tags=made_tags(look, stage.name))
        )
        for evaluation in evaluations:
            instance.report_runless_asset_event(evaluation)
        done.append(stage)
    stale = sum(bool(look.out_of_date(name)) for name in look.states)
    told = f"told Dagster of {len(done)} of {len(untold)} stages and {observed} inputs; {stale} stages are out of date"
    return "; ".join([told, *errors]), len(done) + len(errors) == len(untold)


def _planned(instance: dg.DagsterInstance) -> set[dg.AssetKey]:
    """Assets that a run in progress is about to report itself."""
    planned: set[dg.AssetKey] = set()
    for run in instance.get_runs(dg.RunsFilter(statuses=list(UNFINISHED))):
        planned |= _keys(instance, run.run_id, dg.DagsterEventType.ASSET_MATERIALIZATION_PLANNED)
        planned -= _keys(instance, run.run_id, dg.DagsterEventType.ASSET_MATERIALIZATION)
    return planned


def _keys(instance: dg.DagsterInstance, run_id: str, kind: dg.DagsterEventType) -> set[dg.AssetKey]:
    """Assets of a run's events of one kind."""
    events = (
        record.event_log_entry.dagster_event for record in instance.get_records_for_run(run_id, of_type=kind).records
    )
    return {event.asset_key for event in events if event and event.asset_key}


def _fingerprint(root: Path, stages: Sequence[DvcStage]) -> str:
    """Digest of when the files that DVC goes by were written last; no file is read."""
    watched = dict.fromkeys(path for stage in stages for path in (*stage.code, *stage.sources))
    digest = hashlib.sha256()
    for name in (*LEDGERS, *(path for path in watched if not path.startswith(f"{PARAMS}:"))):
        for file in islice(chain([root / name], _below(root / name)), FILES_WATCHED):
            try:
                facts = file.stat()
            except FileNotFoundError:
                continue
            digest.update(f"{file} {facts.st_mtime_ns} {facts.st_size} {facts.st_ino}\n".encode())
    return digest.hexdigest()


def _below(folder: Path) -> Iterator[Path]:
    for path, folders, files in os.walk(folder):
        folders[:] = sorted(set(folders) - {"__pycache__"})
        yield from (Path(path, file) for file in sorted(files))


@dg.sensor(job_name="everything", minimum_interval_seconds=30, default_status=dg.DefaultSensorStatus.STOPPED)
def params_changed(context: dg.SensorEvaluationContext, project: DvcProject) -> Iterator[dg.RunRequest | dg.SkipReason]:
    """Run everything after an edit of params.yaml or dvc.yaml; stages that the edit does not touch are skipped.

    Off until it is switched on. A new backbone in params.yaml becomes an asset when the code location is reloaded.
    """
    digest = hashlib.sha256(b"".join((project.path / name).read_bytes() for name in WATCHED)).hexdigest()
    if context.cursor == digest:
        yield dg.SkipReason(f"{' and '.join(WATCHED)} have not changed")
    elif context.cursor is None:
        yield dg.SkipReason("watching from now on")
    else:
        yield dg.RunRequest(run_key=digest)
    context.update_cursor(digest)
