"""Models in MLflow: one for each training, to which evaluations attach what they have measured."""

import re
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import LoggedModel
    from mlflow.entities.model_registry import ModelVersion

    from cmet.tracking.outbox import Message

PART = "model"
"""Among the artifacts of a logged model: the folder that `cmet edit --model` takes."""
WEIGHTS_TAG = "cmet.weights_sha256"
MODEL_TAG = "cmet.model_id"
"""Tag of an evaluation: the model that it has measured."""
PROTOCOL_TAG, ROWS_TAG, JUDGE_TAG, CORPUS_TAG = "cmet.protocol", "cmet.rows", "cmet.judge", "cmet.corpus"
COMPARABLE = {PROTOCOL_TAG: "protocol", ROWS_TAG: "rows", JUDGE_TAG: "judge", CORPUS_TAG: "corpus"}
"""Tags of an evaluation, in words: accuracies may be ranked where all of them are the same."""
NOTE_TAG = "mlflow.note.content"
"""MLflow shows it as the description, in Markdown."""
LOGGED_ID = re.compile(r"\bm-[0-9a-f]{32}\b")
"""As MLflow names its logged models; a local store remembers of a version only its source, in which the name stands."""
READY: Literal["READY"] = "READY"


def model_name(backbone: str) -> str:
    """What logged models of a backbone are called, and the registered model whose versions they become."""
    return f"cmet-{backbone}"


def logged_id(version: "ModelVersion") -> str:
    """Id of the logged model that a registered version is; empty where it is none."""
    found = LOGGED_ID.search(version.model_id or version.source or "")
    return found[0] if found else ""


def models_with(client: "MlflowClient", experiment: str, name: str, sha256: str) -> list["LoggedModel"]:
    """Logged models of a name with these weights, the newest first, and those whose files have not all come."""
    wanted = f"name = '{name}' AND tags.`{WEIGHTS_TAG}` = '{sha256}'"
    newest = [{"field_name": "creation_timestamp", "ascending": False}]
    return list(client.search_logged_models([experiment], wanted, order_by=newest))


def send_model(client: "MlflowClient", run_id: str, message: "Message") -> None:
    """Log a packed model, unless it is there: once for each training; from an evaluation where no training did."""
    from mlflow.entities import LoggedModelOutput

    values, [folder] = message.values, message.files
    run = client.get_run(run_id)
    known = models_with(client, run.info.experiment_id, values["name"], values["sha256"])
    own = next((model for model in known if model.source_run_id == run_id), None)
    if any(str(model.status) == READY and (model is own or values["is_found"]) for model in known):
        return
    entry = own or client.create_logged_model(
        run.info.experiment_id,
        name=values["name"],
        source_run_id=run_id,
        tags={WEIGHTS_TAG: values["sha256"], NOTE_TAG: values["card"]},
        params=values["params"],
        model_type="cmet",
    )
    _address(folder, entry, run_id)
    client.log_model_artifacts(entry.model_id, str(folder))
    if run.outputs is None or entry.model_id not in {output.model_id for output in run.outputs.model_outputs}:
        client.log_outputs(run_id, [LoggedModelOutput(entry.model_id, step=values["step"])])
    client.finalize_logged_model(entry.model_id, READY)


def _address(folder: Path, entry: "LoggedModel", run_id: str) -> None:
    """Let the description in a packed model say which one it is: only the store could."""
    from mlflow.models import Model

    described = Model.load(str(folder))
    described.run_id, described.artifact_path = run_id, entry.artifact_location
    described.model_id = described.model_uuid = entry.model_id
    described.save(str(folder / "MLmodel"))


def send_scores(client: "MlflowClient", run_id: str, message: "Message") -> None:
    """Log what was measured of a model: to the run, and with the rows it was measured on to the model."""
    from mlflow.entities import LoggedModelInput, Metric

    values, run = message.values, client.get_run(run_id)
    if MODEL_TAG in run.data.tags:
        return
    known = models_with(client, run.info.experiment_id, values["name"], values["sha256"])
    entry = next((model for model in known if str(model.status) == READY), None)
    name, digest = values["dataset"]
    now_ms = int(time.time() * 1000)
    measured = sorted(values["metrics"].items())
    if entry is None:
        print(f"cmet: the model that was evaluated is not in MLflow any more, so {run_id} alone has its scores",
              file=sys.stderr)  # fmt: skip
        client.log_batch(run_id, metrics=[Metric(key, value, now_ms, 0) for key, value in measured])
        return
    metrics = [Metric(key, value, now_ms, 0, entry.model_id, name, digest, run_id) for key, value in measured]
    client.log_batch(run_id, metrics=metrics)
    client.log_inputs(run_id, models=[LoggedModelInput(entry.model_id)])
    client.set_tag(run_id, MODEL_TAG, entry.model_id)
