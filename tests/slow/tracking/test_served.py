"""What MLflow loads of a logged model, in a process that has the code of the logged wheel and no checkout."""

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch

from cmet.connector.bundle import load_bundle
from cmet.connector.card import CONFIG, read_config
from cmet.connector.inference import predict_deltas
from cmet.connector.product import Model
from cmet.editing.reports import EditReport
from cmet.outputs import write_json
from cmet.tracking.packing import packed_model
from tests.unit.editing.models import write_facemesh_model

LOADED = """
import json, sys
import mlflow, cmet
model = mlflow.pyfunc.load_model("packed")
delta = model.predict(model.input_example).delta[0]
row = json.loads(sys.argv[1])
edit = model.predict([row]).to_dict("records")[0]
by_name = {"emotion": "happy"}
told = model.predict([{"codes": model.input_example["codes"][0], **by_name}]).delta[0]
seen = model.predict([{"video": row["video"], "out": "told.mp4", **by_name}]).to_dict("records")[0]
try:
    model.predict([{"video": "v.mp4"}])
except Exception as error:
    said = str(error)
print(json.dumps({"cmet": cmet.__file__, "delta": delta, "edit": edit, "said": said, "told": told, "seen": seen}))
"""


def test_a_logged_model_predicts_and_edits_with_the_code_that_it_brings(
    tmp_path: Path, darkening: Path, sounds: dict[str, list[Path]]
) -> None:
    model, folder, unpacked = write_facemesh_model(tmp_path / "model"), tmp_path / "packed", str(tmp_path / "unpacked")
    sounds_of = {"speech_deltas": {"happy": np.linspace(-1, 1, 88).tolist()}}
    write_json(model / CONFIG, read_config(model).model_copy(update=sounds_of).model_dump())
    with packed_model(Model(model)) as packed:
        packed.folder.rename(folder)
    with zipfile.ZipFile(next((folder / "wheels").glob("cmet-*.whl"))) as wheel:
        wheel.extractall(unpacked)
    given = {name: [str(path) for path in paths] for name, paths in sounds.items()}
    row = json.dumps({"video": str(darkening), "out": "edited.mp4", **given})
    environ = os.environ | {"PYTHONPATH": unpacked, "MLFLOW_DISABLE_TELEMETRY": "true"}
    done = subprocess.run(
        [sys.executable, "-c", LOADED, row], cwd=tmp_path, env=environ, capture_output=True, text=True, check=True
    )
    told = json.loads(done.stdout.splitlines()[-1])
    assert told["cmet"].startswith(unpacked)
    bundle = load_bundle(model)
    neutral_NS = bundle.scaling.centre_S[None]
    speech_S = bundle.scaled_speech_delta(neutral_NS, neutral_NS + bundle.scaling.spread_S)
    wanted_TK = predict_deltas(bundle.connector, speech_S, np.zeros((10, 6), np.float32))
    np.testing.assert_allclose(told["delta"], wanted_TK, atol=1e-5)
    named_TK = predict_deltas(bundle.connector, bundle.told_speech_delta("happy"), np.zeros((10, 6), np.float32))
    np.testing.assert_allclose(told["told"], named_TK, atol=1e-5)
    assert (told["seen"]["out"], told["seen"]["num_frames"], told["seen"]["likeness"]) == ("told.mp4", 7, {})
    assert (told["edit"]["out"], told["edit"]["num_frames"]) == ("edited.mp4", 7)
    assert (tmp_path / "edited.mp4").is_file()
    assert told["said"].startswith("row 0: expected codes, ")
    # nothing that runs when it is read, no place of this machine, and versions that an index has
    assert not [path for path in folder.rglob("*") if path.suffix in (".pkl", ".pth", ".pt")]
    assert not [path for path in ("MLmodel", "README.md") if str(tmp_path) in (folder / path).read_text()]
    # the card says what the model has recorded
    card = (folder / "README.md").read_text()
    recorded = [f"SHA-256 {Model(model).sha256} |", f"| {bundle.config.network.num_layers} layer(s) of 32, 2 heads, "]
    recorded += [f"{key} {value}" for key, value in bundle.config.speech_settings.items()]
    assert all(value in card for value in recorded)
    asked = (folder / "requirements.txt").read_text().splitlines()
    assert f"torch=={torch.__version__.partition('+')[0]}" in asked
    wheels = {f"wheels/{path.name}" for path in (folder / "wheels").iterdir()}
    assert {line for line in asked if ".whl" in line} == wheels


@pytest.mark.slow
def test_what_was_heard_is_told_first(monkeypatch: pytest.MonkeyPatch) -> None:
    from cmet.tracking.served import ServedModel

    report = EditReport(7, 25.0, 64, 64, 1.0, 0.5, warnings=("sad/ sounds happy",), remarks=("a remark",))
    monkeypatch.setattr("cmet.editing.video.edit_video", lambda *_: report)
    model = ServedModel()
    model.editor = object()
    row = {"video": "v.mp4", "speech": ["sad/"], "neutral_speech": ["b.wav"], "out": "o.mp4"}
    assert model._edited(row)["remarks"] == ("sad/ sounds happy", "a remark")
