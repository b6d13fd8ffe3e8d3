"""The MLflow run of a training, which waits for no library of figures."""

from collections.abc import Iterator
from contextlib import contextmanager

from cmet.project import Project
from cmet.tracking.runs import About, Run, tracked_run


@contextmanager
def tracked_training(project: Project, backbone: str, code: str) -> Iterator[Run]:
    """The run of a training."""
    places = project.places
    inputs = places.digests(places.folder("shards", backbone), project.faces(backbone).model)
    about = About(f"train {backbone}", "train", backbone, project.params, inputs, code, project.root)
    with tracked_run(about, system_metrics=True) as run:
        yield run
