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
from cmet.edits.pools import choose_speech, speech_directions, with_level
from cmet.edits.product import EDITS, PROTOCOL
from cmet.edits.rendering import render_row
from cmet.edits.rows import planned_rows, protocol_facts
from cmet.engine import ClipMap, Job
from cmet.outputs import write_json
from cmet.params import EditsParams, InferenceParams
from cmet.scores.results import sample_ids
from cmet.vocabulary import METHODS


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
    held_out_emotion: str | None = None,
    methods: Sequence[str] = METHODS,
) -> EditsReport:
    """Edit the neutral clip of every planned row by every method.

    Args:
        pairs: Rows of `pairs.parquet`; those of the test split, or of the official manifest, are edited.
        clips: Rows of `clips.parquet`, for the clips that reference and speech are taken from.
        clips_folder: Folder that holds `video/<clip_id>.mp4` and `audio/<clip_id>.wav`.
        expression_folder: Tracks, codes and the fitted backbone.
        embeddings: Raw speech embeddings by clip id.
        bundle: The trained model.
        out: Gets `<method>/<row_id>.mp4`, `edits.parquet` and `protocol.json`.
        work: Keeps finished clips over an interruption.
        params: The `edits` section.
        seed: Draws the training speaker of each reference.
        crf: Quality of the written video.
        weights: Folder of published checkpoints.
        inference: The `inference` section.
        held_out_emotion: Rows of it are marked.
        methods: Those of `METHODS` that are wanted; the work folder is for the same ones always.

    Raises:
        UserError: There are no rows, or a file of weights is missing.
    """
    lips, used = lips_and_weights(bundle.config.backbone, params, weights)
    rows = with_level(planned_rows(pairs, clips, params, held_out_emotion))
    whole = rows[rows.reason.isna()]
    codes = CodeShelf(expression_folder / "codes")
    speech = choose_speech(whole, clips, embeddings.index, params)
    protocol = protocol_facts(rows, speech, params)
    directions = speech_directions(speech, embeddings, bundle)
    references = draw_references(whole, clips, codes, seed)
    jobs: list[Job] = []
    for row in whole.to_dict("records"):
        own = codes[row["source_clip"]]
        direction = directions[row["emotion"], row["level"]]
        with fitting_threads(bundle.config.network.hidden):
            delta = params.strength * predict_directions(bundle.connector, direction, own)
        true_delta = codes[row["target_clip"]].mean(axis=0) - own.mean(axis=0)
        reference = references[row["row_id"]]
        edited = {
            "neutral": own,
            "reference": None if reference is None else fit_length(codes[reference], len(own)),
            "cmet": own + delta,
            "oracle": own + true_delta.astype(np.float32),
        }
        jobs.append(
            {
                "clip_id": row["row_id"],
                "source_clip": row["source_clip"],
                "identity_frame": params.identity_frame,
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
    edits = pd.concat([_method_rows(rows, records, references, method) for method in methods])
    edits = edits.assign(backbone=bundle.config.backbone, protocol=protocol["name"], lips=lips)
    edits = edits.assign(sample_id=sample_ids(edits))
    edits.to_parquet(files / EDITS, index=False)
    write_json(files / PROTOCOL, protocol)
    clip_map.publish(out)
    is_ok = edits.status == "ok"
    return EditsReport(
        len(rows), int(is_ok.sum()), int((~is_ok).sum()), int(records.get("num_frames", pd.Series()).sum())
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


def draw_references(rows: pd.DataFrame, clips: pd.DataFrame, codes: CodeShelf, seed: int) -> dict[str, str | None]:
    """For every row a training speaker's clip of the same emotion and level, and sentence if there is one."""
    training = with_level(clips[(clips.split == "train") & (clips.status == "ok")]).sort_values("clip_id")
    training = training[training.clip_id.map(codes.__contains__).astype(bool)]
    random = np.random.default_rng([seed, 0])
    references: dict[str, str | None] = {}
    for row in with_level(rows).to_dict("records"):
        same = training[(training.emotion == row["emotion"]) & (training.level == row["level"])]
        # an official row may be spoken by somebody who was trained on
        same = same[same.speaker != row["speaker"]]
        candidates = same[same.sentence == row["sentence"]]
        candidates = candidates if len(candidates) else same
        references[row["row_id"]] = random.choice(candidates.clip_id.to_numpy()) if len(candidates) else None
    return references


def fit_length(codes: np.ndarray, num_frames: int) -> np.ndarray:
    """Cut codes (T, K) to a length, or go back and forth over them until they reach it."""
    there_and_back = np.concatenate([codes, codes[::-1]])
    return there_and_back[np.arange(num_frames) % len(there_and_back)]


def _method_rows(
    rows: pd.DataFrame, records: pd.DataFrame, references: dict[str, str | None], method: str
) -> pd.DataFrame:
    columns = ["row_id", "speaker", "sentence", "emotion", "intensity", "source_clip", "target_clip", "is_held_out"]
    made = records.reindex(rows.row_id)
    reasons = rows.reason.where(rows.reason.notna(), made.reason.to_numpy())
    status = pd.Series(np.where(rows.reason.notna(), "failed", made.status.to_numpy()), index=rows.index)
    if method == "reference":
        absent = (status == "ok") & rows.row_id.map(references).isna()
        status = status.mask(absent, "failed")
        reasons = reasons.mask(absent, "no_reference: no training clip of this emotion and level")
    video = method + "/" + rows.row_id + ".mp4"
    return rows[columns].assign(method=method, status=status, reason=reasons, video=video.where(status == "ok"))
