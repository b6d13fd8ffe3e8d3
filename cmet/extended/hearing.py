"""Speech as vectors of one space; a recording that cannot be heard is left out with a reason."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from cmet.editing.emotions.speech import VECTOR_ENCODERS, hear
from cmet.errors import UserError
from cmet.extended.recordings import Recording, has_kind
from cmet.progress import counted
from cmet.speech.encoders.encoder import SpeechEncoder
from cmet.speech.encoders.registry import check_encoder
from cmet.speech.scaling import SpeechScaling

# N recordings, S speech features

EXTENDED, BASIC, VIDEO = "extended", "basic", "video"
"""What a file was given as, besides neutral."""


@dataclass(frozen=True)
class LeftOut:
    """A file that could not be used."""

    role: str
    """What it was given as: extended, neutral, basic, or video."""
    emotion: str | None
    path: Path
    reason: str


@dataclass(frozen=True, eq=False)
class HeardRecordings:
    """Recordings that were heard."""

    recordings: list[Recording]
    vectors_NS: np.ndarray
    """As the encoder gives them, or scaled; float64."""

    @property
    def speakers_N(self) -> np.ndarray:
        """Speaker of each recording, None where nobody says."""
        return np.array([recording.speaker for recording in self.recordings], dtype=object)

    @property
    def emotions_N(self) -> np.ndarray:
        """Emotion of each recording."""
        return np.array([recording.emotion for recording in self.recordings], dtype=object)

    @property
    def paths(self) -> list[Path]:
        """Files in order."""
        return [recording.path for recording in self.recordings]

    def scaled(self, scaling: SpeechScaling) -> "HeardRecordings":
        """The same recordings with scaled vectors."""
        return HeardRecordings(self.recordings, scaling.apply(self.vectors_NS).astype(np.float64))


def choose_space(wished: str | None, model: str | None, sources: Sequence[Path]) -> str:
    """Name of the encoder: the model's, the wished one, or what every source has.

    Args:
        wished: A name, or None.
        model: The encoder of the model, or None without a model.
        sources: Every file or folder of speech.

    Raises:
        UserError: The name is unknown or not the model's, or some sources are vectors only and some sounds only.
    """
    if wished is not None:
        check_encoder(wished)
    if model is not None:
        if wished is not None and wished != model and not {wished, model} <= VECTOR_ENCODERS:
            raise UserError(f"--space {wished}: the model hears with {model}; leave --space or --model out")
        return model
    if wished is not None:
        return wished
    without = {
        name: [source for source in sources if not has_kind(source, is_vector)]
        for name, is_vector in (("emotion2vec", True), ("opensmile", False))
    }
    silent = [source for source in sources if source in without["emotion2vec"] and source in without["opensmile"]]
    if silent:
        raise UserError(f"{silent[0]}: no recordings, neither sounds nor .npy vectors of emotion2vec")
    for name, missing in without.items():
        if not missing:
            return name
    raise UserError(
        f"no encoder fits all speech: {without['emotion2vec'][0]} has no .npy vectors of emotion2vec, and "
        f"{without['opensmile'][0]} has no sounds; give the same kind for all, or name an encoder with --space"
    )


def remembering(encoder: SpeechEncoder) -> SpeechEncoder:
    """An encoder that embeds the same samples once: every edit hears the same recordings."""
    embed = encoder.embed
    if embed is None:
        return encoder
    known: dict[bytes, np.ndarray] = {}

    def remembered(samples: np.ndarray) -> np.ndarray:
        key = hashlib.sha256(samples.tobytes()).digest()
        if key not in known:
            known[key] = embed(samples)
        return known[key]

    return replace(encoder, embed=remembered)


def listen(
    encoder: SpeechEncoder, recordings: Sequence[Recording], role: str, is_quiet: bool
) -> tuple[HeardRecordings, list[LeftOut]]:
    """Embed recordings one by one.

    Raises:
        UserError: None of them can be used.
    """
    kept, vectors, left_out = [], [], []
    name = recordings[0].emotion if role == EXTENDED else role
    for recording in counted(recordings, f"hearing {name} speech", len(recordings), "clip", is_quiet=is_quiet):
        try:
            vectors.append(hear(encoder, [recording.path], name).vectors_NS[0])
        except UserError as error:
            reason = str(error).removeprefix(f"{name}: ")
            left_out.append(LeftOut(role, recording.emotion, recording.path, reason))
        else:
            kept.append(recording)
    if not kept:
        raise UserError(f"{name} speech: none of {len(left_out)} recording(s) can be used; first: {left_out[0].reason}")
    return HeardRecordings(kept, np.stack(vectors).astype(np.float64)), left_out
