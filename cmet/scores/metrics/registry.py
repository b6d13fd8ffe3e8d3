"""Metrics by name."""

from collections.abc import Iterable
from importlib import import_module
from pathlib import Path
from typing import cast

from cmet.errors import UserError
from cmet.scores.metrics.metric import Metric
from cmet.weights.registry import MissingWeights

METRICS = {
    "landmarks": "cmet.scores.metrics.landmarks:LandmarkDistances",
    "fid": "cmet.scores.metrics.fid:FrechetInceptionDistance",
    "fvd": "cmet.scores.metrics.fvd:FrechetVideoDistance",
    "sync": "cmet.scores.metrics.sync:SyncConfidence",
    "identity": "cmet.scores.metrics.identity:IdentitySimilarity",
    "descriptor": "cmet.scores.metrics.descriptor:DescriptorLikeness",
    "fer": "cmet.scores.metrics.fer:FerAccuracy",
    "faceapi": "cmet.scores.metrics.faceapi:FaceApiAccuracy",
}
"""Module and class, imported when asked for: reading results must not wait for networks."""


def metric_class(name: str) -> type[Metric]:
    """The class of a metric."""
    module, attribute = METRICS[name].split(":")
    return cast(type[Metric], getattr(import_module(module), attribute))


def load_metrics(names: Iterable[str], weights: Path) -> tuple[dict[str, Metric], dict[str, str]]:
    """The metrics that can be measured here, and for each of the others the reason why not."""
    ready, absent = {}, {}
    for name in names:
        try:
            ready[name] = metric_class(name).load(weights)
        # the reason stands in results, which are the same wherever the project lies
        except MissingWeights as error:
            absent[name] = error.reason
        except UserError as error:
            absent[name] = str(error).replace(str(weights), weights.name)
    return ready, absent
