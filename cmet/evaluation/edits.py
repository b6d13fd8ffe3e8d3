"""The clips that are judged: every method edits the same neutral clips of the test speakers.

neutral     the clip as it is
reference   what C-MET replaces: the expression codes of an emotional clip of another person (a training speaker,
            same emotion, level and sentence where there is one) put in place of the clip's own
cmet        the expression delta that the trained connector predicts from speech alone
oracle      the true expression delta between the clip and the same speaker's emotional clip, the ceiling
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from cmet.backbones.hardware import count_network_workers
from cmet.backbones.registry import backbone_class
from cmet.backbones.used_weights import weights_digests
from cmet.connector.bundle import Bundle
from cmet.connector.inference import predict_directions
from cmet.connector.threads import fitting_threads
from cmet.engine import ClipMap, Job
from cmet.errors import UserError
from cmet.evaluation.protocol import EDITS, METHODS
from cmet.evaluation.rendering import render_row
from cmet.params import EditsParams, InferenceParams

EMOTIONAL_STRIDE = 7
NO_LEVEL = 0
"""Stands for the intensity of a clip whose corpus does not say; such clips are a pool of their own."""


@dataclass(frozen=True)
class EditsReport:
    """Counts of the edited clips."""

    num_rows: int
    num_clips: int
    num_failed: int
    num_frames: int


def write_edits(
    pairs: pd.DataFrame,
    clips: pd.DataFrame,
    clips_folder: Path,
    expression_folder: Path,
    embeddings: pd.Series,
    bundle: Bundle,
    out: Path,
    work: Path,
    params: EditsParams,
    seed: int,
    crf: int,
    weights: Path,
    inference: InferenceParams,
    methods: Sequence[str] = METHODS,
) -> EditsReport:
    """Edit the neutral clip of every test pair by every method.

    Args:
        pairs: Rows of `pairs.parquet`; the ones of the test split are edited.
        clips: Rows of `clips.parquet`, for the clips that reference and speech are taken from.
        clips_folder: Folder that holds `video/<clip_id>.mp4` and `audio/<clip_id>.wav`.
        expression_folder: Tracks, codes and the fitted backbone.
        embeddings: Raw speech embeddings by clip id.
        bundle: The trained model.
        out: Gets `<method>/<row_id>.mp4` and `edits.parquet`.
        work: Keeps finished clips over an interruption.
        params: The `edits` section.
        seed: Draws the training speaker of each reference.
        crf: Quality of the written video.
        weights: Folder of published checkpoints.
        inference: The `inference` section.
        methods: Those of `METHODS` that are wanted; the work folder is for the same ones always.

    Raises:
        UserError: There are no test pairs, or a file of weights is missing.
    """
    lips, used = lips_and_weights(bundle.config.backbone, params, weights)
    test = with_level(pairs[pairs.split == "test"].sort_values("pair_id", ignore_index=True))
    if test.empty:
        raise UserError("edits: no test pairs; the corpus needs test speakers with neutral and emotional clips")
    codes = CodeShelf(expression_folder / "codes")
    directions = pooled_directions(test, clips, embeddings, bundle, params.num_speech_clips)
    references = draw_references(test, clips, codes, seed)
    jobs: list[Job] = []
    for row in test.to_dict("records"):
        own = codes[row["neutral_clip"]]
        direction = directions[row["emotion"], row["level"]]
        with fitting_threads(bundle.config.network.hidden):
            delta = params.strength * predict_directions(bundle.connector, direction, own)
        true_delta = codes[row["emotional_clip"]].mean(axis=0) - own.mean(axis=0)
        reference = references[row["pair_id"]]
        edited = {
            "neutral": own,
            "reference": None if reference is None else fit_length(codes[reference], len(own)),
            "cmet": own + delta,
            "oracle": own + true_delta.astype(np.float32),
        }
        jobs.append(
            {
                "clip_id": row["pair_id"],
                "source_clip": row["neutral_clip"],
                "clips": str(clips_folder),
                "expression": str(expression_folder),
                "backbone": bundle.config.backbone,
                "crf": crf,
                "lips": lips,
                "weights": str(weights),
                "inference": inference.model_dump(),
                "stamp": {"inference": inference.model_dump(), "weights": used},
                "codes": {method: made for method, made in edited.items() if method in methods},
            }
        )
    clip_map = ClipMap(render_row, work, f"edits {bundle.config.backbone}")
    num_workers = count_network_workers() if backbone_class(bundle.config.backbone).weights else None
    records = pd.DataFrame(clip_map.run(jobs, num_workers)).set_index("clip_id")
    files = work / "files"
    edits = pd.concat([_method_rows(test, records, references, method, bundle) for method in methods])
    edits = edits.assign(lips=lips)
    edits.to_parquet(files / EDITS, index=False)
    clip_map.publish(out)
    is_ok = edits.status == "ok"
    return EditsReport(
        len(test), int(is_ok.sum()), int((~is_ok).sum()), int(records.get("num_frames", pd.Series()).sum())
    )


def lips_and_weights(backbone: str, params: EditsParams, weights: Path) -> tuple[str, dict[str, str]]:
    """What the lips of a backbone's edits follow, and SHA-256 of the published files that they are made with.

    Raises:
        UserError: A file is missing.
    """
    kind = backbone_class(backbone)
    lips = "own" if not kind.hears else "speech" if not kind.keeps_lips else params.lips
    return lips, weights_digests((*kind.weights, *(kind.speech_weights if lips == "speech" else ())), weights)


class CodeShelf(Mapping[str, np.ndarray]):
    """Expression codes (T, K) by clip id, read from disk when asked for."""

    def __init__(self, folder: Path) -> None:
        """Look at a folder of `<clip_id>.npy`."""
        self.folder = folder

    def __getitem__(self, clip_id: str) -> np.ndarray:
        """Codes of one clip."""
        return np.load(self.folder / f"{clip_id}.npy")

    def __contains__(self, clip_id: object) -> bool:
        """Whether the clip was encoded."""
        return (self.folder / f"{clip_id}.npy").is_file()

    def __iter__(self) -> Iterator[str]:
        """Clip ids, sorted."""
        return iter(sorted(path.stem for path in self.folder.glob("*.npy")))

    def __len__(self) -> int:
        """Number of encoded clips."""
        return sum(1 for _ in self)


def with_level(clips: pd.DataFrame) -> pd.DataFrame:
    """A column `level` that can be compared: the intensity, or `NO_LEVEL`."""
    return clips.assign(level=clips.intensity.astype("Int64").fillna(NO_LEVEL).astype(int))


def pooled_directions(
    test: pd.DataFrame, clips: pd.DataFrame, embeddings: pd.Series, bundle: Bundle, num_clips: int
) -> dict[tuple[str, int], np.ndarray]:
    """Speech direction of every emotion and level of the test pairs, by the protocol `pool-by-intensity`."""
    heard = with_level(clips[(clips.split == "test") & clips.clip_id.isin(embeddings.index)])
    heard = heard.sort_values(["speaker", "sentence"])
    neutral_pool = heard.clip_id[heard.emotion == "neutral"].to_list()
    directions = {}
    for emotion, level in with_level(test)[["emotion", "level"]].drop_duplicates().itertuples(index=False):
        pool = heard.clip_id[(heard.emotion == emotion) & (heard.level == level)].to_list()
        emotional = [pool[EMOTIONAL_STRIDE * i % len(pool)] for i in range(num_clips)]
        neutral = [neutral_pool[i % len(neutral_pool)] for i in range(num_clips)]
        directions[emotion, level] = bundle.speech_direction(
            np.stack(embeddings.loc[neutral].to_list()), np.stack(embeddings.loc[emotional].to_list())
        )
    return directions


def draw_references(test: pd.DataFrame, clips: pd.DataFrame, codes: CodeShelf, seed: int) -> dict[str, str | None]:
    """For every test pair a training speaker's clip of the same emotion and level, and sentence if there is one."""
    training = with_level(clips[(clips.split == "train") & (clips.status == "ok")]).sort_values("clip_id")
    training = training[training.clip_id.map(codes.__contains__)]
    random = np.random.default_rng([seed, 0])
    references: dict[str, str | None] = {}
    for row in with_level(test).to_dict("records"):
        same = training[(training.emotion == row["emotion"]) & (training.level == row["level"])]
        candidates = same[same.sentence == row["sentence"]]
        candidates = candidates if len(candidates) else same
        references[row["pair_id"]] = random.choice(candidates.clip_id.to_numpy()) if len(candidates) else None
    return references


def fit_length(codes: np.ndarray, num_frames: int) -> np.ndarray:
    """Cut codes (T, K) to a length, or go back and forth over them until they reach it."""
    there_and_back = np.concatenate([codes, codes[::-1]])
    return there_and_back[np.arange(num_frames) % len(there_and_back)]


def _method_rows(
    test: pd.DataFrame, records: pd.DataFrame, references: dict[str, str | None], method: str, bundle: Bundle
) -> pd.DataFrame:
    rows = test[["pair_id", "speaker", "sentence", "emotion", "intensity", "is_held_out"]].rename(
        columns={"pair_id": "row_id"}
    )
    rows = rows.assign(
        method=method,
        backbone=bundle.config.backbone,
        source_clip=test.neutral_clip,
        target_clip=test.emotional_clip,
        status=records.status.loc[rows.row_id].to_numpy(),
        reason=records.reason.loc[rows.row_id].to_numpy(),
    )
    if method == "reference":
        absent = rows.row_id.map(references).isna()
        rows.loc[absent, ["status", "reason"]] = ["failed", "no_reference: no training clip of this emotion and level"]
    video = method + "/" + rows.row_id + ".mp4"
    return rows.assign(video=video.where(rows.status == "ok"))
