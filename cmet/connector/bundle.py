"""A trained Connector as a folder: weights, what they were made for, and how speech is scaled."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor

from cmet.backbones.saved import check_backbone
from cmet.connector.card import CONFIG, WEIGHTS, BundleConfig, read_config
from cmet.connector.network import Connector
from cmet.errors import UserError
from cmet.inputs.arrays import read_array
from cmet.inputs.files import MISSING, not_a_folder, oddity
from cmet.inputs.texts import shown
from cmet.outputs import write_json
from cmet.pairs.differences import speech_delta
from cmet.params import ClipForm, SpeechForm
from cmet.speech.encoders.settings import SETTINGS, form_in, settings_of
from cmet.speech.scaling import FILE as SPEECH_SCALING
from cmet.speech.scaling import SpeechScaling
from cmet.weights.containers import not_finite

# N, M clips or frames, S speech features, K expression components

SPEECH_LIMIT = "speech_limit.npy"


@dataclass(frozen=True, eq=False)
class Bundle:
    """A trained Connector in eval mode, with all that is needed to use it."""

    connector: Connector
    config: BundleConfig
    scaling: SpeechScaling
    speech_limit_S: np.ndarray
    """Largest scaled speech delta per feature seen in training, without sign."""
    folder: Path

    @property
    def speech_form(self) -> SpeechForm:
        """What the model takes of its speech encoder.

        Raises:
            UserError: This version cannot set it so.
        """
        return form_in(self.config.speech_settings, self.config.speech_encoder)

    def expect(self, *, backbone: str, speech_encoder: str, speech_form: SpeechForm | None = None) -> None:
        """Make sure the model fits.

        Args:
            backbone: The one it is used with.
            speech_encoder: Likewise.
            speech_form: What is taken of the encoder; None where that follows the model.

        Raises:
            UserError: It was trained for another backbone or speech encoder, or for one that was set otherwise.
        """
        for name, wanted in (("backbone", backbone), ("speech_encoder", speech_encoder)):
            found = getattr(self.config, name)
            if found != wanted:
                raise UserError(
                    f"{self.folder}: this model was trained for {name} {found!r}, not {wanted!r}; "
                    f"choose {found!r} or train a model for {wanted!r}"
                )
        heard = self.config.speech_settings
        now = settings_of(speech_encoder, speech_form or self.speech_form) if speech_encoder in SETTINGS else {}
        changed = sorted(name for name in {**heard, **now} if heard.get(name) != now.get(name))
        if changed:
            were = " and ".join(f"{name} {heard.get(name)}, not {now.get(name)}" for name in changed)
            raise UserError(
                f"{self.folder}: this model was trained with other settings of {speech_encoder} ({were}); "
                "train it again"
            )

    def expect_made_of(self, clips: ClipForm, fitted: Path) -> None:
        """Make sure that a project's clips and faces are like those the model was trained on.

        Args:
            clips: How the clips of the project are made.
            fitted: What the backbone was saved to that their codes are read with.

        Raises:
            UserError: They are not.
        """
        changes = self.config.clips.changes(clips)
        if changes:
            raise UserError(
                f"{self.folder}: this model was trained on clips made with {changes}; run `dvc repro` to train one on "
                "the clips of this project, or prepare them in the same way"
            )
        check_backbone(fitted, self.config.backbone_sha256, self.folder)

    def scaled_speech_delta(self, neutral_NS: np.ndarray, emotional_MS: np.ndarray) -> np.ndarray:
        """Scaled speech delta from raw embeddings, kept inside the range seen in training, shape (S,)."""
        scaled = (self.scaling.apply(embeddings) for embeddings in (neutral_NS, emotional_MS))
        return clamp_delta(speech_delta(*scaled), self.speech_limit_S)

    def told_speech_delta(self, emotion: str) -> np.ndarray:
        """Scaled speech delta that stands for an emotion by its name, shape (S,).

        Raises:
            UserError: The model has none; the message lists those it has.
        """
        known = self.config.speech_deltas
        if not known:
            raise UserError(
                f"{self.folder}: this model does not record how emotions sound, so none can be told by its name; give "
                "recordings"
            )
        if emotion not in known:
            raise UserError(f"{shown(emotion)}: this model knows {', '.join(sorted(known))}")
        return clamp_delta(np.array(known[emotion], np.float32), self.speech_limit_S)


def clamp_delta(delta_S: np.ndarray, limit_S: np.ndarray) -> np.ndarray:
    """Keep every feature of scaled speech deltas inside the range seen in training."""
    return np.clip(delta_S, -limit_S, limit_S).astype(np.float32)


def save_bundle(
    folder: Path,
    weights: dict[str, Tensor],
    config: BundleConfig,
    scaling: SpeechScaling,
    speech_limit_S: np.ndarray,
) -> None:
    """Write the files of a bundle into an existing folder.

    Raises:
        UserError: A weight is not finite.
    """
    refuse_not_finite(weights)
    write_tensors({name: tensor.detach().cpu().contiguous() for name, tensor in weights.items()}, folder / WEIGHTS)
    scaling.save(folder)
    np.save(folder / SPEECH_LIMIT, speech_limit_S.astype(np.float32))
    write_json(folder / CONFIG, config.model_dump())


def refuse_not_finite(weights: dict[str, Tensor]) -> None:
    """Look at weights before they are written.

    Raises:
        UserError: One is not finite.
    """
    bad = not_finite(weights)
    if bad:
        raise UserError(
            f"train: the weights to keep hold values that are not numbers ({len(bad)} tensor(s), first {bad[0]}); "
            "lower train.learning_rate, or look for extreme values in the features"
        )


def write_tensors(tensors: dict[str, Tensor], path: Path) -> None:
    """Write safetensors that others may read, as they may other files; save_file makes them the owner's alone."""
    path.write_bytes(save(tensors))


def load_bundle(folder: Path, device: torch.device | None = None) -> Bundle:
    """Read a trained model.

    Raises:
        UserError: The folder is no bundle, a file is missing or damaged, sizes disagree, or a value is not finite.
    """
    if folder.exists() and not folder.is_dir():
        raise UserError(f"{folder}: {not_a_folder(folder)}; name the folder of a trained model")
    found = {name: oddity(folder / name) for name in (CONFIG, WEIGHTS, SPEECH_SCALING, SPEECH_LIMIT)}
    missing = [name for name, odd in found.items() if odd == MISSING]
    problems = [f"{', '.join(missing)} missing"] if missing else []
    problems += [f"{name} {odd}" for name, odd in found.items() if odd not in (None, MISSING)]
    if problems:
        raise UserError(f"{folder}: no trained model here, {', '.join(problems)}; run 'cmet train' first")
    config = read_config(folder)
    try:
        weights = load_file(folder / WEIGHTS)
        _check_weights(weights, config, folder)
        connector = Connector(config.network, config.expression_width, config.speech_width)
        connector.load_state_dict(weights)
        limit_S = read_array(folder / SPEECH_LIMIT)
    except (ValueError, SafetensorError, RuntimeError) as error:
        said = shown(str(error))
        raise UserError(f"{folder}: the trained model is damaged, or another version made it: {said}") from error
    scaling = SpeechScaling.load(folder)
    if scaling.width != config.speech_width or limit_S.shape != (config.speech_width,):
        raise UserError(
            f"{folder}: expected {config.speech_width} speech features, found a scaling of shape "
            f"({scaling.width},) and a limit of shape {limit_S.shape}"
        )
    # infinite where the range is not known
    if limit_S.dtype.kind != "f" or np.isnan(limit_S).any() or (limit_S < 0).any():
        raise UserError(f"{folder / SPEECH_LIMIT}: holds values that are no limits; train the model again")
    return Bundle(connector.to(device or torch.device("cpu")).eval(), config, scaling, limit_S, folder)


def _check_weights(weights: dict[str, Tensor], config: BundleConfig, folder: Path) -> None:
    """Look at weights before a network is made for them, which takes time and memory as large as the sizes say."""
    held = sum(tensor.numel() for tensor in weights.values())
    if held < config.min_weights:
        raise UserError(
            f"{folder}: {CONFIG} tells of a network of {config.min_weights:,} weights or more, but {WEIGHTS} holds "
            f"{held:,}; get the model anew, or train it again"
        )
    bad = not_finite(weights)
    if bad:
        raise UserError(
            f"{folder / WEIGHTS}: NaN or infinity in {len(bad)} tensor(s), first {shown(bad[0])}; get the model anew, "
            "or train it again"
        )
