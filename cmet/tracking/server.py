"""MLflow's own server with a front door that leads to the runs: `mlflow server --app-name cmet`.

MLflow keeps in the browser which columns a person sees, and whether the page is that of language models. Who comes for
the first time finds a page without runs, so a few lines in the page itself write down better beginnings. What a person
has chosen stays, and so does every address that leads further.
"""

import json
from typing import cast

from flask import Response
from mlflow.server import app as pages
from mlflow.server.fastapi_app import app as app

from cmet.tracking.front import VIEW, VIEW_STATE
from cmet.tracking.store import EXPERIMENT

SCRIPT = """
const begin = (key, value) => { if (localStorage.getItem(key) === null) localStorage.setItem(key, value); };
begin("mlflow.workflowType_v1", JSON.stringify("machine_learning"));
begin("mlflow.assistant.fab.autoOpenedOnFirstLoad_v1", "true");
if (location.hash === "")
  fetch("ajax-api/2.0/mlflow/experiments/get-by-name?experiment_name=%(name)s").then(async (answer) => {
    if (!answer.ok) return;
    const id = (await answer.json()).experiment.experiment_id;
    const state = `MLflowLocalStorage-1.1-ExperimentPage-["${id}"]-ReactComponentState`;
    begin(state, JSON.stringify(%(state)s));
    // another store that was shown at this address has left its columns
    const view = localStorage.getItem(state).includes("acc_emo") ? "" : "&viewStateShareKey=%(view)s";
    location.replace(`#/experiments/${id}/runs?workflowType=machine_learning${view}`);
  });
"""
"""Runs before MLflow's own code, which is deferred."""


_mlflows_own = pages.view_functions["serve"]


def _page() -> Response:
    """MLflow's page, with the script."""
    answer = cast(Response, _mlflows_own())
    # a file that would be passed on unread
    answer.direct_passthrough = False
    script = SCRIPT % {"name": EXPERIMENT, "state": json.dumps(VIEW_STATE), "view": VIEW}
    page = answer.get_data(as_text=True).replace("<head>", f"<head><script>{script}</script>", 1)
    return Response(page, headers={"Cache-Control": "no-cache"})


pages.view_functions["serve"] = _page
