"""Speech embeddings of prepared clips."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from cmet.clips.product import Clips
from cmet.engine.attempts import Job, Record
from cmet.engine.clip_map import ClipMap
from cmet.errors import ClipError, UserError
from cmet.inputs.arrays import read_array
from cmet.media.sound import read_sound
from cmet.outputs import fresh_folder
from cmet.params import SpeechForm, SpeechParams
from cmet.progress import counted
from cmet.quarantine import check_rejected, count_reasons
from cmet.speech.encoders.encoder import SAMPLE_RATE_HZ
from cmet.speech.encoders.precomputed import FEATURES_FOLDER, NO_FEATURES
from cmet.speech.encoders.registry import load_encoder
from cmet.speech.product import QUARANTINE, TABLE
from cmet.weights.registry import is_watched


@dataclass(frozen=True)
class SpeechReport:
    """Counts of an embedding run."""

    num_clips: int
    num_quarantined: int
    width: int
    quarantined_by_reason: dict[str, int]


def write_embeddings(
    clips: Clips, encoder: str, weights: Path, out: Path, work: Path, params: SpeechParams
) -> SpeechReport:
    """Embed the sound of every usable clip.

    Args:
        clips: The prepared clips.
        encoder: Name in the registry.
        weights: Folder of published checkpoints.
        out: Gets what `Voices` reads, and `quarantine.csv` (clip_id, reason).
        work: Keeps finished clips over an interruption.
        params: The `speech` section.

    Raises:
        UserError: What the encoder needs is not here, or more clips were quarantined than `max_rejected` allows, or
            all.
    """
    form = SpeechForm.of(params)
    speech = load_encoder(encoder, weights, form)
    if speech.check is not None:
        speech.check()
    jobs: list[Job] = [
        {
            "clip_id": row["clip_id"],
            "encoder": encoder,
            "weights": str(weights),
            "form": form.model_dump(),
            "sound": str(clips.sound(row["clip_id"])),
            "raw": str(clips.raw_sound(row)),
        }
        for row in clips.usable.to_dict("records")
    ]
    clip_map = ClipMap(embed_clip, work, f"speech {encoder}")
    records = pd.DataFrame(clip_map.run(jobs)).set_index("clip_id")
    is_bad = records.status.eq("quarantined")
    if count_reasons(records.reason.dropna()) == {NO_FEATURES: len(records)}:
        raise UserError(
            f"speech: none of the {len(records)} clips has features of {encoder}, first {records.reason.iloc[0]}; "
            "the corpus has none beside its sounds, so use opensmile or emotion2vec"
        )
    check_rejected("speech", is_bad, records.reason, params.max_rejected)
    good = records.index[~is_bad]
    gathered = counted(good, f"speech {encoder}: gathering", len(good), "clip")
    vectors = [read_array(clip_map.files / f"{clip_id}.npy") for clip_id in gathered]
    with fresh_folder(out) as folder:
        table = pd.DataFrame({"clip_id": good, "embedding": vectors})
        table.to_parquet(folder / TABLE, index=False)
        records.loc[is_bad, ["reason"]].to_csv(folder / QUARANTINE)
    clip_map.forget()
    return SpeechReport(len(vectors), int(is_bad.sum()), len(vectors[0]), count_reasons(records.reason.dropna()))


def embed_clip(job: Job, files: Path) -> Record:
    """Embed one clip and keep the vector beside the record."""
    encoder = load_encoder(job["encoder"], Path(job["weights"]), SpeechForm.model_validate(job["form"]))
    if encoder.embed is not None:
        vector = encoder.embed(read_sound(Path(job["sound"]), SAMPLE_RATE_HZ))
    else:
        assert encoder.read is not None
        raw = Path(job["raw"])
        _refuse_linked(raw.parent / FEATURES_FOLDER)
        vector = encoder.read(raw)
    np.save(files / f"{job['clip_id']}.npy", vector)
    return {}


def _refuse_linked(features: Path) -> None:
    if features.is_dir() and not is_watched(features, features.parent):
        raise ClipError(
            "outside_root",
            f"{features} is a link to another folder, and DVC does not follow it; make it a folder of links to files",
        )
