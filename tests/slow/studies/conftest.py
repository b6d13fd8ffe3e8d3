"""Trainings of studies that are watched, and killed."""

from collections.abc import Callable, Mapping

from cmet.tracking.runs import Run
from tests.unit.studies.conftest import change, module_store, root, store  # noqa: F401

LOG_METRICS = Run.log_metrics


def noting(steps: list[int], killed_at: int | None = None) -> Callable[[Run, int, Mapping[str, float]], None]:
    """`Run.log_metrics` that notes the steps of a training and may end it at one; use of the machine does not count."""

    def log_metrics(run: Run, step: int, metrics: Mapping[str, float]) -> None:
        LOG_METRICS(run, step, metrics)
        if any(name.startswith("system/") for name in metrics):
            return
        steps.append(step)
        if step == killed_at:
            raise KeyboardInterrupt

    return log_metrics
