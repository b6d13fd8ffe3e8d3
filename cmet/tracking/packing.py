"""A trained model as a folder of MLflow: models from code, safetensors, requirements, wheels and a card; no pickle."""

import logging
import shutil
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from cmet.connector.bundle import load_bundle
from cmet.connector.product import Model
from cmet.environment import SYSTEM_PACKAGES
from cmet.tracking.models import PART, model_name
from cmet.tracking.wheels import pinned_requirements, write_wheel

if TYPE_CHECKING:
    import pandas as pd
    from mlflow.models import ModelSignature
    from mlflow.types import DataType, Schema
    from mlflow.types.schema import Array, Map

    from cmet.connector.bundle import Bundle
    from cmet.connector.card import BundleConfig

CODE = Path(__file__).with_name("served.py")
WHEELS, CARD = "wheels", "README.md"
DESCRIPTION = "MLmodel"
EXAMPLE_FRAMES = 10
COMPARING = "warn_dependency_requirement_mismatches"
"""MLflow's function that compares what a model asks for with what is installed."""


@dataclass(frozen=True)
class Packed:
    """A model ready to be logged."""

    folder: Path
    name: str
    sha256: str
    """Of its weights; by it an evaluation finds the model that it has measured."""
    card: str
    params: dict[str, str]
    """What it was trained for, as MLflow shows it beside the metrics."""


@contextmanager
def packed_model(model: Model) -> Iterator[Packed]:
    """A folder as `mlflow.pyfunc.load_model` takes it, for the length of the block.

    Raises:
        UserError: The model is damaged, or cmet is not installed.
    """
    from mlflow import pyfunc

    bundle = load_bundle(model.folder)
    config, name = bundle.config, model_name(bundle.config.backbone)
    with tempfile.TemporaryDirectory() as made:
        copy, wheels, folder = (Path(made) / part for part in (PART, WHEELS, name))
        copy.mkdir()
        for path in model.files:
            _copy_readable(path, copy / path.name)
        wheels.mkdir()
        brought = f"{WHEELS}/{write_wheel(wheels).name}"
        requirements = pinned_requirements()
        with _without_remarks():
            pyfunc.save_model(
                folder,
                python_model=str(CODE),
                artifacts={PART: str(copy)},
                signature=_signature(),
                input_example=_example(bundle),
                pip_requirements=[_pinned_mlflow(), *requirements, brought],
            )
        shutil.move(wheels, folder / WHEELS)
        _forget_places(folder)
        text = _card(bundle, name, model.sha256)
        (folder / CARD).write_text(text, encoding="utf-8")
        yield Packed(folder, name, model.sha256, text, _params(config))


@contextmanager
def _without_remarks() -> Iterator[None]:
    """A block in which MLflow does not tell of its steps, nor that there is no pip in an environment of uv.

    It does not look either for pins that are not installed, a second for each process: these were read off what is.
    """
    from mlflow.utils import environment

    # another version of MLflow may have no such function
    compare = getattr(environment, COMPARING, None)
    loggers = [logging.getLogger(name) for name in ("mlflow.pyfunc", "mlflow.utils.environment")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    if compare is not None:
        setattr(environment, COMPARING, lambda model_requirements: None)
    try:
        yield
    finally:
        if compare is not None:
            setattr(environment, COMPARING, compare)
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


def _forget_places(folder: Path) -> None:
    """Leave out of the description where on this machine the parts came from."""
    from mlflow.models import Model as Described

    described = Described.load(str(folder))
    how = described.flavors["python_function"]
    how["model_code_path"] = CODE.name
    how["artifacts"][PART]["uri"] = how["artifacts"][PART]["path"]
    described.save(str(folder / DESCRIPTION))


def _copy_readable(path: Path, copy: Path) -> None:
    """Copy a file or folder so that a server's other users may read it."""
    if path.is_dir():
        copy.mkdir()
        for inner in path.iterdir():
            _copy_readable(inner, copy / inner.name)
    else:
        shutil.copyfile(path, copy)


def _pinned_mlflow() -> str:
    import mlflow

    return f"mlflow=={mlflow.__version__}"


def _signature() -> "ModelSignature":
    from mlflow.models import ModelSignature
    from mlflow.types import DataType
    from mlflow.types.schema import Array, Map

    matrix, texts = Array(Array(DataType.double)), Array(DataType.string)
    inputs: dict[str, Array | DataType | Map] = {
        "codes": matrix, "speech_vectors": matrix, "neutral_speech_vectors": matrix,
        "video": DataType.string, "speech": texts, "neutral_speech": texts, "emotion": DataType.string,
        "out": DataType.string,
    }  # fmt: skip
    outputs: dict[str, Array | DataType | Map] = {
        "delta": matrix, "out": DataType.string, "num_frames": DataType.long, "fps": DataType.double,
        "mean_change": DataType.double, "strength": DataType.double, "likeness": Map(DataType.double),
        "remarks": texts,
    }  # fmt: skip
    return ModelSignature(_schema(inputs), _schema(outputs))


def _schema(columns: "Mapping[str, Array | DataType | Map]") -> "Schema":
    """Columns of which any may be missing: a row is of one of two kinds."""
    from mlflow.types import ColSpec, Schema

    return Schema([ColSpec(kind, name, required=False) for name, kind in columns.items()])


def _example(bundle: "Bundle") -> "pd.DataFrame":
    """A face that does not move, a voice at the centre of the training, and one that lies a spread beyond it."""
    import pandas as pd

    centre_S, spread_S = bundle.scaling.centre_S, bundle.scaling.spread_S
    codes = np.zeros((EXAMPLE_FRAMES, bundle.config.expression_width))
    vectors = [[[round(float(value), 6) for value in vector_S]] for vector_S in (centre_S + spread_S, centre_S)]
    return pd.DataFrame(
        {"codes": [codes.tolist()], "speech_vectors": [vectors[0]], "neutral_speech_vectors": [vectors[1]]}
    )


def _projected(config: "BundleConfig") -> str:
    facts = config.speech_projection
    if facts is None:
        return "not projected"
    told = ", ".join(f"{rule} {100 * share:.1f} %" for rule, share in facts.accuracy.items())
    return (
        f"projected to {config.speech_width} by {facts.rule}, fitted on {facts.num_speakers} training speakers "
        f"(emotion of one left out told right: {told})"
    )


def _params(config: "BundleConfig") -> dict[str, str]:
    return {
        "backbone": config.backbone,
        "speech_encoder": config.speech_encoder,
        "held_out_emotion": str(config.held_out_emotion),
        "step": str(config.step),
        "seed": str(config.seed),
    }


def _card(bundle: "Bundle", name: str, sha256: str) -> str:
    config, num_features = bundle.config, bundle.scaling.num_features
    emotions = ", ".join(config.trained_emotions) or "not recorded"
    clips, network = config.clips, config.network
    size = f"{network.num_layers} layer(s) of {network.hidden}, {network.num_heads} heads"
    settings = ", ".join(f"{key} {value}" for key, value in config.speech_settings.items()) or "none"
    versions = ", ".join(f"{library} {version}" for library, version in config.versions.items()) or "not recorded"
    return f"""\
# {name}

Gives the face in a video the emotion of a voice (C-MET, arXiv 2604.07786): a change of speech features becomes a change
of the expression codes of the backbone `{config.backbone}`.

| | |
|---|---|
| backbone | `{config.backbone}`, {config.expression_width} expression codes |
| speech encoder | `{config.speech_encoder}`, {num_features} features, {_projected(config)}; settings: {settings} |
| network | {size}, windows of {network.window} frames |
| training clips | {clips.size_px} px, {clips.fps} frames/s, {clips.sample_rate_hz} Hz, crop `{clips.crop_rule}` |
| emotions of the training pairs | {emotions} |
| left out of training | {config.held_out_emotion or "none"} |
| weights of step | {config.step}, seed {config.seed}; SHA-256 {sha256} |
| trained with | {versions} |

How well it does is told by the metrics attached to it, which belong to the rows, the judge and the corpus that the
evaluation names. Data and code are named in the run that it comes from; who is in the data, what was set aside and how
to be removed from it, say `cmet corpus card` where it was prepared.

## Use

```python
import mlflow

model = mlflow.pyfunc.load_model("models:/{name}@champion")
model.predict([
    {{"video": "talk.mp4", "speech": ["happy.wav"], "neutral_speech": ["calm.wav"], "out": "happy.mp4"}},
])
model.predict([
    {{"codes": codes, "speech_vectors": happy, "neutral_speech_vectors": calm}},
])  # the answer has `delta`
```

In place of speech, `"emotion": "happy"` tells one of the emotions above by its name.

`codes` are those of the backbone at {clips.fps} frames/s, a list of {config.expression_width} numbers for each frame;
the vectors are lists of {num_features} numbers as the encoder gives them, one list for each recording; `delta`
is to be added to the codes. Or, with cmet installed and more options: `cmet edit talk.mp4 --model
models:/{name}@champion ...`.

## Environment

Linux, Python {sys.version_info.major}.{sys.version_info.minor}, and what `requirements.txt` names, with the wheel of
cmet in `wheels/`, as cmet is on no index. It is named as seen from this folder, so `cd` into it before `pip install -r
requirements.txt` (about 6 GB); MLflow's own `--env-manager virtualenv` and `uv` do so by themselves. The system has to
have the libraries of `apt-get install {" ".join(SYSTEM_PACKAGES)}`. The backbones edtalk and pdfgc need
their published weights besides, in the folder that CMET_WEIGHTS names.

## Limits and licences

For faces of people who agree to it. A model hears the kind of voices that it was trained on. cmet is under Apache-2.0;
openSMILE is for non-commercial use; corpora and published weights have licences of their own (cmet's docs/limits.md).
"""
