"""What the page of MLflow opens with: the runs, with the columns by which they are compared."""

import json
import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit, urlunsplit

if TYPE_CHECKING:
    from mlflow import MlflowClient

MLFLOW_PAGE = "http://localhost:5000"
"""Where `make mlflow` serves, unless `CMET_MLFLOW_PAGE` names another address."""

VIEW = "runs"
"""Name of the view, a part of the address."""

COLUMNS: Mapping[str, int] = {
    "tags.`cmet.method`": 100,
    "tags.`cmet.backbone`": 110,
    "metrics.`acc_emo`": 90,
    "tags.`cmet.interval`": 110,
    "tags.`cmet.held_out`": 110,
    "tags.`cmet.seed`": 90,
    "tags.`cmet.differs`": 200,
    "tags.`cmet.base`": 110,
    "attributes.`Dataset`": 300,
    "attributes.`Source`": 150,
}
"""Columns of the table of runs from left to right, and their widths in px."""

ALWAYS_SHOWN: Mapping[str, int] = {"attributes.`Run Name`": 270, "runDateAndNestInfo": 130}
"""Columns that MLflow puts first: names, and how long ago."""

VIEW_STATE: Mapping[str, Any] = {
    "selectedColumns": list(COLUMNS),
    "columnOrder": [*ALWAYS_SHOWN, *COLUMNS],
    "columnWidths": {**ALWAYS_SHOWN, **COLUMNS},
    "orderByKey": "attributes.start_time",
    "orderByAsc": False,
}
"""The view as MLflow's page keeps it."""

EXPERIMENT_TAGS: Mapping[str, str] = {
    # without it MLflow takes the experiment for one of language models, and its page has no runs
    "mlflow.experimentKind": "custom_model_development",
    f"mlflow.sharedViewState.{VIEW}": json.dumps(VIEW_STATE),
}
"""Tags that the experiment has in the store."""


def show_runs_first(client: "MlflowClient", experiment: str) -> None:
    """Let an experiment's page open with the runs and their columns."""
    tags = client.get_experiment(experiment).tags
    for key, value in EXPERIMENT_TAGS.items():
        if tags.get(key) != value:
            client.set_experiment_tag(experiment, key, value)


def page_of(store: str) -> str:
    """Address of the page that shows a store, without user and password."""
    parts = urlsplit(store)
    if parts.scheme not in ("http", "https"):
        return (os.environ.get("CMET_MLFLOW_PAGE") or MLFLOW_PAGE).rstrip("/")
    host = parts.netloc.rpartition("@")[2]
    return urlunsplit((parts.scheme, host, parts.path.rstrip("/"), "", ""))


def runs_page(store: str, experiment: str) -> str:
    """Address of the table of runs of an experiment, with the columns of the view."""
    return f"{page_of(store)}/#/experiments/{experiment}/runs?workflowType=machine_learning&viewStateShareKey={VIEW}"


def run_page(store: str, experiment: str, run_id: str) -> str:
    """Address of one run."""
    return f"{page_of(store)}/#/experiments/{experiment}/runs/{run_id}"
