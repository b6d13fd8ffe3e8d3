"""What a trained model was made for and from; readable without loading the network."""

from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from pydantic import Field, ValidationError, model_validator

from cmet.errors import UserError
from cmet.inputs.files import BadFile
from cmet.inputs.texts import read_json, shown
from cmet.params import ClipForm, NetworkParams, Section
from cmet.speech.scaling import ProjectionFacts

WEIGHTS = "connector.safetensors"
CONFIG = "config.json"
FORMAT: Literal[3] = 3
WITHOUT_CLIPS = 2
"""Format of models that do not record how their clips were made."""


Name = Annotated[str, Field(max_length=200)]


class BundleConfig(Section):
    """What a trained model was made for and from; an edit treats its video and sound in the same way."""

    format: Literal[3] = FORMAT
    clips: ClipForm
    """How the clips it was trained on look and sound."""
    backbone: Name
    backbone_sha256: dict[Name, Name] = {}
    """Hashes of the fitted backbone or of the published files, by file name; empty where unknown."""
    speech_encoder: Name
    speech_settings: dict[Name, Name | int]
    """The encoder's settings at that time; `cmet.speech.encoders.settings` has today's."""
    speech_projection: ProjectionFacts | None = None
    """How the projection of speech was fitted that lies beside the scaling; None where there is none."""
    expression_width: Annotated[int, Field(ge=1, le=4096)]
    speech_width: Annotated[int, Field(ge=1, le=65_536)]
    """Features that the Connector hears: of the embedding, or of its projection."""
    network: NetworkParams
    step: int
    """Training step that the weights come from."""
    seed: int
    held_out_emotion: Name | None
    expression_deltas: dict[Name, list[float]] = {}
    """Mean expression delta of the training speakers' pairs, by emotion; empty where unknown. The held-out emotion is
    among them where the corpus has it: the model can name it, and has learned nothing from it."""
    speech_deltas: dict[Name, list[float]] = {}
    """Mean scaled speech delta of the same pairs: what stands for an emotion that is told and not heard."""
    versions: dict[str, str] = {}
    """Versions of the libraries that trained it, by distribution; empty where unknown."""

    @model_validator(mode="after")
    def _deltas_are_codes(self) -> "BundleConfig":
        widths = {"expression_deltas": self.expression_width, "speech_deltas": self.speech_width}
        for key, width in widths.items():
            wrong = [name for name, delta in getattr(self, key).items() if len(delta) != width]
            if wrong:
                raise ValueError(f"{key} of {wrong[0]}: expected {width} values")
        return self

    @property
    def trained_emotions(self) -> list[str]:
        """Emotions of the training pairs; none where unknown."""
        return [emotion for emotion in self.expression_deltas if emotion != self.held_out_emotion]

    @property
    def min_weights(self) -> int:
        """Weights that a network of these sizes has at the least: those of its large products."""
        network = self.network
        per_layer = network.hidden * (4 * network.hidden + 2 * network.feedforward)
        return network.num_layers * per_layer + network.hidden * (self.speech_width + self.expression_width)

    def likeness(self, delta_NK: np.ndarray) -> dict[str, float]:
        """Cosine of a clip's mean delta with that of each known emotion, the highest first."""
        mean_K = delta_NK.mean(axis=0, dtype=np.float64)
        cosines = {
            emotion: float(mean_K @ delta_K / max(np.linalg.norm(mean_K) * np.linalg.norm(delta_K), 1e-12))
            for emotion, delta_K in self.expression_deltas.items()
        }
        return dict(sorted(cosines.items(), key=lambda item: -item[1]))


def read_config(folder: Path) -> BundleConfig:
    """What the model in a folder says of itself.

    Raises:
        UserError: There is no model, it is damaged, or another version of this program made it.
    """
    path = folder / CONFIG
    if not path.exists():
        raise UserError(f"{folder}: no trained model here, {CONFIG} missing; run 'cmet train' first")
    try:
        values = read_json(path)
    except BadFile as error:
        raise UserError(f"{error}; train the model again") from error
    if not isinstance(values, dict) or "format" not in values:
        raise UserError(f"{path}: not the description of a trained model; train the model again")
    found = values["format"]
    if found == WITHOUT_CLIPS:
        raise UserError(
            f"{folder}: a model of format {found}, which does not record how its clips were made; train it again"
        )
    if found != FORMAT:
        raise UserError(
            f"{folder}: a model of format {shown(str(found))}, but this version reads {FORMAT}; train it again"
        )
    try:
        return BundleConfig.model_validate(values)
    except ValidationError as error:
        problem = error.errors(include_url=False)[0]
        where = ".".join(str(part) for part in problem["loc"]) or "the whole file"
        said = shown(f"{where}: {problem['msg']}")
        raise UserError(f"{path}: damaged, or written by another version ({said}); train the model again") from error
