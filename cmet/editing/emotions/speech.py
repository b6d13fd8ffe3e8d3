"""Speech as a model hears it: sounds that are embedded, or emotion2vec vectors that are there already."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from cmet.archives import refuse_stand_in
from cmet.editing.messages import named
from cmet.errors import ClipError, UserError
from cmet.media.kinds import sorted_out
from cmet.media.sound import read_sound
from cmet.progress import counted
from cmet.speech.encoders.encoder import SAMPLE_RATE_HZ, SpeechEncoder
from cmet.speech.encoders.precomputed import NO_FEATURES, read_precomputed, read_vector

VECTOR_SUFFIX = ".npy"
VECTOR_ENCODERS = frozenset({"emotion2vec", "precomputed"})
"""Encoders whose vectors the release holds as files."""

STRETCH_S = 2.0
"""Speech that is heard at once where a face follows it: a phrase."""

STRETCH_STEP_S = 0.5
"""From the start of one stretch to that of the next, at most."""

GET_HEARING = "`cmet weights get --for hear`"
"""Gets the weights of emotion2vec."""


@dataclass(frozen=True, eq=False)
class Heard:
    """Embeddings of recordings."""

    vectors_NS: np.ndarray
    num_stored: int = 0
    """How many came from beside their sound because the encoder is not here."""
    passed_over: tuple[Path, ...] = ()
    """Files of folders that are no speech."""

    @classmethod
    def together(cls, several: Sequence["Heard"]) -> "Heard":
        """All of several as one."""
        return cls(
            np.concatenate([one.vectors_NS for one in several]),
            sum(one.num_stored for one in several),
            tuple(dict.fromkeys(path for one in several for path in one.passed_over)),
        )


@dataclass(frozen=True, eq=False)
class Stretches:
    """Embeddings of overlapping stretches of one recording."""

    vectors_MS: np.ndarray
    middles_s: np.ndarray
    """When each is half over, shape (M,)."""
    duration_s: float
    """Of the recording."""


def hear_stretches(encoder: SpeechEncoder, paths: Sequence[Path], option: str, is_quiet: bool = False) -> Stretches:
    """One recording, stretch by stretch.

    Raises:
        UserError: There are several, it cannot be used, or the encoder hears no sounds here.
    """
    files, _ = speech_files(paths)
    if len(files) != 1:
        raise UserError(f"{option}: a face can follow one recording, but there are {len(files)}; name one")
    (file,) = files
    if encoder.embed is None or file.suffix == VECTOR_SUFFIX:
        raise UserError(f"{option}: {file} cannot be followed, since a stored vector stands for a whole recording")
    try:
        refuse_stand_in(file)
        samples = read_sound(file, SAMPLE_RATE_HZ)
        duration_s = len(samples) / SAMPLE_RATE_HZ
        num_steps = max(0, math.ceil((duration_s - STRETCH_S) / STRETCH_STEP_S))
        # the last one ends with the recording
        starts_s = np.linspace(0, max(0.0, duration_s - STRETCH_S), num_steps + 1)
        firsts = np.round(starts_s * SAMPLE_RATE_HZ).astype(int)
        length = round(STRETCH_S * SAMPLE_RATE_HZ)
        shown = counted(firsts, "hearing the recording", len(firsts), "stretch", is_quiet=is_quiet)
        vectors = [encoder.embed(samples[first : first + length]) for first in shown]
    except ClipError as error:
        raise UserError(f"{option}: {named(file, error.message)}") from error
    return Stretches(np.stack(vectors), starts_s + min(STRETCH_S, duration_s) / 2, duration_s)


def hearing_note(encoder: str) -> str | None:
    """What a person who gives a real voice should know of an encoder, by its name; None for emotion2vec."""
    if encoder in VECTOR_ENCODERS:
        return None
    return (
        f"{encoder} hears the emotion of a real voice worse than emotion2vec does, which {GET_HEARING} gets; a model "
        "hears with it if it was trained with it"
    )


def hear(encoder: SpeechEncoder, paths: Sequence[Path], option: str) -> Heard:
    """Embeddings of sound files, vectors and folders of either.

    Raises:
        UserError: A file cannot be used; the message names it and `option`, where it came from.
    """
    has_vectors = encoder.name in VECTOR_ENCODERS
    files, passed_over = speech_files(paths, has_vectors)
    absence = _absence(encoder) if has_vectors and any(file.suffix != VECTOR_SUFFIX for file in files) else None
    vectors, num_stored = [], 0
    for file in files:
        try:
            if has_vectors and file.suffix == VECTOR_SUFFIX:
                refuse_stand_in(file)
                vectors.append(read_vector(file))
            elif encoder.embed is not None and absence is None:
                refuse_stand_in(file)
                vectors.append(encoder.embed(read_sound(file, SAMPLE_RATE_HZ)))
            elif has_vectors:
                vectors.append(read_precomputed(file))
                num_stored += absence is not None
            else:
                raise UserError(f"this model hears with {encoder.name!r} features, which cannot be computed here")
        except ClipError as error:
            if error.code in ("missing_audio", NO_FEATURES) and not file.exists():
                raise UserError(f"{option}: {file} does not exist") from error
            if error.code != NO_FEATURES or file.suffix == VECTOR_SUFFIX:
                raise UserError(f"{option}: {named(file, error.message)}") from error
            raise absence or UserError(
                f"{option}: {error.message}; this model takes stored vectors only: give .npy files"
            ) from error
    return Heard(np.stack(vectors), num_stored, tuple(passed_over))


def _absence(encoder: SpeechEncoder) -> UserError | None:
    """Why an encoder cannot be used here."""
    try:
        if encoder.check is not None:
            encoder.check()
    except UserError as error:
        return error
    return None


def speech_files(paths: Sequence[Path], has_vectors: bool = False) -> tuple[list[Path], list[Path]]:
    """Files as given, and what folders hold, sorted: vectors where such are understood and there, or else sounds.

    Returns:
        The files, and what folders hold besides; what has the name of a file that is taken goes with that.

    Raises:
        UserError: A folder holds nothing of it.
    """
    files, passed_over = [], []
    for path in paths:
        if not path.is_dir():
            files.append(path)
            continue
        media, others = sorted_out(path.iterdir())
        vectors = [file for file in others if file.suffix == VECTOR_SUFFIX and not file.name.startswith(".")]
        inside = vectors if has_vectors and vectors else media
        if not inside:
            raise UserError(f"{path}: no sound file{' or .npy vector' if has_vectors else ''} in this folder")
        files += inside
        passed_over += without_companions(sorted([*media, *others]), inside)
    return files, passed_over


def without_companions(files: Sequence[Path], taken: Sequence[Path]) -> list[Path]:
    """The files but those taken and what lies beside them under the same name, such as the vector of a sound."""
    names = {(file.parent, file.stem) for file in taken}
    return [file for file in files if (file.parent, file.stem) not in names]
