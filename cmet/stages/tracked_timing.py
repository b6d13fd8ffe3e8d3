"""What MLflow gets of a timing: a run of its own, since seconds belong to the machine and not to the evaluation."""

from cmet.project import Project
from cmet.tracking.runs import About, tracked_run


def track_timing(project: Project, backbone: str, code: str) -> None:
    """Log the seconds per video of every method, with where they were measured."""
    places, timing = project.places, project.timing(backbone)
    inputs = places.digests(places.folder("train", backbone), places.folder("timing", backbone))
    about = About(f"timing {backbone}", "timing", backbone, project.params, inputs, code, project.root)
    with tracked_run(about, tags={"cmet.processor": timing.facts.cpu}) as run:
        run.log_metrics(0, {f"seconds_per_video/{method}": value for method, value in timing.seconds.items()})
        run.log_file(timing.file)
