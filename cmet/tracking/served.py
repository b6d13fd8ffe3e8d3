"""What MLflow runs where it loads a logged model; a copy of this file lies in the model.

Legend: T frames, K expression components, N, M recordings, S speech features.
"""

from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pandas as pd
from mlflow.pyfunc import PythonModel

from cmet.connector.bundle import load_bundle
from cmet.connector.inference import predict_deltas
from cmet.errors import UserError
from cmet.tracking.models import PART

OF_CODES = frozenset({"codes", "speech_vectors", "neutral_speech_vectors"})
OF_VIDEO = frozenset({"video", "speech", "neutral_speech", "out"})
"""Columns of the two kinds of rows."""

TOLD = frozenset({"emotion"})
OF_CODES_TOLD, OF_VIDEO_TOLD = TOLD | {"codes"}, TOLD | {"video", "out"}
"""Columns of rows that tell the emotion by its name."""


class ServedModel(PythonModel):
    """A trained model behind `mlflow.pyfunc`."""

    def load_context(self, context: Any) -> None:
        """Read the model.

        Raises:
            UserError: It is damaged.
        """
        self.folder = Path(context.artifacts[PART])
        self.bundle = load_bundle(self.folder)
        self.editor: Any = None

    def predict(self, context: Any, model_input: pd.DataFrame, params: dict[str, Any] | None = None) -> pd.DataFrame:
        """A row for each row of the input.

        Args:
            context: As MLflow has it; what is needed of it is read when the model is loaded.
            model_input: Rows of two kinds. `codes` (T, K) at the frame rate of the training clips, `speech_vectors`
                (N, S) and `neutral_speech_vectors` (M, S), raw as the speech encoder gives them: the answer has
                `delta` (T, K), to be added to the codes. Or `video`, `speech` and `neutral_speech` (paths, and lists of
                paths), and `out`, the mp4 to write: the answer has what `cmet edit --json` tells. In either, `emotion`
                may tell by its name what is to be heard otherwise.
            params: None are known.

        Raises:
            UserError: A row is of neither kind, or what is in it cannot be used.
        """
        return pd.DataFrame([self._answer(number, row) for number, row in enumerate(model_input.to_dict("records"))])

    def _answer(self, number: int, row: dict[Any, Any]) -> dict[str, Any]:
        given = {name: value for name, value in row.items() if not _is_missing(value)}
        if given.keys() in (OF_CODES, OF_CODES_TOLD):
            return {"delta": self._delta(number, given)}
        if given.keys() in (OF_VIDEO, OF_VIDEO_TOLD):
            return self._edited(given)
        kinds = (OF_CODES, OF_CODES_TOLD, OF_VIDEO, OF_VIDEO_TOLD)
        wanted = " or ".join(f"{', '.join(sorted(kind))}" for kind in kinds)
        raise UserError(f"row {number}: expected {wanted}; found {', '.join(sorted(map(str, given))) or 'nothing'}")

    def _delta(self, number: int, given: dict[Any, Any]) -> list[list[float]]:
        config, num_features = self.bundle.config, self.bundle.scaling.num_features
        widths = {"codes": config.expression_width, **dict.fromkeys(OF_CODES - {"codes"}, num_features)}
        arrays = {
            name: _matrix(given[name], f"row {number}: {name}", width)
            for name, width in widths.items()
            if name in given
        }
        if "emotion" in given:
            speech_S = self.bundle.told_speech_delta(given["emotion"])
        else:
            speech_S = self.bundle.scaled_speech_delta(arrays["neutral_speech_vectors"], arrays["speech_vectors"])
        return predict_deltas(self.bundle.connector, speech_S, arrays["codes"]).tolist()

    def _edited(self, given: dict[Any, Any]) -> dict[str, Any]:
        from cmet.editing.editor import Editor
        from cmet.editing.video import edit_video
        from cmet.editing.wishes.options import EditOptions, NamedEmotion, WantedEmotion

        if self.editor is None:
            self.editor = Editor.load(self.folder)
        speech, neutral = ([Path(path) for path in given.get(name, ())] for name in ("speech", "neutral_speech"))
        wanted: WantedEmotion = NamedEmotion(given["emotion"]) if "emotion" in given else speech
        out = Path(given["out"])
        report = edit_video(Path(given["video"]), wanted, neutral, out, self.editor, EditOptions(is_quiet=True))
        told = ("num_frames", "fps", "mean_change", "strength", "likeness")
        remarks = (*report.warnings, *report.remarks)
        return {"out": str(out), **{name: getattr(report, name) for name in told}, "remarks": remarks}


def _is_missing(value: Any) -> bool:
    return value is None or (isinstance(value, float) and np.isnan(value))


def _matrix(value: Any, name: str, width: int) -> np.ndarray:
    try:
        array = np.array([np.asarray(line, np.float32) for line in value])
    except (TypeError, ValueError) as error:
        raise UserError(f"{name}: expected lists of {width} numbers each ({error})") from error
    if array.ndim != 2 or array.shape[1] != width or not len(array) or not np.isfinite(array).all():
        raise UserError(f"{name}: expected at least one list of {width} finite numbers, found shape {array.shape}")
    return array


mlflow.models.set_model(ServedModel())
