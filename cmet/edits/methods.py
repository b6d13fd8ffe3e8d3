"""The four methods: expression codes that each wants of a neutral clip.

neutral     the clip as it is
reference   what C-MET replaces: the expression codes of an emotional clip of another person (a training speaker,
            same emotion, level and sentence where there is one) put in place of the clip's own
cmet        the expression delta that the trained connector predicts from speech alone
oracle      the true expression delta between the clip and the same speaker's emotional clip, the ceiling

Legend: T frames, K expression components, S speech features.
"""

import numpy as np
import pandas as pd

from cmet.connector.bundle import Bundle
from cmet.connector.inference import predict_deltas
from cmet.edits.pools import with_level
from cmet.expression.product import Faces


def reference_codes(own_TK: np.ndarray, driving_TK: np.ndarray) -> np.ndarray:
    """Codes of another person's clip over the frames of this one, shape (T, K).

    Args:
        own_TK: Codes of the clip.
        driving_TK: Codes of the other one, of any length; they are cut, or gone over back and forth.
    """
    there_and_back = np.concatenate([driving_TK, driving_TK[::-1]])
    return there_and_back[np.arange(len(own_TK)) % len(there_and_back)]


def cmet_codes(own_TK: np.ndarray, bundle: Bundle, delta_S: np.ndarray, strength: float) -> np.ndarray:
    """Codes with the predicted delta, shape (T, K).

    Args:
        own_TK: Codes of the clip.
        bundle: The trained model.
        delta_S: Scaled speech delta.
        strength: Factor on the delta.
    """
    return own_TK + strength * predict_deltas(bundle.connector, delta_S, own_TK)


def oracle_codes(own_TK: np.ndarray, true_TK: np.ndarray) -> np.ndarray:
    """Codes with the true delta, shape (T, K), from those of the emotional clip, of any length."""
    return own_TK + (true_TK.mean(axis=0) - own_TK.mean(axis=0)).astype(np.float32)


def draw_references(rows: pd.DataFrame, clips: pd.DataFrame, faces: Faces, seed: int) -> dict[str, str | None]:
    """For every row a training speaker's clip of the same emotion and level, and sentence if there is one."""
    training = with_level(clips[(clips.split == "train") & (clips.status == "ok")]).sort_values("clip_id")
    training = training[training.clip_id.map(faces.has_codes).astype(bool)]
    trained = set(training.speaker)
    by_level, by_sentence = (
        {key: (same.clip_id.to_numpy(), same.speaker.to_numpy()) for key, same in training.groupby(labels)}
        for labels in (["emotion", "level"], ["emotion", "level", "sentence"])
    )
    nobody = np.empty(0, object), np.empty(0, object)
    random = np.random.default_rng([seed, 0])
    references: dict[str, str | None] = {}
    for row in with_level(rows).to_dict("records"):
        key = row["emotion"], row["level"]
        for clip_ids, speakers in (by_sentence.get((*key, row["sentence"]), nobody), by_level.get(key, nobody)):
            # an official row may be spoken by somebody who was trained on
            others = clip_ids[speakers != row["speaker"]] if row["speaker"] in trained else clip_ids
            if len(others):
                references[row["row_id"]] = random.choice(others)
                break
        else:
            references[row["row_id"]] = None
    return references
