"""Pairing clips, and writing the deltas between the two of a pair."""

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from cmet.clips.product import Clips
from cmet.errors import UserError
from cmet.expression.product import Faces
from cmet.outputs import fresh_folder
from cmet.pairs.differences import expression_delta, mean_codes, speech_delta
from cmet.pairs.product import TABLE, UNPAIRED, UNPAIRED_CLIPS
from cmet.pairs.sentences import neutral_sentence
from cmet.params import DeltasParams
from cmet.progress import counted
from cmet.speech.product import Voices
from cmet.speech.projection import fit_projection
from cmet.speech.scaling import SpeechScaling
from cmet.vocabulary import EMOTIONS

# N, M clips, S speech features, T frames, K expression components

PAIR_KEY = ["corpus", "speaker", "split", "view", "partner_sentence"]
PAIR_COLUMNS = [
    "pair_id",
    "corpus",
    "speaker",
    "sentence",
    "emotion",
    "intensity",
    "split",
    "view",
    "neutral_clip",
    "emotional_clip",
    "is_held_out",
]
UNPAIRED_COLUMNS = ["clip_id", "reason"]
CLIP_COLUMNS = ["clip_id", "corpus", "speaker", "sentence", "emotion", "intensity", "split"]


class Pairing(NamedTuple):
    """Pairs, and the clips that are in none."""

    pairs: pd.DataFrame
    unpaired: pd.DataFrame
    """Columns `clip_id`, `reason`."""


@dataclass(frozen=True)
class DeltasReport:
    """What the stage found; cosines are means over all pairs of deltas, None where there are none."""

    num_pairs: int
    num_unpaired: int
    unpaired_reasons: dict[str, int]
    pairs_per_split_and_emotion: dict[str, dict[str, int]]
    speech_cosine_same_emotion: float | None
    speech_cosine_other_emotion: float | None
    expression_cosine_same_emotion: float | None
    expression_cosine_other_emotion: float | None
    speech_projection: str
    """The rule that speech is projected by, `none` where it is not."""
    speech_projection_accuracy: dict[str, float] = field(default_factory=dict)
    """Share of the emotional clips of a training speaker left out that are told right, by rule; empty where none was
    measured."""


def write_deltas(
    clips: Clips, voices: Voices, faces: Faces, params: DeltasParams, held_out_emotion: str | None, out: Path
) -> DeltasReport:
    """Pair the clips and write the expression deltas.

    Writes what `Pairs` reads: one row per pair, its expression delta raw and not normalised; the clips that are in none
    with the reason; and the scaling of speech features, with their projection, which the shards apply before they take
    speech deltas.

    Args:
        clips: The prepared clips.
        voices: Speech embeddings by the encoder that params names.
        faces: Expression codes.
        params: The `deltas` section of params.yaml.
        held_out_emotion: Its pairs are marked, and its clips have no part in the scale.
        out: Folder that appears complete or not at all.

    Raises:
        UserError: No pair is left.
    """
    speech = voices.vectors
    usable, unusable = _usable_clips(clips.usable, speech, faces)
    pairing = pair_clips(usable)
    unpaired = pd.concat([unusable, pairing.unpaired], ignore_index=True).sort_values("clip_id", ignore_index=True)
    if pairing.pairs.empty:
        raise UserError(
            f"{clips.folder}: no emotional clip has a neutral clip of the same speaker and sentence "
            f"({len(clips.table)} clips; {_reasons(unpaired)}); check that the corpus has neutral clips and that "
            "the encoders ran"
        )
    pairs = pairing.pairs.assign(is_held_out=pairing.pairs["emotion"] == held_out_emotion)[PAIR_COLUMNS]
    speech_NS, expression_NK = _deltas(pairs, speech, faces)
    scaling = fit_scaling(usable, speech, params, held_out_emotion)
    fitted_on = usable[_is_fitted_on(usable, held_out_emotion)]
    projection, accuracy = fit_projection(
        params.speech_projection,
        np.stack([scaling.apply(speech[clip]) for clip in fitted_on["clip_id"]])
        if len(fitted_on)
        else np.empty((0, 0)),
        fitted_on["speaker"].to_numpy(str),
        fitted_on["emotion"].to_numpy(str),
    )
    scaling = replace(scaling, projection=projection)
    with fresh_folder(out) as folder:
        pairs.assign(expression_delta=list(expression_NK)).to_parquet(folder / TABLE)
        scaling.save(folder)
        unpaired.to_csv(folder / UNPAIRED, index=False)
        is_single = usable["clip_id"].isin(pairing.unpaired["clip_id"])
        usable[is_single].sort_values("clip_id")[CLIP_COLUMNS].to_parquet(folder / UNPAIRED_CLIPS, index=False)
    return _report(pairs, unpaired, scaling.of_deltas(speech_NS), expression_NK, scaling, accuracy)


def pair_clips(clips: pd.DataFrame) -> Pairing:
    """Every emotional clip with the neutral clip of the same speaker, sentence and view, in the order of clip ids.

    Where a neutral sentence was recorded more than once, its first clip by id is taken.

    Args:
        clips: Rows with clip_id, corpus, speaker, emotion, intensity, sentence, view and split; all are usable.
    """
    clips = clips.sort_values("clip_id", ignore_index=True)
    is_neutral = clips["emotion"] == "neutral"
    neutral = clips[is_neutral].assign(partner_sentence=clips["sentence"])
    neutral = neutral.drop_duplicates(PAIR_KEY).rename(columns={"clip_id": "neutral_clip"})
    emotional = clips[~is_neutral].assign(
        partner_sentence=[
            neutral_sentence(str(row.corpus), str(row.sentence)) for row in clips[~is_neutral].itertuples()
        ]
    )
    joined = emotional.merge(neutral[[*PAIR_KEY, "neutral_clip"]], how="left", on=PAIR_KEY)
    joined = joined.assign(pair_id=joined["clip_id"]).rename(columns={"clip_id": "emotional_clip"})
    is_paired = joined["neutral_clip"].notna()
    alone = joined.loc[~is_paired, "emotional_clip"]
    unused = clips.loc[is_neutral & ~clips["clip_id"].isin(joined["neutral_clip"]), "clip_id"]
    unpaired = pd.DataFrame(
        [(clip, "no neutral clip of the same speaker and sentence") for clip in alone]
        + [(clip, "no emotional clip of the same speaker and sentence") for clip in unused],
        columns=UNPAIRED_COLUMNS,
    )
    pairs = joined[is_paired].drop(columns="partner_sentence").reset_index(drop=True)
    return Pairing(pairs, unpaired.sort_values("clip_id", ignore_index=True))


def fit_scaling(
    clips: pd.DataFrame, speech: dict[str, np.ndarray], params: DeltasParams, held_out_emotion: str | None
) -> SpeechScaling:
    """Scaling of each speech feature by its spread over the training clips, or none.

    Raises:
        UserError: The spread is wanted and there is no training clip.
    """
    if params.speech_scale == "none":
        return SpeechScaling.none(len(next(iter(speech.values()))))
    chosen = clips[_is_fitted_on(clips, held_out_emotion)]["clip_id"]
    if chosen.empty:
        raise UserError("deltas: no clip in the training split to scale the speech features by")
    return SpeechScaling.fit(np.stack([speech[clip] for clip in chosen]))


def _is_fitted_on(clips: pd.DataFrame, held_out_emotion: str | None) -> pd.Series:
    return (clips["split"] == "train") & (clips["emotion"] != held_out_emotion)


def _usable_clips(
    clips: pd.DataFrame, speech: dict[str, np.ndarray], faces: Faces
) -> tuple[pd.DataFrame, pd.DataFrame]:
    reasons = {}
    for clip, emotion in zip(clips["clip_id"], clips["emotion"], strict=True):
        if emotion not in EMOTIONS:
            reasons[clip] = f"{emotion} is none of the paper's emotions"
        elif clip not in speech:
            reasons[clip] = "no speech embedding"
        elif not faces.has_codes(clip):
            reasons[clip] = "no expression codes"
    return clips[~clips["clip_id"].isin(reasons)], pd.DataFrame(list(reasons.items()), columns=UNPAIRED_COLUMNS)


def _deltas(pairs: pd.DataFrame, speech: dict[str, np.ndarray], faces: Faces) -> tuple[np.ndarray, np.ndarray]:
    """Raw speech and expression deltas of pairs, shapes (N, S) and (N, K)."""
    used = sorted({*pairs["neutral_clip"], *pairs["emotional_clip"]})
    # not the codes themselves: those of a large corpus are many gigabytes
    means = {clip: mean_codes(faces.codes(clip)) for clip in counted(used, "deltas: reading codes", len(used), "clip")}
    names = list(zip(pairs["neutral_clip"], pairs["emotional_clip"], strict=True))
    return (
        np.stack([speech_delta(speech[neutral][None], speech[other][None]) for neutral, other in names]),
        np.stack([expression_delta(means[neutral], means[other]) for neutral, other in names]),
    )


def _reasons(unpaired: pd.DataFrame) -> dict[str, int]:
    return {str(reason): int(count) for reason, count in unpaired["reason"].value_counts().sort_index().items()}


def _report(
    pairs: pd.DataFrame,
    unpaired: pd.DataFrame,
    speech_NS: np.ndarray,
    expression_NK: np.ndarray,
    scaling: SpeechScaling,
    accuracy: dict[str, float],
) -> DeltasReport:
    emotions = pairs["emotion"].to_numpy(str)
    speech_same, speech_other = _mean_cosines(speech_NS, emotions)
    expression_same, expression_other = _mean_cosines(expression_NK, emotions)
    counts = pairs.groupby(["split", "emotion"]).size()
    return DeltasReport(
        num_pairs=len(pairs),
        num_unpaired=len(unpaired),
        unpaired_reasons=_reasons(unpaired),
        pairs_per_split_and_emotion={
            str(split): {str(emotion): int(count) for emotion, count in rows.droplevel(0).items()}
            for split, rows in counts.groupby(level=0)
        },
        speech_cosine_same_emotion=speech_same,
        speech_cosine_other_emotion=speech_other,
        expression_cosine_same_emotion=expression_same,
        expression_cosine_other_emotion=expression_other,
        speech_projection="none" if scaling.projection is None else scaling.projection.facts.rule,
        speech_projection_accuracy=accuracy,
    )


def _mean_cosines(deltas_ND: np.ndarray, emotions_N: np.ndarray) -> tuple[float | None, float | None]:
    """Mean cosine over all pairs of rows of the same emotion, and over all of different ones."""
    units = deltas_ND / np.maximum(np.linalg.norm(deltas_ND, axis=1, keepdims=True), 1e-12)
    groups = [units[emotions_N == emotion] for emotion in np.unique(emotions_N)]
    # the squared length of a sum is the sum of all inner products, each row with itself among them
    same = sum(float(np.sum(group.sum(0) ** 2)) - float(np.sum(group**2)) for group in groups)
    num_same = sum(len(group) * (len(group) - 1) for group in groups)
    both = float(np.sum(units.sum(0) ** 2)) - float(np.sum(units**2))
    num_other = len(units) * (len(units) - 1) - num_same
    return same / num_same if num_same else None, (both - same) / num_other if num_other else None
