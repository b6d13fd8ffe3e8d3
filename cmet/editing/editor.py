"""A trained model with all it needs to edit."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property, partial
from pathlib import Path
from typing import Protocol, cast

import numpy as np

from cmet.backbones.backbone import Backbone
from cmet.backbones.frames import resampled
from cmet.backbones.registry import BackboneClass, backbone_class, load_backbone
from cmet.backbones.saved import check_backbone
from cmet.connector.bundle import Bundle, load_bundle
from cmet.connector.inference import num_windows, predict_deltas
from cmet.connector.official import load_official
from cmet.connector.product import Model
from cmet.errors import UserError
from cmet.media.sound import resample
from cmet.outputs import content_digest
from cmet.params import ClipForm, InferenceParams
from cmet.speech.encoders.encoder import SAMPLE_RATE_HZ, SpeechEncoder
from cmet.speech.encoders.registry import load_encoder
from cmet.weights.registry import find_weight, weights_folder

INFERENCE = InferenceParams(batch_size=None, precision="bfloat16", compile=False)
"""How networks are run unless a person says otherwise."""

HAVE_TYPICAL_UNIT = frozenset({"facemesh"})
"""Backbones that are fitted here, so that a delta of 1 is a typical emotional one."""

MAX_AUTO_STRENGTH = 3.0

MIN_LIKENESS = 0.5
"""Cosine with a known emotion below which a change is taken to be like none."""

STILL_S = 1.0
"""Length of the still face that a change is predicted for."""


class BackboneKind(BackboneClass, Protocol):
    """What is known of a backbone before it is loaded."""

    name: str


@dataclass(frozen=True)
class Editor:
    """A trained model ready to edit."""

    bundle: Bundle
    kind: BackboneKind
    encoder: SpeechEncoder
    opens: Callable[[], Backbone]
    """Loads the backbone."""
    remarks: tuple[str, ...] = ()
    """What a person should know of this model."""

    @classmethod
    def load(cls, model: Path, backbone: str | None = None, inference: InferenceParams = INFERENCE) -> "Editor":
        """Read a model folder; published networks come from the folder of weights.

        Raises:
            UserError: The folder holds no model, or one for another backbone than asked for, or weights are missing.
        """
        return cls._of(load_bundle(model), backbone, Model(model).backbone, inference)

    @classmethod
    def official(cls, connector: Path, backbone: str | None = None, inference: InferenceParams = INFERENCE) -> "Editor":
        """Read the authors' checkpoint.

        Raises:
            UserError: The file is something else, another backbone than its own is asked for, or weights are missing.
        """
        # no folder of a model: what the weights were when it was trained is not known
        return cls._of(load_official(connector), backbone, weights_folder(), inference)

    @classmethod
    def _of(cls, bundle: Bundle, backbone: str | None, folder: Path, inference: InferenceParams) -> "Editor":
        config = bundle.config
        bundle.expect(backbone=backbone or config.backbone, speech_encoder=config.speech_encoder)
        check_backbone(folder, config.backbone_sha256, bundle.folder)
        kind = cast(BackboneKind, backbone_class(config.backbone))
        weights = weights_folder()
        for name in kind.weights:
            find_weight(name, weights)
        opens = partial(load_backbone, config.backbone, folder, weights, inference)
        encoder = load_encoder(config.speech_encoder, weights, bundle.speech_form)
        encoder = hearing_clips(encoder, config.clips.sample_rate_hz)
        return cls(bundle, kind, encoder, opens)

    @property
    def clips(self) -> ClipForm:
        """How the clips of the training look and sound, and so what is made of a video before it is read."""
        return self.bundle.config.clips

    @cached_property
    def backbone(self) -> Backbone:
        """Loaded when it is first asked for, since that takes a while.

        Raises:
            UserError: A file is damaged, or the model is for codes of another width.
        """
        loaded, config = self.opens(), self.bundle.config
        if loaded.width != config.expression_width:
            raise UserError(
                f"{self.bundle.folder}: trained on expression codes of {config.expression_width} values, "
                f"but {config.backbone} gives {loaded.width}; train it again"
            )
        return loaded

    @cached_property
    def model_sha256(self) -> str:
        """Of the files of the model, as they lie there when this is first asked for."""
        return content_digest(self.bundle.folder)

    @property
    def has_typical_unit(self) -> bool:
        """Whether a delta of 1 is a typical emotional one."""
        return self.kind.name in HAVE_TYPICAL_UNIT

    def predict_delta(
        self, codes: np.ndarray, fps: float, speech_delta: np.ndarray, strengths: np.ndarray | None = None
    ) -> np.ndarray:
        """Predicted expression delta for every frame, shape (T, K).

        Args:
            codes: Expression codes of the video, shape (T, K), at `fps`.
            fps: Frame rate of the codes; they are brought to the rate of the training and back.
            speech_delta: Scaled speech delta, shape (S,), or (W, S) with one for each of `num_windows`.
            strengths: Factor on the delta of each window, shape (W,); None for 1.
        """
        as_trained = resampled(codes, fps, self._num_frames_as_trained(len(codes), fps), self.clips.fps)
        delta = predict_deltas(self.bundle.connector, speech_delta, as_trained)
        if strengths is not None:
            delta *= np.repeat(strengths.astype(np.float32), self.bundle.connector.window)[: len(delta), None]
        return resampled(delta, self.clips.fps, len(codes), fps)

    def likeness(self, delta_S: np.ndarray) -> dict[str, float]:
        """What speech sounds like: cosine with each known emotion of what its delta does to a still face.

        The highest first; empty where the model has no emotions on record. It is of no video, so that all that is said
        of a recording says the same, before and after an edit.

        Args:
            delta_S: Scaled speech delta, shape (S,).
        """
        bundle = self.bundle
        if not bundle.config.expression_deltas:
            return {}
        still_NK = np.zeros((round(STILL_S * self.clips.fps), bundle.config.expression_width), np.float32)
        return bundle.config.likeness(predict_deltas(bundle.connector, delta_S, still_NK))

    def num_windows(self, num_frames: int, fps: float) -> int:
        """Windows of the Connector that a video has, which are counted at the rate of the training."""
        return num_windows(self.bundle.connector, self._num_frames_as_trained(num_frames, fps))

    def _num_frames_as_trained(self, num_frames: int, fps: float) -> int:
        """Frames of a video at the rate of the training."""
        return max(1, round(num_frames * self.clips.fps / fps))

    def strength_for(
        self, delta_TK: np.ndarray, wished: float | None, likeness: Mapping[str, float] | None = None
    ) -> float:
        """Factor on a predicted delta: the wished one, or what makes it a typical one; never weaker than predicted.

        Args:
            delta_TK: The delta.
            wished: What a person wants; None to have one found.
            likeness: As `likeness` gives it; a delta that is like none of the known emotions is left as it is.
        """
        if wished is not None:
            return wished
        size = root_mean_square(delta_TK)
        if not self.has_typical_unit or not size or (likeness and is_like_none(likeness)):
            return 1.0
        return float(np.clip(1 / size, 1.0, MAX_AUTO_STRENGTH))


def hearing_clips(encoder: SpeechEncoder, sample_rate_hz: int) -> SpeechEncoder:
    """An encoder that hears of a sound what prepared clips of this rate keep of it."""
    embed = encoder.embed
    if embed is None or sample_rate_hz >= SAMPLE_RATE_HZ:
        return encoder

    def embed_prepared(samples: np.ndarray) -> np.ndarray:
        return embed(resample(resample(samples, SAMPLE_RATE_HZ, sample_rate_hz), sample_rate_hz, SAMPLE_RATE_HZ))

    return replace(encoder, embed=embed_prepared)


def is_like_none(likeness: Mapping[str, float]) -> bool:
    """Whether a change is like none of the emotions that it was compared with."""
    return max(likeness.values()) < MIN_LIKENESS


def root_mean_square(values: np.ndarray) -> float:
    """Over all values; 0 where there are none."""
    return float(np.sqrt(np.mean(np.square(values, dtype=np.float64)))) if values.size else 0.0
