"""Metrics by name."""

from collections.abc import Iterable
from importlib import import_module
from pathlib import Path
from typing import cast

from cmet.errors import UserError
from cmet.scores.metrics.protocol import Metric

METRICS = {
    "landmarks": "cmet.scores.metrics.landmarks:LandmarkDistances",
    "fid": "cmet.scores.metrics.fid:FrechetInceptionDistance",
    "fvd": "cmet.scores.metrics.fvd:FrechetVideoDistance",
    "sync": "cmet.scores.metrics.sync:SyncConfidence",
    "identity": "cmet.scores.metrics.identity:IdentitySimilarity",
}
"""Module and class, imported when asked for: reading results must not wait for networks."""

TITLES = {
    "fid/pairwise-mean": ("FID, pairwise mean", "lower"),
    "fid/distribution": ("FID, distribution", "lower"),
    "fvd/pairwise-mean": ("FVD, pairwise mean", "lower"),
    "fvd/distribution": ("FVD, distribution", "lower"),
    "sync_conf": ("sync confidence", "higher"),
    "identity_similarity": ("identity similarity", "higher"),
    "lmd/mouth": ("M-LMD to the true clip", "lower"),
    "lmd/face": ("F-LMD to the true clip", "lower"),
    "lmd/lips_moved": ("lips moved from the source", ""),
}
"""What a table calls each value, and which way is better; neither way where it only informs."""


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
        except UserError as error:
            # the reason stands in results, which are the same wherever the project lies
            absent[name] = str(error).replace(str(weights), weights.name)
    return ready, absent
