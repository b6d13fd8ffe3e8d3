"""Starting the pipeline when its description changes."""

import hashlib
from collections.abc import Iterator

import dagster as dg

from assets.dvc_project import DvcProject

WATCHED = ("params.yaml", "dvc.yaml")


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
